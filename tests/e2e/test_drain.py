"""SIGTERM: no new calls, live ones go on, nothing is lost."""

import signal

import pytest

from harness.phone import Phone

LONG = "<Response><Answer/><Pause length='4000'/><Hangup/></Response>"


def live_call(server, rest, xml=LONG):
    tn = rest.number_with(xml)
    phone = Phone(server.sip(), "12065551234")
    rest.trunk(phone.port)
    assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
    return tn, phone


def test_live_calls_go_on_and_new_ones_are_refused(own_server):
    server = own_server(drain_timeout="20s")
    rest = server.rest()
    tn, phone = live_call(server, rest)
    with Phone(server.sip(), "12065551235") as late:
        rest.trunk(late.port)
        server.signal()
        rest.until(lambda: rest.ask("GET", "/rest/health/ready").status_code, lambda code: code == 503)
        answer = late.call(f"sip:{tn}@{server.runtime['sip_udp']}")
        assert answer.code == 503 and int(answer["Retry-After"].split()[0]) > 0
        refused = rest.ask("POST", "/rest/call", json={"to": 12065550001, "from": tn, "xml": LONG})
        assert refused.status_code == 503 and refused.headers["Retry-After"]
    phone.wait_bye()  # hung up by the flow, at its time
    phone.close()
    assert server.wait(15) == 0
    server.start()
    found = server.rest().post("/rest/call/search", {"to": f"*{tn}", "state": "destroyed"})
    assert found["total"] >= 1
    assert found["data"][-1]["q850_cause"] == 16


def test_calls_end_at_the_drain_timeout(own_server):
    server = own_server(drain_timeout="1s")
    rest = server.rest()
    tn, phone = live_call(server, rest, "<Response><Answer/><Pause length='60000'/></Response>")
    server.signal()
    phone.wait_bye(timeout=5)
    phone.close()
    assert server.wait(10) == 0
    server.start()
    found = server.rest().post("/rest/call/search", {"to": f"*{tn}"})
    assert [call["state"] for call in found["data"]] == ["destroyed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(own_server, number):
    server = own_server(drain_timeout="60s")
    _, phone = live_call(server, server.rest(), "<Response><Answer/><Pause length='60000'/></Response>")
    server.signal(number)
    server.rest().until(lambda: server.rest().ask("GET", "/rest/health/ready").status_code, lambda code: code == 503)
    server.signal(number)
    server.wait(5)
    phone.close()
