"""Calls of browsers: Chromium with a tone for a microphone, on SIP over WSS, ICE and DTLS-SRTP."""

import socket
import time

import numpy as np
import pytest

from harness import sound, timed
from harness.baresip import Baresip
from harness.browser import WebPhone, chromium
from harness.coturn import SECRET as TURN_SECRET
from harness.coturn import Coturn

SECRET = "correct-horse-battery"


def office(rest, *logins, flow=None):
    """A domain with these users, whose calls to anybody else run the flow."""
    app = flow and rest.app(flow)["uuid"]
    domain = rest.post("/rest/sip/domain", {"domain": "office", "sip_control_app": app})["domain"]
    for login in logins:
        rest.post(f"/rest/sip/domain/{domain}/user", {"login": login, "password": SECRET})
    return domain


def web(server, browser, login, domain):
    phone = WebPhone(browser.new_page(), server.base, f"wss://{server.runtime['https']}/sip", f"sip:{login}@{domain}", SECRET)
    assert phone.wait("registered") == 200
    return phone


def hears(phone, hz):
    """Whether what the browser plays is a tone."""
    samples, rate = phone.heard()
    assert abs(sound.frequency(samples, rate) - hz) < 2.0
    timed.within("longest silence", sound.longest_silence(samples, rate, floor=300), 40)


def judge(file, hz):
    samples, rate = sound.read(file)
    loud = samples[0][np.flatnonzero(np.abs(samples[0]) > 2000)[0] :][rate // 2 : -rate // 2]
    assert len(loud) > 2 * rate, f"{len(loud) / rate} s heard"
    assert abs(sound.frequency(loud, rate) - hz) < 2.0


@pytest.mark.timeout(120)
def test_a_browser_hears_a_flow_and_itself_from_afar(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    # The simulated callee echoes, after a greeting.
    tone, echo = "<Tone hz='440' don='6000' timeout='6000'/>", "<Dial><To>12065557788</To></Dial>"
    domain = office(rest, "web", flow=f"<Response><Answer/>{tone}{echo}<Hangup/></Response>")
    with chromium(sound.write_tone(tmp_path / "mic.wav", 660, rate=48000)) as browser:
        phone = web(server, browser, "web", domain)
        phone.call(f"sip:anybody@{domain}")
        phone.wait("confirmed")
        for hz in (440, 660):
            phone.until_loud(hz)
            hears(phone, hz)
        phone.hang_up()


@pytest.mark.timeout(120)
def test_a_browser_that_only_may_use_turn_hears_and_is_heard(own_server, tmp_path):
    with Coturn(tmp_path) as turn:
        server = own_server(media__ice_servers=turn.url, media__turn_secret=TURN_SECRET)
        rest = server.rest()
        tone, echo = "<Tone hz='440' don='6000' timeout='6000'/>", "<Dial><To>12065557788</To></Dial>"
        domain = office(rest, "web", flow=f"<Response><Answer/>{tone}{echo}<Hangup/></Response>")
        told = rest.get("/rest/sip/ice_server")
        with chromium(sound.write_tone(tmp_path / "mic.wav", 660, rate=48000)) as browser:
            phone = web(server, browser, "web", domain)
            phone.call(f"sip:anybody@{domain}", pc_config={"iceServers": told["ice_servers"], "iceTransportPolicy": "relay"})
            phone.wait("confirmed")
            for hz in (440, 660):
                phone.until_loud(hz)
                hears(phone, hz)
            ways = phone.run("""async () => {
                const all = await window.session.connection.getStats();
                const pairs = [...all.values()].filter(({ type, state, nominated }) => type === "candidate-pair" && nominated && state === "succeeded");
                return pairs.map(({ localCandidateId }) => all.get(localCandidateId).candidateType);
            }""")
            assert ways and set(ways) == {"relay"}
            phone.hang_up()


@pytest.mark.timeout(120)
def test_two_browsers_hear_each_other(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "alice", "bob")
    microphones = [sound.write_tone(tmp_path / f"{hz}.wav", hz, rate=48000) for hz in (500, 900)]
    with chromium(*microphones) as (one, other), server.events() as events:
        alice, bob = web(server, one, "alice", domain), web(server, other, "bob", domain)
        alice.call(f"sip:bob@{domain}")
        assert bob.wait("called") == "alice"
        bob.answer()
        alice.wait("confirmed")
        for phone, hz in ((alice, 900), (bob, 500)):
            phone.until_loud(hz)
            hears(phone, hz)
        bridged = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        for leg in bridged["payload"]["calls"]:
            bodies = [message["text"].partition("\r\n\r\n")[2] for message in rest.get(f"/rest/call/{leg}/trace")["sip"]]
            assert any("UDP/TLS/RTP/SAVPF" in body for body in bodies)

        # Held and resumed, the way and the keys stay.
        alice.run("() => new Promise((done) => window.session.hold({}, done))")
        alice.run("() => new Promise((done) => window.session.unhold({}, done))")
        bob.until_loud(500)
        hears(bob, 500)

        # As after a change of network: ICE begins anew, with other credentials on both sides.
        names = '() => [...window.session.connection.remoteDescription.sdp.matchAll(/ice-ufrag:(.*)/g)].map(([, name]) => name.trim())'
        before = alice.run(names)
        restart = "{ rtcOfferConstraints: { iceRestart: true } }"
        assert alice.run(f"() => new Promise((done) => window.session.renegotiate({restart}, () => done(true)))")
        assert set(alice.run(names)).isdisjoint(before)
        for phone, hz in ((alice, 900), (bob, 500)):
            phone.until_loud(hz)
            hears(phone, hz)
        bob.hang_up()
        alice.wait("ended")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_two_browsers_see_and_hear_each_other(own_server, tmp_path, codec):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "alice", "bob")
    microphones = [sound.write_tone(tmp_path / f"{hz}.wav", hz, rate=48000) for hz in (500, 900)]
    with chromium(*microphones) as (one, other):
        alice, bob = web(server, one, "alice", domain), web(server, other, "bob", domain)
        known = alice.run("() => RTCRtpSender.getCapabilities('video').codecs.map(({ mimeType }) => mimeType)")
        if f"video/{codec}" not in known:
            pytest.skip(f"this Chromium does not encode {codec}")
        # Of what Alice offers only this one is left.
        kept = '''codec => window.ua.on("newRTCSession", ({ session }) => session.on("sdp", (data) => {
            if (data.originator !== "local" || data.type !== "offer") return;
            const others = [...data.sdp.matchAll(/a=rtpmap:(\\d+) (VP8|VP9|AV1|H264|H265|rtx|red|ulpfec|flexfec-03)\\/90000/g)]
                .filter(([, , name]) => name !== codec).map(([, type]) => type);
            data.sdp = data.sdp.replace(/(m=video .*SAVPF )(.*)/, (_, start, types) => start + types.split(" ").filter((type) => !others.includes(type)).join(" "))
                .split("\\r\\n").filter((line) => !others.some((type) => RegExp(`^a=(rtpmap|fmtp|rtcp-fb):${type} `).test(line))).join("\\r\\n");
        }))'''
        alice.run(kept, codec)
        alice.call(f"sip:bob@{domain}", video=True)
        assert bob.wait("called") == "alice"
        bob.answer(video=True)
        alice.wait("confirmed")
        for phone, hz in ((alice, 900), (bob, 500)):
            colours = phone.until_seen()
            # What Chromium shows for a camera is mostly green.
            assert colours[1] > 60 and colours[1] > colours[2], colours
            phone.until_loud(hz)
            hears(phone, hz)
        # Held and resumed, and with a new way.
        alice.run("() => new Promise((done) => window.session.hold({}, done))")
        alice.run("() => new Promise((done) => window.session.unhold({}, done))")
        restart = "{ rtcOfferConstraints: { iceRestart: true } }"
        assert alice.run(f"() => new Promise((done) => window.session.renegotiate({restart}, () => done(true)))")
        for phone, hz in ((alice, 900), (bob, 500)):
            phone.until_seen()
            phone.until_loud(hz)
            hears(phone, hz)
        bob.hang_up()
        alice.wait("ended")


@pytest.mark.timeout(120)
def test_who_is_not_seen_is_heard(own_server, tmp_path):
    """A flow, and a browser without a camera, refuse the video, and nothing else."""
    server = own_server()
    rest = server.rest()
    domain = office(rest, "alice", "bob", flow="<Response><Answer/><Tone hz='440' don='30000' timeout='30000'/><Hangup/></Response>")
    microphones = [sound.write_tone(tmp_path / f"{hz}.wav", hz, rate=48000) for hz in (500, 900)]
    with chromium(*microphones) as (one, other):
        alice, bob = web(server, one, "alice", domain), web(server, other, "bob", domain)
        described = '() => window.session.connection.remoteDescription.sdp.match(/m=video (\\d+)/)[1]'
        alice.call(f"sip:anybody@{domain}", video=True)
        alice.wait("confirmed")
        alice.until_loud(440)
        hears(alice, 440)
        assert alice.run(described) == "0"
        alice.hang_up()
        alice.wait("ended")
        alice.run("() => { window.seen.length = 0 }")
        alice.call(f"sip:bob@{domain}", video=True)
        assert bob.wait("called") == "alice"
        # It offers no video, and takes none.
        bob.run('''() => {
            window.session.on("sdp", (data) => {
                if (data.originator === "remote") data.sdp = data.sdp.replace(/m=video \\d+/, "m=video 0");
            });
        }''')
        bob.answer()
        alice.wait("confirmed")
        for phone, hz in ((alice, 900), (bob, 500)):
            phone.until_loud(hz)
            hears(phone, hz)
        assert alice.run(described) == "0"
        bob.hang_up()
        alice.wait("ended")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("security", [None, "srtp-mand"])
def test_a_browser_and_a_phone_hear_each_other(own_server, tmp_path, security):
    server = own_server(media__srtp="required" if security else "optional")
    rest = server.rest()
    domain = office(rest, "web", "desk")
    host, port = server.sip("tls")
    account = (
        f"<sip:desk@{domain};transport=tls>;auth_user=desk;auth_pass={SECRET};regint=60"
        f';outbound="sip:{host}:{port};transport=tls"' + (f";mediaenc={security}" if security else "")
    )
    desk = Baresip(tmp_path / "desk", account, hz=440, ports=(15200, 15299), ca=server.ca, modules=["srtp"])
    with chromium(sound.write_tone(tmp_path / "mic.wav", 660, rate=48000)) as browser, desk:
        users = f"/rest/sip/domain/{domain}/user"
        phone = web(server, browser, "web", domain)
        rest.until(lambda: rest.get(users), lambda found: all(user["state"] == "online" for user in found))
        desk.command("dial", f"sip:web@{domain}")
        assert phone.wait("called") == "desk"
        phone.answer()
        desk.wait("CALL_ESTABLISHED")
        phone.until_loud(440)
        hears(phone, 440)
        time.sleep(3)  # the talk itself
        phone.hang_up()
        desk.wait("CALL_CLOSED")
    judge(desk.heard(), 660)


@pytest.mark.timeout(120)
def test_noise_on_the_port_of_a_call_does_nothing_to_it(own_server, tmp_path):
    """STUN, DTLS and RTP that are none, or of somebody else, from an address of their own."""
    server = own_server()
    rest = server.rest()
    domain = office(rest, "web", flow="<Response><Answer/><Tone hz='440' don='30000' timeout='30000'/><Hangup/></Response>")
    random = np.random.default_rng(1)
    with chromium(sound.write_tone(tmp_path / "mic.wav", 660, rate=48000)) as browser:
        phone = web(server, browser, "web", domain)
        phone.call(f"sip:anybody@{domain}")
        phone.wait("confirmed")
        port = int(phone.run("() => window.session.connection.remoteDescription.sdp.match(/m=audio (\\d+)/)[1]"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            for _ in range(3000):
                body = bytearray(random.bytes(int(random.integers(1, 400))))
                kind = int(random.integers(0, 4))
                if kind == 0:  # a binding request by its header
                    body[:8] = b"\x00\x01" + (len(body) - 20 & 0xFFFC).to_bytes(2, "big", signed=False) + b"\x21\x12\xa4\x42"
                elif kind == 1:  # a handshake record of DTLS 1.2 by its header
                    body[:13] = b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00" + max(0, len(body) - 13).to_bytes(2, "big")
                elif kind == 2:
                    body[0] = 0x80
                noise.sendto(body, ("127.0.0.1", port))
        phone.until_loud(440)
        hears(phone, 440)
        phone.hang_up()
    assert server.is_healthy()
