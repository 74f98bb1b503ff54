"""SRTP with keys in the session description: with baresip, between two nodes, and against who has no key. And who is heard
without any."""

import re
import socket
import struct
import time

import numpy as np
import pytest

from harness import sound, timed
from harness.baresip import Baresip
from harness.phone import Phone
from harness.rtp import RtpEar, RtpMouth
from harness.srtp import SUITES, SrtpPhone

SECRET = "correct-horse-battery"
KEY = re.compile(r"inline:[A-Za-z0-9+/]{20}")


def softphone(server, folder, user, domain, ports, hz, security, **parameters):
    host, port = server.sip("tls")
    parameters |= {"mediaenc": security} if security else {}
    account = (
        f"<sip:{user}@{domain};transport=tls>;auth_user={user};auth_pass={SECRET};regint=60"
        f';outbound="sip:{host}:{port};transport=tls"' + "".join(f";{name}={value}" for name, value in parameters.items())
    )
    return Baresip(folder / user, account, hz=hz, ports=ports, ca=server.ca, modules=["srtp"])


def judge(file, hz, seconds):
    samples, rate = sound.read(file)
    assert samples.shape[1] > seconds * 0.8 * rate, f"{samples.shape[1] / rate} s heard"
    loud = samples[0][rate // 2 : -rate // 4]  # without the first steps of the jitter buffer and the cut at the end
    assert abs(sound.frequency(loud, rate) - hz) < 1.0
    timed.within("longest silence", sound.longest_silence(loud, rate), 40)


def described(rest, uuid):
    """Session descriptions of a leg's messages, as they are shown; never with a key."""
    bodies = [message["text"].partition("\r\n\r\n")[2] for message in rest.get(f"/rest/call/{uuid}/trace")["sip"]]
    assert not any(KEY.search(body) for body in bodies)
    capture = rest.ask("GET", f"/rest/call/{uuid}/trace", params={"format": "pcap"}).content
    assert not KEY.search(capture.decode("latin-1"))
    return [body for body in bodies if body.startswith("v=0")]


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("setting", "calls", "called"),
    [
        # This phone takes keys of RTP/SAVP only.
        ("required", "srtp-mand", "srtp-mand"),
        ("optional", "srtp-mand", None),
        ("optional", None, "srtp"),
        ("optional", "srtp", "srtp"),
        ("off", None, None),
    ],
)
def test_phones_hear_each_other_whether_they_protect_or_not(own_server, tmp_path, setting, calls, called):
    server = own_server(media__srtp=setting)
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    for login in ("alice", "bob"):
        rest.post(f"/rest/sip/domain/{domain}/user", {"login": login, "password": SECRET})
    callee = softphone(server, tmp_path, "bob", domain, (15000, 15099), 880, called, answermode="auto")
    caller = softphone(server, tmp_path, "alice", domain, (15100, 15199), 440, calls)
    users = f"/rest/sip/domain/{domain}/user"
    with callee, caller, server.events() as events:
        rest.until(lambda: rest.get(users), lambda found: all(user["state"] == "online" for user in found))
        caller.command("dial", f"sip:bob@{domain}")
        callee.wait("CALL_ESTABLISHED")
        caller.wait("CALL_ESTABLISHED")
        bridged = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        origin, dialled = bridged["payload"]["calls"]
        time.sleep(5)  # the talk itself
        caller.command("hangup")
        callee.wait("CALL_CLOSED")
        events.destroyed(dialled)
        events.destroyed(origin)
    judge(callee.heard(), 440, 5)
    judge(caller.heard(), 880, 5)
    answers = [sdps[-1] for sdps in (described(rest, origin), described(rest, dialled))]
    assert "a=crypto:" in answers[1] if called else "a=crypto:" not in answers[1]
    whole = described(rest, origin)
    assert any("RTP/SAVP" in sdp or "a=crypto:" in sdp for sdp in whole) or not (calls or called)


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_carries_a_tone_both_ways(server, rest, suite):
    tn = rest.number_with("<Response><Dial><To>12065557788</To></Dial><Hangup/></Response>")
    with SrtpPhone(server.sip(), "12065551234", suites=[suite]) as phone:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        assert phone.suite == suite
        # The simulated network echoes what it hears.
        time_ = np.arange(4 * sound.RATE) / sound.RATE
        RtpMouth(phone.ear, phone.media, 12000 * np.sin(2 * np.pi * 660 * time_)).join()
        heard = phone.ear.audio()
        phone.hang_up()
        assert phone.ear.refused == 0
    loud = heard[np.flatnonzero(np.abs(heard) > 3000)[0] :][4000:-4000]
    assert abs(sound.frequency(loud) - 660) < 1.0


def test_two_nodes_protect_what_they_say_to_each_other(own_server):
    near, far = own_server("near"), own_server("far")
    here, there = near.rest(), far.rest()
    # The first number of either is the same.
    tn = there.numbers(2)[1]
    tone = there.app("<Response><Answer/><Tone hz='440' don='4000' timeout='4000'/><Hangup/></Response>")
    there.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": tone["uuid"]})
    from_near = there.post(
        "/rest/sip/connection", {"name": "near", "ip": "127.0.0.1", "port": near.sip()[1], "srtp": "required"}
    )
    to_far = here.post("/rest/sip/connection", {"name": "far", "ip": "127.0.0.1", "port": far.sip()[1], "srtp": "required"})
    assert to_far["srtp"] == "required"
    way = here.number_with(f"<Response><Dial sip_connection='{to_far['uuid']}'><To>{tn}</To></Dial><Hangup/></Response>")

    def call():
        with Phone(near.sip(), "12065551234") as phone, near.events() as events:
            trunk = here.trunk(phone.port)
            phone.call(f"sip:{way}@{near.runtime['sip_udp']}")
            ended = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "destroyed" and e["call"]["parent"])
            here.delete(f"/rest/sip/connection/{trunk['uuid']}")
            return ended["call"]["uuid"], phone.ear.audio() if phone.ear else []

    uuid, heard = call()
    loud = heard[np.flatnonzero(np.abs(heard) > 3000)[0] :][2000:20000]
    assert abs(sound.frequency(loud) - 440) < 1.0
    offer, answer = described(here, uuid)[:2]
    assert "RTP/SAVP " in offer and "RTP/SAVP " in answer and "a=crypto:1 AEAD_AES_128_GCM inline:*" in answer

    # Who must protect does not talk to who never does, either way.
    there.patch(f"/rest/sip/connection/{from_near['uuid']}", {"srtp": "off"})
    uuid, heard = call()
    assert here.call(uuid)["answer_on"] is None and not np.any(np.abs(heard) > 3000)
    there.patch(f"/rest/sip/connection/{from_near['uuid']}", {"srtp": "required"})
    here.patch(f"/rest/sip/connection/{to_far['uuid']}", {"srtp": "off"})
    uuid, heard = call()
    assert here.call(uuid)["answer_on"] is None and not np.any(np.abs(heard) > 3000)
    refusals = [message["summary"] for message in here.get(f"/rest/call/{uuid}/trace")["sip"]]
    assert any("488" in summary for summary in refusals)


def test_a_protected_call_is_not_made_one_in_the_clear(server, rest):
    tn = rest.number_with("<Response><Answer/><Pause length='20'/><Hangup/></Response>")
    with SrtpPhone(server.sip(), "12065551234", protocol="RTP/AVP") as phone:
        rest.trunk(phone.port)
        answer = phone.call(f"sip:{tn}@{server.runtime['sip_udp']}")
        first = answer.body.decode()
        assert "RTP/AVP" in first and "a=crypto:1 " in first

        def again(body):
            branch = phone.request("INVITE", phone.target, phone.remote, body=body)
            answer = phone.final(method="INVITE")
            if answer.code == 200:
                sequence = int(answer["CSeq"].split()[0])
                phone.request("ACK", phone.target, phone.remote, sequence=sequence)
            else:
                phone.acknowledge_failure(phone.target, answer, branch)
            return answer

        clear = re.sub(rb"a=crypto:.*\r\n", b"", phone.offer())
        assert again(clear).code == 488
        # Its own key stays as long as ours does, and no longer.
        key = re.search(r"a=crypto:.*", first).group()
        same = again(phone.offer())
        assert same.code == 200 and key in same.body.decode()
        phone.renew()
        other = again(phone.offer())
        assert other.code == 200 and key not in other.body.decode()
        phone.hang_up()


def test_an_offer_that_must_be_protected_and_cannot_be_is_refused(server, rest):
    tn = rest.number_with("<Response><Answer/><Hangup/></Response>")
    with Phone(server.sip(), "12065551234") as phone:
        rest.trunk(phone.port)
        uri = f"sip:{tn}@{server.runtime['sip_udp']}"
        for lines in ("", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:YWFh\r\n", "a=crypto:x\r\na=crypto:\r\na=crypto\r\n"):
            body = phone.offer().replace(b"RTP/AVP", b"RTP/SAVP") + lines.encode()
            assert phone.ask("INVITE", uri, body=body).code == 488


def taken(rest, events, file):
    """The middle of the recording `take`, and samples per second."""
    record = events.wait(lambda e: e["type"] == "call_record" and e["payload"]["tag"] == "take")["payload"]
    file.write_bytes(rest.ask("GET", record["url"]).content)
    (samples, *_), rate = sound.read(file)
    return samples[rate // 2 : -rate // 2], rate


def test_in_the_clear_only_the_address_that_was_told_is_heard(server, rest, events, tmp_path):
    """Whoever else sends to the port of a call, however early and from wherever."""
    tn = rest.number_with("<Response><Answer/><Record tag='take' timeout='4000'/><Hangup/></Response>")
    loud = 30000 * np.sin(2 * np.pi * 1000 * np.arange(6 * sound.RATE) / sound.RATE)
    with Phone(server.sip(), "12065551234") as phone, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far, RtpEar() as near:
        far.bind(("127.0.0.2", 0))
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        octets = sound.to_ulaw(loud)
        for number in range(5):
            far.sendto(struct.pack("!BBHII", 0x80, 0, number, number * 160, 7) + octets[number * 160 :][:160], phone.media)
        mouths = [
            RtpMouth(near, phone.media, loud, ssrc=8),
            RtpMouth(phone.ear, phone.media, 8000 * np.sin(2 * np.pi * 440 * np.arange(6 * sound.RATE) / sound.RATE)),
        ]
        phone.wait_bye()
        for mouth in mouths:
            mouth.quiet.set()
        # Nor is anything said to them.
        assert not near.packets
    samples, rate = taken(rest, events, tmp_path / "take.wav")
    assert abs(sound.frequency(samples, rate) - 440) < 1.0
    assert sound.strength(samples, 1000, rate) < sound.strength(samples, 440, rate) / 100


def test_who_has_no_key_is_never_heard(server, rest, events, tmp_path):
    """Beside the phone somebody sends to its port: in the clear, with other keys, what it has overheard, and noise."""
    tn = rest.number_with("<Response><Answer/><Record tag='take' timeout='4000'/><Hangup/></Response>")
    with SrtpPhone(server.sip(), "12065551234") as phone, SrtpPhone(server.sip(), "12065551234") as stranger:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        stranger.offer()
        stranger.ear.secure(phone.suite, bytes(30), bytes(30))
        overheard = []
        protect = phone.ear.protected

        def overhear(datagram):
            overheard.append(protect(datagram))
            return overheard[-1]

        phone.ear.protected = overhear
        time_ = np.arange(6 * sound.RATE) / sound.RATE
        quiet, loud = 8000 * np.sin(2 * np.pi * 440 * time_), 30000 * np.sin(2 * np.pi * 1000 * time_)
        mouths = [RtpMouth(phone.ear, phone.media, quiet), RtpMouth(stranger.ear, phone.media, loud, ssrc=7)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            octets = sound.to_ulaw(loud)
            random = np.random.default_rng(1)
            for number in range(150):
                # From the phone's own address too: whoever is on the same machine or path can.
                for out in (noise, phone.ear.socket):
                    head = struct.pack("!BBHII", 0x80, 0, number, number * 160, 0x0DDBA11)
                    out.sendto(head + octets[number * 160 :][:160], phone.media)
                    out.sendto(random.bytes(int(random.integers(0, 300))), phone.media)
                    for old in overheard[-3:]:
                        out.sendto(old, phone.media)
                host, port = phone.media
                noise.sendto(b"\x80\xc8\x00\x06" + random.bytes(24), (host, port + 1))
                time.sleep(0.02)
        phone.wait_bye()
        for mouth in mouths:
            mouth.quiet.set()
    samples, rate = taken(rest, events, tmp_path / "take.wav")
    assert abs(sound.frequency(samples, rate) - 440) < 1.0
    assert sound.strength(samples, 1000, rate) < sound.strength(samples, 440, rate) / 100
    assert server.is_healthy()
