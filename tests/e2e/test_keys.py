"""Keys by whichever way a phone has: as events, as tones in the audio, by INFO; each reaches the other side in its own way."""

import re
import threading

import numpy as np

from harness import sound
from harness.phone import Phone
from harness.rtp import RtpMouth, send_digit

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def tones(keys, on=0.12, gap=0.12):
    """Samples of keys as a phone without events sends them."""
    pieces = [np.zeros(sound.RATE // 2)]
    for key in keys:
        row, column = divmod("123A456B789C*0#D".index(key), 4)
        at = np.arange(int(on * sound.RATE)) / sound.RATE
        pieces += [6000 * (np.sin(2 * np.pi * ROWS[row] * at) + np.sin(2 * np.pi * COLUMNS[column] * at))]
        pieces += [np.zeros(int(gap * sound.RATE))]
    return np.concatenate([*pieces, np.zeros(sound.RATE // 2)])


class Old(Phone):
    """A phone that knows no telephone-event."""

    def offer(self):
        return super().offer().replace(b"RTP/AVP 0 101", b"RTP/AVP 0").replace(
            b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", b""
        )


def events(ear):
    """The keys that came as events, each once."""
    seen = dict.fromkeys((p.stamp, p.payload[0]) for p in list(ear.packets) if p.payload_type == 101)
    return "".join("0123456789*#ABCD"[event] for _, event in seen)


def test_tones_are_gathered(server, rest):
    xml = """<Response><Answer/><Gather length="4" timeout="10000"><Pause length="10000"/>
             <DTMF value="1*9D"><Tone hz="880" don="1000" timeout="1000"/></DTMF></Gather><Hangup/></Response>"""
    tn = rest.number_with(xml)
    with Old(server.sip(), "12065551234") as phone:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        RtpMouth(phone.ear, phone.media, tones("1*9D"))
        phone.wait_bye()
        heard = phone.ear.audio()
        assert abs(sound.frequency(heard[-6000:-800]) - 880) < 2.0


def talk(server, rest, caller, callee, **fields):
    """Joins two phones, the callee over a trunk with these fields."""
    trunk = rest.trunk(callee.port, **fields)["uuid"]
    tn = rest.number_with(f"<Response><Dial sip_connection='{trunk}'><To>12065550188</To></Dial><Hangup/></Response>")
    rest.trunk(caller.port)

    def pick_up():
        invite = callee.invited()
        sdp = invite.body.decode()
        callee.media = ("127.0.0.1", int(re.search(r"^m=audio (\d+)", sdp, re.M).group(1)))
        callee.heard_offer = sdp
        callee.pick_up(invite)

    answering = threading.Thread(target=pick_up)
    answering.start()
    assert caller.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
    answering.join()


def infos(phone, count):
    """The keys of so many INFOs, each answered."""
    keys = ""
    while len(keys) < count:
        message = phone.receive(10)
        if message.method == "INFO":
            assert message["Content-Type"] == "application/dtmf-relay"
            keys += re.search(rb"Signal=(.)", message.body).group(1).decode()
            phone.reply(message, "200 OK")
    return keys


def test_tones_become_events(server, rest):
    with Old(server.sip(), "12065551234") as caller, Phone(server.sip(), "12065551299") as callee:
        talk(server, rest, caller, callee)
        RtpMouth(caller.ear, caller.media, tones("1590*#", on=0.2)).join()
        rest.until(lambda: events(callee.ear), lambda keys: keys == "1590*#")
        caller.hang_up()


def test_events_become_tones(server, rest):
    with Phone(server.sip(), "12065551234") as caller, Old(server.sip(), "12065551299") as callee:
        talk(server, rest, caller, callee)
        send_digit(caller.ear, caller.media, "6", stamp=8000)
        rest.until(lambda: len(callee.ear.packets), lambda count: count >= 5)
        heard = callee.ear.audio()
        assert abs(sound.frequency(heard[:800]) - 770) < 8 or abs(sound.frequency(heard[:800]) - 1477) < 8
        caller.hang_up()


def test_a_trunk_that_wants_info_gets_info(server, rest):
    for kind, press in ((Phone, "events"), (Old, "tones")):
        with kind(server.sip(), "12065551234") as caller, Phone(server.sip(), "12065551299") as callee:
            talk(server, rest, caller, callee, dtmf="info", name=f"info for {press}")
            assert "telephone-event" not in callee.heard_offer
            if press == "events":
                for number, key in enumerate("42#"):
                    send_digit(caller.ear, caller.media, key, stamp=8000 * (number + 1), sequence=30000 + 10 * number)
            else:
                RtpMouth(caller.ear, caller.media, tones("42#", on=0.2))
            assert infos(callee, 3) == "42#"
            caller.hang_up()


def test_info_becomes_events(server, rest):
    with Phone(server.sip(), "12065551234") as caller, Phone(server.sip(), "12065551299") as callee:
        talk(server, rest, caller, callee)
        for key in b"8", b"*":
            body = b"Signal=" + key + b"\r\nDuration=160\r\n"
            caller.request("INFO", caller.target, caller.remote, body=body, more=caller.route, content="application/dtmf-relay")
            assert caller.final(method="INFO").code == 200
        rest.until(lambda: events(callee.ear), lambda keys: keys == "8*")
        caller.hang_up()


def test_a_trunk_without_events_is_offered_none(server, rest):
    with Phone(server.sip(), "12065551234") as caller, Phone(server.sip(), "12065551299") as callee:
        talk(server, rest, caller, callee, dtmf="inband")
        assert "telephone-event" not in callee.heard_offer
        caller.hang_up()
