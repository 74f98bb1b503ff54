"""What calls cost, with the simulated network: charged when they end, and refused without money."""

import pytest

from harness.rest import Refused

# Answers, in the simulated network.
OUTSIDE = 12065550000
SHORT = "<Response><Answer/><Hangup/></Response>"


def charged(rest, kind):
    return rest.post("/rest/transaction/search", {"ref_type": kind})["data"]


def test_calls_both_ways_are_charged_once_and_survive_a_kill(own_server):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    with server.events() as events:
        out = rest.post("/rest/call", {"to": OUTSIDE, "from": tn, "xml": SHORT})["uuid"]
        events.destroyed(out)
        balance = events.wait(lambda event: event["type"] == "balance" and event.get("source_action") == "voice_charge_out")
        rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": rest.app(SHORT)["uuid"]})
        rest.post("/rest/dev/call", {"from": OUTSIDE, "to": tn})
        events.wait(lambda event: event["type"] == "balance" and event.get("source_action") == "voice_charge_in")
    (outgoing,), (incoming,) = charged(rest, "voice_outgoing"), charged(rest, "voice_incoming")
    # Half a minute at 0.014, and at 0.0085.
    assert (outgoing["amount"], outgoing["ref_uuid"]) == (-0.007, out)
    assert incoming["amount"] == -0.00425
    assert balance["payload"] == outgoing["account_balance_after"]
    assert rest.get(f"/rest/transaction/{outgoing['uuid']}") == outgoing
    server.process.kill()
    server.process.wait()
    server.start()
    rest = server.rest()
    assert charged(rest, "voice_outgoing") == [outgoing] and charged(rest, "voice_incoming") == [incoming]
    assert rest.get("/rest/account")["balance"] == incoming["account_balance_after"]


def test_without_money_nobody_is_called(own_server):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    # A number and its first month cost 2.
    rest.numbers(int(rest.get("/rest/account")["balance"]) // 2)
    assert rest.get("/rest/account")["balance"] < 0.007
    with pytest.raises(Refused) as refused:
        rest.post("/rest/call", {"to": OUTSIDE, "from": tn, "xml": SHORT})
    assert refused.value.status == 402
    assert charged(rest, "voice_outgoing") == []
