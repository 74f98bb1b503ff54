"""Two nodes that are each other's trunk, a phone and a browser, with NAT between them and a wire that loses and reorders what it carries."""

import socket
import struct
import time

import pytest

from harness import networks, sound
from harness.baresip import Baresip
from harness.browser import WebPhone, chromium
from test_webrtc import office

pytestmark = [
    pytest.mark.skipif(networks.missing() is not None, reason=str(networks.missing())),
    pytest.mark.timeout(180),
]

SECRET = "correct-horse-battery"
CALLS = 4
NODE, OUTER, CALLEE = "10.9.1.1", "198.51.100.1", "198.51.100.2"


def flow(hz):
    """Plays a tone and records what comes meanwhile."""
    return (
        "<Response><Answer/><Record tag='heard' channels='2' timeout='5000'>"
        f"<Tone hz='{hz}' don='5000' doff='0' timeout='5000'/></Record><Hangup/></Response>"
    )


@pytest.fixture
def net():
    with networks.Networks() as net:
        yield net


def heard(rest, event, folder):
    """The frequency of a recording, and how much of it is sound."""
    file = folder / f"{event['call']['uuid']}.wav"
    file.write_bytes(rest.ask("GET", event["payload"]["url"]).content)
    (came, _said), rate = sound.read(file)
    middle = came[rate // 2 : -rate // 2]
    return sound.frequency(middle, rate), (sound.loudness(middle) > 500).mean()


def judge(rest, events, calls, hz, folder):
    """Every call was answered, heard the tone of the other side in spite of the wire, and ended as it should."""
    for uuid in calls:
        record = events.wait(lambda e, uuid=uuid: e["type"] == "call_record" and e["call"]["uuid"] == uuid, timeout=60)
        frequency, sounding = heard(rest, record, folder)
        assert abs(frequency - hz) < 3 and sounding > 0.7, (frequency, sounding)
        call = rest.call(uuid)
        assert call["q850_cause"] == 16 and call["answer_on"] is not None
        assert call["sip_connection"]["name"] == "the other"


def test_two_nodes_call_each_other_through_a_nat_and_a_bad_wire(net, own_server, tmp_path):
    inside, nat, outside = net.place(), net.place(), net.place()
    net.link(inside, nat, "10.9.1")
    net.route(inside, "10.9.1.2")
    device, _, wire = net.wire(nat, outside, "198.51.100", loss=0.08, reorder=0.05)
    nat.masquerade(device, forwards=[("5060", NODE), ("20000-20099", NODE)])
    with inside:
        here = own_server(
            "inside",
            sip__udp=f"{NODE}:5060",
            sip__external_address=f"{OUTER},10.0.0.0/8=own",
            media__address=NODE,
            media__ports="20000-20099",
        )
    with outside:
        there = own_server("outside", sip__udp=f"{CALLEE}:5060", media__address=CALLEE)
    ends = [(inside, here, CALLEE, 440), (outside, there, OUTER, 600)]
    trunks, numbers, listening = [], [], []
    for place, server, peer, hz in ends:
        with place:
            rest = server.rest()
            fields = {"name": "the other", "ip": peer, "port": 5060}
            trunks.append(rest.post("/rest/sip/connection", fields)["uuid"])
            numbers.append(rest.number_with(flow(hz)))
            listening.append(server.events())
    for caller, callee in ((0, 1), (1, 0)):
        place, server, _, hz = ends[caller]
        arrived_before = len(listening[callee].all)
        with place:
            rest = server.rest()
            order = {"to": numbers[callee], "from": numbers[caller], "sip_connection": trunks[caller], "xml": flow(hz)}
            calls = [rest.post("/rest/call", order)["uuid"] for _ in range(CALLS)]
            judge(rest, listening[caller], calls, ends[callee][3], tmp_path)
        place, server, _, _ = ends[callee]

        def arrived(callee=callee, before=arrived_before):
            states = [e for e in listening[callee].all[before:] if e["type"] == "call_state"]
            return {e["call"]["uuid"] for e in states if e["payload"]["state"] == "live"}

        with place:
            rest = server.rest()
            judge(rest, listening[callee], rest.until(arrived, lambda calls: len(calls) == CALLS), hz, tmp_path)
    # The wire was as bad as it should be.
    assert wire.lost > 100 and wire.held > 50
    for place, server, _, _ in ends:
        with place:
            assert server.is_healthy()


def test_a_phone_behind_a_nat_registers_and_is_called(net, own_server, tmp_path):
    home, nat, outside = net.place(), net.place(), net.place()
    net.link(home, nat, "192.168.7")
    net.route(home, "192.168.7.2")
    device, _ = net.link(nat, outside, "198.51.100")
    nat.masquerade(device)
    nat.forget_udp_after(2)
    with outside:
        server = own_server(sip__udp=f"{CALLEE}:5060", media__address=CALLEE, sip__phone_ping="500ms")
        rest = server.rest()
        domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
        user = rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": SECRET})
        events = server.events()
    account = f'<sip:desk@{domain}>;auth_user=desk;auth_pass={SECRET};regint=60;answermode=auto;outbound="sip:{CALLEE}:5060"'
    with home, Baresip(tmp_path / "phone", account, hz=440, address="192.168.7.1") as phone:
        with outside:
            path = f"/rest/sip/domain/{domain}/user/{user['uuid']}"
            (registration,) = rest.until(lambda: rest.get(path)["registrations"], lambda found: found)
            # Where nobody outside could reach it: it is called by the flow through its NAT.
            assert "192.168.7.1" in registration["contact"]
            # Which the NAT would have forgotten long ago, if the phone were not asked and did not answer.
            answered = 'opentact_sip_responses_total{direction="in",method="OPTIONS",status="200"}'
            rest.until(lambda: server.metrics().get(answered, 0), lambda count: count > 8)
            call = rest.post("/rest/call", {"to": f"desk@{domain}", "xml": flow(600)})
        phone.wait("CALL_ESTABLISHED")
        phone.wait("CALL_CLOSED")
        with outside:
            record = events.wait(lambda e: e["type"] == "call_record")
            frequency, sounding = heard(rest, record, tmp_path)
            assert abs(frequency - 440) < 3 and sounding > 0.9
            assert rest.call(call["uuid"])["q850_cause"] == 16
            events.close()
        samples, rate = sound.read(phone.heard())
        assert abs(sound.frequency(samples[0][rate:-rate], rate) - 600) < 3
    # What keeps the way through the NAT open is answered with the address outside.
    with home, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun:
        stun.settimeout(10)
        stun.bind(("192.168.7.1", 0))
        stun.sendto(b"\0\x01\0\0\x21\x12\xa4\x42opentact-nat", (CALLEE, 5060))
        answer, _ = stun.recvfrom(100)
    seen = struct.unpack("!I", answer[28:32])[0] ^ 0x2112A442
    assert socket.inet_ntoa(struct.pack("!I", seen)) == OUTER


def test_a_browser_goes_to_another_network_in_a_call(net, own_server, tmp_path):
    """As from wireless to mobile: its address, its NAT and its websocket are others, and ICE begins anew."""
    home, wireless, mobile, outside = (net.place() for _ in range(4))
    leaves, _ = net.link(home, wireless, "192.168.7")
    net.link(home, mobile, "192.168.8")
    for nat, network in ((wireless, "198.51.100"), (mobile, "203.0.113")):
        device, _ = net.link(nat, outside, network)
        nat.masquerade(device)
    net.route(home, "192.168.7.2")
    net.route(mobile, "203.0.113.2")
    with outside:
        server = own_server(https__listen="0.0.0.0:8443", media__address=CALLEE)
        # Its certificate is for this machine alone; the browser does not look.
        server.runtime["https"] = "127.0.0.1:8443"
        # The simulated callee echoes, after a greeting.
        domain = office(server.rest(), "web", flow="<Response><Answer/><Dial><To>12065557788</To></Dial></Response>")
    with home, chromium(sound.write_tone(tmp_path / "mic.wav", 660, rate=48000)) as browser:
        here = f"{CALLEE}:8443"
        phone = WebPhone(browser.new_page(), f"https://{here}", f"wss://{here}/sip", f"sip:web@{domain}", SECRET)
        assert phone.wait("registered") == 200
        phone.call(f"sip:anybody@{domain}")
        phone.wait("confirmed")
        phone.until_loud(660)
        phone.run("() => { window.seen.length = 0 }")
        home.run("ip", "link", "set", leaves, "down")
        net.route(home, "192.168.8.2")
        # What a softphone does that is told of its new network: the old connection is given up at once.
        phone.run("""() => {
            const old = window.ua.transport.socket._ws;
            const told = old.onclose;
            old.onclose = null;
            old.close();
            told({ wasClean: false, code: 1006, reason: "" });
        }""")
        phone.wait("disconnected")
        assert phone.wait("registered") == 200
        restart = "{ rtcOfferConstraints: { iceRestart: true } }"
        assert phone.run(f"() => new Promise((done) => window.session.renegotiate({restart}, () => done(true)))")
        phone.until_loud(660)
        # Its jitter buffer stretches what it plays until it has found its length again.
        end = time.monotonic() + 20
        while abs(sound.frequency(*phone.heard()) - 660) >= 2.0:
            assert time.monotonic() < end, "the tone does not come back clean"
        phone.hang_up()
        phone.wait("ended")
