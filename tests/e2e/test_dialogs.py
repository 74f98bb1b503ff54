"""Dialogs by sipp and baresip: what a phone or trunk may do within a call beyond INVITE and BYE."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sipp, sound
from harness.baresip import Baresip
from harness.rtp import RtpEar

FLOW = "<Response><Pause length='500'/><Hangup/></Response>"


def succeeded(result):
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert result.failed == 0


def test_a_caller_with_100rel_is_told_until_it_acknowledges(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(
        "<Response><Tone hz='440' don='3000' doff='0' timeout='3000'/><Answer/><Pause length='20000'/></Response>"
    )
    port = sipp.free_port()
    rest.trunk(port)
    with RtpEar() as ear:
        keys = {"to": tn, "ear": ear.port}
        succeeded(sipp.run(tmp_path, "reliable_caller.xml", server.sip(), calls=1, rate=1, port=port, keys=keys))


def test_a_callee_with_100rel_is_acknowledged_and_its_first_description_counts(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    port = sipp.free_port()
    trunk = rest.trunk(port)["uuid"]
    with RtpEar() as ear, ThreadPoolExecutor() as beside:
        keys = {"ear": ear.port}
        callee = beside.submit(
            sipp.run, tmp_path, "reliable_callee.xml", server.sip(), calls=1, rate=1, port=port, keys=keys
        )
        call = rest.post("/rest/call", {"to": 12065550001, "sip_connection": trunk, "from": rest.numbers()[0], "xml": FLOW})
        succeeded(callee.result())
        assert rest.call(call["uuid"])["q850_cause"] == 16


@pytest.mark.timeout(120)
def test_a_softphone_hands_its_call_on_and_the_two_hear_each_other(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    host, port = server.sip()

    def phone(login, hz, low):
        rest.post(f"/rest/sip/domain/{domain}/user", {"login": login, "password": f"{login}-correct-horse"})
        outbound = f'outbound="sip:{host}:{port};transport=udp"'
        auth = f"auth_user={login};auth_pass={login}-correct-horse"
        mode = "manual" if login == "alice" else "auto"
        account = f"<sip:{login}@{domain};transport=udp>;{auth};{outbound};regint=60;answermode={mode}"
        return Baresip(tmp_path / login, account, hz=hz, ports=(low, low + 99))

    with (
        phone("alice", 440, 15200) as alice,
        phone("bob", 660, 15300) as bob,
        phone("carol", 880, 15400) as carol,
        server.events() as events,
    ):
        for one in (alice, bob, carol):
            one.said("registered successfully")
        alice.command("dial", f"sip:bob@{domain}")
        alice.wait("CALL_ESTABLISHED")
        bob.wait("CALL_ESTABLISHED")
        alice.command("transfer", f"sip:carol@{domain}")
        carol.wait("CALL_ESTABLISHED")
        alice.wait("CALL_CLOSED")
        time.sleep(4)  # the talk itself
        carol.command("hangup")
        bob.wait("CALL_CLOSED")
        joined = [e["payload"] for e in events.all if e["type"] == "call_bridge" and e["payload"]["state"] == "bridged"]
        (_, first), (one, other) = joined[0]["calls"], joined[1]["calls"]
        assert one == first and other not in joined[0]["calls"]
        events.destroyed(one)
        events.destroyed(other)
    for file, hz in ((bob.heard(), 880), (carol.heard(), 660)):
        samples, rate = sound.read(file)
        last = samples[0][-2 * rate : -rate // 2]
        assert abs(sound.frequency(last, rate) - hz) < 1.0
