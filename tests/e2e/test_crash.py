"""A server that was killed: what it had said is there, and what it had begun is over."""

import signal

from harness.phone import Phone
from harness.server import PASSWORD


def test_calls_of_a_killed_server_are_over_after_the_next_start(own_server):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with("<Response><Answer/><Pause length='60000'/></Response>")
    with Phone(server.sip(), "12065551234") as phone, server.events() as events:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        live = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "live")
        server.signal(signal.SIGKILL)
        server.wait(5)
    server.start()
    rest = server.rest(password=PASSWORD)
    call = rest.get(f"/rest/call/{live['call']['uuid']}")
    assert call["state"] == "destroyed" and call["destroy_on"]
    assert call["q850_cause"] == 41
    assert rest.get("/rest/call/online") == []
    with server.events() as events:
        events.send({"type": "subscribe", "payload": {"types": ["call_state"], "after": live["seq"]}})
        events.destroyed(live["call"]["uuid"], timeout=10)


def test_messages_of_a_killed_server_are_sent_once_by_the_next(own_server):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    sent = [rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": f"number {n}"}) for n in range(20)]
    server.signal(signal.SIGKILL)
    server.wait(5)
    server.start()
    rest = server.rest()
    for sms in sent:
        rest.until(lambda sms=sms: rest.get(f"/rest/sms/{sms['uuid']}"), lambda s: s["state"] == "success")
    charges = rest.post("/rest/sms/search", {"from": f"*{tn}", "take": 100})
    assert charges["total"] == 20
