"""baresip, a real softphone: speaks a tone from a file, writes what it hears to another."""

import json
import socket
import subprocess
import time
from pathlib import Path

from .process import end
from .sipp import free_port
from .sound import write, write_tone

CONFIG = """\
sip_listen {address}:{sip}
poll_method epoll
audio_source aufile,{folder}/tone.wav
audio_player aubridge,heard-{sip}
audio_alert aubridge,alert-{sip}
ausrc_srate {rate}
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
rtp_ports {low}-{high}
jitter_buffer_delay 1-5
module_path /usr/lib/baresip/modules
{codecs}module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
module_app contact.so
module stdio.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}/sound
"""


def _sip_port(address):
    """One that nobody has now, neither over UDP nor over TCP, nor the one after it, which is for TLS."""
    while True:
        port = free_port()
        try:
            for number in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                    probe.bind((address, number))
            return port
        except OSError:
            continue


class Baresip:
    """Control is by netstrings of JSON over TCP (its module ctrl_tcp)."""

    # Those that are not closed yet.
    running = []

    def __init__(
        self, folder, account, hz=440, ports=(15000, 15999), ca=None, contacts="", mwi=False, address="127.0.0.1", modules=(), codecs=("g711",), says=None
    ):
        self.folder = Path(folder)
        (self.folder / "sound").mkdir(parents=True)
        # `says`: samples at 16 kHz in place of the tone.
        rate = 8000
        if says is None:
            write_tone(self.folder / "tone.wav", hz, seconds=60)
        else:
            rate = 16_000
            write(self.folder / "tone.wav", says, rate)
        self.sip, control = _sip_port(address), free_port()
        # The first of `contacts` is whom its command `message` writes to. Without `ca` it believes whatever certificate a TLS server shows.
        more = f"sip_cafile {ca}\n" if ca else ""
        # Modules of codecs, the first offered first.
        codecs = "".join(f"module {name}.so\n" for name in codecs)
        # A phone with this module subscribes without end where a MESSAGE comes just before it would (baresip 1.0.0).
        more += "".join(f"module {module}.so\n" for module in modules)
        more += "module_app mwi.so\n" if mwi else ""
        self.write("config", more + CONFIG.format(address=address, sip=self.sip, control=control, folder=self.folder, low=ports[0], high=ports[1], codecs=codecs, rate=rate))
        self.write("accounts", account + "\n")
        self.write("contacts", contacts)
        # What others write is shown by the module stdio, which wants an input, and never gets any.
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["baresip", "-f", self.folder], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        Baresip.running.append(self)
        self.buffer = b""
        self.events = []
        self.control = self._connect(control)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def _connect(self, port):
        end = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5)
            except ConnectionRefusedError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")) from None
                time.sleep(0.05)

    def command(self, name, parameters=""):
        frame = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self.control.sendall(b"%d:%s," % (len(frame), frame))

    def wait(self, kind, timeout=15):
        """The first event of a type such as CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED."""
        end = time.monotonic() + timeout
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event.get("type") == kind:
                    return event
            seen = len(self.events)
            self.control.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self.control.recv(65536)
            except TimeoutError:
                raise TimeoutError(f"no {kind} among {[e.get('type') for e in self.events]}\n{self.log()}") from None
            if not data:
                raise RuntimeError(f"baresip has gone\n{self.log()}")
            self.buffer += data
            self._split()

    def said(self, text, timeout=15):
        """The log, once it holds this: for what may happen before anybody is connected to hear an event of it."""
        end = time.monotonic() + timeout
        while text not in self.log():
            if time.monotonic() > end:
                raise TimeoutError(f"no {text!r} in\n{self.log()}")
            time.sleep(0.05)
        return self.log()

    def _split(self):
        while b":" in self.buffer:
            length, _, rest = self.buffer.partition(b":")
            if len(rest) <= int(length):
                return
            frame = json.loads(rest[: int(length)])
            self.buffer = rest[int(length) + 1 :]
            if frame.get("event"):
                self.events.append(frame)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def heard(self):
        """The file of what came in, once the call is over."""
        (file,) = (self.folder / "sound").glob("*-dec.wav")
        return file

    def close(self):
        if self in Baresip.running:
            Baresip.running.remove(self)
            self.process.stdin.close()
            end(self.process)
            if hasattr(self, "control"):
                self.control.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
