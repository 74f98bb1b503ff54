"""Linphone as a SIP user: it is called and calls, and both hear each other."""

import time

import pytest

from harness import sound
from harness.baresip import Baresip
from harness.linphone import Linphone
from test_messages import office
from test_softphones import SECRET, account, judge, users


@pytest.mark.timeout(90)
def test_linphone_is_rung_and_calls(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "desk", "mate")
    mate = Baresip(
        tmp_path / "mate",
        account(server, "mate", domain, SECRET, regint=60, answermode="auto"),
        hz=440,
        ports=(15100, 15199),
    )
    with Linphone(tmp_path / "desk", server.sip(), "desk", domain, SECRET, hz=880) as desk, mate, server.events() as events:
        rest.until(lambda: {user["state"] for user in users(rest, domain)}, lambda states: states == {"online"})

        def talk(begin, end):
            """Six seconds of a call, until it is over."""
            begin()
            live = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
            time.sleep(6)
            end()
            for call in live["payload"]["calls"]:
                events.destroyed(call)
            events.all.clear()

        called = desk.record("called")
        talk(lambda: mate.command("dial", f"sip:desk@{domain}"), lambda: mate.command("hangup"))
        judge(mate.heard(), 880, 6)
        calling = desk.record("calling")
        talk(lambda: desk.command(f"call sip:mate@{domain}"), lambda: desk.command("terminate"))
    judge(called, 440, 6)
    judge(calling, 440, 6)


@pytest.mark.timeout(120)
def test_linphone_asks_first_and_then_hands_the_call_on(own_server, tmp_path):
    """An attended transfer: REFER with Replaces of the call that was made to ask (RFC 5589 7)."""
    server = own_server()
    rest = server.rest()
    domain = office(rest, "desk", "mate", "boss")

    def phone(login, hz, low):
        its = account(server, login, domain, SECRET, regint=60, answermode="auto")
        return Baresip(tmp_path / login, its, hz=hz, ports=(low, low + 99))

    with (
        Linphone(tmp_path / "desk", server.sip(), "desk", domain, SECRET, hz=440) as desk,
        phone("mate", 660, 15500) as mate,
        phone("boss", 880, 15600) as boss,
        server.events() as events,
    ):
        rest.until(lambda: {user["state"] for user in users(rest, domain)}, lambda states: states == {"online"})

        def bridged():
            return [e["payload"]["calls"] for e in events.all if e["type"] == "call_bridge" and e["payload"]["state"] == "bridged"]

        desk.command(f"call sip:mate@{domain}")
        mate.wait("CALL_ESTABLISHED")
        desk.said("Call 1 with")
        desk.command("pause 1")
        desk.said("paused")
        desk.command(f"call sip:boss@{domain}")
        boss.wait("CALL_ESTABLISHED")
        events.wait(lambda _: len(bridged()) == 2)
        desk.command("transfer 1 --to-call 2")
        events.wait(lambda _: len(bridged()) == 3)
        (desk_mate, desk_boss, (one, other)) = bridged()
        assert one in desk_mate and other in desk_boss
        time.sleep(4)  # the talk itself
        boss.command("hangup")
        for call in (*desk_mate, *desk_boss):
            events.destroyed(call)
    for file, hz in ((mate.heard(), 880), (boss.heard(), 660)):
        samples, rate = sound.read(file)
        last = samples[0][-2 * rate : -rate // 2]
        assert abs(sound.frequency(last, rate) - hz) < 1.0


def test_linphone_proves_who_it_is_by_sha_256(own_server, tmp_path):
    server = own_server(sip__digest="sha-256")
    rest = server.rest()
    domain = office(rest, "desk")
    with Linphone(tmp_path / "desk", server.sip(), "desk", domain, SECRET):
        rest.until(lambda: users(rest, domain)[0]["state"], lambda state: state == "online")
    assert server.metrics()['opentact_sip_responses_total{direction="out",method="REGISTER",status="401"}'] >= 1
