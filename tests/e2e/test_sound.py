"""What a caller hears of prompts, measured on the packets."""

import functools
import http.server
import threading
import time
import uuid

import numpy as np
import pytest

from harness import sound, timed
from harness.phone import Phone
from harness.rtp import RtpMouth, send_digit


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A web server with `tone.wav` (440 Hz, 16 kHz)."""
    folder = tmp_path_factory.mktemp("web")
    sound.write_tone(folder / "tone.wav", 440, seconds=5, rate=16000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def call(server, rest, xml):
    """A phone on a call to a number that runs `xml`."""
    tn = rest.number_with(xml)
    phone = Phone(server.sip(), "12065551234")
    rest.trunk(phone.port)
    answer = phone.call(f"sip:{tn}@{server.runtime['sip_udp']}")
    assert answer.code == 200, answer.first
    return phone


@pytest.mark.parametrize("element", ["<Tone hz='440' don='5000' timeout='5000' volume='-6'/>", "<Play>{web}/tone.wav</Play>"])
def test_a_tone_has_its_frequency_and_no_gap(server, rest, web, element):
    with call(server, rest, f"<Response><Answer/>{element.format(web=web)}<Hangup/></Response>") as phone:
        phone.wait_bye()
        heard = phone.ear.audio()
        assert len(heard) > 4.5 * sound.RATE
        middle = heard[len(heard) // 10 : -len(heard) // 10]
        assert abs(sound.frequency(middle) - 440) < 1.0
        assert sound.longest_silence(middle) <= 40
        assert not sound.is_clipped(heard)
        timed.within("longest gap between packets", phone.ear.longest_gap(), 40)
        steps = np.diff([p.sequence for p in phone.ear.packets])
        assert set(steps % 65536) == {1}


def test_speech_is_loud_enough_and_not_clipped(server, rest):
    with call(server, rest, "<Response><Answer/><Say>The quick brown fox jumps.</Say><Hangup/></Response>") as phone:
        phone.wait_bye()
        heard = phone.ear.audio()
        assert np.max(sound.loudness(heard)) > 1000
        assert not sound.is_clipped(heard)
        timed.within("longest gap between packets", phone.ear.longest_gap(), 40)


@pytest.mark.parametrize("lang", ["de-DE", "fr-FR", "es-ES"])
def test_other_languages_speak(server, rest, lang):
    with call(server, rest, f"<Response><Answer/><Say lang='{lang}'>Opentact 1 2 3</Say><Hangup/></Response>") as phone:
        phone.wait_bye()
        assert np.max(sound.loudness(phone.ear.audio())) > 500


def is_tone(samples, hz, other):
    """Whether a packet has one and not the other; too short for a spectrum."""
    at = np.arange(len(samples)) / sound.RATE
    mine, others = (abs(np.dot(samples, np.exp(-2j * np.pi * each * at))) for each in (hz, other))
    return np.max(np.abs(samples)) > 500 and mine > 2 * others


def test_keys_are_gathered_and_stop_the_prompt(server, rest, events):
    xml = """<Response><Answer/><Gather length="2" timeout="10000"><Tone hz="440" don="20000" timeout="20000"/>
             <DTMF value="42"><Tone hz="880" don="1000" timeout="1000" tag="right"/></DTMF></Gather><Hangup/></Response>"""
    with call(server, rest, xml) as phone:
        # The first packet that says that the key was let go is the fifth.
        released = time.time() + 0.08
        send_digit(phone.ear, phone.media, "4", stamp=8000)
        send_digit(phone.ear, phone.media, "2", stamp=16000, sequence=30100)
        phone.wait_bye()
        heard = phone.ear.audio()
        assert len(heard) < 10 * sound.RATE
        prompt = [p.at for p in phone.ear.packets if p.payload_type == 0 and is_tone(sound.from_ulaw(p.payload), 440, 880)]
        timed.within("prompt after its key", (max(prompt) - released) * 1000, 60)
        assert abs(sound.frequency(heard[-6000:-800]) - 880) < 2.0


def test_a_recording_holds_what_was_said(server, rest, events, tmp_path):
    xml = "<Response><Answer/><Record tag='take' timeout='3000'/><Hangup/></Response>"
    with call(server, rest, xml) as phone:
        at = np.arange(5 * sound.RATE) / sound.RATE
        RtpMouth(phone.ear, phone.media, 12000 * np.sin(2 * np.pi * 440 * at))
        phone.wait_bye()
    event = events.wait(lambda e: e["type"] == "call_record" and e["payload"]["tag"] == "take")
    record = event["payload"]
    assert record["format"] == "wav" and 2 <= record["duration"] <= 4
    answer = rest.ask("GET", record["url"])
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/wav"
    assert len(answer.content) == record["size"]
    part = rest.ask("GET", record["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    missing = rest.ask("GET", f"/rest/record/{uuid.uuid4()}/file")
    assert missing.status_code == 404 and missing.json()["message"] == "Record not found"
    file = tmp_path / "take.wav"
    file.write_bytes(answer.content)
    samples, rate = sound.read(file)
    assert abs(sound.frequency(samples[0][rate // 2 : -rate // 2], rate) - 440) < 1.0


def test_an_echo_by_dial_comes_back(server, rest):
    """Two bridged legs: what is said comes back from the echoing callee."""
    with call(server, rest, "<Response><Dial><To>12065557788</To></Dial><Hangup/></Response>") as phone:
        at = np.arange(4 * sound.RATE) / sound.RATE
        RtpMouth(phone.ear, phone.media, 12000 * np.sin(2 * np.pi * 660 * at)).join()
        heard = phone.ear.audio()
        phone.hang_up()
    loud = heard[np.flatnonzero(np.abs(heard) > 3000)[0] :][4000:-4000]
    assert abs(sound.frequency(loud) - 660) < 1.0
