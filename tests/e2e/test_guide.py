"""The guides of docs/guide do what they say.

A guide is run as a reader would follow it: in one bash, in an empty folder, against a server of its own. Of its fenced blocks

* ```` ```sh ```` is run, in order; a command that fails, fails the guide (`set -euo pipefail`);
* ```` ```LANGUAGE NAME ```` (```` ```python receiver.py ````) is written to the file NAME before anything is run;
* all others (`json`, `console`, `xml` without a name, …) are only read.

A line `# => TEXT` in a `sh` block says what was printed: TEXT is one of the lines that the commands since the last such lines have
printed, after those of the `# =>` before it; `…` stands for anything. What is waited for is waited for by the guide, in a loop that
asks; nobody else counts seconds.

The variables that a guide may use, and tells its readers how to set:

    OPENTACT_URL     https://127.0.0.1:8443, without a slash at the end
    TOKEN            an API token of an account with balance, on the simulated network
    CURL_CA_BUNDLE   the certificate of the server's authority: curl reads it by itself
    PORT             a free TCP port of this machine, and the three behind it, for servers of the reader's own
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness.server import ROOT

GUIDES = sorted((ROOT / "docs/guide").glob("*.md"))
BLOCK = re.compile(r"^```(?P<language>\w+)(?: +(?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = "# =>"
# Stands between the outputs of two steps.
MARK = "--- end of step"
PORTS = 4
# Of a guide, in seconds.
TIMEOUT = 200


def free_ports():
    """The first of some TCP ports in a row that nobody has."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for offset in range(1, PORTS):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port + offset))
                return port
            except (OSError, OverflowError):
                continue


def steps(text):
    """`(line of the guide, commands, what they print)` of each part of its `sh` blocks."""
    for block in BLOCK.finditer(text):
        if block["language"] != "sh" or block["name"]:
            continue
        line = text[: block.start("text")].count("\n") + 1
        commands, expected, begins = [], [], line
        for at, row in enumerate(block["text"].splitlines(), line):
            if row.startswith(EXPECTED):
                expected.append(row.removeprefix(EXPECTED).strip())
                continue
            if expected:
                yield begins, commands, expected
                commands, expected, begins = [], [], at
            commands.append(row)
        yield begins, commands, expected


class Wrong(Exception):
    """A guide does not do what it says."""


def is_like(pattern, line):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("…")), line.strip()) is not None


def missing(expected, printed):
    """The first line of `expected` that was not printed in its turn."""
    lines = iter(printed.splitlines())
    return next((one for one in expected if not any(is_like(one, line) for line in lines)), None)


def run(folder, guide, variables):
    text = guide.read_text()
    for block in BLOCK.finditer(text):
        if block["name"]:
            (folder / block["name"]).write_text(block["text"])
    parts = list(steps(text))
    script = "set -euo pipefail\n" + "".join("\n".join(commands) + f"\necho '{MARK}'\n" for _, commands, _ in parts)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENTACT_")} | variables
    output, errors = folder / "output.log", folder / "errors.log"
    with output.open("w") as out, errors.open("w") as err:
        # A session of its own: what the guide has left running ends with it.
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        try:
            code = shell.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            code = f"nothing in {TIMEOUT} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    printed = output.read_text().split(MARK)
    for (line, commands, expected), shown in zip(parts, printed, strict=False):
        if (lacking := missing(expected, shown)) is not None:
            raise Wrong(f"{guide.name}:{line}: no line like\n{lacking}\nwas printed by\n" + "\n".join(commands) + f"\nbut\n{shown}")
    done = len(printed) - 1
    if done < len(parts) or code != 0:
        line = parts[min(done, len(parts) - 1)][0]
        raise Wrong(f"{guide.name}:{line}: failed with {code}\n{printed[-1]}\n{errors.read_text()}")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guide(guide, own_server, tmp_path):
    server = own_server()
    folder = tmp_path / "reader"
    folder.mkdir()
    token = server.rest().post("/rest/token", {"name": "guide"})["token"]
    variables = {"OPENTACT_URL": server.base, "TOKEN": token, "CURL_CA_BUNDLE": server.ca, "PORT": str(free_ports())}
    run(folder, guide, variables)


def test_a_guide_that_is_wrong_fails(tmp_path):
    guide = tmp_path / "wrong.md"
    for text, fault in [
        ("```sh\necho one\necho two\n# => o…e\n# => two\necho three\n# => three\n```\n", None),
        ("```sh\necho one\n# => two\n```\n", "no line like\ntwo"),
        ("```sh\necho one\necho two\n# => two\n# => one\n```\n", "no line like\none"),
        ("```sh\necho one\n```\n\n```sh\nfalse\n```\n", "wrong.md:6: failed with 1"),
        ("```sh\ncat name.txt\n# => kept\n```\n\n```text name.txt\nkept\n```\n", None),
    ]:
        guide.write_text(text)
        if fault is None:
            run(tmp_path, guide, {})
        else:
            with pytest.raises(Wrong, match=re.escape(fault)):
                run(tmp_path, guide, {})
