"""What speaks and what understands, with stand-ins for servers on the internet, and with the programs of this machine."""

import io
import shutil
import subprocess
import wave

import numpy as np
import pytest

from harness import sound
from harness.baresip import Baresip
from harness.rtp import RtpMouth
from harness.speech import Listener, SpeechServer
from test_codecs import dial, speaks
from test_prompts import call as talk
from test_prompts import heard
from test_softphones import account


def of_flow(name, path=None):
    return lambda e: e["type"] == "call_flow" and e["call_flow"]["name"] == name and path in (None, e["payload"]["command"]["path"])


def tone(hz, seconds):
    return 8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * sound.RATE)) / sound.RATE)


def silence(seconds):
    return np.zeros(int(seconds * sound.RATE))


def says(phone, *parts):
    """The phone sends that, and then silence."""
    return RtpMouth(phone.ear, phone.media, np.concatenate([*parts, silence(20)]))


def reference(tmp_path, seconds=3):
    return sound.write_tone(tmp_path / "speech.wav", 1000, seconds=seconds, rate=24_000).read_bytes()


def test_a_server_s_voice_is_heard_before_it_has_spoken(own_server, tmp_path):
    with SpeechServer(reference(tmp_path)) as voices:
        server = own_server(speech__url=voices.url, speech__key="sk-1", speech__voices="alloy:en-US:FEMALE")
        rest = server.rest()
        (alloy,) = [voice for voice in rest.get("/rest/dict/gtts") if voice["engine"] == "url"]
        assert (alloy["code"], alloy["type"], alloy["gender"], alloy["lang"]) == ("alloy", "WaveNet", "FEMALE", "en-US")
        voices.release.clear()
        flow = '<Say type="WaveNet"><prosody rate="80%">Hello <say-as interpret-as="digits">42</say-as></prosody></Say>'
        with talk(server, rest, flow) as phone:
            # The stand-in says no more than the first half until it is told to go on.
            heard(phone, 0.6)
            voices.release.set()
            phone.wait_bye()
            samples = heard(phone, 2.9)
        assert abs(sound.frequency(samples) - 1000) < 1.0
        ((headers, asked),) = voices.spoken
        assert headers["authorization"] == "Bearer sk-1"
        assert (asked["model"], asked["voice"], asked["input"], asked["speed"]) == ("tts-1", "alloy", "Hello four two", 0.8)
        # The same text is not asked for again.
        with talk(server, rest, flow) as phone:
            phone.wait_bye()
            heard(phone, 2.9)
        assert len(voices.spoken) == 1


def test_why_a_voice_does_not_speak_is_told(own_server, tmp_path):
    with SpeechServer(reference(tmp_path)) as voices:
        server = own_server(speech__url=voices.url, speech__voices="alloy:en-US:FEMALE")
        voices.refuse = 401
        flow = '<Say code="alloy">Hello<Error><Say code="flite-rms">Sorry.</Say></Error></Say>'
        with server.events() as events, talk(server, server.rest(), flow) as phone:
            said = events.wait(of_flow("Say", "Say[1]"))
            phone.wait_bye()
            heard(phone, 0.3)
        reason = f'url: {voices.url} answered 401 {{"error":{{"message":"no such key"}}}}'
        assert (said["success"], said["call_flow"]["reason"]) == (False, reason)
        assert "url: " in server.log_tail(200) and "401" in server.log_tail(200)


TRANSCRIPT = {
    "task": "transcribe",
    "language": "english",
    "duration": 2.0,
    "text": " Please call me back.",
    "words": [
        {"word": "Please", "start": 0.1, "end": 0.4},
        {"word": "call", "start": 0.4, "end": 0.62},
        {"word": "me", "start": 0.62, "end": 0.7},
        {"word": "back.", "start": 0.7, "end": 1.2},
    ],
}


def of_type(kind):
    return lambda event: event["type"] == kind


def test_a_message_is_recorded_transcribed_and_played_back(own_server):
    with SpeechServer(answer=TRANSCRIPT) as recogniser:
        server = own_server(asr__engine="server", asr__url=recogniser.url, asr__key="sk-2")
        rest = server.rest()
        flow = '<Record tag="message" asr="true" lang="en-GB" silence="1000"/><Pause length="300"/><Play record="message"/>'
        with server.events() as events, talk(server, rest, flow) as phone:
            mouth = says(phone, tone(700, 2))
            told = events.wait(of_type("call_transcript"))
            record = events.wait(of_type("call_record"))
            phone.wait_bye()
            mouth.quiet.set()
            played = heard(phone, 1.8)
        payload = told["payload"]
        assert (payload["record"], payload["tag"]) == (record["payload"]["uuid"], "message")
        assert payload["call"] == told["call"]["uuid"] == record["call"]["uuid"]
        assert (payload["text"], payload["language"], payload["engine"], payload["error"]) == ("Please call me back.", "english", "url", None)
        assert payload["words"][1] == {"text": "call", "from_ms": 400, "to_ms": 620, "confidence": None}
        assert [word["text"] for word in payload["words"]] == ["Please", "call", "me", "back."]
        # It is kept as it was told, and goes with the recording.
        path = f"/rest/record/{payload['record']}"
        assert rest.get(f"{path}/transcript") == payload
        assert payload["state"] == "done"
        rest.delete(path)
        assert rest.ask("GET", f"{path}/transcript").status_code == 404
        # What the server was given is what was said.
        ((headers, form),) = recogniser.heard
        assert headers["authorization"] == "Bearer sk-2"
        fields = {name: value.decode() for name, value in form.items() if name != "file"}
        granularity = "timestamp_granularities[]"
        assert fields == {"model": "whisper-1", "response_format": "verbose_json", granularity: "word", "language": "en"}
        with wave.open(io.BytesIO(form["file"])) as file:
            assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        ((start, end), *_) = sound.stretches(samples, 16_000)
        assert abs((end - start) / 16_000 - 2) < 0.2
        assert abs(sound.frequency(samples[start + 1600 : end - 1600], 16_000) - 700) < 2
        assert abs(sound.frequency(played[8000:-4000]) - 700) < 2


def test_a_transcript_that_cannot_be_had_says_why(own_server):
    with SpeechServer() as recogniser:
        server = own_server(asr__engine="server", asr__url=recogniser.url)
        recogniser.refuse = 500
        with server.events() as events, talk(server, server.rest(), '<Record asr="true" silence="500"/>') as phone:
            mouth = says(phone, tone(700, 1))
            # The call may be over before its recording is read.
            phone.wait_bye()
            mouth.quiet.set()
            payload = events.wait(of_type("call_transcript"))["payload"]
        assert (payload["text"], payload["words"], payload["state"]) == (None, [], "failed")
        assert payload["error"].startswith(f"url: {recogniser.url} answered 500")


MENU = """<Gather input="{input}" timeout="10000" attempts="1">
    {prompt}
    <Case value="1000"><Tone hz="600" don="1000" timeout="1000"/></Case>
    <Case value="1500 1500"><Tone hz="1300" don="1000" timeout="1000"/></Case>
    <Default><Pause length="100"/></Default>
</Gather>"""


def hears(samples, hz):
    last = samples[-8000:]
    return sound.strength(last, hz) > 20 * sound.strength(last, 1000)


def test_words_stop_the_prompt_and_choose(own_server):
    server = own_server(asr__engine="tones", asr__silence="500ms")
    rest = server.rest()
    prompt = '<Tone hz="400" don="60000" timeout="60000"/>'
    for said, hz in ([tone(1500, 0.4), silence(0.2), tone(1500, 0.4)], 1300), ([tone(1000, 0.5)], 600):
        with server.events() as events, talk(server, rest, MENU.format(input="both", prompt=prompt)) as phone:
            heard(phone, 0.2)
            mouth = says(phone, *said)
            gathered = events.wait(of_flow("Gather"))
            prompted = events.wait(of_flow("Tone", "Gather[1].Tone[0]"))
            phone.wait_bye()
            mouth.quiet.set()
            assert prompted["call_flow"]["reason"] == "Stopped by speech"
            assert gathered["call_flow"]["reason"] == "Said: " + ("1500 1500" if hz == 1300 else "1000")
            assert hears(heard(phone, 1), hz)


def test_what_is_said_and_understood_is_paid_for(own_server):
    server = own_server(asr__engine="tones", billing__asr_minute="0.6", billing__tts_thousand="1")
    rest = server.rest()
    flow = MENU.format(input="speech", prompt="<Say>Yes or no?</Say>")
    with server.events() as events, talk(server, rest, flow) as phone:
        mouth = says(phone, silence(4), tone(1000, 0.5))
        gathered = events.wait(of_flow("Gather"))
        phone.wait_bye()
        mouth.quiet.set()
        events.wait(lambda event: event["type"] == "balance" and event["source_action"] in ("call_asr", "tts"))
        call = gathered["call"]["uuid"]
        events.destroyed(call)
    assert gathered["call_flow"]["reason"] == "Said: 1000"
    (said,), (heard,) = (rest.post("/rest/transaction/search", {"ref_type": kind})["data"] for kind in ("tts", "asr"))
    # Ten characters, and the half second with the silence that ends it: begun seconds at a cent.
    assert (said["amount"], said["ref_uuid"]) == (-0.01, call)
    assert (heard["amount"] in (-0.02, -0.03), heard["ref_uuid"]) == (True, call)


def test_a_server_that_listens_may_know_before_the_end(own_server):
    # It has heard enough after half a second, and the caller speaks on.
    with Listener("1000", octets=16_000) as listener:
        server = own_server(asr__engine="stream", asr__stream=listener.url)
        with server.events() as events, talk(server, server.rest(), MENU.format(input="speech", prompt="")) as phone:
            mouth = says(phone, tone(800, 8))
            gathered = events.wait(of_flow("Gather"))
            phone.wait_bye()
            mouth.quiet.set()
            assert gathered["call_flow"]["reason"] == "Said: 1000"
            assert hears(heard(phone, 1), 600)
        (start, *_) = listener.told
        hints = ["1000", "1500 1500"]
        assert start == {"type": "start", "rate": 16_000, "encoding": "pcm_s16le", "language": "en-US", "hints": hints}
        samples = np.frombuffer(listener.heard[:16_000], "<i2")
        assert abs(sound.frequency(samples[-4000:], 16_000) - 800) < 3


@pytest.mark.timeout(90)
def test_pocketsphinx_tells_three_words_apart_on_a_wideband_leg(own_server, tmp_path):
    assert shutil.which("pocketsphinx_continuous") and shutil.which("text2wave"), "Debian packages pocketsphinx, festival"
    server = own_server()
    rest = server.rest()
    voice = "(voice_cmu_us_slt_arctic_hts)"
    spoken = subprocess.run(["text2wave", "-F", "16000", "-eval", voice], input=b"Support", capture_output=True, check=True)
    (tmp_path / "word.wav").write_bytes(spoken.stdout)
    (word,), rate = sound.read(tmp_path / "word.wav")
    assert rate == 16_000
    # A phone that says it every few seconds.
    says = np.tile(np.concatenate([np.zeros(2 * rate), word, np.zeros(4 * rate)]), 8)
    flow = """<Response><Answer/><Gather input="speech" attempts="3" timeout="20000" hints="sales, support, opening hours">
        <Case value="support"><Tone hz="600" don="1000" timeout="1000"/></Case>
        <Default><Tone hz="1300" don="1000" timeout="1000"/></Default></Gather><Hangup/></Response>"""
    tn = rest.number_with(flow)
    with server.events() as events:
        trunk = account(server, "trunk", "127.0.0.1", regint=0)
        with Baresip(tmp_path / "caller", trunk, codecs=["g722"], says=says) as caller:
            rest.trunk(caller.sip)
            dial(server, caller, tn)
            speaks(caller, "g722")
            gathered = events.wait(of_flow("Gather"), timeout=60)
            caller.wait("CALL_CLOSED", timeout=20)
        samples, rate = sound.read(caller.heard())
    assert (gathered["success"], gathered["call_flow"]["reason"]) == (True, "Said: support")
    ((start, end), *_) = sound.stretches(samples[0], rate)
    assert abs(sound.frequency(samples[0][start:end], rate) - 600) < 5


def test_speech_that_is_off_says_so(own_server):
    server = own_server(asr__engine="off")
    with server.events() as events, talk(server, server.rest(), MENU.format(input="speech", prompt="")) as phone:
        mouth = says(phone, tone(800, 1))
        gathered = events.wait(of_flow("Gather"))
        mouth.quiet.set()
        phone.wait_bye()
    assert (gathered["success"], gathered["call_flow"]["reason"]) == (False, "speech recognition is off (asr.engine)")


def test_words_never_heard_by_a_program_that_is_missing(own_server):
    server = own_server(asr__pocketsphinx="/nonexistent/pocketsphinx")
    with server.events() as events, talk(server, server.rest(), MENU.format(input="speech", prompt="")) as phone:
        mouth = says(phone, tone(800, 1))
        gathered = events.wait(of_flow("Gather"))
        mouth.quiet.set()
        phone.wait_bye()
    packages = "(Debian packages pocketsphinx, pocketsphinx-en-us)"
    assert gathered["call_flow"]["reason"] == f"/nonexistent/pocketsphinx is not installed {packages}"
