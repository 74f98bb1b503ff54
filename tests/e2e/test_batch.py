"""Batches: many calls made by one request, over pauses and kills, each outcome right and nobody called twice."""

import re
import signal
import socket
import threading

import pytest

from harness.pages import Pages
from harness.phone import Message
from harness.rest import Refused

GOODBYE = "<Response><Hangup/></Response>"
OVER = ("finished", "canceled")


def finished(rest, uuid, timeout=120):
    return rest.until(lambda: rest.get(f"/rest/batch/{uuid}?take=0"), lambda batch: batch["state"] in OVER and not batch["counts"]["calling"], timeout)


def items(rest, uuid):
    """Every item, by whom it calls."""
    pages = [rest.get(f"/rest/batch/{uuid}?take=200&skip={skip}")["items"] for skip in range(0, 1000, 200)]
    return {item["to"]: item for page in pages for item in page}


class Callees(threading.Thread):
    """A trunk that answers every call and notes whom it was for."""

    SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        # Call-IDs of the INVITEs to each number.
        self.invites = {}

    def run(self):
        while True:
            try:
                datagram, source = self.socket.recvfrom(65536)
            except OSError:
                return
            if not datagram:
                return
            message = Message(datagram)
            if message.method == "INVITE":
                number = re.search(r"sip:\+?(\d+)@", message["To"]).group(1)
                self.invites.setdefault(number, set()).add(message["Call-ID"])
                self.reply(source, message, f"Contact: <sip:callee@127.0.0.1:{self.port}>", "Content-Type: application/sdp", body=self.SDP)
            elif message.method not in (None, "ACK"):
                self.reply(source, message)

    def reply(self, source, request, *more, body=b""):
        names = ("via", "from", "to", "call-id", "cseq")
        echoed = [f"{name}: {value}" for name, value in request.lines if name.lower() in names]
        echoed = [f"{line};tag=callee" if line.lower().startswith("to:") and ";tag=" not in line else line for line in echoed]
        text = "\r\n".join(["SIP/2.0 200 OK", *echoed, *more, f"Content-Length: {len(body)}", "", ""])
        self.socket.sendto(text.encode() + body, source)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        # A blocked recvfrom wakes on shutdown, not on close.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def test_half_a_thousand_at_50_a_second_end_each_as_they_should(server, rest):
    (tn,) = rest.numbers()
    # By the last four digits: who answers, is busy, refuses, does not exist.
    causes = {"1000": None, "0100": 17, "0102": 21, "0103": 1}
    phones = {f"1206{200 + number}{line}": causes[line] for number in range(125) for line in causes}
    form = {"phones": list(phones), "from": tn, "xml": GOODBYE, "cps": 50, "max_concurrent": 200}
    batch = rest.post("/rest/batch", form)
    assert (batch["state"], batch["type"], batch["total"]) == ("created", "call_xml", 500)
    assert finished(rest, batch["uuid"])["counts"] == {"waiting": 0, "calling": 0, "done": 125, "failed": 375}
    found = items(rest, batch["uuid"])
    for number, cause in phones.items():
        item = found[number]
        assert (item["state"], item["attempts"]) == ("failed" if cause else "done", 1), item
        assert item["q850_cause"] == (cause or 16), item
    made = rest.post("/rest/call/search", {"type": "CallBatch", "take": 1})
    assert made["total"] == 500
    (call,) = made["data"]
    assert call["batch_item"]["uuid"] == found[call["to"]]["uuid"] and found[call["to"]]["call"] == call["uuid"]


def test_a_batch_whose_server_is_killed_calls_nobody_twice(own_server):
    server = own_server()
    rest = server.rest()
    phones = [str(12065550000 + number) for number in range(500)]
    with Callees() as callees:
        trunk = rest.trunk(callees.port)["uuid"]
        xml = "<Response><Pause length='400'/><Hangup/></Response>"
        form = {"phones": phones, "from": "12025550123", "sip_connection": trunk, "xml": xml, "cps": 50}
        uuid = rest.post("/rest/batch", form)["uuid"]
        rest.until(lambda: rest.get(f"/rest/batch/{uuid}?take=0"), lambda batch: batch["counts"]["done"] >= 200, 60)
        server.signal(signal.SIGKILL)
        server.wait(5)
        before = len(callees.invites)
        server.start()
        rest = server.rest()
        counts = finished(rest, uuid)["counts"]
        found = items(rest, uuid)
    assert 200 <= before < 500
    assert sorted(found) == phones and counts["done"] + counts["failed"] == 500
    twice = {number: ids for number, ids in callees.invites.items() if len(ids) > 1}
    assert not twice
    for number, item in found.items():
        if item["state"] == "done":
            assert number in callees.invites and item["q850_cause"] in (16, 41)
        else:
            # What was under way when the server died; it is not tried again.
            assert (item["state"], item["q850_cause"], item["attempts"]) == ("failed", 41, 1), item
    assert counts["failed"] < 150
    assert len(callees.invites) >= counts["done"]


def test_a_batch_is_paused_resumed_and_canceled(server, rest):
    with Callees() as callees:
        trunk = rest.trunk(callees.port)["uuid"]
        phones = [str(12075550000 + number) for number in range(200)]
        form = {"phones": phones, "from": "12025550123", "sip_connection": trunk, "xml": GOODBYE, "cps": 10}
        uuid = rest.post("/rest/batch", form)["uuid"]
        at = f"/rest/batch/{uuid}"
        rest.until(lambda: rest.get(f"{at}?take=0"), lambda batch: batch["counts"]["done"] >= 3, 60)
        assert rest.patch(at, {"state": "paused"})["state"] == "paused"
        paused = rest.until(lambda: rest.get(f"{at}?take=0"), lambda batch: batch["counts"]["calling"] == 0)
        assert paused["state"] == "paused" and paused["counts"]["waiting"] > 0
        # Nobody is being called, and nobody is from now on.
        assert len(callees.invites) == paused["counts"]["done"]
        rest.patch(at, {"state": "running"})
        rest.until(lambda: rest.get(f"{at}?take=0"), lambda batch: batch["counts"]["done"] > paused["counts"]["done"], 60)
        rest.patch(at, {"state": "canceled"})
        counts = finished(rest, uuid)["counts"]
        assert counts["waiting"] == 0 and counts["done"] == len(callees.invites) < 200
        dropped = rest.get(f"{at}?state=failed")
        assert {item["reason"] for item in dropped["items"]} == {"Batch canceled"} and dropped["items_found"] == counts["failed"]
        with pytest.raises(Refused, match="Batch is canceled") as refused:
            rest.patch(at, {"state": "running"})
        assert refused.value.status == 409


def test_busy_numbers_are_called_again_as_told(server, rest, events):
    (tn,) = rest.numbers()
    form = {"phones": ["12085550100", "12085550103"], "from": tn, "xml": GOODBYE, "retries": {"max": 2, "delay": 0, "on": [17]}}
    uuid = rest.post("/rest/batch", form)["uuid"]
    finished(rest, uuid)
    busy, unknown = rest.get(f"/rest/batch/{uuid}")["items"]
    assert (busy["state"], busy["attempts"], busy["q850_cause"]) == ("failed", 3, 17)
    assert (unknown["state"], unknown["attempts"], unknown["q850_cause"]) == ("failed", 1, 1)
    destroyed = lambda e: e["type"] == "call_state" and e["payload"]["state"] == "destroyed"  # noqa: E731
    events.wait(lambda e: destroyed(e) and e["call"]["uuid"] == busy["call"])
    calls = [e["call"] for e in events.all if destroyed(e) and (e["call"]["batch_item"] or {}).get("uuid") == busy["uuid"]]
    assert len(calls) == 3 and {call["type"] for call in calls} == {"CallBatch"}


def test_each_number_has_variables_of_its_own(server, rest):
    (tn,) = rest.numbers()
    with Pages() as web:
        web.pages = {"/hello": GOODBYE}
        xml = f"<Response><Callback>{web.base}/hello?who={{{{name}}}}&amp;owes={{{{owes}}}}&amp;by={{{{meta.by}}}}</Callback></Response>"
        phones = [{"to": 12095551000 + number, "vars": {"name": name, "owes": 10 * number}} for number, name in enumerate(["Ada & Co", "Bob"])]
        uuid = rest.post("/rest/batch", {"phones": phones, "from": tn, "xml": xml, "meta": {"by": "us"}})["uuid"]
        assert finished(rest, uuid)["counts"]["done"] == 2
        asked = {page.query["who"]: (page.query["owes"], page.query["by"]) for page in web.of("/hello")}
        assert asked == {"Ada & Co": ("0", "us"), "Bob": ("10", "us")}
