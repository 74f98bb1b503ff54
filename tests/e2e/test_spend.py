"""What calls may cost, and calls for help, which nothing keeps: with the simulated network, and sipp as the emergency service."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sipp
from harness.rest import Refused

# Answers, in the simulated network.
OUTSIDE = 12065550000
SHORT = "<Response><Answer/><Hangup/></Response>"


def test_a_profile_that_has_spent_its_limit_calls_no_more_but_for_help(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    # Half a minute, the least that an answered call costs, is 0.007.
    profile = rest.post("/rest/profile/outbound_voice", {"name": "careful", "hourly_spend_limit": 0.01})
    call = lambda to: rest.post(  # noqa: E731
        "/rest/call", {"to": to, "from": tn, "outbound_voice_profile": profile["uuid"], "xml": SHORT}
    )
    with server.events() as events, ThreadPoolExecutor() as pool:
        assert events.destroyed(call(OUTSIDE)["uuid"])[-1]["call"]["q850_cause"] == 16
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                call(OUTSIDE)
            answer = refused.value.answer.json()
            assert (refused.value.status, answer["code"]) == (403, 407)
            assert answer["message"] == "Spend Limit Reached: 0.007 of 0.01 in the last hour"
        with pytest.raises(Refused) as refused:
            call(911)
        assert refused.value.status == 503

        port = sipp.free_port()
        trunk = rest.trunk(port, username="me", password="secret", channel_limit=1)
        rest.patch(f"/rest/profile/outbound_voice/{profile['uuid']}", {"emergency_connection": trunk["uuid"]})
        service = pool.submit(
            sipp.run, tmp_path, "digest_provider.xml", server.sip(), calls=1, rate=1, port=port, timeout=60
        )
        # Until it listens, the node's INVITEs are lost and sent again.
        helped = call(911)
        result = service.result()
        assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
        assert rest.call(helped["uuid"])["sip_connection"]["uuid"] == trunk["uuid"]
        told = [event for event in events.all if event["type"] in ("spend_limit", "emergency_call")]
        assert [event["payload"].get("state", "stopped") for event in told] == ["stopped", "no_route", "routed"]
        assert told[-1]["payload"]["from"] == f"+{tn}"
    assert server.is_healthy()


def test_what_was_spent_counts_after_the_server_was_killed_too(own_server):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    profile = rest.post("/rest/profile/outbound_voice", {"name": "careful", "daily_spend_limit": 0.015})["uuid"]
    call = lambda rest, xml=SHORT: rest.post(  # noqa: E731
        "/rest/call", {"to": OUTSIDE, "from": tn, "outbound_voice_profile": profile, "xml": xml}
    )
    with server.events() as events:
        events.destroyed(call(rest)["uuid"])
        # One more talks as the server is killed: it has cost at least its first half a minute.
        talks = call(rest, "<Response><Answer/><Pause length='60000'/></Response>")["uuid"]
        events.wait(lambda e: e["type"] == "call_state" and e["call"]["uuid"] == talks and e["payload"]["state"] == "live")
        server.signal(signal.SIGKILL)
        server.wait(5)
    server.start()
    with pytest.raises(Refused) as refused:
        call(server.rest())
    answer = refused.value.answer.json()
    assert (answer["code"], answer["message"]) == (407, "Spend Limit Reached: 0.014 of 0.015 in the last day")
    assert server.is_healthy()
