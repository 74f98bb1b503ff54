"""Calls with sound: CPU of the server per minute of a call, what leaves it late, jitter, loss, memory.

Every line is one run of one server, freshly started. CPU s is per call and minute, of both directions and all legs. `floor` is what a
bare sender and receiver of the same packets takes, as many as the call has legs. A packet is late that leaves 5 ms behind the
earliest of its stream, or, where packets are passed on, 5 ms after it was sent to the server; jitter is from one packet to the next.
`unsent` is what the load, being more than 100 ms behind, has left out: with any of it the line says little.
"""

import argparse
import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "bench/sip"), str(HERE.parents[1] / "tests/e2e")]

import speech  # noqa: E402
from peers import Usage  # noqa: E402

from harness.server import Server  # noqa: E402
from harness.sipp import free_port  # noqa: E402

LOAD = os.environ.get("OPENTACT_LOAD", HERE.parents[1] / "target/release/opentact-load")
PROMPT_SECONDS = 8


@dataclass
class Scene:
    calls: int
    relay: bool = False
    #: Further arguments of the load.
    load: list = field(default_factory=list)
    record: bool = False
    srtp: str = "optional"
    #: Arguments of rtpengine for an offer and for an answer, where it can do the same.
    rtpengine: tuple | None = None

    @property
    def legs(self):
        return self.calls * (1 + self.relay)


SCENES = {
    **{f"prompt-{calls}": Scene(calls) for calls in (80, 1000, 2000, 4000)},
    **{f"relay-{calls}": Scene(calls, relay=True, rtpengine=("", "")) for calls in (50, 500)},
    "record-50": Scene(50, relay=True, record=True),
    **{
        f"{name}-{codec}-50": Scene(50, relay=True, record=name == "record", load=["--caller-codec", codec, "--callee-codec", codec])
        for codec in ("G722", "opus")
        for name in ("relay", "record")
    },
    "transcode-50": Scene(50, relay=True, load=["--caller-codec", "opus"]),
    "srtp-50": Scene(50, relay=True, load=["--caller-protection", "sdes", "--callee-protection", "sdes"], srtp="required"),
    "webrtc-50": Scene(
        50, relay=True, load=["--caller-protection", "dtls"],
        rtpengine=("RTP/AVP ICE=remove DTLS=off SDES-off", "UDP/TLS/RTP/SAVPF ICE=force DTLS=active SDES-off"),
    ),
}  # fmt: skip


class Opentact:
    """As it comes: calls have records and events, audio is anchored."""

    name = "opentact"

    def __init__(self, scene, folder, web):
        self.server = Server(folder / "data", log__level="warn", limits__calls="20000", media__srtp=scene.srtp)
        self.server.start()
        rest = self.server.rest()
        self.caller, self.callee = free_port(), free_port()
        rest.trunk(self.caller, name="caller")
        if scene.relay:
            callee = rest.trunk(self.callee, name="callee")
            (self.number,) = rest.numbers()
            rest.patch(f"/rest/lease/tn/{self.number}", {"sip_connection": callee["uuid"]})
            if scene.record:
                # Straight to the callee: a number of ours would come round by the carrier.
                dial = f"<Dial record='record-from-answer'><To>sip:callee@127.0.0.1:{self.callee}</To></Dial>"
                self.number = rest.number_with(f"<Response>{dial}</Response>")
        else:
            self.number = rest.number_with(f"<Response><Answer/><Play loop='0'>{web}/prompt.wav</Play></Response>")
        self.address = self.server.sip()
        self.usage = Usage(self.server.process.pid)

    @staticmethod
    def can(_scene):
        return True

    def stop(self):
        self.server.stop()


class Floor:
    """Sends and takes packets, and does nothing else: of a relayed call it has as many legs as the call."""

    name = "floor"

    def __init__(self, _scene, folder, _web):
        self.caller, self.callee, port = free_port(), free_port(), free_port()
        self.number, self.address = "floor", ("127.0.0.1", port)
        self.process = subprocess.Popen([LOAD, "floor", "--port", str(port), "--speech", folder.parent / "prompt.wav"])
        self.usage = Usage(self.process.pid)

    @staticmethod
    def can(scene):
        return not scene.load and not scene.record

    def stop(self):
        self.process.kill()
        self.process.wait()


class Rtpengine:
    """Kamailio and rtpengine, which passes packets on outside the kernel here."""

    name = "rtpengine"

    def __init__(self, scene, folder, _web):
        self.caller, self.callee, port, control = (free_port() for _ in range(4))
        self.number, self.address = "12025550123", ("127.0.0.1", port)
        text = (HERE / "kamailio.cfg").read_text()
        for name, value in {
            "LISTEN": f"127.0.0.1:{port}", "CALLEE": f"127.0.0.1:{self.callee}", "CONTROL": f"127.0.0.1:{control}",
            "OFFER": scene.rtpengine[0], "ANSWER": scene.rtpengine[1],
        }.items():  # fmt: skip
            text = text.replace(name, value)
        (folder / "kamailio.cfg").write_text(text)
        engine = ["rtpengine", "--foreground", "--log-stderr", "--log-level=4", "--table=-1", "--interface=127.0.0.1"]
        engine += [f"--listen-ng=127.0.0.1:{control}", "--port-min=30000", "--port-max=39999", f"--pidfile={folder}/pid"]
        with (folder / "log").open("wb") as log:
            start = functools.partial(subprocess.Popen, stdout=log, stderr=subprocess.STDOUT)
            self.engine = start(engine)
            wait_for_pong(control)
            proxy = ["kamailio", "-DD", "-E", "-f", folder / "kamailio.cfg", "-m", "512", "-M", "32", "-Y", folder]
            self.proxy = start(proxy)
        self.usage = Usage(self.engine.pid)

    @staticmethod
    def can(scene):
        return scene.rtpengine is not None

    def stop(self):
        for process in (self.proxy, self.engine):
            process.terminate()
            process.wait(10)


def wait_for_pong(port):
    """Until rtpengine takes commands: Kamailio asks once, and believes what it hears for a minute."""
    end = time.monotonic() + 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.settimeout(0.1)
        control.connect(("127.0.0.1", port))
        while time.monotonic() < end:
            try:
                control.send(b"1 d7:command4:pinge")
                if b"pong" in control.recv(256):
                    return
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
    raise TimeoutError("rtpengine does not answer")


SERVERS = {server.name: server for server in (Opentact, Floor, Rtpengine)}


def measure(server, scene, options, prompt):
    legs = scene.legs if server.name == "floor" else scene.calls
    command = [LOAD, "call", "--server", "{}:{}".format(*server.address), "--number", server.number, "--calls", legs]
    command += ["--caller-port", server.caller, "--callee-port", server.callee, "--seconds", options.seconds]
    command += ["--rate", options.rate, "--speech", prompt, *scene.load]
    if scene.relay and server.name != "floor":
        command.append("--relay")
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True) as load:
        lines = iter(load.stdout.readline, "")
        wanted = {}
        for line in lines:
            if line.strip() in ("measuring", "measured"):
                wanted[line.strip()] = server.usage.cpu(), time.monotonic()
            elif line.startswith("{"):
                figures = json.loads(line)
    if load.returncode:
        return None
    (before, begin), (after, end) = wanted["measuring"], wanted["measured"]
    minutes = (end - begin) / 60 * scene.calls
    expected = figures["received"] + figures["lost"]
    return figures | {
        "cpu": (after - before) / minutes,
        "late": 100 * figures["late"] / max(1, figures["received"]),
        "lost": 100 * figures["lost"] / max(1, expected),
        "unsent": 100 * figures["unsent"] / (50 * (end - begin) * scene.legs),
        "deaf": scene.legs - figures["hearing"],
        "memory": server.usage.memory(),
    }


COLUMNS = {
    "cpu": "CPU s", "floor": "x floor", "late": "late %", "jitter_p99": "jitter p99", "delay_p99": "delay p99", "lost": "lost %",
    "unsent": "unsent %", "deaf": "deaf", "memory": "MiB", "behind_ms": "load behind",
}  # fmt: skip


def show(figures):
    return "".join(f"{figures[name]:>12.4g}" if name in figures else f"{'-':>12}" for name in COLUMNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="*", choices=SCENES, default=list(SCENES))
    parser.add_argument("--servers", nargs="*", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--seconds", type=int, default=15, help="that are measured of each run (default: 15)")
    parser.add_argument("--rate", type=int, default=400, help="calls that are set up in a second (default: 400)")
    options = parser.parse_args()
    print(f"{'scene':<14}{'server':<11}" + "".join(f"{name:>12}" for name in COLUMNS.values()), flush=True)
    with tempfile.TemporaryDirectory() as top:
        top = Path(top)
        prompt = top / "prompt.wav"
        speech.say(prompt, PROMPT_SECONDS)
        handler = functools.partial(Quiet, directory=top)
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        seen = {}
        for scene_name in options.scenes:
            scene = SCENES[scene_name]
            # The floor first: the others are held against it.
            for name in sorted(options.servers, key=lambda name: name != "floor"):
                if not SERVERS[name].can(scene):
                    continue
                folder = top / f"{scene_name}-{name}"
                folder.mkdir()
                server = SERVERS[name](scene, folder, f"http://127.0.0.1:{web.server_port}")
                try:
                    figures = measure(server, scene, options, prompt)
                finally:
                    server.stop()
                if figures is None:
                    print(f"{scene_name:<14}{name:<11} failed", flush=True)
                    continue
                seen[scene_name, name] = figures
                if floor := seen.get((scene_name, "floor")):
                    figures["floor"] = figures["cpu"] / floor["cpu"]
                print(f"{scene_name:<14}{name:<11}" + show(figures), flush=True)
        conclude(seen, prompt)


def conclude(seen, prompt):
    cpu = {scene: figures["cpu"] for (scene, name), figures in seen.items() if name == "opentact"}
    for codec in ("", "-G722", "-opus"):
        relayed, recorded = f"relay{codec}-50", f"record{codec}-50"
        if relayed in cpu and recorded in cpu:
            print(f"recording adds {cpu[recorded] - cpu[relayed]:.4f} CPU s a call-minute ({codec[1:] or 'PCMU'})")
    if "transcode-50" in cpu:
        bare = float(subprocess.run([LOAD, "codec", "--speech", prompt], check=True, capture_output=True).stdout)
        print(f"opus to PCMU and back: the bare codecs {bare:.4f} CPU s a call-minute, the node {cpu['transcode-50'] / bare:.2f} times it")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    sys.exit(main())
