"""What calls may cost, and calls for help, which nothing keeps: with the simulated network, and sipp as the emergency service."""

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
