"""sipp as the caller: load, with nothing lost."""

import numpy as np

from harness import sipp, sound
from harness.rtp import RtpEar

PROMPT = "<Response><Answer/><Say>Welcome to Opentact.</Say><Hangup/></Response>"


def test_200_calls_at_20_a_second_hear_a_prompt_and_are_hung_up(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(PROMPT)
    port = sipp.free_port()
    rest.trunk(port)
    with RtpEar() as ear, server.events() as events:
        result = sipp.run(
            tmp_path, "prompt_then_bye.xml", server.sip(), calls=200, rate=20, port=port, keys={"to": tn, "ear": ear.port}
        )
        assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
        assert (result.succeeded, result.failed) == (200, 0)
        streams = ear.streams().values()
        assert len(streams) == 200
        for packets in streams:
            heard = sound.from_ulaw(b"".join(p.payload for p in packets if p.payload_type == 0))
            # The sentence takes more than a second to speak; silence would not do.
            assert len(heard) > 8000
            assert np.sum(sound.loudness(heard) > 300) > 20
        rest.until(
            lambda: rest.post("/rest/call/search", {"state": "destroyed", "to": f"*{tn}"}), lambda found: found["total"] == 200
        )
        ends = [e for e in events.all if e["type"] == "call_state" and e["payload"]["state"] == "destroyed"]
        assert len({e["call"]["uuid"] for e in ends}) == len(ends) == 200
        assert all(e["call"]["q850_cause"] == 16 for e in ends)
    counted = server.metrics()
    for name in (
        'opentact_sip_requests_total{direction="in",method="INVITE"}',
        'opentact_sip_responses_total{direction="out",method="INVITE",status="200"}',
        'opentact_sip_responses_total{direction="in",method="BYE",status="200"}',
        'opentact_call_states_total{state="live"}',
    ):
        assert counted[name] >= 200, name
    assert rest.get("/rest/call/online") == []
    assert server.is_healthy()


def test_the_same_over_tcp(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(PROMPT)
    port = sipp.free_port()
    rest.trunk(port)
    with RtpEar() as ear:
        result = sipp.run(
            tmp_path,
            "prompt_then_bye.xml",
            server.sip("tcp"),
            calls=20,
            rate=10,
            port=port,
            transport="t1",
            keys={"to": tn, "ear": ear.port},
        )
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert (result.succeeded, result.failed) == (20, 0)


def test_the_same_over_ipv6(own_server, tmp_path):
    server = own_server(sip__udp="[::1]:0", media__address="::1")
    rest = server.rest()
    tn = rest.number_with(PROMPT)
    port = sipp.free_port()
    rest.trunk(port, ip="::1")
    with RtpEar("::1") as ear:
        keys = {"to": tn, "ear": ear.port}
        result = sipp.run(
            tmp_path, "prompt_then_bye.xml", server.sip(), calls=20, rate=10, port=port, local="::1", keys=keys
        )
        assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
        assert (result.succeeded, result.failed) == (20, 0)
    assert len(ear.streams()) == 20
    for packets in ear.streams().values():
        heard = sound.from_ulaw(b"".join(p.payload for p in packets if p.payload_type == 0))
        assert np.sum(sound.loudness(heard) > 300) > 20


def test_100_users_register_with_digest(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    for number in range(100):
        rest.post(f"/rest/sip/domain/{domain}/user", {"login": f"desk{number}", "password": f"secret-{number}-secret"})
    rows = [
        (f"desk{number}", f"[authentication username=desk{number} password=secret-{number}-secret]")
        for number in range(100)
    ]
    result = sipp.run(
        tmp_path, "register.xml", server.sip(), calls=100, rate=50, rows=rows, keys={"domain": domain}
    )
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert (result.succeeded, result.failed) == (100, 0)
    users = rest.get(f"/rest/sip/domain/{domain}/user")
    users = users["data"] if isinstance(users, dict) else users
    online = [user for user in users if user["state"] == "online"]
    assert len(online) == len(users)
    one = rest.get(f"/rest/sip/domain/{domain}/user/{users[0]['uuid']}")
    assert len(one["registrations"]) == 1 and one["registrations"][0]["transport"] == "udp"
