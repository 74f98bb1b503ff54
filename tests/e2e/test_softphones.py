"""baresip registers and is rung by a Dial of an inbound call; both hear each other."""

import time

import pytest

from harness import sound, timed
from harness.baresip import Baresip


SECRET = "correct-horse-battery"


def account(server, user, domain, password=None, **parameters):
    host, port = server.sip()
    more = "".join(f";{name}={value}" for name, value in parameters.items())
    auth = f";auth_user={user};auth_pass={password}" if password else ""
    return f'<sip:{user}@{domain};transport=udp>{auth};outbound="sip:{host}:{port};transport=udp"{more}'


def users(rest, domain):
    found = rest.get(f"/rest/sip/domain/{domain}/user")
    return found["data"] if isinstance(found, dict) else found


def judge(file, hz, seconds):
    samples, rate = sound.read(file)
    samples = samples[0]
    assert len(samples) > seconds * 0.8 * rate, f"{len(samples) / rate} s heard"
    loud = samples[rate // 2 : -rate // 4]  # without the first steps of the jitter buffer and the cut at the end
    assert abs(sound.frequency(loud, rate) - hz) < 1.0
    timed.within("longest silence", sound.longest_silence(loud, rate), 40)
    assert not sound.is_clipped(loud)


@pytest.mark.timeout(90)
def test_a_registered_phone_is_rung_and_both_hear_each_other(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": SECRET})
    tn = rest.number_with(f"<Response><Dial timeout='20'><To>desk@{domain}</To></Dial><Hangup/></Response>")
    callee = Baresip(
        tmp_path / "callee",
        account(server, "desk", domain, SECRET, regint=60, answermode="auto"),
        hz=880,
        ports=(15000, 15099),
    )
    caller = Baresip(tmp_path / "caller", account(server, "trunk", "127.0.0.1", regint=0), hz=440, ports=(15100, 15199))
    with callee, caller, server.events() as events:
        rest.until(lambda: users(rest, domain)[0]["state"], lambda state: state == "online")
        rest.trunk(caller.sip)
        host, port = server.sip()
        caller.command("dial", f"sip:{tn}@{host}:{port}")
        callee.wait("CALL_ESTABLISHED")
        caller.wait("CALL_ESTABLISHED")
        live = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        origin, dialled = live["payload"]["calls"]
        time.sleep(6)  # the talk itself
        caller.command("hangup")
        callee.wait("CALL_CLOSED")
        seen = events.destroyed(dialled)
        assert seen[0]["call"]["parent"] is not None
        events.destroyed(origin)
    judge(callee.heard(), 440, 6)
    judge(caller.heard(), 880, 6)

