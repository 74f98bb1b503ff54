"""Runs sipp, the load generator, with a scenario of `tests/e2e/sipp`."""

import csv
import re
import socket
import subprocess
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[1] / "sipp"


def free_port():
    """A port that nobody has now, by UDP or TCP: a long request to a peer that has only UDP tries TCP first (RFC 3261
    section 18.1.1), and must not find somebody else there."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            address = stream.getsockname()
            try:
                datagrams.bind(address)
            except OSError:
                continue
            return address[1]


class Result:
    def __init__(self, code, screen, errors):
        self.code, self.screen, self.errors = code, screen, errors
        counts = {
            name: int(value)
            for name, value in re.findall(r"(Successful call|Failed call)\s*\|\s*\d+\s*\|\s*(\d+)", screen)
        }
        self.succeeded, self.failed = counts.get("Successful call"), counts.get("Failed call")


def run(
    folder, scenario, remote, *, calls, rate, port=None, local="127.0.0.1", transport="u1", rows=None, keys=None, limit=None, timeout=90
):
    """From `port` at `local`. `rows` are the lines of sipp's -inf file; `keys` are `[name]` in the scenario; `limit` is how many calls may
    be open at once."""
    folder = Path(folder)
    command = ["sipp", f"{remote[0]}:{remote[1]}", "-sf", SCENARIOS / scenario, "-i", local]
    command += ["-p", str(port or free_port()), "-m", str(calls), "-r", str(rate), "-l", str(limit or calls), "-t", transport]
    command += ["-timeout", f"{timeout}s", "-timeout_error", "-nostdin", "-trace_err", "-error_file", folder / "errors.log"]
    command += ["-trace_screen", "-screen_file", folder / "screen.log"]
    if rows is not None:
        with (folder / "rows.csv").open("w", newline="") as file:
            file.write("SEQUENTIAL\n")
            csv.writer(file, delimiter=";", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None).writerows(rows)
        command += ["-inf", folder / "rows.csv"]
    for name, value in (keys or {}).items():
        command += ["-key", name, str(value)]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout + 20, check=False)
    text = lambda name: (folder / name).read_text(errors="replace") if (folder / name).exists() else ""  # noqa: E731
    return Result(done.returncode, text("screen.log") + done.stdout.decode(errors="replace"), text("errors.log"))


def call(folder, remote, to, *, code=200, caller="+12025550123", host=None, home=None, port=None):
    """A call that must end with this code, hung up at once where it is answered. `host` is that of the Request-URI, `home`
    that of From; both are addresses where nothing is said."""
    folder = Path(folder)
    port = port or free_port()
    scenario = "answered_caller.xml"
    if code != 200:
        scenario = folder / f"refused-{code}.xml"
        template = (SCENARIOS / "refused_caller.xml").read_text()
        scenario.write_text(template.replace('response="699"', f'response="{code}"'))
    keys = {"to": to, "from": caller, "host": host or f"{remote[0]}:{remote[1]}", "home": home or f"127.0.0.1:{port}"}
    result = run(folder, scenario, remote, calls=1, rate=1, port=port, keys=keys, timeout=30)
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
