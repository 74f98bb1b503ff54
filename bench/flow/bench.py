"""Inbound calls that run `Answer, Play` (1 s)`, Hangup`: from a static document, and from one fetched by `call_flow_url`.

Every line is one run of a server freshly started; the table at the end holds the medians. A run counts only if every record, event and
row of the log was written.
"""

import argparse
import csv
import http.server
import socket
import statistics
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sip"))

from bench import HEAD, drive, percentile, show, wait_ready  # noqa: E402
from peers import Usage  # noqa: E402

from harness.server import Server  # noqa: E402
from harness.sipp import SCENARIOS, free_port  # noqa: E402
from harness.sound import write_tone  # noqa: E402

DOCUMENT = "<Response><Answer/><Play>tone.wav</Play><Hangup/></Response>"
# init, ringing, live, hangup and destroyed; one for each element.
EVENTS, STEPS = 8, 3


class Flows:
    """The document over HTTP, one connection kept open for many requests."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes.
            disable_nagle_algorithm = True

            def do_GET(self):
                body = DOCUMENT.encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", len(body))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/flow"


class Node:
    """A server with a number for each scene."""

    def __init__(self, folder, flows):
        self.server = Server(folder / "data", log__level="warn", limits__calls="20000")
        (folder / "data/prompts").mkdir(parents=True)
        write_tone(folder / "data/prompts/tone.wav", 440, seconds=1)
        self.server.start()
        self.rest = self.server.rest()
        self.caller = free_port()
        self.rest.trunk(self.caller, name="caller")
        apps = {"static": self.rest.app(DOCUMENT), "fetched": self.rest.app(name="fetched", call_flow_url=flows.url)}
        self.apps = {scene: app["uuid"] for scene, app in apps.items()}
        self.numbers = dict(zip(apps, self.rest.numbers(2)))
        for scene, tn in self.numbers.items():
            self.rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": self.apps[scene]})
        self.address = self.server.sip()
        self.usage = Usage(self.server.process.pid)

    def last_event(self):
        """The number of the newest event."""
        after = 0
        while True:
            page = self.rest.get(f"/rest/event?after={after}&take=1000")
            if page["data"]:
                after = page["data"][-1]["seq"]
            if page["next"] is None:
                return after

    def written(self, scene, calls, events_before):
        """That every row is there: records by number of calls, events by their gapless numbers, the log by its elements."""
        found = self.rest.until(
            lambda: self.rest.post("/rest/call/search?take=1", {"state": "offline"})["total"], lambda total: total >= calls, timeout=60
        )
        steps = self.rest.post(f"/rest/sip/app/{self.apps[scene]}/logs?take=1", {})["total"]
        events = self.rest.until(self.last_event, lambda last: last - events_before >= EVENTS * calls, timeout=60) - events_before
        assert (found, events, steps) == (calls, EVENTS * calls, STEPS * calls), (calls, found, events, steps)


def run(node, folder, scene, rate, seconds):
    before = node.last_event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        done = drive(
            node, folder, rate, seconds, "-sf", SCENARIOS / "prompt_then_bye.xml", "-p", node.caller,
            "-key", "to", node.numbers[scene], "-key", "ear", ear.getsockname()[1], "-trace_rtt", "-rtt_freq", 10,
        )  # fmt: skip
    (rtt,) = folder.glob("prompt_then_bye_*_rtt.csv")
    with rtt.open() as file:
        delays = [float(row[1]) for row in list(csv.reader(file, delimiter=";"))[1:]]
    assert done["failed"] == 0, done
    node.written(scene, rate * seconds, before)
    return done | {"p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="*", choices=["static", "fetched"], default=["static", "fetched"])
    parser.add_argument("--rates", type=int, nargs="*", default=[20, 100], help="calls a second (default: 20 100)")
    parser.add_argument("--seconds", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken (default: 3)")
    options = parser.parse_args()
    label = f"{'document':<10}{'offered':>8}"
    head = label + "".join(f"{name:>12}" for name in HEAD)
    print(head, flush=True)
    flows, medians = Flows(), []
    for scene in options.scenes:
        for rate in options.rates:
            runs = []
            for _ in range(options.runs):
                with tempfile.TemporaryDirectory() as folder:
                    node = Node(Path(folder), flows)
                    try:
                        wait_ready(node)
                        runs.append(run(node, Path(folder), scene, rate, options.seconds))
                    finally:
                        node.server.stop()
                print(f"{scene:<10}{rate:>8}" + show(runs[-1]), flush=True)
            medians.append((scene, rate, {key: statistics.median(run[key] for run in runs) for key in runs[0]}))
    print(f"\nmedians of {options.runs}, {options.seconds} s each; p50 and p99: from INVITE to 200\n{head}")
    for scene, rate, figures in medians:
        print(f"{scene:<10}{rate:>8}" + show(figures))


if __name__ == "__main__":
    sys.exit(main())
