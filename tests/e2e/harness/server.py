"""One `opentact serve` process on free ports and its own data folder."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .rest import Rest
from .events import EventSocket

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("OPENTACT_BIN", ROOT / "target/debug/opentact"))
EMAIL = "owner@example.com"
PASSWORD = "correct horse battery"
LISTENERS = ("HTTP__LISTEN", "HTTPS__LISTEN", "SIP__UDP", "SIP__TCP", "SIP__TLS", "METRICS__LISTEN")


def environment(settings):
    """This process's environment without settings of its own, plus those given (`sip.udp="..."`)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENTACT_")}
    kept |= {f"OPENTACT_{name}": "127.0.0.1:0" for name in LISTENERS}
    kept |= {"OPENTACT_ADMIN_EMAIL": EMAIL, "OPENTACT_ADMIN_PASSWORD": PASSWORD}
    kept["OPENTACT_HTTP__EGRESS_ALLOW"] = "127.0.0.0/8"
    kept |= {f"OPENTACT_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    return kept


class Server:
    """Started on entry of `with`, stopped on exit. `restart` keeps the data folder."""

    def __init__(self, data, **settings):
        self.data = Path(data)
        self.settings = {key.replace("__", "."): value for key, value in settings.items()}
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def log(self):
        return self.data.parent / f"{self.data.name}.log"

    def start(self):
        begin = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", self.data],
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        runtime = self.data / "runtime.json"
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                self.runtime = json.loads(runtime.read_text())
                if self.runtime["pid"] == self.process.pid:
                    break
            except FileNotFoundError:
                pass
            if time.monotonic() > begin + 20:
                raise TimeoutError(f"the server is not ready after 20 s:\n{self.log_tail()}")
            time.sleep(0.005)
        self.ready_after = time.monotonic() - begin

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout):
        """The exit code."""
        return self.process.wait(timeout)

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait(2)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
                try:
                    self.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()

    def restart(self):
        self.stop()
        self.start()

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for(self, there, what, timeout=60):
        """Until `there()` is true of this server, which must live."""
        end = time.monotonic() + timeout
        while not there():
            assert self.process.poll() is None and time.monotonic() < end, f"no {what}:\n{self.log_tail()}"
            time.sleep(0.02)

    def wait_for_log(self, text):
        self.wait_for(lambda: text in self.log.read_text(errors="replace"), f"{text!r} in the log")

    @property
    def base(self):
        return f"https://{self.runtime['https']}"

    @property
    def ca(self):
        return str(self.data / "tls/ca.pem")

    def sip(self, transport="udp"):
        """`(address, port)` of a SIP listener."""
        host, _, port = self.runtime[f"sip_{transport}"].rpartition(":")
        return host, int(port)

    def rest(self, email=EMAIL, password=PASSWORD, **credentials):
        return Rest(self.base, self.ca, email=email, password=password, **credentials)

    def events(self, token=None):
        return EventSocket(f"wss://{self.runtime['https']}/ws", self.ca, token or self.rest().jwt())

    def metrics(self):
        """`{'name{labels}': value}` of the metrics listener."""
        import requests

        text = requests.get(f"http://{self.runtime['metrics']}/metrics", timeout=5).text
        rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def memory(self):
        """Resident octets."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS"))

    def is_healthy(self):
        return self.process.poll() is None and self.rest().ask("GET", "/rest/health/ready").status_code == 200
