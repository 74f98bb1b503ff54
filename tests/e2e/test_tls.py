"""SIP over TLS: a phone that makes sure whom it talks to, and two nodes that are each other's trunk."""

import socket
import ssl
import subprocess

import pytest

from harness.baresip import Baresip
from harness.phone import Message

SECRET = "correct-horse-battery"
FLOW = "<Response><Answer/><Pause length='1'/><Hangup/></Response>"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_registers_and_is_called_over_its_connection(own_server, tmp_path, transport):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    user = rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": SECRET})
    host, port = server.sip(transport)
    account = (
        f"<sip:desk@{domain};transport={transport}>;auth_user=desk;auth_pass={SECRET};regint=60;answermode=auto"
        f';outbound="sip:{host}:{port};transport={transport}"'
    )
    with Baresip(tmp_path / "phone", account, ca=server.ca) as phone, server.events() as events:
        path = f"/rest/sip/domain/{domain}/user/{user['uuid']}"
        (registration,) = rest.until(lambda: rest.get(path)["registrations"], lambda found: found)
        assert registration["transport"] == transport
        call = rest.post("/rest/call", {"to": f"desk@{domain}", "xml": FLOW})
        phone.wait("CALL_ESTABLISHED")
        phone.wait("CALL_CLOSED")
        events.destroyed(call["uuid"])
        assert rest.call(call["uuid"])["q850_cause"] == 16


def trunk_to(rest, port, **fields):
    return rest.post("/rest/sip/connection", {"name": "peer", "port": port, "transport": "tls", **fields})["uuid"]


def test_two_nodes_are_each_others_trunk(own_server):
    callee = own_server("callee")
    # It makes its own authority on its first start: the caller can trust it from then on.
    caller = own_server("caller", sip__tls_ca=callee.ca)
    there, here = callee.rest(), caller.rest()
    port = callee.sip("tls")[1]
    tn = there.number_with(FLOW)
    trunk_to(there, 5061, ip="127.0.0.1")
    with callee.events() as events:
        trunk = trunk_to(here, port, hostname="localhost")
        call = here.post("/rest/call", {"to": tn, "sip_connection": trunk, "from": here.numbers()[0], "xml": FLOW})
        arrived = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "live")
        assert arrived["call"]["sip_connection"]["name"] == "peer"
        events.destroyed(arrived["call"]["uuid"])
    assert here.call(call["uuid"])["answer_on"] is not None

    # The other way nobody vouches for the caller's certificate: no call, and nothing said over that connection.
    back = trunk_to(there, caller.sip("tls")[1], hostname="localhost", name="back")
    call = there.post("/rest/call", {"to": 12065550001, "sip_connection": back, "from": tn, "xml": FLOW})
    failed = there.call(call["uuid"])
    assert failed["answer_on"] is None and failed["q850_cause"] != 16
    assert callee.metrics()["opentact_sip_tls_handshakes_failed_total"] >= 1


def test_two_nodes_know_each_other_by_certificate(own_server):
    callee = own_server("callee")
    caller = own_server("caller", sip__tls_ca=callee.ca, https__names="caller.example.com")
    callee.settings["sip.tls_client_ca"] = caller.ca
    callee.restart()
    there, here = callee.rest(), caller.rest()
    tn = there.number_with(FLOW)
    # Nobody finds this name: that the caller has it is seen by its certificate alone.
    trunk_to(there, 5061, hostname="caller.example.com")
    with callee.events() as events:
        trunk = trunk_to(here, callee.sip("tls")[1], hostname="localhost")
        here.post("/rest/call", {"to": tn, "sip_connection": trunk, "from": here.numbers()[0], "xml": FLOW})
        arrived = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "live")
        assert arrived["call"]["sip_connection"]["name"] == "peer"
        events.destroyed(arrived["call"]["uuid"])


@pytest.mark.timeout(90)
def test_sips_reaches_a_phone_over_tls_or_not_at_all(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    users = f"/rest/sip/domain/{domain}/user"

    def phone(login, transport, ports):
        uuid = rest.post(users, {"login": login, "password": SECRET})["uuid"]
        host, port = server.sip(transport)
        account = (
            f"<sip:{login}@{domain};transport={transport}>;auth_user={login};auth_pass={SECRET};regint=60;answermode=auto"
            f';outbound="sip:{host}:{port};transport={transport}"'
        )
        return uuid, Baresip(tmp_path / login, account, ca=server.ca, ports=ports)

    (_, desk), (plain, lobby) = phone("desk", "tls", (15700, 15799)), phone("lobby", "udp", (15800, 15899))
    with desk, lobby, server.events() as events:
        for one in (desk, lobby):
            one.said("registered successfully")
        call = rest.post("/rest/call", {"to": f"sips:desk@{domain}", "xml": FLOW})
        desk.wait("CALL_ESTABLISHED")
        events.destroyed(call["uuid"])
        call = rest.post("/rest/call", {"to": f"sips:lobby@{domain}", "xml": FLOW})
        events.destroyed(call["uuid"])
        refused = rest.call(call["uuid"])
        assert refused["answer_on"] is None and refused["q850_cause"] == 18
        # Without the s it would have been called.
        assert rest.get(f"{users}/{plain}")["state"] == "online"
    refused = rest.ask("POST", "/rest/call", json={"to": "sips:a@127.0.0.1:5061;transport=udp", "xml": FLOW})
    assert refused.status_code == 422


def test_sips_goes_to_another_node_over_tls_and_shows_itself_so(own_server):
    callee = own_server("callee")
    caller = own_server("caller", sip__tls_ca=callee.ca)
    there, here = callee.rest(), caller.rest()
    tn = there.number_with(FLOW)
    trunk_to(there, 5061, ip="127.0.0.1")
    with callee.events() as events:
        here.post("/rest/call", {"to": f"sips:+{tn}@localhost:{callee.sip('tls')[1]}", "from": here.numbers()[0], "xml": FLOW})
        arrived = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "live")
        events.destroyed(arrived["call"]["uuid"])
    invite, *answers = [step["text"] for step in there.get(f"/rest/call/{arrived['call']['uuid']}/trace")["sip"]]
    answered = next(text for text in answers if text.startswith("SIP/2.0 200"))
    for text in (invite, answered):
        assert "Contact: <sips:" in text and ";transport=" not in text.split("Contact: ")[1].split("\r\n")[0]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def authority(folder, name):
    """An authority, and a certificate of it for a host."""
    folder.mkdir()
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/O=Test", "-days", "2")
    openssl(folder, "req", *new, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=any")
    (folder / "names").write_text(f"subjectAltName=URI:sip:{name},DNS:host.{name}\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "1")
    openssl(folder, "x509", "-req", "-in", "own.csr", *signing, "-out", "own.pem")
    return folder


def test_a_trunk_of_another_make_is_told_by_the_domain_in_its_certificate(own_server, tmp_path):
    known, stranger = (authority(tmp_path / name, "carrier.example") for name in ("known", "stranger"))
    server = own_server(sip__tls_client_ca=str(known / "ca.pem"))
    rest = server.rest()
    tn = rest.number_with("<Response><Reject reason='busy'/></Response>")
    trunk_to(rest, 5061, hostname="Carrier.example")
    host, port = server.sip("tls")

    def answer(shown):
        context = ssl.create_default_context(cafile=server.ca)
        if shown:
            context.load_cert_chain(shown / "own.pem", shown / "own.key")
        with context.wrap_socket(socket.create_connection((host, port)), server_hostname="localhost") as peer:
            peer.settimeout(20)
            peer.sendall(
                f"INVITE sip:{tn}@{host}:{port};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK{shown}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:+12025550123@carrier.example>;tag=1\r\nTo: <sip:{tn}@{host}>\r\n"
                f"Call-ID: {shown}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9;transport=tls>\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            while True:
                code = Message(peer.recv(65536)).code
                if code >= 200:
                    return code

    assert (answer(known), answer(stranger), answer(None)) == (486, 403, 403)


def test_sips_over_anything_else_is_refused(own_server):
    server = own_server()
    host, port = server.sip("tcp")
    with socket.create_connection((host, port)) as peer:
        peer.settimeout(20)
        for method in ("INVITE", "MESSAGE", "REGISTER"):
            peer.sendall(
                f"{method} sips:a@localhost SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{method}\r\n"
                "Max-Forwards: 70\r\nFrom: <sip:b@localhost>;tag=1\r\nTo: <sips:a@localhost>\r\n"
                f"Call-ID: {method}\r\nCSeq: 1 {method}\r\nContact: <sip:b@127.0.0.1:9;transport=tcp>\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            answer = Message(peer.recv(65536))
            assert (answer.code, answer.first) == (403, "SIP/2.0 403 SIPS Over TLS Only")


def test_requests_are_framed_and_a_silent_handshake_holds_nobody_up(own_server):
    server = own_server()
    address = server.sip("tls")
    context = ssl.create_default_context(cafile=server.ca)
    with socket.create_connection(address), socket.create_connection(address) as plain:
        plain.sendall(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        with context.wrap_socket(socket.create_connection(address), server_hostname="localhost") as peer:
            peer.settimeout(10)
            request = (
                "OPTIONS sip:{0}:{1};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK{2}\r\n"
                "Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: c{2}\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            both = "".join(request.format(*address, branch) for branch in ("one", "two"))
            for cut in (both[:100], both[100:700], both[700:]):
                peer.sendall(cut.encode())
            heard = b""
            while heard.count(b"\r\n\r\n") < 2:
                heard += peer.recv(65536)
            first, second = (Message(part + b"\r\n\r\n") for part in heard.split(b"\r\n\r\n")[:2])
            assert (first.code, second.code) == (200, 200)
            peer.sendall(b"\r\n\r\n")
            assert peer.recv(16) == b"\r\n"
        # Not TLS: an alert or nothing, and the end.
        plain.settimeout(10)
        while plain.recv(1024):
            pass
    assert server.is_healthy()
