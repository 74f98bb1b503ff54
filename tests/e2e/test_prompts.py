"""Prompts of every format, from disk and from the web, as callers of several codecs hear them."""

import shutil
import time
import wave

import numpy as np
import pytest

from harness import sound
from harness.baresip import Baresip
from harness.phone import Phone
from harness.rtp import RtpMouth
from harness.web import AUDIO, Web
from test_codecs import dial, speaks
from test_softphones import account


@pytest.fixture
def web():
    with Web() as web:
        yield web


def stereo_wav(path, left, right, rate=44_100, seconds=3):
    """Sines at half of full scale."""
    at = np.arange(seconds * rate) / rate
    channels = [0.5 * 32767 * np.sin(2 * np.pi * hz * at) for hz in (left, right)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())


def call(server, rest, flow):
    """A phone on a call to a number that runs `flow`, and the call's UUID."""
    tn = rest.number_with(f"<Response><Answer/>{flow}<Hangup/></Response>")
    phone = Phone(server.sip(), "12065551234")
    rest.trunk(phone.port)
    answer = phone.call(f"sip:{tn}@{server.runtime['sip_udp']}")
    assert answer.code == 200, answer.first
    return phone


def plays(events, *, count=1):
    """How the `Play`s of the next call end."""
    found = []
    while len(found) < count:
        event = events.wait(lambda e: e["type"] == "call_flow" and e["call_flow"]["name"] == "Play" and e not in found)
        found.append(event)
    return [(event["success"], event["call_flow"]["reason"]) for event in found]


def heard(phone, loud=0.3):
    """Waits until this many seconds of sound were heard; the samples."""
    end = time.monotonic() + 20
    while True:
        samples = phone.ear.audio()
        if np.count_nonzero(sound.loudness(samples) > 1000) * 0.02 > loud * 0.95:
            return samples
        assert time.monotonic() < end, "nothing was heard"
        time.sleep(0.02)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("module", ["g711", "g722", "opus"])
def test_every_format_is_heard_in_every_codec(own_server, tmp_path, module):
    server = own_server()
    rest = server.rest()
    folder = server.data / "prompts" / "en"
    folder.mkdir(parents=True)
    for name in ("tone.mp3", "tone.opus", "tone.ogg"):
        shutil.copy(AUDIO / name, folder)
    stereo_wav(folder / "stereo.wav", 440, 440)
    # By name and by URL.
    names = ["en/tone.mp3", "file:en/tone.opus", "file:///en/tone.ogg", "en/stereo.wav"]
    flow = "<Pause length='500'/>".join(f"<Play>{name}</Play>" for name in names)
    tn = rest.number_with(f"<Response><Answer/>{flow}<Hangup/></Response>")
    with Baresip(tmp_path / "caller", account(server, "trunk", "127.0.0.1", regint=0), codecs=[module]) as caller:
        rest.trunk(caller.sip)
        dial(server, caller, tn)
        speaks(caller, module)
        caller.wait("CALL_CLOSED", timeout=40)
    samples, rate = sound.read(caller.heard())
    parts = sound.stretches(samples[0], rate)
    assert len(parts) == 4, parts
    for (start, end), hz in zip(parts, [1000, 1000, 1000, 440]):
        assert abs((end - start) / rate - 3) < 0.3
        part = samples[0][start + rate // 4 : end - rate // 4]
        assert abs(sound.frequency(part, rate) - hz) < 1.0
        # Peaks at half of full scale; mixed down as loud as each of two channels that are the same.
        assert abs(sound.level(part) + 6.02) < 1.0, sound.level(part)
        assert not sound.is_clipped(part)


def test_the_beginning_is_heard_before_the_rest_has_come(own_server, web):
    server = own_server()
    web.files["tone.wav"] = sound.write_tone(server.data / "tone.wav", 1000, seconds=3, rate=44_100).read_bytes()
    for name in ("tone.mp3", "tone.opus", "tone.wav"):
        web.held, web.requests = {name}, []
        web.release.clear()
        with call(server, server.rest(), f"<Play>{web.url(name)}</Play>") as phone:
            # The server has no more to hear than this until it is told to go on.
            heard(phone, 0.6)
            web.release.set()
            phone.wait_bye()
            tone = heard(phone, 2.9)
            assert abs(sound.frequency(tone) - 1000) < 1.0, name
        assert [(asked, status) for asked, _, status in web.requests] == [(name, 200)]


def test_a_second_play_asks_whether_it_has_changed(own_server, web):
    server = own_server(media__prompt_fresh="0s")
    rest = server.rest()
    flow = f"<Play>{web.url('tone.mp3')}</Play>"
    for _ in range(2):
        with call(server, rest, flow) as phone:
            phone.wait_bye()
            assert abs(sound.frequency(heard(phone, 2)[4000:-4000]) - 1000) < 1.0
    (_, first, got), (_, second, again) = web.requests
    assert "If-None-Match" not in first and got == 200
    assert second["If-None-Match"] and again == 304
    # Another file under the same name is heard at the next.
    web.files["tone.mp3"] = sound.write_tone(server.data / "other.wav", 440, seconds=1).read_bytes()
    with call(server, rest, flow) as phone:
        phone.wait_bye()
        assert abs(sound.frequency(heard(phone, 0.8)[2000:-2000]) - 440) < 2.0
    assert web.requests[2][2] == 200


def test_what_cannot_be_played_is_told_with_its_reason(own_server, web):
    server = own_server(media__prompt_stall="1s", media__prompt_size="100KiB")
    rest = server.rest()
    web.files |= {"page": b"<!DOCTYPE html><title>no sound</title>", "whole.wav": b"", "large.wav": bytes(200 << 10)}
    whole = sound.write_tone(server.data / "whole.wav", 1000, seconds=3).read_bytes()
    web.files |= {"cut.wav": whole, "short.wav": whole[:20_000], "slow.wav": whole}
    web.cut, web.held = {"cut.wav"}, {"slow.wav"}
    wrong = {
        web.url("page"): "neither WAV, MP3 nor Ogg",
        web.url("missing.wav"): "answered 404",
        web.url("large.wav"): "larger than 102400",
        web.url("cut.wav"): "cut.wav: ",
        web.url("short.wav"): "ends before its sound does",
        web.url("slow.wav"): "no answer within 1000 ms",
        "file:///missing.wav": "no such file",
        "../../etc/passwd": "not a name of a file",
    }
    flow = "".join(f"<Play>{name}</Play>" for name in wrong)
    with server.events() as events, call(server, rest, flow) as phone:
        phone.wait_bye(timeout=60)
        told = plays(events, count=len(wrong))
        # The halves that came were heard.
        assert np.count_nonzero(np.abs(phone.ear.audio().astype(int)) > 1000) > 3 * sound.RATE
    for (name, reason), (success, said) in zip(wrong.items(), told):
        assert success is False and reason in said, f"{name}: {said}"


def test_tones_are_those_of_the_country(server, rest):
    """British busy tone by name; ring-back of the callee's country, North America, while nobody answers."""
    flow = (
        "<Tone signal='busy' country='GB' timeout='3000'/><Pause length='1000'/>"
        "<Dial timeout='4'><To>12065550101</To></Dial>"
    )
    with call(server, rest, flow) as phone:
        phone.wait_bye()
        samples = phone.ear.audio()
    # A tone that is stopped may have begun its next burst.
    parts = [(start, end) for start, end in sound.stretches(samples) if end - start > 0.1 * sound.RATE]
    busy, ringing = parts[:4], parts[4:]
    assert all(abs((end - start) / 8 - 375) < 10 for start, end in busy)
    assert all(abs((after - before) / 8 - 750) < 10 for (before, _), (after, _) in zip(busy, busy[1:]))
    tone = np.concatenate([samples[start:end] for start, end in busy])
    assert abs(sound.frequency(tone) - 400) < 2
    (start, end), *_ = ringing
    assert abs((end - start) / sound.RATE - 2) < 0.1
    ring = samples[start:end]
    other = sound.strength(ring, 1000)
    assert sound.strength(ring, 440) > 30 * other and sound.strength(ring, 480) > 30 * other


def hold(phone, direction, by="INVITE"):
    """The phone's audio goes this way only: by a re-INVITE, one whose offer is the server's, or an UPDATE."""
    body = phone.offer().replace(b"a=sendrecv", f"a={direction}".encode()).replace(b"o=- 1 1", b"o=- 1 %d" % (phone.sequence + 1))
    late = by == "late offer"
    method = "UPDATE" if by == "UPDATE" else "INVITE"
    answer = phone.ask(method, phone.target, phone.remote, more=phone.route, body=b"" if late else body)
    assert answer.code == 200, answer.first
    if method == "INVITE":
        sequence = int(answer["CSeq"].split()[0])
        phone.request("ACK", phone.target, phone.remote, sequence=sequence, more=phone.route, body=body if late else b"")


def hears_now(phone, hz):
    """Waits until the last half second was this tone and nothing else."""
    end = time.monotonic() + 20
    while True:
        last = phone.ear.audio()[-sound.RATE // 2 :]
        whole = len(last) == sound.RATE // 2 and sound.longest_silence(last) < 5
        if whole and abs(sound.frequency(last) - hz) < 4 and sound.level(last) > -12:
            return
        assert time.monotonic() < end, f"{len(last)} samples at {sound.level(last)} dB"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("direction", "by"), [("sendonly", "INVITE"), ("inactive", "INVITE"), ("sendonly", "UPDATE"), ("inactive", "late offer")]
)
def test_who_is_put_on_hold_hears_music_until_taken_back(own_server, direction, by):
    server = own_server(media__hold_music=str(AUDIO / "tone.mp3"))
    rest = server.rest()
    with Phone(server.sip(), "desk") as callee:
        rest.trunk(callee.port, name="desk")
        flow = f"<Answer/><Dial><To>sip:desk@127.0.0.1:{callee.port}</To></Dial>"
        with call(server, rest, flow) as caller:
            callee.pick_up(callee.invited())
            at = np.arange(60 * sound.RATE) / sound.RATE
            mouth = RtpMouth(caller.ear, caller.media, 12000 * np.sin(2 * np.pi * 440 * at))
            hears_now(callee, 440)
            hold(caller, direction, by)
            # Though the caller goes on speaking.
            hears_now(callee, 1000)
            hold(caller, "sendrecv", by)
            hears_now(callee, 440)
            mouth.quiet.set()
            caller.hang_up()
