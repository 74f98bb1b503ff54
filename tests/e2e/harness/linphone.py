"""linphonec, the console of Linphone: plays a tone from a file in place of a microphone, records what it hears."""

import subprocess
import time
from pathlib import Path

from .process import end
from .sipp import free_port
from .sound import write_tone

CONFIG = """\
[sip]
sip_port={sip}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
register_only_when_network_is_up=0
[rtp]
audio_rtp_port={rtp}
[proxy_0]
reg_proxy=<sip:{server};transport=udp>
reg_route=<sip:{server};transport=udp;lr>
reg_identity=sip:{user}@{domain}
reg_expires=60
reg_sendregister=1
[auth_info_0]
username={user}
passwd={password}
realm={domain}
"""


class Linphone:
    """Registers as a SIP user, and takes calls by itself."""

    def __init__(self, folder, server, user, domain, password, hz=440):
        self.folder = Path(folder)
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        write_tone(self.folder / "tone.wav", hz, seconds=60)
        who = {"server": "{}:{}".format(*server), "user": user, "domain": domain, "password": password}
        (self.folder / "rc").write_text(CONFIG.format(sip=free_port(), rtp=free_port(), **who))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["linphonec", "-a", "-c", self.folder / "rc"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            )
        self.command("soundcard use files")
        self.said("Using wav files")
        self.command(f"play {self.folder / 'tone.wav'}")

    def command(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def said(self, text, timeout=15):
        """The log, once it holds this."""
        end = time.monotonic() + timeout
        while text not in self.log():
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError(f"no {text!r} in\n{self.log()}")
            time.sleep(0.05)
        return self.log()

    def record(self, name):
        """The file that what is heard from now on is written to."""
        file = self.folder / f"{name}.wav"
        self.command(f"record {file}")
        return file

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def close(self):
        end(self.process)
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
