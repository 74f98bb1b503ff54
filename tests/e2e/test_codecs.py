"""baresip in the codecs it has: each pair hears each other through the node, and each hears prompts."""

import functools
import http.server
import threading
import time
from pathlib import Path

import pytest

from harness import sound
from harness.baresip import Baresip
from test_softphones import SECRET, account, judge, users

# What baresip's log calls an encoder and decoder, by the module that has it.
SHOWN = {"g711": "PCMU", "g722": "G722", "opus": "opus"}
NAMES = {"g711": "PCMU 8000Hz 1ch", "g722": "G722 16000Hz 1ch", "opus": "opus 48000Hz 2ch"}


def speaks(phone, module):
    phone.said(f"Set audio decoder: {NAMES[module]}")
    phone.said(f"Set audio encoder: {NAMES[module]}")


@pytest.fixture
def office(own_server):
    """A node with one SIP user, and the number that rings it."""
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "desk", "password": SECRET})
    return server, rest, domain


def dial(server, caller, tn):
    host, port = server.sip()
    caller.command("dial", f"sip:{tn}@{host}:{port}")
    caller.wait("CALL_ESTABLISHED")


@pytest.mark.timeout(90)
@pytest.mark.parametrize("flow", ["<Dial>", "<Answer/><Dial>"], ids=["answered-by-the-callee", "answered-before"])
@pytest.mark.parametrize("ours, theirs", [("g722", "g711"), ("opus", "g711"), ("g722", "opus"), ("opus", "opus")])
def test_two_phones_hear_each_other_whatever_they_speak(office, tmp_path, ours, theirs, flow):
    server, rest, domain = office
    tn = rest.number_with(f"<Response>{flow}<To>desk@{domain}</To></Dial><Hangup/></Response>")
    desk = account(server, "desk", domain, SECRET, regint=60, answermode="auto")
    callee = Baresip(tmp_path / "callee", desk, hz=880, ports=(15000, 15099), codecs=[theirs])
    trunk = account(server, "trunk", "127.0.0.1", regint=0)
    caller = Baresip(tmp_path / "caller", trunk, hz=440, ports=(15100, 15199), codecs=[ours])
    with callee, caller:
        rest.until(lambda: users(rest, domain)[0]["state"], lambda state: state == "online")
        rest.trunk(caller.sip)
        dial(server, caller, tn)
        callee.wait("CALL_ESTABLISHED")
        speaks(caller, ours)
        speaks(callee, theirs)
        time.sleep(6)  # the talk itself
        origin = next(call["uuid"] for call in rest.get("/rest/call/online") if call["parent"] is None)
        live = rest.get(f"/rest/call/{origin}/trace")["media"]
        caller.command("hangup")
        callee.wait("CALL_CLOSED")
    call = rest.call(origin)
    ended = [call["media"], *(child["media"] for child in call["children"])]
    for legs in (live, ended):
        assert sorted(leg["codec"] for leg in legs) == sorted([SHOWN[ours], SHOWN[theirs]])
        for leg in legs:
            # Without loss and delay the scale ends at 4.4.
            assert leg["mos"] > 4 and leg["packets_lost"] == 0 and leg["packets_received"] > 200
            assert (leg["transcoding"] is None) == (ours == theirs)
    assert all(leg["live"] for leg in live) and len(live) == 2
    judge(callee.heard(), 440, 6)
    judge(caller.heard(), 880, 6)


@pytest.mark.timeout(90)
def test_who_speaks_both_is_answered_in_what_the_callee_speaks(office, tmp_path):
    """A trunk's order begins with PCMU; the callee has only Opus: nothing has to be decoded."""
    server, rest, domain = office
    tn = rest.number_with(f"<Response><Dial><To>desk@{domain}</To></Dial><Hangup/></Response>")
    desk = account(server, "desk", domain, SECRET, regint=60, answermode="auto")
    callee = Baresip(tmp_path / "callee", desk, ports=(15000, 15099), codecs=["opus"])
    trunk = account(server, "trunk", "127.0.0.1", regint=0)
    caller = Baresip(tmp_path / "caller", trunk, ports=(15100, 15199), codecs=["g711", "opus"])
    with callee, caller:
        rest.until(lambda: users(rest, domain)[0]["state"], lambda state: state == "online")
        rest.trunk(caller.sip)
        dial(server, caller, tn)
        speaks(callee, "opus")
        speaks(caller, "opus")


@pytest.mark.timeout(90)
@pytest.mark.parametrize("module", ["g711", "g722", "opus"])
def test_a_prompt_is_heard_in_every_codec(office, tmp_path, module):
    server, rest, _ = office
    (tmp_path / "web").mkdir()
    sound.write_tone(tmp_path / "web" / "tone.wav", 440, seconds=5, rate=16000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=Path(tmp_path / "web"))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_port}/tone.wav"
    tn = rest.number_with(f"<Response><Answer/><Play>{url}</Play><Hangup/></Response>")
    trunk = account(server, "trunk", "127.0.0.1", regint=0)
    with Baresip(tmp_path / "caller", trunk, codecs=[module]) as caller:
        rest.trunk(caller.sip)
        dial(server, caller, tn)
        speaks(caller, module)
        caller.wait("CALL_CLOSED")
    web.shutdown()
    judge(caller.heard(), 440, 5)


@pytest.mark.timeout(60)
def test_a_trunk_speaks_its_own_codecs(office, tmp_path):
    """`codecs` of a trunk are all it speaks, in its order."""
    server, rest, _ = office
    tn = rest.number_with("<Response><Answer/><Pause length='60000'/></Response>")
    trunk = account(server, "trunk", "127.0.0.1", regint=0)
    with Baresip(tmp_path / "caller", trunk, codecs=["g711", "opus", "g722"]) as caller:
        uuid = rest.trunk(caller.sip, codecs=["G722", "PCMU"])["uuid"]
        dial(server, caller, tn)
        speaks(caller, "g722")
        caller.command("hangup")
        caller.wait("CALL_CLOSED")
        rest.patch(f"/rest/sip/connection/{uuid}", {"codecs": ["L16"]})
        caller.events.clear()
        caller.command("dial", "sip:{}@{}:{}".format(tn, *server.sip()))
        assert "488" in caller.wait("CALL_CLOSED")["param"]


@pytest.mark.timeout(90)
def test_a_number_is_spoken_with_in_the_order_of_its_app(office, tmp_path):
    """A trunk comes with PCMU first; an app may want wideband."""
    server, rest, _ = office
    flow = "<Response><Answer/><Tone hz='1000' don='2000' timeout='2000'/><Hangup/></Response>"
    plain, wide = rest.number_with(flow), rest.number_with(flow, codecs=["L16", "G722"])
    for tn, module in ((plain, "g711"), (wide, "g722")):
        with Baresip(tmp_path / module, account(server, "trunk", "127.0.0.1", regint=0), codecs=["g722", "g711"]) as caller:
            trunk = rest.trunk(caller.sip)
            dial(server, caller, tn)
            speaks(caller, module)
            caller.wait("CALL_CLOSED")
            rest.delete(f"/rest/sip/connection/{trunk['uuid']}")
