"""Calls made by REST: recorded, joined with one another, called one after the other to be joined."""

import pytest

from harness import sound
from harness.phone import Phone
from harness.rest import Refused
from test_flows import hears, media_of, say

WAITS = "<Response><Tone hz='440' don='60000'/></Response>"


def address(phone):
    return f"sip:{phone.name}@{phone.local}"


def state(uuid, name):
    return lambda e: e["type"] == "call_state" and e["call"]["uuid"] == uuid and e["payload"]["state"] == name


def picks_up(phone, events, uuid):
    invite = phone.invited()
    phone.media = media_of(invite)
    phone.pick_up(invite)
    events.wait(state(uuid, "live"))


def called(rest, events, phone, xml=WAITS, **more):
    """The uuid of a call to a phone that has picked up."""
    uuid = rest.post("/rest/call", {"to": address(phone), "xml": xml, **more})["uuid"]
    picks_up(phone, events, uuid)
    return uuid


def bridged(events, calls, word="bridged"):
    return events.wait(lambda e: e["type"] == "call_bridge" and e["payload"] == {"state": word, "calls": calls})


def test_two_live_calls_are_joined_and_end_together(server, rest, events):
    with Phone(server.sip(), "anna") as anna, Phone(server.sip(), "bert") as bert:
        calls = [called(rest, events, phone) for phone in (anna, bert)]
        assert rest.post("/rest/call/bridge", {"calls": calls})["uuid"] == calls[0]
        bridged(events, calls)
        for speaker, listener, hz in ((anna, bert, 700), (bert, anna, 1100)):
            say(speaker, speaker.media, hz)
            assert hears(listener, hz)
        # What ran is over, on both sides.
        for uuid in calls:
            (log,) = rest.get(f"/rest/call/{uuid}/logs")
            assert (log["success"], log["reason"]) == (False, "Joined with another call")
        rest.delete(f"/rest/call/{calls[1]}")
        for phone in (anna, bert):
            phone.wait_bye()
        bridged(events, calls, "unbridged")
        for uuid in calls:
            assert rest.call(uuid)["q850_cause"] == 16
        assert rest.ask("POST", "/rest/call/bridge", json={"calls": calls}).status_code == 409


def test_a_call_that_talks_to_somebody_leaves_them_for_another(server, rest, events):
    with Phone(server.sip(), "anna") as anna, Phone(server.sip(), "bert") as bert, Phone(server.sip(), "carl") as carl:
        first = rest.post("/rest/call/bridge", {"from_leg": {"to": address(anna)}, "to_leg": {"to": address(bert)}})["uuid"]
        picks_up(anna, events, first)
        bert.pick_up(bert.invited())
        events.wait(lambda e: e["type"] == "call_bridge" and first in e["payload"]["calls"])
        second = called(rest, events, carl)
        rest.post("/rest/call/bridge", {"calls": [second, first]})
        bert.wait_bye()
        say(carl, carl.media, 900)
        assert hears(anna, 900)
        # A document takes one of them back; the other has nobody to talk to any more.
        rest.post(f"/rest/call/sca/{first}", {"xml": "<Response><Tone hz='1300' don='2000' timeout='2000'/></Response>"})
        carl.wait_bye()
        anna.wait_bye()
        assert abs(sound.frequency(anna.ear.audio()[-8000:-1600]) - 1300) < 5


def test_the_second_is_called_once_the_first_has_answered(server, rest, events):
    with Phone(server.sip(), "anna") as anna, Phone(server.sip(), "bert") as bert:
        legs = {"from_leg": {"to": address(anna)}, "to_leg": {"to": address(bert)}, "record": {"tag": "both"}}
        uuid = rest.post("/rest/call/bridge", legs)["uuid"]
        picks_up(anna, events, uuid)
        invite = bert.invited()
        bert.media = media_of(invite)
        bert.pick_up(invite)
        told = events.wait(lambda e: e["type"] == "call_bridge" and uuid in e["payload"]["calls"])
        assert told["payload"]["state"] == "bridged"
        for speaker, listener, hz in ((anna, bert, 700), (bert, anna, 1100)):
            say(speaker, speaker.media, hz)
            assert hears(listener, hz)
        rest.delete(f"/rest/call/{uuid}")
        anna.wait_bye()
        bert.wait_bye()
        call = rest.call(uuid)
        (record,) = call["records"]
        assert (record["tag"], record["channels"], record["format"]) == ("both", 2, "wav")
        # Recorded from the answer on: the one who was called left, what it heard right.
        file = server.data / "recording.wav"
        file.write_bytes(rest.ask("GET", f"/rest/record/{record['uuid']}/file").content)
        (said, heard), rate = sound.read(file)
        assert sound.strength(said, 700, rate) > 10 * sound.strength(said, 1100, rate)
        assert sound.strength(heard, 1100, rate) > 10 * sound.strength(heard, 700, rate)


def test_a_second_who_is_busy_ends_the_first(server, rest, events):
    with Phone(server.sip(), "anna") as anna, Phone(server.sip(), "bert") as bert:
        uuid = rest.post("/rest/call/bridge", {"from_leg": {"to": address(anna)}, "to_leg": {"to": address(bert)}})["uuid"]
        picks_up(anna, events, uuid)
        bert.reply(bert.invited(), "486 Busy Here")
        anna.wait_bye()
        call = rest.call(uuid)
        assert call["q850_cause"] == 17 and call["answer_on"]
        assert not [e for e in events.of_call(uuid, "call_bridge")]


def test_only_live_calls_of_the_account_are_joined(server, rest, events):
    stranger = {"email": "stranger@example.com", "password": "correct horse stable"}
    rest.post("/rest/user", {**stranger, "first_name": "A", "last_name": "B"})
    with Phone(server.sip(), "anna") as anna, Phone(server.sip(), "bert") as bert:
        one = called(rest, events, anna)
        ringing = rest.post("/rest/call", {"to": address(bert), "xml": WAITS})["uuid"]
        invite = bert.invited()
        bert.reply(invite, "180 Ringing")
        events.wait(state(ringing, "ringing"))
        with pytest.raises(Refused, match="Call is not live") as refused:
            rest.post("/rest/call/bridge", {"calls": [one, ringing]})
        assert refused.value.status == 409
        bert.pick_up(invite)
        events.wait(state(ringing, "live"))
        other = server.rest(**stranger)
        with pytest.raises(Refused) as refused:
            other.post("/rest/call/bridge", {"calls": [one, ringing]})
        assert refused.value.status in (401, 404)
        for uuid in (one, ringing):
            assert rest.get(f"/rest/call/{uuid}")["state"] == "live"
            rest.delete(f"/rest/call/{uuid}")
