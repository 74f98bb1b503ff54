"""The servers under test. Each takes calls from `caller` to `callee` (ports on loopback) and REGISTERs of 100 users."""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/e2e"))

from harness.server import Server  # noqa: E402
from harness.sipp import free_port  # noqa: E402

USERS = 100
TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """CPU and memory of a process and its children, from /proc."""

    def __init__(self, root):
        self.root = root

    def _family(self):
        family, parents = [self.root], {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
        for pid in family:
            family.extend(parents.get(pid, []))
        return family

    def cpu(self):
        """Seconds, user and system."""
        total = 0
        for pid in self._family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory(self, field="VmHWM"):
        """Most octets ever resident, or with `VmRSS` those that are now, MiB; shared pages of several processes count once each."""
        total = 0
        for pid in self._family():
            status = Path(f"/proc/{pid}/status").read_text()
            total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))
        return total / 1024


class Opentact:
    """As it comes: media anchored, call record and events written."""

    name = "opentact"

    def __init__(self, folder):
        self.server = Server(folder / "data", log__level="warn", limits__calls="20000")
        self.server.start()
        rest = self.server.rest()
        self.caller, self.callee = free_port(), free_port()
        rest.trunk(self.caller, name="caller")
        callee = rest.trunk(self.callee, name="callee")
        (self.to,) = rest.numbers()
        rest.patch(f"/rest/lease/tn/{self.to}", {"sip_connection": callee["uuid"]})
        self.domain = rest.post("/rest/sip/domain", {"domain": "bench"})["domain"]
        for user in range(USERS):
            login = f"desk{user}"
            rest.post(f"/rest/sip/domain/{self.domain}/user", {"login": login, "password": f"secret-{login}-secret"})
        self.address = self.server.sip()
        self.usage = Usage(self.server.process.pid)

    def stop(self):
        self.server.stop()


class Kamailio:
    """A stateful proxy, no B2BUA: no media, no record, no event."""

    name = "kamailio"

    def __init__(self, folder):
        self.caller, self.callee, port = free_port(), free_port(), free_port()
        self.to, self.domain, self.address = "12025550123", "bench", ("127.0.0.1", port)
        text = (HERE / "kamailio.cfg").read_text()
        text = text.replace("LISTEN", f"127.0.0.1:{port}").replace("CALLEE", f"127.0.0.1:{self.callee}")
        (folder / "kamailio.cfg").write_text(text)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-f", folder / "kamailio.cfg", "-m", "512", "-M", "32", "-Y", folder],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.usage = Usage(self.process.pid)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)


PEERS = {peer.name: peer for peer in (Opentact, Kamailio)}
