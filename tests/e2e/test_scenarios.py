"""Dialogs by sipp, step by step on both sides of the node: what an operator's peers do, and what they must not get away with."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from harness import sipp, sound
from harness.phone import Phone
from harness.rtp import RtpEar, write_capture
from harness.scenario import Callee, Caller, media
from harness.server import Server
from test_messages import office
from test_softphones import SECRET

# Rings for two seconds before it answers, and talks until it is hung up.
SLOW = "<Response><Tone hz='440' don='2000' doff='0' timeout='2000'/><Answer/><Pause length='30000'/></Response>"
TALKS = "<Response><Answer/><Pause length='30000'/></Response>"


class Node:
    """One node for all tests here: each has trunks and a number of its own."""

    def __init__(self, server):
        self.server, self.rest = server, server.rest()

    def number(self, xml):
        return self.rest.number_with(xml)

    def call(self, folder, caller, to, *, port=None, rows=None, **keys):
        """`caller` calls `to` from a trunk of its own, or as whoever it says."""
        port = port or sipp.free_port()
        if rows is None:
            self.rest.trunk(port)
        return self._run(folder, "caller", caller, port, rows=rows, to=to, **keys)

    def bridge(self, folder, caller, callee, **keys):
        """`caller` calls a number that leads to the trunk which `callee` is; the records of both legs."""
        far = sipp.free_port()
        trunk = self.rest.trunk(far)
        (tn,) = self.rest.numbers()
        self.rest.patch(f"/rest/lease/tn/{tn}", {"sip_connection": trunk["uuid"]})
        # Until the callee listens, the node's INVITEs are lost and sent again.
        with ThreadPoolExecutor() as pool:
            called = pool.submit(self._run, folder, "callee", callee, far, **keys)
            self.call(folder, caller, tn, **keys)
            called.result()
        found = self.rest.until(
            lambda: self.rest.post("/rest/call/search", {"state": "destroyed", "to": f"*{tn}"}), lambda found: found["total"] >= 1
        )
        (leg,) = [one for one in found["data"] if one["direction"] == "in"]
        return leg

    def _run(self, folder, name, side, port, *, rows=None, **keys):
        place = folder / name
        place.mkdir(exist_ok=True)
        host, remote = self.server.sip()
        keys = {"from": "+12025550123", "host": f"{host}:{remote}", "home": f"127.0.0.1:{port}", "ear": 9} | keys
        scenario = side.write(place, name)
        result = sipp.run(place, scenario, (host, remote), calls=1, rate=50, port=port, rows=rows, keys=keys, timeout=80)
        assert result.code == 0 and result.failed == 0, f"{name}:\n{result.errors}\n{result.screen[-3000:]}"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("scenarios") / "data", sip__min_se="90s", sip__session_expires="90s") as server:
        yield Node(server)
        assert server.is_healthy() and server.rest().get("/rest/call/online") == []


# Offers and answers


def test_a_late_offer_is_made_in_the_200_and_answered_by_the_ack(node, tmp_path):
    with RtpEar() as ear:
        caller = Caller().invite(body="")
        caller.answered(body=["m=audio [0-9]+ RTP/AVP"], answer=media("[ear]"))
        node.call(tmp_path, caller.pause(1500).hang_up(), node.number(SLOW.replace("2000", "0", 1)), ear=ear.port)
        node.call(
            tmp_path,
            Caller().invite(body="").answered(answer=media("[ear]")).hung_up(),
            node.number("<Response><Answer/><Say>Hello.</Say><Hangup/></Response>"),
            ear=ear.port,
        )
        assert len(ear.streams()) >= 1


def test_a_late_offer_that_is_not_answered_ends_the_call(node, tmp_path):
    node.call(tmp_path, Caller().invite(body="").answered().hung_up(), node.number(TALKS))


def test_a_call_is_held_resumed_and_moved_by_reinvite(node, tmp_path):
    with RtpEar() as ear, RtpEar() as other:
        # Half a second is heard before the hold.
        caller = Caller().invite(body=media("[ear]")).answered().pause(500)
        caller.invite(body=media("[ear]", direction="sendonly", version=2), via="branch=[branch]")
        caller.answered(body=["a=recvonly"])
        # As phones of before RFC 3264 hold.
        held = media("[ear]", version=3).replace("c=IN IP4 [local_ip]", "c=IN IP4 0.0.0.0")
        caller.invite(body=held, via="branch=[branch]").answered()
        caller.invite(body=media("[other]", version=4), via="branch=[branch]").answered(body=["a=sendrecv"])
        # An offer that nobody can take changes nothing.
        strange = media("[other]", version=5).replace("RTP/AVP 0 101", "RTP/AVP 96").replace("0 PCMU/8000", "96 x-rare/8000")
        caller.invite(body=strange, via="branch=[branch]").refused(488, headers={"Warning": "304"})
        # One without an offer is answered with the node's, as it stands.
        caller.invite(body="", via="branch=[branch]").answered(body=["m=audio"], answer=media("[other]", version=5))
        tn = node.number("<Response><Answer/><Tone hz='440' don='60000' doff='0' timeout='60000'/></Response>")
        node.call(tmp_path, caller.pause(500).hang_up(), tn, ear=ear.port, other=other.port)
        assert ear.streams() and other.streams()


def test_the_capture_that_sipp_plays_is_heard_by_the_callee(node, tmp_path):
    capture = write_capture(tmp_path / "tone.pcap", 12000 * np.sin(2 * np.pi * 660 * np.arange(3 * sound.RATE) / sound.RATE))
    with RtpEar() as ear:
        caller = Caller().invite().hear(180).answered().play(capture).pause(3500).hang_up()
        callee = Callee().invited().answer("180 Ringing").answer("200 OK", body=media("[ear]")).asked("ACK").hung_up()
        node.bridge(tmp_path, caller, callee, ear=ear.port)
        heard = ear.audio()
    loud = np.flatnonzero(np.abs(heard) > 3000)
    middle = heard[loud[0] + 800 : loud[-1] - 800]
    assert len(middle) > 2 * sound.RATE and abs(sound.frequency(middle) - 660) < 1.0


def test_an_update_changes_the_media_and_one_without_an_offer_refreshes(node, tmp_path):
    with RtpEar() as ear, RtpEar() as other:
        caller = Caller().invite(body=media("[ear]")).answered(headers={"Allow": "UPDATE"})
        caller.request("UPDATE").hear(200)
        caller.request("UPDATE", body=media("[other]", version=2)).hear(200, body=["m=audio"])
        tn = node.number("<Response><Answer/><Tone hz='440' don='60000' doff='0' timeout='60000'/></Response>")
        node.call(tmp_path, caller.pause(500).hang_up(), tn, ear=ear.port, other=other.port)
        assert other.streams()


def test_early_media_of_the_callee_is_heard_before_it_answers(node, tmp_path):
    callee = Callee().invited().answer("183 Session Progress", body=media()).pause(300)
    callee.answer("200 OK", body=media()).asked("ACK").hung_up()
    caller = Caller().invite().hear(183, body=["m=audio"]).answered().pause(300).hang_up()
    assert node.bridge(tmp_path, caller, callee)["q850_cause"] == 16


# CANCEL


def test_a_caller_gives_up_as_it_rings(node, tmp_path):
    caller = Caller().invite().hear(180).hear(183).cancel().hear(200).refused(487)
    node.call(tmp_path, caller, node.number(SLOW))


def test_a_caller_gives_up_before_anything_was_answered(node):
    tn = node.number(SLOW)
    with Phone(node.server.sip()) as phone:
        node.rest.trunk(phone.port)
        to = f"sip:{tn}@127.0.0.1"
        # Nothing is read in between: the CANCEL is right behind its INVITE.
        branch = phone.request("INVITE", to, to, body=phone.offer())
        phone.request("CANCEL", to, to, sequence=1, branch=branch)
        finals = [phone.final() for _ in range(2)]
        assert [(one.code, one["CSeq"]) for one in finals] == [(200, "1 CANCEL"), (487, "1 INVITE")]
        assert finals[0]["To"] == finals[1]["To"]
        phone.acknowledge_failure(to, finals[1], branch)


def test_a_cancel_after_the_answer_changes_nothing(node, tmp_path):
    caller = Caller().invite().answered(ack=False)
    caller.inside = False
    caller.cancel().hear(200, headers={"CSeq": "CANCEL"})
    caller.inside = True
    node.call(tmp_path, caller.acknowledge().pause(300).hang_up(), node.number(TALKS))


def test_a_cancel_of_nothing_is_told_so(node, tmp_path):
    caller = Caller()
    caller.sequence = 1
    node.call(tmp_path, caller.cancel().hear(481), node.number(TALKS))


def test_a_cancel_waits_for_the_callees_first_word(node, tmp_path):
    callee = Callee().invited().pause(400).answer("180 Ringing").asked("CANCEL", headers={"Reason": "Q.850;cause="})
    callee.respond("200 OK").answer("487 Request Terminated").asked("ACK").linger()
    caller = Caller().request("INVITE", body=media(), via=Caller.INVITE).hear(100).pause(200).cancel().hear(200).refused(487)
    leg = node.bridge(tmp_path, caller, callee)
    assert leg["q850_cause"] == 16


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(node, tmp_path):
    callee = Callee().invited().answer("180 Ringing").asked("CANCEL").respond("200 OK").answer("200 OK", body=media())
    callee.asked("ACK").asked("BYE").respond("200 OK").linger()
    caller = Caller().invite().hear(180).cancel().hear(200).refused(487)
    node.bridge(tmp_path, caller, callee)


# Forks, repetitions


def test_of_two_forks_that_answer_the_second_is_released(node, tmp_path):
    callee = Callee().invited().answer("180 Ringing", tag=";tag=one").answer("183 Session Progress", tag=";tag=two", body=media())
    callee.answer("200 OK", body=media(), tag=";tag=one").asked("ACK", headers={"To": "tag=one"})
    callee.answer("200 OK", body=media(), tag=";tag=two").asked("ACK", headers={"To": "tag=two"})
    callee.asked("BYE", headers={"To": "tag=two"}).respond("200 OK").asked("BYE", headers={"To": "tag=one"})
    caller = Caller().invite().hear(180).answered().pause(1000).hang_up()
    node.bridge(tmp_path, caller, callee.respond("200 OK").linger())


def test_each_repetition_of_an_answer_is_acknowledged(node):
    with Phone(node.server.sip()) as phone:
        trunk = node.rest.trunk(phone.port)
        (tn,) = node.rest.numbers()
        call = node.rest.post("/rest/call", {"to": 12065550001, "sip_connection": trunk["uuid"], "from": tn, "xml": TALKS})
        invite = phone.invited()
        answer = ("200 OK", f"Contact: {phone.contact}", "Content-Type: application/sdp")
        for _ in range(4):
            phone.reply(invite, *answer, body=phone.offer())
            ack = phone.receive()
            assert (ack.method, ack["CSeq"].split()[0]) == ("ACK", invite["CSeq"].split()[0])
        node.rest.delete(f"/rest/call/{call['uuid']}")
        phone.wait_bye()
        node.rest.call(call["uuid"])


# What a refusal says


def test_a_cause_goes_from_the_callee_to_the_caller(node, tmp_path):
    callee = Callee().invited().answer("480 Temporarily Unavailable", 'Reason: Q.850;cause=20;text="away"').asked("ACK").linger()
    caller = Caller().invite().refused(480, headers={"Reason": "Q.850;cause=20"})
    assert node.bridge(tmp_path, caller, callee)["q850_cause"] == 20


def test_a_cause_of_a_bye_goes_on(node, tmp_path):
    callee = Callee().invited().answer("200 OK", body=media()).asked("ACK").pause(300).hang_up("Reason: Q.850;cause=31")
    caller = Caller().invite().answered().hung_up(headers={"Reason": "Q.850;cause=31"})
    assert node.bridge(tmp_path, caller, callee)["q850_cause"] == 31


def test_nobody_is_led_anywhere_by_a_redirection(node, tmp_path):
    # To the node itself, which would be a loop. RFC 3398 8.2.6.1 has 410 for the cause of a redirection.
    callee = Callee().invited().answer("302 Moved Temporarily", "Contact: <sip:+12065550001@[remote_ip]:[remote_port]>")
    caller = Caller().invite().refused(410, headers={"Reason": "Q.850;cause=23"}, without=["Contact: <sip:.12065550001"])
    before = node.rest.post("/rest/call/search", {"to": "*2065550001"})["total"]
    node.bridge(tmp_path, caller, callee.asked("ACK").linger())
    assert node.rest.post("/rest/call/search", {"to": "*2065550001"})["total"] == before


# Who calls, and by which way


def test_a_diversion_and_an_identity_are_told_to_the_trunk_the_call_goes_on_to(node, tmp_path):
    callee = Callee().invited(
        headers={"P-Asserted-Identity": "12025550199", "From": "12025550199", "Max-Forwards": "^ *6[0-9]"},
        without=["Supported:[^\n]*rocket"],
    )
    callee.answer("486 Busy Here").asked("ACK").linger()
    headers = ["P-Asserted-Identity: <sip:+12025550199@[local_ip]>", "Supported: rocket"]
    node.bridge(tmp_path, Caller().invite(*headers).refused(486), callee)


def test_a_withheld_number_is_told_to_no_trunk(node, tmp_path):
    callee = Callee().invited(headers={"From": "anonymous@anonymous.invalid"}, without=["12025550123"])
    callee.answer("486 Busy Here").asked("ACK").linger()
    headers = ["P-Asserted-Identity: <sip:+12025550123@[local_ip]>", "Privacy: id"]
    node.bridge(tmp_path, Caller().invite(*headers).refused(486), callee)


def test_a_flow_that_sends_a_call_on_says_so_with_what_was_said_before(node, tmp_path):
    far = sipp.free_port()
    trunk = node.rest.trunk(far)
    xml = f"<Response><Dial sip_connection='{trunk['uuid']}'><To>+12065550177</To></Dial><Hangup/></Response>"
    tn = node.number(xml)
    callee = Callee().invited(headers={"Diversion": f"{tn}", "History-Info": "index=1", "Max-Forwards": "^ *5[0-9]|^ *6[0-9]"})
    callee.answer("486 Busy Here").asked("ACK").linger()
    with ThreadPoolExecutor() as pool:
        called = pool.submit(node._run, tmp_path, "callee", callee, far)
        headers = ["Diversion: <sip:+12025550188@carrier.example>;reason=user-busy"]
        node.call(tmp_path, Caller().invite(*headers).refused(480), tn)
        called.result()


def test_a_call_with_no_hop_left_goes_nowhere(node, tmp_path):
    node.call(tmp_path, Caller().invite("Max-Forwards: 0").refused(483), node.number(TALKS))


def test_what_is_required_and_not_known_is_named(node, tmp_path):
    caller = Caller().invite("Require: rocket, 100rel").refused(420, headers={"Unsupported": "rocket"}, without=["Unsupported:[^\n]*100rel"])
    node.call(tmp_path, caller, node.number(TALKS))


# Within a call


def test_keys_by_info_are_gathered_and_what_is_no_key_is_refused(node, tmp_path):
    caller = Caller().invite().answered()
    caller.request("INFO", "Content-Type: text/plain", body="1").hear(415, headers={"Accept": "application/dtmf-relay"})
    caller.request("INFO", "Content-Type: application/dtmf-relay", body="Signal=x").hear(400)
    caller.request("INFO", "Info-Package: rocket").hear(469)
    caller.request("INFO").hear(200)
    caller.request("INFO", "Content-Type: application/dtmf-relay", body="Signal=1\nDuration=100").hear(200)
    caller.request("INFO", "Content-Type: application/dtmf", body="2").hear(200)
    xml = "<Response><Answer/><Gather numDigits='2' timeout='20000'><Case value='12'><Hangup cause='21'/></Case></Gather><Pause length='30000'/></Response>"
    node.call(tmp_path, caller.hung_up(headers={"Reason": "Q.850;cause=21"}), node.number(xml))


def test_options_within_a_call_and_a_method_nobody_knows(node, tmp_path):
    caller = Caller().invite().answered()
    caller.request("OPTIONS").hear(200, headers={"Allow": "INVITE", "Accept": "application/sdp", "Supported": "100rel"})
    caller.request("FROBNICATE").hear(501, headers={"Allow": "INVITE"})
    caller.request("PUBLISH").hear(405, headers={"Allow": "INVITE"})
    node.call(tmp_path, caller.hang_up(), node.number(TALKS))


def test_a_trunk_hands_nobody_on(node, tmp_path):
    caller = Caller().invite().answered()
    caller.request("REFER", "Refer-To: <sip:+12065550001@[remote_ip]>").hear(403)
    caller.request("REFER").hear(400)
    node.call(tmp_path, caller.hang_up(), node.number(TALKS))


def test_a_user_hands_its_call_on_and_is_told_how_that_goes(node, tmp_path):
    domain = office(node.rest, "dora")
    (tn,) = node.rest.numbers()
    lease = node.rest.get(f"/rest/lease/tn/{tn}")["uuid"]
    profile = node.rest.post("/rest/profile/outbound_voice", {"name": "out", "tn_lease": lease})["uuid"]
    node.rest.patch(f"/rest/sip/domain/{domain}", {"outbound_voice_profile": profile})
    caller = Caller().invite().challenged().invite("[field1]").answered()
    # Numbers of the simulated network that answer, and that are busy.
    caller.request("REFER", "Refer-To: <sip:+12065550100@[home]>").hear(202)
    caller.asked("NOTIFY", headers={"Event": "refer", "Subscription-State": "active"}, body=["SIP/2.0 100"]).respond("200 OK")
    caller.asked("NOTIFY", headers={"Subscription-State": "terminated"}, body=["SIP/2.0 486"]).respond("200 OK")
    caller.request("REFER", "Refer-To: <sip:+12065550002@[home]>").hear(202)
    for code in (100, 180):
        caller.asked("NOTIFY", headers={"Subscription-State": "active"}, body=[f"SIP/2.0 {code}"]).respond("200 OK")
    caller.asked("NOTIFY", headers={"Subscription-State": "terminated"}, body=["SIP/2.0 200"]).respond("200 OK").hung_up()
    rows = [("dora", f"[authentication username=dora password={SECRET}]")]
    node.call(tmp_path, caller, "+12065550001", rows=rows, **{"from": "dora", "home": domain, "host": domain})
    # The two of the network talk on, until one of them is hung up.
    node.rest.delete(f"/rest/call/{node.rest.get('/rest/call/online')[0]['uuid']}")
    node.rest.until(lambda: node.rest.get("/rest/call/online"), lambda online: online == [])


# Session timers


def test_a_session_interval_that_is_too_short_is_refused_with_the_shortest(node, tmp_path):
    caller = Caller().invite("Supported: timer", "Session-Expires: 30").refused(422, headers={"Min-SE": "^ *90"})
    caller.invite("Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90", via="branch=[branch]")
    caller.answered(headers={"Session-Expires": "90;refresher=uac", "Require": "timer"})
    caller.request("UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uac").hear(200, headers={"Session-Expires": "90;refresher=uac"})
    node.call(tmp_path, caller.hang_up(), node.number(TALKS))


@pytest.mark.timeout(150)
def test_a_refresh_that_meets_an_offer_is_made_again_in_the_right_dialog(node, tmp_path):
    """Half of 90 s after the answer the node refreshes, its offer as it was; the callee's own offer crosses it."""
    timer = ("Supported: timer", "Require: timer", "Session-Expires: 90;refresher=uac")
    callee = Callee().invited(headers={"Session-Expires": "90"}).answer("200 OK", *timer, body=media()).asked("ACK")
    callee.invited(headers={"Session-Expires": "90;refresher=uac"}, name="again")
    callee.request("INVITE", body=media(version=2), again=False).hear(491)
    callee.refusal_taken()
    callee.answer("491 Request Pending", name="again", tag="").asked("ACK")
    # RFC 3261 14.1: between 2.1 and 4 seconds later, as the side that made the call.
    callee.invited(name="third").answer("200 OK", *timer, name="third", tag="", body=media())
    callee.asked("ACK").hung_up()
    caller = Caller().invite("Supported: timer", "Session-Expires: 90;refresher=uac").answered().pause(51_000).hang_up()
    node.bridge(tmp_path, caller, callee)
