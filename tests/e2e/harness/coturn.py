"""coturn, a STUN and TURN server, on loopback."""

import subprocess
from pathlib import Path

from .process import end
from .sipp import free_port

SECRET = "north"


class Coturn:
    """Lets in who has a password made of `SECRET`."""

    def __init__(self, folder):
        self.port = free_port()
        self.file = Path(folder) / "turn.log"
        # Relayed audio comes from these: far from the ports of nodes and phones.
        arguments = f"""-n --use-auth-secret --static-auth-secret={SECRET} --realm=opentact --fingerprint --listening-ip=127.0.0.1
            --listening-port={self.port} --relay-ip=127.0.0.1 --min-port=40000 --max-port=40999 --allow-loopback-peers --no-tcp --no-tls
            --no-dtls --no-cli --cli-password=unused --simple-log --verbose --log-file=stdout --pidfile={folder}/turn.pid"""
        with self.file.open("wb") as log:
            self.process = subprocess.Popen(["turnserver", *arguments.split()], cwd=folder, stdout=log, stderr=subprocess.STDOUT)

    @property
    def url(self):
        return f"turn:127.0.0.1:{self.port}?transport=udp"

    def log(self):
        return self.file.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
