"""Our ESME at an SMSC that is not ours, Jasmin's stack, while one of the two is killed again and again.

`OPENTACT_SMSC` is how many messages each run has.
"""

import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.server import PASSWORD

COUNT = int(os.environ.get("OPENTACT_SMSC", "300"))
#: Recipients of one request.
BATCH = 100
KILLS = 3
#: At once at the SMSC, and so what a kill leaves unanswered at most.
WINDOW = 50
PATIENCE = 60 + COUNT // 20
ENDED = ("success", "failed")


class Smsc:
    """`twisted_smsc.py` in a process of its own; a second `start` takes up its journal, on the same port."""

    def __init__(self, folder):
        self.journal, self.log, self.port = folder / "journal", folder / "smsc.log", 0
        self.start()

    def start(self):
        program = Path(__file__).with_name("twisted_smsc.py")
        command = [sys.executable, program, str(self.port), self.journal]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.port = int(line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lines(self, kind):
        text = self.journal.read_text() if self.journal.exists() else ""
        return [line for line in text.splitlines() if line.startswith(kind)]


@pytest.fixture
def smsc(tmp_path):
    smsc = Smsc(tmp_path)
    yield smsc
    smsc.kill()


class Run:
    """A server that has the SMSC as its carrier, and the messages that it is to send."""

    def __init__(self, own_server, smsc):
        self.smsc = smsc
        url = f"north=smpp://esme:secret@127.0.0.1:{smsc.port}?window={WINDOW}"
        settings = {"messaging__carriers": url, "limits__requests_per_minute": "1000000", "messaging__queue_timeout": "1h"}
        self.server = own_server(**settings)
        self.rest = self.server.rest()
        (self.tn,) = self.rest.numbers()
        self.accepted = []

    def send(self, first, count):
        """`count` messages, in requests of many; number and text tell each."""
        for begin in range(first, first + count, BATCH):
            to = [12065550000 + number % 100 for number in range(begin, min(begin + BATCH, first + count))]
            self.accepted += self.rest.post("/rest/sms", {"from": self.tn, "to": to, "message": f"batch {begin}"})

    def kill_server(self):
        self.server.signal(signal.SIGKILL)
        self.server.wait(10)
        self.server.start()
        self.rest = self.server.rest(password=PASSWORD)

    def until_taken(self, count):
        self.rest.until(lambda: len(self.smsc.lines("+")), lambda taken: taken >= count, PATIENCE)

    def total(self, **search):
        return self.rest.post("/rest/sms/search/outbound", {"take": 1, **search})["total"]

    def ends(self):
        """All messages, once each has its end and its receipt."""
        self.rest.until(lambda: sum(self.total(state=state) for state in ENDED), lambda n: n == COUNT, PATIENCE)
        self.rest.until(
            lambda: self.total(state="success", delivered=False), lambda open_ones: open_ones == 0, PATIENCE
        )
        found, cursor = [], None
        while True:
            page = self.rest.post("/rest/sms/search/outbound", {"take": 100} | ({"cursor": cursor} if cursor else {}))
            found += page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found


def check(run, begun):
    """None lost, none doubled but what says so; each charged once and told of in full."""
    ends = run.ends()
    assert len(ends) == COUNT and {sms["uuid"] for sms in ends} == {sms["uuid"] for sms in run.accepted}
    count = collections.Counter()
    for line in run.smsc.lines("+"):
        _, _, to, text = line.split(" ", 3)
        count[to, text] += 1
    double = failed = 0
    for sms in ends:
        times = count[str(sms["to"]), sms["message"]]
        if sms["state"] == "failed":
            # It left before two kills, as far as anybody can know.
            assert sms["reason"] == "No answer from the carrier" and times <= 2, sms
            failed += 1
        else:
            assert sms["delivered"] and 1 <= times <= 2, (sms, times)
        assert times < 2 or sms["repeated"], (sms, times)
        double += times == 2
    repeated = sum(sms["repeated"] for sms in ends)
    # What cannot be known is few: what was at the SMSC at a kill.
    assert double <= repeated <= KILLS * (64 + WINDOW)
    charged = run.rest.post("/rest/transaction/search", {"ref_type": "sms_outgoing", "take": 1})["total"]
    assert charged == COUNT - failed
    print(
        f"{COUNT} messages, {KILLS} kills: {repeated} repeated, {double} at the SMSC twice, {failed} without an answer; "
        f"{time.monotonic() - begun:.0f} s"
    )


@pytest.mark.timeout(3600)
def test_the_server_is_killed(own_server, smsc):
    run, begun = Run(own_server, smsc), time.monotonic()
    part = COUNT // (KILLS + 1)
    for kill in range(KILLS):
        run.send(kill * part, part)
        # Some of them are at the SMSC, most are not.
        run.until_taken(len(run.accepted) - part + 1)
        run.kill_server()
    run.send(KILLS * part, COUNT - KILLS * part)
    check(run, begun)


@pytest.mark.timeout(3600)
def test_the_smsc_is_killed(own_server, smsc):
    run, begun = Run(own_server, smsc), time.monotonic()
    part = COUNT // (KILLS + 1)
    for kill in range(KILLS):
        run.send(kill * part, part)
        run.until_taken(len(run.accepted) - part + 1)
        smsc.kill()
        smsc.start()
    run.send(KILLS * part, COUNT - KILLS * part)
    check(run, begun)
