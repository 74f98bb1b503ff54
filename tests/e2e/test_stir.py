"""STIR/SHAKEN with secsipidx on the other side, as signer and as verifier."""

import time
import uuid

import pytest

from harness import identity, sipp
from harness.identity import Authority, Secsipidx
from harness.phone import Phone

CALLER = "12025550123"
# What the number's flow answers: the call was let in.
BUSY = '<Response><Reject reason="busy"/></Response>'
#: Of sipp, at once.
CALLS = 20
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
)


@pytest.fixture
def elsewhere(tmp_path):
    """An authority of another provider, and where its certificates are published."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with Secsipidx(folder) as files:
        yield Authority(folder), files


def call(server, tn, trunk, identities):
    """The answer to an INVITE with these Identity headers; `trunk` is the phone it comes from."""
    trunk.call_id, trunk.to_tag = f"{time.monotonic_ns():x}", ""
    host, port = server.sip()
    uri = f"sip:+{tn}@{host}:{port}"
    return trunk.ask("INVITE", uri, body=OFFER, more=[f"Identity: {value}" for value in identities])


def test_what_secsipidx_signs_is_verified(own_server, elsewhere):
    authority, files = elsewhere
    server = own_server(stir__trust_anchors=str(authority.certificate), stir__x5u_ca=str(files.ca))
    rest = server.rest()
    tn = rest.number_with(BUSY)
    certificate, key = authority.issue("provider", "709J")
    x5u = files.publish(certificate)
    with Phone(server.sip(), name=f"+{CALLER}") as trunk:
        rest.trunk(trunk.port, shaken_verify_policy=2, shaken_minimum_accepted_attest_lvl="B")
        signed = identity.sign(key, x5u, CALLER, str(tn))
        assert call(server, tn, trunk, [signed]).code == 486
        found = rest.until(
            lambda: rest.post("/rest/call/search", {"to": f"*{tn}", "state": "destroyed"}), lambda found: found["total"] == 1
        )
        seen = rest.get(f"/rest/call/{found['data'][0]['uuid']}")
        assert seen["stir_shaken_attest_level"] == "A"
        assert seen["stir_shaken"]["verstat"] == "TN-Validation-Passed"
        assert seen["stir_shaken"]["spc"] == ["709J"]
        assert seen["stir_shaken"]["identity"] == [signed]

        _, _, signature = signed.partition(";")[0].rpartition(".")
        other = identity.sign(key, x5u, CALLER, str(tn), attest="B").partition(";")[0].rpartition(".")[2]
        for wrong, code in [
            ([], 428),
            ([signed], 438),  # a second call with the same
            ([signed.replace(signature, other)], 438),
            ([identity.sign(key, x5u, "12025550124", str(tn))], 438),
            ([identity.sign(key, x5u, CALLER, str(tn), iat=int(time.time()) - 120)], 403),
            ([identity.sign(key, x5u, CALLER, str(tn), attest="C")], 403),
            ([identity.sign(key, f"{files.files}/nothing.pem", CALLER, str(tn))], 436),
        ]:
            assert call(server, tn, trunk, wrong).code == code, wrong


def test_a_certificate_of_an_authority_that_nobody_trusts_is_refused(own_server, elsewhere):
    authority, files = elsewhere
    server = own_server(stir__x5u_ca=str(files.ca))
    rest = server.rest()
    tn = rest.number_with(BUSY)
    certificate, key = authority.issue("provider", "709J")
    with Phone(server.sip(), name=f"+{CALLER}") as trunk:
        rest.trunk(trunk.port, shaken_verify_policy=2)
        signed = identity.sign(key, files.publish(certificate), CALLER, str(tn))
        answer = call(server, tn, trunk, [signed])
        assert (answer.code, answer.first) == (437, "SIP/2.0 437 Unsupported Credential")


def test_many_signed_calls_by_sipp_are_let_in_and_as_many_forged_ones_are_not(own_server, elsewhere, tmp_path):
    authority, files = elsewhere
    server = own_server(stir__trust_anchors=str(authority.certificate), stir__x5u_ca=str(files.ca))
    rest = server.rest()
    tn = rest.number_with(BUSY)
    certificate, key = authority.issue("provider", "709J")
    x5u, port = files.publish(certificate), sipp.free_port()
    rest.trunk(port, shaken_verify_policy=2)
    passports = lambda: [  # noqa: E731
        identity.sign(key, x5u, CALLER, str(tn), origid=str(uuid.uuid4())).partition(";")[0] for _ in range(CALLS)
    ]
    signed = passports()
    # Each with the signature of another.
    forged = [f"{good.rpartition('.')[0]}.{other.rpartition('.')[2]}" for good, other in zip(passports(), signed, strict=True)]
    template = (sipp.SCENARIOS / "refused_caller.xml").read_text()
    identity_line = f'Max-Forwards: 70\n      Identity: [field0];info=<{x5u}>;alg=ES256;ppt="shaken"'
    template = template.replace("Max-Forwards: 70", identity_line, 1)
    # The flow lets it ring before it is busy.
    template = template.replace('<recv response="699"/>', '<recv response="180" optional="true"/>\n  <recv response="699"/>')
    for carried, code in [(signed, 486), (forged, 438)]:
        folder = tmp_path / str(code)
        folder.mkdir()
        scenario = folder / "signed_caller.xml"
        scenario.write_text(template.replace('response="699"', f'response="{code}"'))
        host, sip_port = server.sip()
        keys = {"to": f"+{tn}", "from": f"+{CALLER}", "host": f"{host}:{sip_port}", "home": f"127.0.0.1:{port}"}
        rows = [[passport] for passport in carried]
        done = sipp.run(folder, scenario, server.sip(), calls=CALLS, rate=CALLS, port=port, rows=rows, keys=keys)
        assert (done.code, done.succeeded) == (0, CALLS), done.errors


def invited(phone):
    """The INVITE that comes, refused."""
    while True:
        request = phone.receive()
        if request.method == "INVITE":
            copied = [f"{name}: {value}" for name, value in request.lines if name in ("Via", "From", "Call-ID", "CSeq")]
            lines = ["SIP/2.0 486 Busy Here", *copied, f"To: {request['To']};tag={phone.tag}", "Content-Length: 0", "", ""]
            phone.send("\r\n".join(lines).encode())
            return request


def test_what_we_sign_is_verified_by_secsipidx(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    rest.post("/rest/shaken/certificate", {"name": "ours", "spc": "709J"})
    profile = rest.post("/rest/profile/outbound_voice", {"name": "signs", "shaken_sign_policy": 1})["uuid"]
    with Phone(server.sip()) as trunk:
        connection = rest.trunk(trunk.port)["uuid"]
        rest.post(
            "/rest/call",
            {
                "to": CALLER,
                "from": str(tn),
                "sip_connection": connection,
                "outbound_voice_profile": profile,
                "xml": "<Response><Hangup/></Response>",
            },
        )
        header = invited(trunk)["Identity"]
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    with Secsipidx(here, server.ca, server.data / "stir/ca.pem") as verifier:
        assert verifier.takes(header)
        # It does not take anything.
        digest, more = header.split(";", 1)
        signed, signature = digest.rsplit(".", 1)
        assert not verifier.takes(f"{signed}.{signature[::-1]};{more}")
    with Secsipidx(elsewhere, server.ca, Authority(elsewhere).certificate) as verifier:
        assert not verifier.takes(header)
