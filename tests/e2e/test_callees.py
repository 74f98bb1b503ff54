"""The callees of the simulated telephone network, called by REST, each as documented."""

import pytest

# A number of the simulated network that nobody leases.
EXCHANGE = "1206555"
WAIT = "<Response><Answer/><Pause length='2000'/><Hangup/></Response>"


def place(rest, events, line, xml=WAIT, **more):
    call = rest.post("/rest/call", {"to": EXCHANGE + line, "from": more.pop("tn"), "xml": xml, **more})
    assert call["state"] == "init" and call["direction"] == "out"
    return events.destroyed(call["uuid"])


def states(seen):
    return [event["payload"]["state"] for event in seen if event["type"] == "call_state"]


@pytest.fixture(scope="module")
def tn(server):
    return server.rest().numbers()[0]


@pytest.mark.parametrize("line", ["0000", "0099", "7788"])
def test_answers(rest, events, tn, line):
    seen = place(rest, events, line, tn=tn)
    assert states(seen) == ["init", "ringing", "live", "hangup", "destroyed"]
    assert seen[-1]["call"]["q850_cause"] == 16
    assert seen[-1]["call"]["duration"] in (2, 3)


@pytest.mark.parametrize(
    ("line", "cause", "timeout"),
    [("0100", 17, 30), ("0102", 21, 30), ("0103", 1, 30), ("0101", 19, 2)],
    ids=["busy", "rejected", "not found", "no answer"],
)
def test_does_not_answer(rest, events, tn, line, cause, timeout):
    seen = place(rest, events, line, tn=tn, timeout=timeout)
    assert "live" not in states(seen)
    assert states(seen)[-2:] == ["hangup", "destroyed"]
    assert seen[-1]["call"]["q850_cause"] == cause
    assert seen[-1]["call"]["answer_on"] is None


def test_hangs_up_after_five_seconds(rest, events, tn):
    seen = place(rest, events, "0104", "<Response><Answer/><Pause length='30000'/></Response>", tn=tn)
    assert states(seen) == ["init", "ringing", "live", "hangup", "destroyed"]
    assert seen[-1]["call"]["duration"] in (5, 6)
    pause = next(e for e in seen if e["type"] == "call_flow" and e["call_flow"]["name"] == "Pause")
    assert pause["success"] is False and pause["call_flow"]["reason"] == "Call hangup"


def test_machine_answers(rest, events, tn):
    assert "live" in states(place(rest, events, "0105", tn=tn))


def test_sends_keys(rest, events, tn):
    xml = """<Response><Answer/><Gather length="4" timeout="15000"><DTMF value="1234"><Say>Right.</Say></DTMF>
             <Default><Say>Wrong.</Say></Default></Gather><Hangup/></Response>"""
    seen = place(rest, events, "0106", xml, tn=tn)
    ran = [e["payload"]["command"]["path"] for e in seen if e["type"] == "call_flow"]
    assert any("DTMF[0]" in path for path in ran), ran
    assert not any("Default" in path for path in ran), ran


def test_two_503_are_tried_again_and_then_it_answers(rest, events, tn):
    """A carrier is tried `sip.carrier_attempts` times, 3 by default: one call gets through."""
    assert states(place(rest, events, "0107", tn=tn)) == ["init", "ringing", "live", "hangup", "destroyed"]


def test_a_carrier_that_stays_unavailable_fails_the_call_in_the_end(own_server):
    server = own_server(sip__carrier_attempts="2")
    rest = server.rest()
    (tn,) = rest.numbers()
    with server.events() as events:
        seen = place(rest, events, "0107", tn=tn)
        assert "live" not in states(seen)
        assert seen[-1]["call"]["q850_cause"] == 41  # RFC 3398 8.2.6.1: 503
        # The third call to the number is the one that is answered.
        assert "live" in states(place(rest, events, "0107", tn=tn))


def test_an_own_number_is_called_within_the_product(rest, events):
    to = rest.number_with("<Response><Answer/><Pause length='500'/><Hangup/></Response>")
    (tn,) = rest.numbers()
    call = rest.post("/rest/call", {"to": to, "from": tn, "xml": WAIT})
    events.destroyed(call["uuid"])
    inbound = rest.post("/rest/call/search", {"direction": "in", "to": f"*{to}"})
    assert inbound["total"] == 1
    assert inbound["data"][0]["state"] == "destroyed"


def test_rest_hangs_up_with_a_cause(rest, events, tn):
    call = rest.post("/rest/call", {"to": EXCHANGE + "0001", "from": tn, "xml": "<Response><Answer/><Pause length='60000'/></Response>"})
    events.wait(lambda e: e["type"] == "call_state" and e["call"]["uuid"] == call["uuid"] and e["payload"]["state"] == "live")
    rest.delete(f"/rest/call/{call['uuid']}", json={"cause": 17})
    seen = events.destroyed(call["uuid"])
    assert seen[-1]["call"]["q850_cause"] == 17


def test_xml_is_run_on_a_live_call(rest, events, tn):
    call = rest.post("/rest/call", {"to": EXCHANGE + "0001", "from": tn, "xml": "<Response><Answer/><Pause length='60000'/></Response>"})
    uuid = call["uuid"]
    events.wait(lambda e: e["type"] == "call_state" and e["call"]["uuid"] == uuid and e["payload"]["state"] == "live")
    rest.post(f"/rest/call/sca/{uuid}", {"xml": "<Response><Tone hz='440' don='200' tag='new'/><Hangup/></Response>"})
    seen = events.destroyed(uuid)
    names = [e["call_flow"]["name"] for e in seen if e["type"] == "call_flow"]
    assert names[-2:] == ["Tone", "Hangup"]
    answer = rest.ask("POST", f"/rest/call/sca/{uuid}", json={"xml": WAIT})
    assert answer.status_code == 409 and answer.json()["message"] == "Call is not live"
