"""Wrong input of every kind gets the right error and leaves the server healthy."""

import random
import socket
import uuid

import pytest

from harness.phone import Phone


@pytest.fixture(autouse=True)
def healthy_afterwards(server):
    yield
    assert server.is_healthy()


@pytest.fixture(scope="module")
def office(server):
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "faults"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": "right-password"})
    return domain


# REST


def test_wrong_credentials(server):
    assert server.rest(password="wrong password").ask("GET", "/rest/auth").status_code == 401
    assert server.rest(email="nobody@example.com").ask("GET", "/rest/auth").status_code == 401
    assert server.rest(email=None).ask("GET", "/rest/auth").status_code == 401
    assert server.rest(email=None, token="a" * 48).ask("GET", "/rest/auth").status_code == 401
    assert server.rest(email=None, jwt="a.b.c").ask("GET", "/rest/auth").status_code == 401


def test_the_envelope_of_an_error(rest):
    answer = rest.ask("GET", f"/rest/call/{uuid.uuid4()}")
    body = answer.json()
    assert answer.status_code == body["status"] == 404
    assert body["success"] is False and body["message"] == "Call not found"
    assert body["meta"] == answer.headers["X-Request-Id"]


def test_every_validation_error_is_listed(rest):
    answer = rest.ask("POST", "/rest/call", json={"to": "", "timeout": "soon", "xml": "<Response/>"})
    assert answer.status_code == 422
    assert {"params.to", "params.timeout"} <= set(answer.json()["fields"])


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[1,2", b'{"to": }'])
def test_a_body_that_is_no_json(rest, body):
    assert rest.ask("POST", "/rest/call", data=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_wrong_content_type(rest):
    assert rest.ask("POST", "/rest/call", data=b"to=1", headers={"Content-Type": "text/plain"}).status_code == 400


def test_an_oversized_body(rest):
    answer = rest.ask("POST", "/rest/call", data=b'{"to":"' + b"1" * (2 << 20) + b'"}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["success"] is False


def test_unknown_paths_and_later_endpoints(rest):
    assert rest.ask("GET", "/rest/nothing").status_code == 404
    assert rest.ask("GET", "/nothing").status_code == 404
    assert rest.ask("GET", "/rest/payment").status_code == 501


BROKEN_XML = [
    ("<Response><Answer></Response>", 1),
    ("<Response>\n  <Answr/>\n</Response>", 2),
    ("<Response>\n  <Pause\n    length='long'/>\n</Response>", 3),
    ("<!DOCTYPE x [<!ENTITY a 'b'>]><Response>&a;</Response>", 1),
    ("<Response>" + "<Gather>" * 40 + "</Gather>" * 40 + "</Response>", 1),
    ("<Response/>trailing", 1),
]


@pytest.mark.parametrize(("xml", "line"), BROKEN_XML)
def test_broken_xml_is_refused_with_its_place(rest, xml, line):
    app = rest.post("/rest/sip/app", {"name": "broken"})
    answer = rest.ask("POST", f"/rest/sip/app/call/flow/{app['uuid']}", json={"xml": xml})
    assert answer.status_code == 422, answer.text
    assert f"line {line}" in answer.text.lower() or f'"line":{line}' in answer.text, answer.text


def test_all_faults_of_a_document_are_told(rest):
    app = rest.post("/rest/sip/app", {"name": "broken"})
    xml = "<Response>\n<Answr/>\n<Pause length='x'/>\n<Nonsense/>\n</Response>"
    answer = rest.ask("POST", f"/rest/sip/app/call/flow/{app['uuid']}", json={"xml": xml})
    assert answer.status_code == 422
    for line in (2, 3, 4):
        assert f"line {line}" in answer.text.lower() or f'"line":{line}' in answer.text, answer.text


def test_an_unknown_number_cannot_be_ordered(rest):
    order = rest.post("/rest/order", {"items": [{"tn": 12065559999, "features": ["voice"]}]})
    order = rest.until(lambda: rest.get(f"/rest/order/{order['uuid']}"), lambda o: o["state"] in ("success", "failed"))
    assert order["state"] == "failed" and order["errors"][0]["reason"]


def test_not_enough_balance(own_server):
    rest = own_server().rest()
    found = rest.post("/rest/tn/search", {"take": 100})["data"]
    items = [{"tn": item["tn"], "features": ["voice"]} for item in found]
    codes = [rest.ask("POST", "/rest/order", json={"items": items}).status_code]
    for skip in range(100, 1000, 100):
        if codes[-1] == 402:
            break
        found = rest.post("/rest/tn/search", {"take": 100, "skip": skip})["data"]
        codes.append(rest.ask("POST", "/rest/order", json={"items": [{"tn": i["tn"], "features": ["voice"]} for i in found]}).status_code)
    assert codes[-1] == 402


# SIP


def test_a_wrong_sip_password_does_not_register(server, office):
    with Phone(server.sip(), "desk", office, "wrong-password") as phone:
        assert phone.register().code in (401, 403)
    with Phone(server.sip(), "nobody", office, "right-password") as phone:
        assert phone.register().code in (401, 403, 404)
    with Phone(server.sip(), "desk", office, "right-password") as phone:
        assert phone.register().code == 200
        assert phone.register(expires=0).code == 200


def test_an_unknown_caller_is_no_open_relay(server):
    with Phone(server.sip()) as phone:
        answer = phone.call("sip:12065550001@127.0.0.1")
        assert answer.code in (401, 403, 407)


def test_an_unknown_number_from_a_trunk(server, rest):
    with Phone(server.sip()) as phone:
        rest.trunk(phone.port)
        assert phone.call(f"sip:12065559876@{server.runtime['sip_udp']}").code == 404


def test_an_unknown_user_of_a_domain(server, office):
    with Phone(server.sip(), "desk", office, "right-password") as phone:
        assert phone.call(f"sip:nobody@{office}").code == 404


def test_an_offline_user_is_unavailable(server, rest, office):
    rest.post(f"/rest/sip/domain/{office}/user", {"login": "away", "password": "right-password"})
    with Phone(server.sip(), "desk", office, "right-password") as phone:
        assert phone.call(f"sip:away@{office}").code == 480


def test_options_is_answered(server):
    with Phone(server.sip()) as phone:
        answer = phone.ask("OPTIONS", f"sip:{server.runtime['sip_udp']}")
        assert answer.code == 200
        assert "INVITE" in answer["Allow"]


def test_a_call_that_has_gone_far_enough_goes_no_further(server, rest):
    with Phone(server.sip()) as phone:
        rest.trunk(phone.port)
        phone.hops = 0
        assert phone.call(f"sip:12065559876@{server.runtime['sip_udp']}").code == 483


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), 400),
        (("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505),
        (("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: nothingness"), 420),
        (("OPTIONS sip:", "OPTIONS nobodyknows:"), 416),
        (("Content-Length: 0", "Content-Length: -999"), 400),
        (("OPTIONS", "FROBNICATE"), 405),
    ],
)
def test_broken_requests_get_their_code(server, change, code):
    with Phone(server.sip()) as phone:
        text = (
            f"OPTIONS sip:{server.runtime['sip_udp']} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {phone.local};branch=z9hG4bK{random.getrandbits(64):x}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
            f"Call-ID: {random.getrandbits(64):x}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        phone.send(text.replace(*change).encode())
        got = phone.final().code
        # 501 says the same of a method that nobody knows (RFC 3261 21.5.2).
        assert got == code or (code == 405 and got == 501)


def test_garbage_is_survived(server):
    dice = random.Random(20251)
    good = (
        b"INVITE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for number in range(3000):
            if number % 3 == 0:
                datagram = dice.randbytes(dice.randrange(1, 1400))
            else:
                datagram = bytearray(good)
                for _ in range(dice.randrange(1, 8)):
                    datagram[dice.randrange(len(datagram))] = dice.randrange(256)
                if number % 3 == 1:
                    datagram = datagram[: dice.randrange(len(datagram))]
            udp.sendto(bytes(datagram), server.sip())
        udp.sendto(b"", server.sip())
        udp.sendto(good + b"x" * 60000, server.sip())
    with Phone(server.sip()) as phone:
        assert phone.ask("OPTIONS", f"sip:{server.runtime['sip_udp']}").code == 200


def test_garbage_over_tcp_is_survived(server):
    for junk in (b"\x00" * 70000, b"INVITE sip:x SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n", b"A" * 200000, b"\r\n\r\n"):
        with socket.create_connection(server.sip("tcp"), timeout=5) as tcp:
            try:
                tcp.sendall(junk)
            except (BrokenPipeError, ConnectionResetError):
                pass


def test_a_callback_to_a_private_address_is_refused(own_server):
    server = own_server(http__egress_allow="")
    rest = server.rest()
    (tn,) = rest.numbers()
    with server.events() as events:
        xml = "<Response><Answer/><Callback url='http://127.0.0.1:9/x'/><Hangup/></Response>"
        call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": xml})
        seen = events.destroyed(call["uuid"])
    callback = next(e for e in seen if e["type"] == "call_flow" and e["call_flow"]["name"] == "Callback")
    assert callback["success"] is False
    assert server.is_healthy()
