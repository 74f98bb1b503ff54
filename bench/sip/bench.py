"""Calls through and registrations by sipp: CPU of the server per 1,000, rate, delay, failures, memory.

Every line is one run of one server, freshly started; the table at the end holds the medians.
"""

import argparse
import csv
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import HERE, PEERS, USERS

from harness.phone import Phone
from harness.sipp import SCENARIOS, free_port


# Of a run that takes longer the memory is printed so often, in seconds.
MINUTE = 60


def wait_ready(peer):
    """Until the server answers anything at all."""
    end = time.monotonic() + 10
    with Phone(peer.address) as phone:
        while True:
            try:
                phone.request("OPTIONS", f"sip:{peer.address[0]}:{peer.address[1]}", "sip:ping@127.0.0.1")
                return phone.receive(0.5)
            except (TimeoutError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise


def sipp(folder, *arguments):
    return ["sipp", "-i", "127.0.0.1", "-nostdin", "-trace_screen", "-screen_file", folder / "screen.log", *map(str, arguments)]


def screen(folder):
    """`(succeeded, failed, retransmissions)`; sent ones say that we were late, received ones that we repeated."""
    text = (folder / "screen.log").read_text(errors="replace")
    last = lambda name: int(re.findall(rf"{name}\s*\|\s*\d+\s*\|\s*(\d+)", text)[-1])  # noqa: E731
    arrows = re.findall(r"(?:---------->|<----------)\s+(?:[BE]-RTD\d+\s+)?\d+\s+(\d+)", text)
    return last("Successful call"), last("Failed call"), sum(map(int, arrows))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def calls(peer, folder, rate, seconds, hold):
    callee_folder = folder / "callee"
    callee_folder.mkdir()
    callee = subprocess.Popen(
        sipp(callee_folder, "-sf", HERE / "callee.xml", "-p", peer.callee, "-l", 100_000),
        cwd=callee_folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        done = drive(
            peer, folder, rate, seconds, "-sf", HERE / "through.xml", "-p", peer.caller,
            "-key", "to", peer.to, "-d", hold, "-trace_rtt", "-rtt_freq", 100,
        )  # fmt: skip
    finally:
        callee.terminate()
        callee.wait(10)
    (rtt,) = folder.glob("through_*_rtt.csv")
    with rtt.open() as file:
        delays = [float(row[1]) for row in list(csv.reader(file, delimiter=";"))[1:]]
    return done | {"p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99)}


def registers(peer, folder, rate, seconds, _hold):
    with (folder / "rows.csv").open("w") as file:
        file.write("SEQUENTIAL\n")
        for user in range(USERS):
            file.write(f"desk{user};[authentication username=desk{user} password=secret-desk{user}-secret]\n")
    return drive(
        peer, folder, rate, seconds, "-sf", SCENARIOS / "register.xml", "-p", free_port(),
        "-inf", folder / "rows.csv", "-key", "domain", peer.domain,
    )  # fmt: skip


def drive(peer, folder, rate, seconds, *arguments):
    """Runs sipp against the server and takes what it has cost."""
    host, port = peer.address
    command = sipp(folder, f"{host}:{port}", *arguments, "-r", rate, "-m", rate * seconds, "-l", 100_000)
    before, begin = peer.usage.cpu(), time.monotonic()
    load = subprocess.Popen(
        [*command, "-timeout", f"{seconds + 60}s"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        try:
            load.wait(MINUTE)
            break
        except subprocess.TimeoutExpired:
            print(f"{'':<10}{time.monotonic() - begin:>6.0f} s: {peer.usage.memory('VmRSS'):.0f} MiB", flush=True)
    took = time.monotonic() - begin
    succeeded, failed, repeated = screen(folder)
    cpu = (peer.usage.cpu() - before) / max(1, succeeded) * 1000
    return {"cpu": cpu, "rate": succeeded / took, "failed": failed, "repeated": repeated, "memory": peer.usage.memory()}


SCENES = {"calls": calls, "register": registers}
COLUMNS = ("cpu", "rate", "failed", "repeated", "p50", "p99", "memory")
HEAD = ("CPU s/1,000", "per s", "failed", "repeated", "p50 ms", "p99 ms", "MiB")


def show(figures):
    return "".join(f"{figures[name]:>12.3f}" if name in figures else f"{'-':>12}" for name in COLUMNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="*", default=[50, 500], help="calls a second (default: 50 500)")
    parser.add_argument("--register", type=int, nargs="*", default=[100, 3000], help="registrations a second")
    parser.add_argument("--seconds", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--hold", type=int, default=0, help="milliseconds from answer to BYE (default: 0)")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken (default: 3)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    label = f"{'server':<10}{'scene':<10}{'offered':>8}"
    print(label + "".join(f"{name:>12}" for name in HEAD), flush=True)
    medians = []
    for scene in SCENES:
        for rate in getattr(options, scene):
            for name in options.peers:
                runs = []
                for _ in range(options.runs):
                    with tempfile.TemporaryDirectory() as folder:
                        peer = PEERS[name](Path(folder))
                        try:
                            wait_ready(peer)
                            runs.append(SCENES[scene](peer, Path(folder), rate, options.seconds, options.hold))
                        finally:
                            peer.stop()
                    print(f"{name:<10}{scene:<10}{rate:>8}" + show(runs[-1]), flush=True)
                medians.append((name, scene, rate, {key: statistics.median(run[key] for run in runs) for key in runs[0]}))
    print(f"\nmedians of {options.runs}, {options.seconds} s each\n{label}" + "".join(f"{name:>12}" for name in HEAD))
    for name, scene, rate, figures in medians:
        print(f"{name:<10}{scene:<10}{rate:>8}" + show(figures))


if __name__ == "__main__":
    sys.exit(main())
