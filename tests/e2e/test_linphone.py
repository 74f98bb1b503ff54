"""Linphone as a SIP user: it is called and calls, and both hear each other."""

import time

import pytest

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
