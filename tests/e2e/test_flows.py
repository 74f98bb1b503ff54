"""Call flows from outside: documents of a web server, menus, several who are dialled, hold, and the language itself."""

import json
import re
import subprocess

import numpy as np
import pytest
from lxml import etree

from harness import sipp, sound
from harness.phone import Phone
from harness.rtp import RtpMouth, send_digit
from harness.scenario import Caller
from harness.server import BINARY, ROOT
from harness.pages import Pages


def document(inside):
    return f"<Response>{inside}</Response>"


WAITS = "<Pause length='60000'/>"


@pytest.fixture
def web():
    with Pages() as web:
        yield web


def caller(server, rest, tn):
    """A phone that calls a number, and its call's uuid."""
    phone = Phone(server.sip(), "12065551234")
    rest.trunk(phone.port)
    answer = phone.call(f"sip:{tn}@{server.runtime['sip_udp']}")
    assert answer.code == 200, answer.first
    found = rest.until(lambda: rest.get("/rest/call/online"), lambda calls: any(c["to"].endswith(str(tn)) and c["direction"] == "in" for c in calls))
    return phone, next(c["uuid"] for c in found if c["to"].endswith(str(tn)) and c["direction"] == "in")


def legs(rest, uuid):
    """What a call has dialled and is still there."""
    return [leg for leg in rest.get("/rest/call/online") if leg["parent"] and leg["parent"]["uuid"] == uuid]


def steps(rest, uuid):
    """Path, success and reason of what the call has run."""
    return [(log["response"]["path"], log["success"], log["reason"]) for log in rest.get(f"/rest/call/{uuid}/logs")]


def callee(server):
    """A phone that is dialled by its address."""
    phone = Phone(server.sip(), "callee")
    return phone, f"sip:callee@{phone.local}"


def media_of(invite):
    sdp = invite.body.decode()
    return ("127.0.0.1", int(re.search(r"^m=audio (\d+)", sdp, re.M).group(1)))


def say(phone, to, hz, seconds=1.5):
    """The phone sends a tone."""
    at = np.arange(int(seconds * sound.RATE)) / sound.RATE
    mouth = RtpMouth(phone.ear, to, 8000 * np.sin(2 * np.pi * hz * at))
    mouth.join()


def hears(phone, hz, least=3000):
    """Whether of what came last so many samples are of this frequency, and loud."""
    heard = phone.ear.audio()[-least:]
    return len(heard) == least and np.mean(sound.loudness(heard)) > 500 and abs(sound.frequency(heard) - hz) < 5


def caller_hears(caller, callee, to, hz):
    """What the callee says comes to the caller."""
    before = len(caller.ear.audio())
    say(callee, to, hz)
    heard = caller.ear.audio()[before:]
    loud = heard[np.repeat(sound.loudness(heard) > 500, 160)] if len(heard) >= 160 else heard
    assert len(loud) > 4000 and abs(sound.frequency(loud[:4000]) - hz) < 5


# Where documents come from


def test_a_sipp_caller_walks_a_menu_of_three_levels_of_remote_documents(server, rest, web, tmp_path):
    # Each key is pressed until it is heard; what is pressed once more on the next level asks for that level again.
    level = lambda keys: document(f"<Gather timeout='60000'>{keys}</Gather>{WAITS}")  # noqa: E731
    go = lambda key, page: f"<DTMF value='{key}'><Callback>{web.base}/{page}</Callback></DTMF>"  # noqa: E731
    web.pages = {
        "/first": level(go(1, "second")),
        "/second": level(f"<DTMF value='1'><Redirect>{web.base}/second</Redirect></DTMF>" + go(2, "third")),
        "/third": document(f"<Gather timeout='60000' url='{web.base}/keys' method='POST'/>{WAITS}"),
        "/keys": lambda asked: document(WAITS) if asked.query["dtmf"] == "3" else document(f"<Redirect>{web.base}/third</Redirect>"),
    }
    app = rest.app(call_flow_url=f"{web.base}/first?menu=1", call_flow_method="POST")
    (tn,) = rest.numbers()
    rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": app["uuid"]})
    side = Caller().invite().answered()
    for key in "123":
        for _ in range(8):
            side.request("INFO", "Content-Type: application/dtmf-relay", body=f"Signal={key}\nDuration=100").hear(200).pause(300)
    port = sipp.free_port()
    rest.trunk(port)
    host, remote = server.sip()
    keys = {"from": "+12025550123", "host": f"{host}:{remote}", "home": f"127.0.0.1:{port}", "ear": 9, "to": tn}
    scenario = side.hang_up().write(tmp_path, "menu")
    result = sipp.run(tmp_path, scenario, (host, remote), calls=1, rate=50, port=port, keys=keys, timeout=60)
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    (first,) = web.of("/first")
    assert first.method == "POST" and first.query["menu"] == "1"
    assert first.query["from"] == "+12025550123" and first.query["to"] == str(tn)
    call = json.loads(first.body)
    assert call["state"] in ("init", "ringing") and call["direction"] == "in"
    told = web.of("/second")[0].query
    assert told["call"] == call["uuid"] and told["tn"] == str(tn) and told["sca"] == app["uuid"] and told["state"] == "live"
    assert web.of("/third") and web.of("/keys")[-1].query["dtmf"] == "3" and web.of("/keys")[-1].method == "POST"
    record = rest.call(call["uuid"])
    assert record["q850_cause"] == 16


def test_a_document_that_cannot_be_had_ends_the_call_with_its_reason(server, rest, web):
    web.pages = {"/broken": "<Response>", "/down": (503, "")}
    for page, reason in [("broken", "line 1"), ("down", "HTTP 503"), ("none", "HTTP 404")]:
        app = rest.app(call_flow_url=f"{web.base}/{page}")
        (tn,) = rest.numbers()
        rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": app["uuid"]})
        with Phone(server.sip(), "12065551234") as phone:
            rest.trunk(phone.port)
            assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code >= 400
        found = rest.until(lambda: rest.post("/rest/call/search", {"to": f"*{tn}", "state": "destroyed"}), lambda f: f["total"] == 1)
        assert found["data"][0]["q850_cause"] == 41
        call = rest.get(f"/rest/call/{found['data'][0]['uuid']}")
        assert reason in json.dumps(call), call


def test_office_hours_open_and_close_a_flow_from_the_next_call_on(server, rest):
    tn = rest.number_with(document("<Schedule office_hours='false'><Reject code='480'/></Schedule><Reject code='603'/>"))

    def code():
        with Phone(server.sip(), "12065551234") as phone:
            rest.trunk(phone.port)
            return phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code

    assert code() == 603
    week = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    closed = [rest.post("/rest/account/office_hours", {"type": "nonworking", "dow": dow, "time_from": 0, "time_to": 86399}) for dow in week]
    assert code() == 480
    for entry in closed:
        rest.delete(f"/rest/account/office_hours/{entry['uuid']}")
    assert code() == 603


def test_what_is_posted_replaces_what_runs_at_once_in_any_envelope(server, rest):
    tn = rest.number_with(document("<Answer/>" + WAITS))
    phone, uuid = caller(server, rest, tn)
    with phone:
        path = f"/rest/call/sca/{uuid}"
        for number, more in enumerate(
            [
                {"json": {"xml": document(f"<Gather tag='json'/>{WAITS}")}},
                {"data": document(f"<Gather tag='xml'/>{WAITS}"), "headers": {"Content-Type": "application/xml"}},
                {"files": {"file": ("flow.xml", document("<Hangup tag='file' cause='21'/>"), "text/xml")}},
            ]
        ):
            answer = rest.ask("POST", path, **more)
            assert answer.ok, answer.text
        phone.wait_bye()
    assert rest.call(uuid)["q850_cause"] == 21
    names = [(path, reason) for path, _, reason in steps(rest, uuid)]
    replaced = "Replaced by another call flow"
    assert names[-4:] == [("Pause[1]", replaced), ("Gather[0]", replaced), ("Gather[0]", replaced), ("Hangup[0]", "Call hangup")]
    assert rest.ask("POST", path, json={"xml": document("")}).status_code == 409


def test_a_faulty_document_is_refused_with_every_fault_and_its_place(rest):
    app = rest.app()
    xml = "<Response>\n  <Sya>Hello</Sya>\n  <Pause length='soon'/>\n  <Gather input='voice'/>\n</Response>"
    answer = rest.ask("POST", f"/rest/sip/app/call/flow/{app['uuid']}", json={"xml": xml})
    assert answer.status_code == 422
    faults = [answer.json()["fields"][f"params.xml[{n}]"] for n in range(3)]
    assert [(f["line"], f["column"], f["value"]) for f in faults] == [(2, 3, "Sya"), (3, 10, "Pause"), (4, 11, "Gather")]
    assert faults[0]["did_you_mean"] == "Say" and faults[1]["expected"] == "milliseconds from 0 to 86400000"
    assert "`voice` is not one of dtmf, speech, both" in faults[2]["message"]


def test_curl_asks_with_headers_and_body_and_reads_the_answer(server, rest, web):
    web.pages = {"/customer": '{"level": "gold", "cause": 21}'}
    xml = f"""<Answer/><Curl url='{web.base}/customer?x=1' method='POST' name='customer'>
        <Header name='Authorization' value='Bearer abc'/><Body>{{"from":"{{{{from}}}}"}}</Body></Curl>
        <Switch on='customer.level'><Case value='gold'><Hangup cause='{{{{customer.cause}}}}'/></Case></Switch>"""
    tn = rest.number_with(document(xml))
    with Phone(server.sip(), "12065551234") as phone:
        rest.trunk(phone.port)
        assert phone.call(f"sip:{tn}@{server.runtime['sip_udp']}").code == 200
        assert "cause=21" in phone.wait_bye()["Reason"]
    asked = web.wait("/customer")
    assert asked.method == "POST" and asked.query == {"x": "1"}
    assert asked.headers["Authorization"] == "Bearer abc" and asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body) == {"from": "+12065551234"}


# Dialling


def test_of_three_who_are_dialled_the_second_answers(server, rest):
    phones = [callee(server) for _ in range(3)]
    targets = "".join(f"<To>{uri}</To>" for _, uri in phones)
    tn = rest.number_with(document(f"<Answer/><Dial tag='three'>{targets}</Dial><Hangup cause='21'/>"))
    phone, uuid = caller(server, rest, tn)
    with phone, phones[0][0] as first, phones[1][0] as second, phones[2][0] as third:
        invites = [one.invited() for one in (first, second, third)]
        for one, invite in zip((first, second, third), invites):
            one.reply(invite, "180 Ringing")
        second.pick_up(invites[1])
        for one, invite in ((first, invites[0]), (third, invites[2])):
            cancel = one.receive(20)
            while cancel.method != "CANCEL":
                cancel = one.receive(20)
            one.reply(cancel, "200 OK")
            one.reply(invite, "487 Request Terminated")
        caller_hears(phone, second, media_of(invites[1]), 660)
        (live,) = rest.until(lambda: legs(rest, uuid), lambda legs: [leg["state"] for leg in legs] == ["live"])
        rest.delete(f"/rest/call/{live['uuid']}")
        second.wait_bye()
        assert "cause=21" in phone.wait_bye()["Reason"]
    rest.call(uuid)
    assert ("Dial[1]", True, "Dialled leg hung up") in steps(rest, uuid)


def dialled(server, rest, attributes, **pages):
    """A caller and one who is dialled with these attributes of `Dial`, not yet answered."""
    phone, uri = callee(server)
    tn = rest.number_with(document(f"<Answer/><Dial {attributes}><To>{uri}</To></Dial><Hangup cause='21'/>"))
    near, uuid = caller(server, rest, tn)
    return near, uuid, phone, phone.invited()


def test_who_answers_confirms_before_it_is_joined_and_the_caller_hears_the_ring_tone(server, rest, web, tmp_path):
    web.pages = {
        "/ring.wav": sound.write_tone(tmp_path / "ring.wav", 880, seconds=0.5).read_bytes(),
        "/confirm": document("<Gather timeout='60000'><Tone hz='500' don='60000' timeout='60000'/><DTMF value='1'/><Default><Hangup/></Default></Gather>"),
    }
    near, uuid, far, invite = dialled(server, rest, f"confirm_url='{web.base}/confirm' ring_tone='{web.base}/ring.wav'")
    with near, far:
        far.reply(invite, "180 Ringing")
        rest.until(lambda: hears(near, 880), bool)
        far.pick_up(invite)
        asked = web.wait("/confirm")
        assert asked.query["call"] == uuid and asked.query["callee"].startswith("sip:callee@")
        to = media_of(invite)
        rest.until(lambda: hears(far, 500), bool)
        send_digit(far.ear, to, "1")
        rest.until(lambda: [leg["state"] for leg in legs(rest, uuid)], lambda states: states == ["live"])
        leg = asked.query["callee_call"]
        rest.until(lambda: steps(rest, leg), lambda ran: any(path == "Gather[0]" and good for path, good, _ in ran))
        caller_hears(near, far, to, 660)
        rest.delete(f"/rest/call/{leg}")
        far.wait_bye()
        near.wait_bye()


def test_who_declines_is_not_joined(server, rest, web):
    web.pages = {"/confirm": document("<Gather timeout='60000'><DTMF value='1'/><Default><Hangup/></Default></Gather>")}
    near, uuid, far, invite = dialled(server, rest, f"confirm_url='{web.base}/confirm'")
    with near, far:
        far.pick_up(invite)
        leg = web.wait("/confirm").query["callee_call"]
        # Until it is asked nobody listens.
        rest.until(lambda: send_digit(far.ear, media_of(invite), "2") or rest.get(f"/rest/call/{leg}")["state"], lambda state: state != "live")
        far.wait_bye()
        near.wait_bye()
    rest.call(uuid)
    refused = "[originate] ERR CALL_REJECTED. no any destinations are accept the call 1/1"
    assert ("Dial[1]", False, refused) in steps(rest, uuid)


def test_the_other_leg_is_put_on_hold_and_taken_back(server, rest):
    near, uuid, far, invite = dialled(server, rest, "")
    with near, far:
        far.pick_up(invite)
        to = media_of(invite)
        rest.until(lambda: legs(rest, uuid), lambda legs: legs and legs[0]["state"] == "live")
        hold = document("<Hold tag='wait'><Tone hz='500' don='60000' timeout='60000'/></Hold><Hangup/>")
        rest.post(f"/rest/call/sca/{uuid}", {"xml": hold})
        offer = far.invited()
        assert b"a=sendonly" in offer.body
        answer = far.offer().replace(b"a=sendrecv", b"a=recvonly")
        far.reply(offer, "200 OK", f"Contact: {far.contact}", "Content-Type: application/sdp", body=answer)
        assert far.receive().method == "ACK"
        rest.until(lambda: hears(far, 500), bool)
        rest.post(f"/rest/call/sca/{uuid}", {"xml": document("<Unhold/><Hangup cause='21'/>")})
        offer = far.invited()
        assert b"a=sendonly" not in offer.body
        far.reply(offer, "200 OK", f"Contact: {far.contact}", "Content-Type: application/sdp", body=far.offer())
        assert far.receive().method == "ACK"
        caller_hears(near, far, to, 660)
        rest.delete(f"/rest/call/{legs(rest, uuid)[0]['uuid']}")
        far.wait_bye()
        assert "cause=21" in near.wait_bye()["Reason"]
    rest.call(uuid)
    ran = steps(rest, uuid)
    assert ("Hold[0]", True, "Replaced by another call flow") in ran and ("Unhold[0]", True, "Dialled leg hung up") in ran


# The language


def run(*arguments):
    return subprocess.run([BINARY, "flow", *arguments], capture_output=True, text=True, timeout=10, check=False)


@pytest.fixture(scope="module")
def schema():
    return etree.XMLSchema(etree.fromstring(run("schema", "--format", "xsd").stdout.encode()))


def examples():
    guide = (ROOT / "docs/call-xml.md").read_text()
    return re.findall(r"^```xml\n(.*?)^```", guide, re.S | re.M)


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_documentation_is_of_the_schema(schema, example):
    schema.assertValid(etree.fromstring(example.encode()))


@pytest.mark.parametrize(
    "faulty",
    [
        "<Sya>Hello</Sya>",
        "<Say gendre='MALE'>Hello</Say>",
        "<Say gender='other'>Hello</Say>",
        "<Pause length='soon'/>",
        "<Pause length='-1'/>",
        "<Gather><Dial><To>1</To></Dial></Gather>",
        "<Gather input='voice'/>",
        "<Dial timeout='600001'><To>1</To></Dial>",
        "<Dial><To>nobody here</To></Dial>",
        "<DTMF value='1'/>",
        "<Gather><DTMF/></Gather>",
        "<Answer>now</Answer>",
        "<Play url='ftp://a.example/b'/>",
        "<Meta value='1'/>",
        "<Schedule time='9-17'/>",
        "<Curl url='https://a.example/'><Header name='X Y' value='1'/></Curl>",
        "<Conference/>",
    ],
)
def test_what_is_faulty_is_not_of_the_schema_either(schema, faulty, tmp_path):
    assert not schema.validate(etree.fromstring(document(faulty)))
    file = tmp_path / "flow.xml"
    file.write_text(document(faulty))
    done = run("check", file)
    assert done.returncode == 1 and f"{file}:1:" in done.stdout


def test_both_generations_and_variables_are_of_the_schema(schema):
    for good in [
        "<Gather numDigits='4' finishOnKey='*' callback='http://a.example/' method='post'><Switch><Case dtmf='1'/><Default/></Switch></Gather>",
        "<Dial timeout='{{meta.t}}'><Number>+1 (201) 555-0123</Number><Sip>sip:bob@10.0.0.1</Sip><To>{{meta.boss}}</To></Dial>",
        "<Say>Your <break time='1s'/> code<Error say='true'/></Say><Error/><Scheduler dow='mon-fri'/>",
        "<Tone v='-3 dB' hz='950x2;1400' don='330'/><Play>{{meta.url}}</Play><Meta name='a'>b</Meta>",
    ]:
        schema.assertValid(etree.fromstring(document(good)))


def test_the_language_is_told_as_json():
    language = json.loads(run("schema", "--format", "json").stdout)
    elements = {element["name"]: element for element in language["elements"]}
    gather = {attribute["name"]: attribute for attribute in elements["Gather"]["attributes"]}
    assert gather["dtmf_length"]["aliases"] == ["length", "numDigits"]
    assert gather["dtmf_length"]["type"] == {"name": "Integer", "min": 1, "max": 32, "expected": "an integer from 1 to 32"}
    assert elements["Dial"]["count"] == {"element": "To", "min": 1, "max": 20}
    assert "Say" in elements["Response"]["children"] and "To" not in elements["Response"]["children"]
