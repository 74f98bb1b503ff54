"""Recordings: what is in the file, whatever happens to the server, the disk and the object store meanwhile."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import numpy as np
import pytest

from harness import sound
from harness.baresip import Baresip
from harness.phone import Phone
from harness.rtp import RtpMouth, send_digit
from harness.s3 import S3
from harness.server import PASSWORD
from test_softphones import SECRET, account, users

LEVEL = 12000


def tone(hz, seconds):
    return LEVEL * np.sin(2 * np.pi * hz * np.arange(int(seconds * sound.RATE)) / sound.RATE)


def decibels(samples):
    """Of a tone, against one of `LEVEL`."""
    return 20 * np.log10(np.sqrt(2 * np.mean(np.asarray(samples, dtype=float) ** 2)) / LEVEL)


def of_tag(tag):
    return lambda event: event["type"] == "call_record" and event["payload"]["tag"] == tag


def fetch(rest, record, folder):
    """The channels of a recording and its rate; what cannot be told from an MP3 file by itself is told by sox."""
    file = folder / f"{record['uuid']}.{record['format']}"
    file.write_bytes(rest.ask("GET", record["url"]).content)
    assert file.stat().st_size == record["size"]
    if record["format"] == "mp3":
        decoded = file.with_suffix(".mp3.wav")
        subprocess.run(["sox", file, decoded], check=True, capture_output=True)
        file = decoded
    samples, rate = sound.read(file)
    assert (len(samples), rate) == (record["channels"], record["sample_rate"])
    return samples, rate


@contextlib.contextmanager
def calling(server, rest, xml):
    """A phone on a call to a number that runs `xml`."""
    tn = rest.number_with(xml)
    with Phone(server.sip(), "12065551234") as phone:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        yield phone


@pytest.fixture(scope="module")
def talk(server, tmp_path_factory):
    """Recordings of one conversation, the caller speaking 440 Hz and the callee 1,000 Hz: by tag, and its folder."""
    rest = server.rest()
    with Phone(server.sip(), "12065551234") as caller, Phone(server.sip(), "12065551299") as callee, server.events() as events:
        trunk = rest.trunk(callee.port)["uuid"]
        tn = rest.number_with(
            "<Response><Answer/><RecordStart tag='mono'/><RecordStart tag='stereo-mp3' channels='2' format='mp3'/>"
            "<RecordStart tag='mono-mp3' format='mp3'/>"
            f"<Dial tag='stereo' record='record-from-answer' sip_connection='{trunk}'><To>12065550188</To></Dial>"
            "<RecordStop/><RecordWait tag='mono'/><RecordWait/><Hangup/></Response>"
        )
        rest.trunk(caller.port)

        def pick_up():
            invite = callee.invited()
            callee.media = ("127.0.0.1", int(re.search(rb"^m=audio (\d+)", invite.body, re.M).group(1)))
            callee.pick_up(invite)

        answering = threading.Thread(target=pick_up)
        answering.start()
        assert caller.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        answering.join()
        events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        mouths = [RtpMouth(caller.ear, caller.media, tone(440, 6)), RtpMouth(callee.ear, callee.media, tone(1000, 6))]
        for mouth in mouths:
            mouth.join()
        caller.hang_up()
        records = {tag: events.wait(of_tag(tag)) for tag in ("stereo", "mono", "mono-mp3", "stereo-mp3")}
        call = rest.call(records["mono"]["call"]["uuid"])
    return {tag: event["payload"] for tag, event in records.items()}, call, tmp_path_factory.mktemp("talk")


def loud(channel):
    """Where there is sound."""
    at = np.flatnonzero(np.abs(channel.astype(int)) > 3000)
    return channel[at[0] : at[-1]]


@pytest.mark.parametrize("tag", ["stereo", "stereo-mp3"])
def test_each_party_is_on_its_channel(rest, talk, tag):
    records, _, folder = talk
    channels, rate = fetch(rest, records[tag], folder)
    for channel, hz, other in zip(channels, (440, 1000), (1000, 440)):
        steady = loud(channel)[rate:-rate]
        assert len(steady) > 3 * rate
        assert abs(sound.frequency(steady, rate) - hz) < 1.0
        assert abs(decibels(steady)) < 1.0
        assert sound.strength(steady, other, rate) < 0.01 * sound.strength(steady, hz, rate)


@pytest.mark.parametrize("tag", ["mono", "mono-mp3"])
def test_one_channel_has_both_parties(rest, talk, tag):
    records, _, folder = talk
    (mixed,), rate = fetch(rest, records[tag], folder)
    steady = loud(mixed)[rate:-rate]
    one, other = sound.strength(steady, 440, rate), sound.strength(steady, 1000, rate)
    assert 0.8 < one / other < 1.25
    # Two tones of one level: 3 dB more than one.
    assert abs(decibels(steady) - 3.0) < 1.0


def test_a_recording_is_as_long_as_what_was_said_and_is_found_by_rest(rest, talk):
    records, call, folder = talk
    assert sorted(record["uuid"] for record in call["records"]) == sorted(r["uuid"] for r in records.values())
    for record in records.values():
        channels, rate = fetch(rest, record, folder)
        assert record["state"] == "stored" and record["complete"] and record["reason"] is None
        assert record["duration"] == record["duration_ms"] // 1000
        # An MP3 decoder that leaves the padding in gives up to three frames more.
        assert -1 <= len(channels[0]) * 1000 / rate - record["duration_ms"] < (250 if record["format"] == "mp3" else 1)
        # The conversation and what was around it.
        assert record["duration_ms"] > 6000
        said = len(loud(channels[0])) / rate
        assert 5.8 < said < 6.4
        assert rest.get(f"/rest/record/{record['uuid']}") == record
    found = rest.post("/rest/record/search", {"call": call["uuid"], "format": "mp3", "tag": "stereo*"})
    assert [record["uuid"] for record in found["data"]] == [records["stereo-mp3"]["uuid"]]
    # What is not relayed lasts as long as the call.
    lengths = {tag: record["duration_ms"] for tag, record in records.items()}
    assert lengths["mono"] >= lengths["stereo"]
    part = rest.ask("GET", records["mono-mp3"]["url"], headers={"Range": "bytes=0-1"})
    assert (part.status_code, part.headers["content-type"], part.content[:1]) == (206, "audio/mpeg", b"\xff")


@pytest.mark.timeout(90)
def test_the_best_codec_of_the_legs_decides_the_rate(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": SECRET})
    tn = rest.number_with(
        f"<Response><Dial tag='wide' record='record-from-answer'><To>desk@{domain}</To></Dial><Hangup/></Response>"
    )
    desk = account(server, "desk", domain, SECRET, regint=60, answermode="auto")
    callee = Baresip(tmp_path / "callee", desk, hz=880, ports=(15000, 15099), codecs=["opus"])
    with callee, Phone(server.sip(), "12065551234") as phone, server.events() as events:
        rest.until(lambda: users(rest, domain)[0]["state"], lambda state: state == "online")
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        RtpMouth(phone.ear, phone.media, tone(440, 4)).join()
        phone.hang_up()
        record = events.wait(of_tag("wide"))["payload"]
    (caller, called), rate = fetch(rest, record, tmp_path)
    assert rate == 16000
    assert abs(sound.frequency(loud(caller)[rate:-rate], rate) - 440) < 1.0
    assert abs(sound.frequency(loud(called)[rate:-rate], rate) - 880) < 1.0


def test_a_beep_is_heard_and_a_key_ends_what_follows(server, rest, events, tmp_path):
    xml = "<Response><Answer/><Record tag='key' beep='true' dtmf_stop='#'/><Tone hz='880' don='1500' timeout='1500'/><Hangup/></Response>"
    with calling(server, rest, xml) as phone:
        mouth = RtpMouth(phone.ear, phone.media, tone(440, 60))
        # The beep has been heard once there is something to hear and then silence.
        rest.until(lambda: len(loud(phone.ear.audio())) if np.any(phone.ear.audio() > 3000) else 0, lambda n: n > 1000)
        time.sleep(3)  # the message itself
        send_digit(phone.ear, phone.media, "#", stamp=1 << 20)
        phone.wait_bye()
        mouth.quiet.set()
        heard = phone.ear.audio()
    beep = loud(heard[: np.flatnonzero(np.abs(heard) > 3000)[0] + sound.RATE // 2])
    assert abs(sound.frequency(beep[: sound.RATE // 5]) - 1000) < 10
    (message,), rate = fetch(rest, events.wait(of_tag("key"))["payload"], tmp_path)
    # The party alone: neither the beep before it nor the tone after it, nor the key.
    assert len(message) > 2 * rate
    steady = message[rate // 2 : -rate // 4]
    assert abs(sound.frequency(steady, rate) - 440) < 1.0
    for foreign in (880, 1000, 941, 1477):
        assert sound.strength(steady, foreign, rate) < 0.02 * sound.strength(steady, 440, rate)
    step = next(e for e in events.all if e["type"] == "call_flow" and e["payload"]["command"]["tag"] == "key")
    assert step["payload"]["command"]["reason"] == "Stopped by key #"


def test_silence_ends_a_message(server, rest, events, tmp_path):
    xml = "<Response><Answer/><Record tag='quiet' silence='2000' timeout='60000'/><Hangup/></Response>"
    with calling(server, rest, xml) as phone:
        RtpMouth(phone.ear, phone.media, np.concatenate([tone(440, 3), np.zeros(30 * sound.RATE)]))
        phone.wait_bye()
    record = events.wait(of_tag("quiet"))["payload"]
    (message,), rate = fetch(rest, record, tmp_path)
    assert 2.9 < len(loud(message)) / rate < 3.2
    after = len(message) - np.flatnonzero(np.abs(message.astype(int)) > 3000)[-1]
    assert 1.9 < after / rate < 2.3


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_a_killed_server_loses_less_than_a_second(own_server, tmp_path, format):
    server = own_server()
    rest = server.rest()
    with server.events() as events:
        xml = f"<Response><Answer/><Record tag='killed' format='{format}'/><Hangup/></Response>"
        with calling(server, rest, xml) as phone:
            begun = time.monotonic()
            RtpMouth(phone.ear, phone.media, tone(440, 60))
            live = events.wait(lambda e: e["type"] == "call_state" and e["payload"]["state"] == "live")
            files = server.data / "recordings"
            rest.until(lambda: sum(f.stat().st_size for f in files.rglob(f"*.{format}")), lambda size: size > 12_000)
            said = time.monotonic() - begun
            server.signal(signal.SIGKILL)
            server.wait(5)
    server.start()
    rest = server.rest(password=PASSWORD)
    with server.events() as events:
        events.send({"type": "subscribe", "payload": {"types": ["call_record", "call_state"], "after": live["seq"]}})
        told = events.wait(of_tag("killed"), timeout=10)
        events.destroyed(live["call"]["uuid"], timeout=10)
    record = told["payload"]
    assert told["call"]["uuid"] == live["call"]["uuid"]
    assert (record["state"], record["complete"]) == ("stored", False)
    assert record["reason"] == "the server stopped while it was recorded"
    assert rest.get(f"/rest/record/{record['uuid']}") == record
    assert [r["uuid"] for r in rest.get(f"/rest/call/{live['call']['uuid']}")["records"]] == [record["uuid"]]
    (message,), rate = fetch(rest, record, tmp_path)
    assert said - 1.0 < record["duration_ms"] / 1000 < said + 0.3
    assert abs(sound.frequency(message[rate // 2 :], rate) - 440) < 1.0
    if format == "wav":
        # Lengths in the header as in the file.
        raw = (tmp_path / f"{record['uuid']}.wav").read_bytes()
        assert int.from_bytes(raw[4:8], "little") == len(raw) - 8
        assert int.from_bytes(raw[40:44], "little") == len(raw) - 44


def s3_settings(s3, **more):
    return {
        "recordings__upload": "s3://sounds/calls",
        "recordings__s3_endpoint": s3.url,
        "recordings__s3_access_key": "the-key",
        "recordings__s3_secret_key": "the-secret",
        **more,
    }


def record_one(server, rest, tag="take"):
    """The event of a recording of two seconds."""
    with server.events() as events:
        with calling(server, rest, f"<Response><Answer/><Record tag='{tag}' timeout='2000'/><Hangup/></Response>") as phone:
            RtpMouth(phone.ear, phone.media, tone(440, 4))
            phone.wait_bye()
        return events.wait(of_tag(tag))["payload"]


def test_a_recording_goes_to_the_object_store_which_fails_at_first(own_server, tmp_path):
    with S3(refusals=2) as s3:
        server = own_server(**s3_settings(s3, recordings__keep_local="false"))
        rest = server.rest()
        record = record_one(server, rest)
        account_uuid = rest.get("/rest/auth")["account"]["uuid"]
        path = f"/rest/record/{record['uuid']}"
        stored = rest.until(lambda: rest.get(path), lambda r: r["uploaded_on"], timeout=30)
        assert s3.refused == 2 and stored["upload_error"] is None
        key = f"/sounds/calls/{account_uuid}/{record['uuid']}.wav"
        assert list(s3.objects) == [key] and s3.types[key] == "audio/wav"
        local = server.data / "recordings" / account_uuid / f"{record['uuid']}.wav"
        rest.until(local.exists, lambda there: not there)

        # Served from there, whole and in parts.
        fetch(rest, record, tmp_path)
        whole = rest.ask("GET", f"{path}/file")
        assert whole.content == s3.objects[key] and whole.headers["accept-ranges"] == "bytes"
        for asked, first, last in [("0-3", 0, 3), ("100-", 100, record["size"] - 1), ("-10", record["size"] - 10, record["size"] - 1)]:
            part = rest.ask("GET", f"{path}/file", headers={"Range": f"bytes={asked}"})
            assert part.status_code == 206 and part.content == whole.content[first : last + 1]
            assert part.headers["content-range"] == f"bytes {first}-{last}/{record['size']}"
        beyond = rest.ask("GET", f"{path}/file", headers={"Range": f"bytes={record['size']}-"})
        assert beyond.status_code == 416
        s3.away = True
        assert rest.ask("GET", f"{path}/file").status_code == 503
        assert rest.ask("DELETE", path).status_code == 503
        s3.away = False
        rest.delete(path)
        assert s3.objects == {}
        assert rest.ask("GET", path).status_code == 404


def test_an_upload_goes_on_after_a_restart(own_server):
    with S3() as s3:
        s3.away = True
        server = own_server(**s3_settings(s3))
        rest = server.rest()
        path = f"/rest/record/{record_one(server, rest)['uuid']}"
        rest.until(lambda: rest.get(path), lambda r: r["upload_error"])
        server.signal(signal.SIGKILL)
        server.wait(5)
        s3.away = False
        server.start()
        rest = server.rest(password=PASSWORD)
        record = rest.until(lambda: rest.get(path), lambda r: r["uploaded_on"], timeout=30)
        assert record["upload_error"] is None and len(s3.objects) == 1
        # It stays here too.
        assert len(list((server.data / "recordings").rglob("*.wav"))) == 1


def test_a_folder_is_an_object_store(own_server, tmp_path):
    server = own_server(recordings__upload=f"file://{tmp_path}/store", recordings__keep_local="false")
    rest = server.rest()
    record = record_one(server, rest)
    path = f"/rest/record/{record['uuid']}"
    rest.until(lambda: rest.get(path), lambda r: r["uploaded_on"])
    (file,) = (tmp_path / "store").rglob("*.wav")
    rest.until(lambda: list((server.data / "recordings").rglob("*.wav")), lambda files: files == [])
    assert rest.ask("GET", f"{path}/file").content == file.read_bytes()
    rest.delete(path)
    assert not file.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 192 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk of its own: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_ends_the_recording_and_not_the_call(own_server, small_disk, tmp_path):
    server = own_server(recordings__folder=str(small_disk))
    rest = server.rest()
    xml = (
        "<Response><Answer/><RecordStart tag='all'/><Record tag='full'>"
        "<Error><Tone hz='880' don='1500' timeout='1500'/></Error><Pause length='60000'/></Record><Record tag='none'/>"
        "<Tone hz='660' don='1500' timeout='1500'/><Hangup/></Response>"
    )
    with server.events() as events:
        with calling(server, rest, xml) as phone:
            RtpMouth(phone.ear, phone.media, tone(440, 60))
            # The caller hears that it failed, and what comes after it.
            phone.wait_bye()
            heard = phone.ear.audio()
        told = {tag: events.wait(of_tag(tag))["payload"] for tag in ("all", "full", "none")}
    assert sound.strength(heard, 880) > 10 * sound.strength(heard, 1200)
    assert sound.strength(heard, 660) > 10 * sound.strength(heard, 1200)
    for tag in ("all", "full"):
        record = told[tag]
        assert (record["state"], record["complete"]) == ("stored", False)
        assert "No space left on device" in record["reason"]
        (message,), rate = fetch(rest, record, tmp_path)
        assert record["duration_ms"] > 2000
        assert abs(sound.frequency(message[rate // 2 :], rate) - 440) < 1.0
    # There was no room even for a beginning, or for little more.
    assert told["none"]["state"] in ("failed", "stored") and not told["none"]["complete"]
    assert server.is_healthy()
    call = rest.get("/rest/call/" + told["full"]["call"])
    assert call["state"] == "destroyed" and call["q850_cause"] == 16
