"""The queue of messages before SMSCs that are not ours: smpplib's, which misbehaves as told."""

import collections
import signal

import pytest
import smpplib.consts as consts

from harness.server import PASSWORD
from smpp_peer import FakeSmsc

RSYSERR = 0x08


def carrier(name, smsc, options=""):
    host, port = smsc.address
    return f"{name}=smpp://esme:secret@{host}:{port}{options}"


@pytest.fixture
def smsc():
    with FakeSmsc() as smsc:
        yield smsc


def state(rest, sms):
    return rest.get(f"/rest/sms/{sms['uuid']}")


def test_the_second_carrier_takes_what_the_first_cannot(own_server, smsc):
    with FakeSmsc(statuses=[RSYSERR] * 1000) as broken:
        carriers = ",".join([carrier("first", broken), carrier("second", smsc, "?bind=split&rate=200")])
        server = own_server(messaging__carriers=carriers)
        rest = server.rest()
        (tn,) = rest.numbers()
        sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "hello"})
        done = rest.until(lambda: state(rest, sms), lambda sms: sms["delivered"])
    assert done["carrier"] == "second" and not done["repeated"]
    assert smsc.submitted.get(timeout=5).short_message == b"hello"
    assert sorted(smsc.binds) == [(b"esme", b"secret")] * 2
    assert broken.binds == [(b"esme", b"secret")]


def test_what_is_throttled_waits_and_is_sent_once(own_server):
    with FakeSmsc(statuses=[consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL] * 2) as smsc:
        rest = own_server(messaging__carriers=carrier("north", smsc)).rest()
        (tn,) = rest.numbers()
        sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "hello"})
        done = rest.until(lambda: state(rest, sms), lambda sms: sms["delivered"])
        assert (done["attempts"], done["repeated"], smsc.submitted.qsize()) == (1, False, 1)


def test_a_server_killed_three_times_loses_nothing_and_says_what_may_be_double(own_server, smsc):
    server = own_server(messaging__carriers=carrier("north", smsc, "?window=20"), limits__requests_per_minute="1000000")
    rest = server.rest()
    (tn,) = rest.numbers()
    recipients = [12065550100 + n for n in range(100)]
    texts = [f"round {n}" for n in range(4)]
    sent = []
    for text in texts:
        sent += rest.post("/rest/sms", {"from": tn, "to": recipients, "message": text})
        if text != texts[-1]:
            # Some of them are at the SMSC.
            seen = smsc.submitted.qsize()
            rest.until(smsc.submitted.qsize, lambda size, seen=seen: size > seen)
            server.signal(signal.SIGKILL)
            server.wait(5)
            server.start()
            rest = server.rest(password=PASSWORD)
    ends = [rest.until(lambda sms=sms: state(rest, sms), lambda sms: sms["state"] in ("success", "failed"), 60) for sms in sent]
    count = collections.Counter()
    while not smsc.submitted.empty():
        pdu = smsc.submitted.get()
        count[pdu.destination_addr.decode(), pdu.short_message.decode()] += 1
    for sms in ends:
        times = count[str(sms["to"]), sms["message"]]
        if sms["state"] == "failed":
            # It left before two of the kills, as far as the server can know.
            assert sms["reason"] == "No answer from the carrier" and times <= 2, sms
        else:
            assert 1 <= times <= 2, (sms, times)
        assert times < 2 or sms["repeated"], sms
    # What cannot be known is few: what was under way at a kill.
    assert sum(sms["repeated"] for sms in ends) <= 3 * 64
    charged = rest.post("/rest/transaction/search", {"ref_type": "sms_outgoing", "take": 1})["total"]
    assert charged == sum(sms["state"] == "success" for sms in ends)


def test_segments_that_were_acknowledged_outlive_a_kill(own_server, smsc):
    server = own_server(messaging__carriers=carrier("north", smsc))
    rest = server.rest()
    (tn,) = rest.numbers()
    smsc.deliver(12065550199, tn, b"\x05\x00\x03\x2a\x02\x02world", header=True)
    server.signal(signal.SIGKILL)
    server.wait(5)
    server.start()
    smsc.deliver(12065550199, tn, b"\x05\x00\x03\x2a\x02\x01hello ", header=True)
    found = server.rest(password=PASSWORD).post("/rest/sms/search/inbound", {})
    assert [sms["message"] for sms in found["data"]] == ["hello world"]
