"""INVITE with Replaces: sipp picks up what rings a softphone, by what the user's lamp says."""

import re

import pytest

from harness import sipp
from harness.baresip import Baresip
from harness.phone import Phone
from test_messages import office
from test_softphones import SECRET, account


def ringing(lamp):
    """Value of Replaces for the early dialog that NOTIFYs tell of, each answered."""
    while True:
        told = lamp.receive(15)
        if told.method != "NOTIFY":
            continue
        lamp.reply(told, "200 OK")
        for dialog in re.findall(r"<dialog .*?</dialog>", told.body.decode(), re.S):
            if "<state>early</state>" in dialog and "remote-tag=" in dialog:
                field = dict(re.findall(r'([\w-]+)="([^"]*)"', dialog))
                return f"{field['call-id']};to-tag={field['remote-tag']};from-tag={field['local-tag']};early-only"


@pytest.mark.timeout(90)
def test_a_ringing_softphone_s_call_is_picked_up_by_another(own_server, tmp_path):
    server = own_server(sip__notify_interval="50ms")
    rest = server.rest()
    domain = office(rest, "alice", "bob", "porter")
    # The phone that rings answers nobody.
    silent = account(server, "bob", domain, SECRET, regint=60, answermode="manual")
    with (
        Baresip(tmp_path / "alice", account(server, "alice", domain, SECRET, regint=60), ports=(15500, 15599)) as alice,
        Baresip(tmp_path / "bob", silent, ports=(15600, 15699)) as bob,
        Phone(server.sip(), "porter", domain, SECRET) as lamp,
    ):
        for one in (alice, bob):
            one.said("registered successfully")
        more = ["Event: dialog", "Expires: 300"]
        assert lamp.ask("SUBSCRIBE", f"sip:bob@{domain}", more=more).code == 200
        alice.command("dial", f"sip:bob@{domain}")
        result = sipp.run(
            tmp_path,
            "pick_up.xml",
            server.sip(),
            calls=1,
            rate=1,
            rows=[("porter", f"[authentication username=porter password={SECRET}]")],
            keys={"domain": domain, "replaces": ringing(lamp)},
        )
        assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
        assert (result.succeeded, result.failed) == (1, 0)
        bob.wait("CALL_CLOSED")
        assert not [event for event in bob.events if event.get("type") == "CALL_ESTABLISHED"]
        alice.wait("CALL_ESTABLISHED")
        alice.wait("CALL_CLOSED")
    assert rest.get("/rest/call/online") == []
