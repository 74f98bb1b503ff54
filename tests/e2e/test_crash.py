"""A server that was killed: what it had said is there, and what it had begun is over."""

import signal
import sqlite3
from datetime import datetime, timedelta

from harness.phone import Phone, digest
from harness.server import PASSWORD
from harness.sipp import free_port
from test_softphones import users


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


def test_a_phone_registered_with_a_killed_server_is_rung_by_the_next(own_server):
    # A phone listens to the address it registered with: the next server must have it too.
    server = own_server(sip__udp=f"127.0.0.1:{free_port()}")
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": "correct-horse-battery"})
    tn = rest.number_with(f"<Response><Dial timeout='20'><To>desk@{domain}</To></Dial><Hangup/></Response>")

    def user():
        return users(rest, domain)[0]

    def stored():
        # Read without a lock that could keep the server from writing.
        with sqlite3.connect(f"file:{server.data / 'opentact.db'}?mode=ro", uri=True) as database:
            return database.execute("SELECT contact, cseq FROM registrations").fetchall()

    with Phone(server.sip(), "desk", domain, "correct-horse-battery") as desk:
        assert desk.register().code == 200
        contact = f"sip:desk@{desk.local}"
        rest.until(stored, lambda rows: rows == [(contact, desk.sequence)])
        before = user()
        server.signal(signal.SIGKILL)
        server.wait(5)
        server.start()
        rest = server.rest(password=PASSWORD)
        after = user()
        assert after["state"] == "online"
        assert [r["contact"] for r in after["registrations"]] == [contact]
        ends = [datetime.fromisoformat(u["registrations"][0]["expires_on"]) for u in (before, after)]
        assert abs(ends[1] - ends[0]) < timedelta(seconds=1)
        with Phone(server.sip(), "12065551234") as caller:
            rest.trunk(caller.port)
            caller.request("INVITE", f"sip:{tn}@{server.runtime['sip_udp']}", f"sip:{tn}@x", body=caller.offer())
            while (rung := desk.receive(10)).method != "INVITE":
                pass
            desk.reply(rung, "486 Busy Here")
            caller.final()


def test_a_nonce_of_a_killed_server_is_old_and_no_reason_to_refuse(own_server):
    server = own_server(sip__udp=f"127.0.0.1:{free_port()}")
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": "correct-horse-battery"})
    uri = f"sip:{domain}"

    with Phone(server.sip(), "desk", domain) as desk:
        challenge = desk.register()["WWW-Authenticate"]
        server.signal(signal.SIGKILL)
        server.wait(5)
        server.start()

        def answer(password):
            value = digest(challenge, "REGISTER", uri, "desk", password)
            return desk.ask("REGISTER", uri, f"sip:desk@{domain}", [f"Authorization: {value}"])

        old = answer("correct-horse-battery")
        assert (old.code, "stale=true" in old["WWW-Authenticate"]) == (401, True)
        assert answer("a guess").code == 403
        desk.password = "correct-horse-battery"
        assert desk.register().code == 200
