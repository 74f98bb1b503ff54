"""Answering machines: who has answered is told by what is heard, by callees that speak as people and machines do."""

import numpy as np
import pytest

from harness import sound
from harness.phone import Phone
from harness.rtp import RtpMouth
from test_calls import address
from test_flows import media_of

BRANCHES = """<Response><Switch on="amd"><Case value="human"><Tone hz="600" don="1000" timeout="1000"/></Case>
              <Case value="beep"><Tone hz="1500" don="1000" timeout="1000"/></Case>
              <Default><Pause length="100"/></Default></Switch><Hangup/></Response>"""


def silence(seconds):
    return np.zeros(int(seconds * sound.RATE))


def word(seconds, pitch):
    """Harmonics of a pitch that moves, under two formants and an envelope."""
    through = np.linspace(0, 1, int(seconds * sound.RATE))
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.15 * np.sin(5 * through))) / sound.RATE
    near = lambda hz, formant: 1 / (1 + ((hz - formant) / 180) ** 2)  # noqa: E731
    voice = sum((near(n * pitch, 500) + 0.5 * near(n * pitch, 1500) + 0.03) * np.sin(n * phase) for n in range(1, 18))
    return 4000 * np.minimum(1, 12 * np.minimum(through, 1 - through)) * voice


def tone(hz, seconds):
    return 6000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * sound.RATE)) / sound.RATE)


def room(*pieces):
    """All of it in a row, with the noise of a room."""
    samples = np.concatenate(pieces)
    return samples + np.random.default_rng(7).normal(0, 40, len(samples))


HUMAN = room(silence(0.6), word(0.4, 130), silence(8))
GREETING = [piece for number in range(12) for piece in (word(0.25 + 0.02 * (number % 4), 110 + 5 * number), silence(0.11))]
MACHINE = room(silence(0.5), *GREETING, silence(0.5), tone(1000, 0.4), silence(8))


def answered(server, rest, events, samples, amd, xml=BRANCHES):
    """A call to somebody who says that; the phone when the call is over, and what was told."""
    phone = Phone(server.sip(), "callee")
    with phone:
        uuid = rest.post("/rest/call", {"to": address(phone), "xml": xml, "amd": amd})["uuid"]
        invite = phone.invited()
        phone.pick_up(invite)
        mouth = RtpMouth(phone.ear, media_of(invite), samples)
        phone.wait_bye()
        mouth.quiet.set()
        heard = phone.ear.audio()
    told = events.wait(lambda e: e["type"] == "call_amd" and e["call"]["uuid"] == uuid)
    call = rest.call(uuid)
    assert call["amd"] == told["payload"]
    return heard, told["payload"], events.destroyed(uuid)


def hears(heard, hz):
    return sound.strength(heard[-8000:], hz) > 20 * sound.strength(heard[-8000:], 1000)


def test_a_human_is_greeted_once_they_have_spoken(server, rest, events):
    heard, amd, _ = answered(server, rest, events, HUMAN, {"mode": "sync"})
    assert (amd["result"], amd["beep"], amd["silence"]) == ("human", None, 800)
    assert amd["words"] >= 1 and 200 <= amd["greeting"] <= 900
    assert hears(heard, 600)


def test_a_machine_is_spoken_to_after_its_beep(server, rest, events):
    heard, amd, _ = answered(server, rest, events, MACHINE, {"mode": "sync", "beep": True})
    assert amd["result"] == "beep" and amd["words"] > 3
    assert abs(amd["beep"]["hz"] - 1000) < 10 and 200 <= amd["beep"]["length"] <= 700
    assert hears(heard, 1500)


def test_a_machine_is_known_before_its_beep_where_that_is_not_waited_for(server, rest, events):
    _, amd, seen = answered(server, rest, events, MACHINE, {"mode": "sync", "max_words": 100})
    assert (amd["result"], amd["reason"]) == ("machine", "long greeting")
    assert 1500 < amd["greeting"] < 2000
    ran = [e["payload"]["command"]["path"] for e in seen if e["type"] == "call_flow"]
    assert any("Default" in path for path in ran), ran


def test_the_flow_runs_at_once_where_the_verdict_is_told_later(server, rest, events):
    xml = "<Response><Tone hz='600' don='6000' timeout='6000'/><Hangup/></Response>"
    heard, amd, seen = answered(server, rest, events, HUMAN, {"mode": "async"}, xml)
    assert amd["result"] == "human"
    kinds = [e["type"] for e in seen]
    # It is told while the tone plays.
    assert kinds.index("call_amd") < kinds.index("call_flow")


def test_a_batch_tells_of_each_number_who_has_answered(server, rest):
    with Phone(server.sip(), "callee") as phone:
        form = {"phones": [{"to": address(phone), "vars": {"name": "Ada"}}], "xml": BRANCHES, "amd": {"mode": "sync"}}
        batch = rest.post("/rest/batch", form)
        assert (batch["amd"]["sync"], batch["amd"]["max_words"]) == (True, 4)
        invite = phone.invited()
        phone.pick_up(invite)
        mouth = RtpMouth(phone.ear, media_of(invite), HUMAN)
        phone.wait_bye()
        mouth.quiet.set()
        # The flow has waited for the verdict.
        assert hears(phone.ear.audio(), 600)
    batch = rest.until(lambda: rest.get(f"/rest/batch/{batch['uuid']}"), lambda batch: batch["state"] == "finished")
    (item,) = batch["items"]
    assert (item["state"], item["amd"]) == ("done", "human")
    found = rest.post("/rest/call/search", {"batch_item": item["uuid"]})
    assert [call["uuid"] for call in found["data"]] == [item["call"]]


def test_nobody_says_anything(server, rest, events):
    _, amd, _ = answered(server, rest, events, room(silence(8)), {"mode": "sync", "initial_silence": 1000})
    assert (amd["result"], amd["reason"], amd["words"]) == ("not_sure", "initial silence", 0)


@pytest.mark.parametrize("amd", [True, {}, {"mode": "later"}, {"mode": "sync", "total": 10}])
def test_what_makes_no_sense_is_refused(rest, amd):
    answer = rest.ask("POST", "/rest/call", json={"to": 12065551000, "amd": amd})
    assert answer.status_code == 422 and any(key.startswith("params.amd") for key in answer.json()["fields"])
