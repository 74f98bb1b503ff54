"""Messages from HTTP by SMPP to the receipt that is told by HTTP: rate, CPU, delays, memory.

Every line is one run of one gateway, freshly started; the table at the end holds the medians. A message is over when the web server
was told that it is delivered; each is told of twice, when the SMSC has it and when its receipt has come. `offered` is messages a
second, or `all`: as many as go, of which at most `--window` are under way. CPU is of the gateway and what it needs (database, broker),
seconds per 1,000 messages. `answer`, `submit` and `told` are milliseconds from the request to its answer, from that to the SMSC, and to
the telling of the receipt. `-50` is with 50 recipients a request.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gateways import GATEWAYS, HERE

LOAD = os.environ.get("OPENTACT_SMS_LOAD", HERE.parents[1] / "target/release/opentact-sms-load")
COLUMNS = ("rate", "cpu", "answer_p99", "submit_p50", "submit_p99", "told_p99", "memory", "lost", "doubled")
HEAD = ("per s", "CPU s/1,000", "answer p99", "submit p50", "submit p99", "told p99", "MiB", "lost", "doubled")


class Load:
    """The process of clients, SMSC and web server."""

    def __init__(self):
        self.process = subprocess.Popen([LOAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())

    def run(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def measure(name, rate, options):
    load = Load()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        gateway = GATEWAYS[name](Path(folder), load.ports["smsc"], load.ports["web"])
        try:
            job = gateway.job | {"connections": options.connections, "window": options.window}
            # What is compiled, connected and cached at first use.
            load.run(job | {"messages": 200 * gateway.together})
            messages = options.messages if rate == 0 else int(rate * options.seconds)
            before = gateway.cpu()
            found = load.run(job | {"messages": messages, "rate": rate})
            found["cpu"] = (gateway.cpu() - before) / max(1, found["told"]) * 1000
            found["rate"] = found["told"] / (found["seconds"] or float("inf"))
            found["lost"] = messages - found["told"]
            found["memory"] = gateway.memory()
            return found
        finally:
            gateway.stop()
            load.stop()


def show(figures):
    return "".join(f"{'-' if figures[name] is None else f'{figures[name]:.2f}':>12}" for name in COLUMNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", nargs="*", choices=GATEWAYS, default=list(GATEWAYS))
    parser.add_argument("--rates", type=float, nargs="*", default=[0, 200], help="messages a second, 0: all (default: 0 200)")
    parser.add_argument("--messages", type=int, default=20_000, help="of a run without a rate (default: 20000)")
    parser.add_argument("--seconds", type=int, default=20, help="of a run with a rate (default: 20)")
    parser.add_argument("--window", type=int, default=2_000, help="messages under way (default: 2000)")
    parser.add_argument("--connections", type=int, default=32, help="HTTP connections (default: 32)")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken (default: 3)")
    options = parser.parse_args()
    label = f"{'gateway':<16}{'offered':>8}" + "".join(f"{name:>12}" for name in HEAD)
    print(label, flush=True)
    medians = []
    for rate in options.rates:
        for name in options.gateways:
            runs = []
            for _ in range(options.runs):
                runs.append(measure(name, rate, options))
                print(f"{name:<16}{rate or 'all':>8}" + show(runs[-1]), flush=True)
            known = {key: [run[key] for run in runs if run[key] is not None] for key in COLUMNS}
            medians.append((name, rate, {key: statistics.median(values) if values else None for key, values in known.items()}))
    print(f"\nmedians of {options.runs}\n{label}")
    for name, rate, figures in medians:
        print(f"{name:<16}{rate or 'all':>8}" + show(figures))


if __name__ == "__main__":
    sys.exit(main())
