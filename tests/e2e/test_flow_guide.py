"""docs/guide/call-flows.md: every document is sound, every element has one, and those that need nobody else are run."""

import json
import re
import subprocess
import time

import pytest

from harness.phone import Phone
from harness.rtp import send_digit
from harness.server import BINARY, ROOT

GUIDE = (ROOT / "docs/guide/call-flows.md").read_text()
DOCUMENTS = re.findall(r"(?:<!-- run: (.*?) -->\n)?```xml\n(.*?)```", GUIDE, re.S)
RUN = [(told, xml) for told, xml in DOCUMENTS if told]


def test_every_document_is_sound(tmp_path):
    for number, (_, xml) in enumerate(DOCUMENTS):
        file = tmp_path / f"{number}.xml"
        file.write_text(xml)
        checked = subprocess.run([BINARY, "flow", "check", file], capture_output=True, text=True)
        assert checked.returncode == 0, f"{xml}\n{checked.stdout}{checked.stderr}"


def test_every_element_has_an_example():
    schema = json.loads(subprocess.run([BINARY, "flow", "schema", "--format", "json"], capture_output=True, check=True).stdout)
    names = [element["name"] for element in schema["elements"]]
    assert len(names) > 25
    missing = [name for name in names if not re.search(rf"<{name}[\s/>]", "".join(xml for _, xml in DOCUMENTS))]
    assert missing == []


@pytest.mark.timeout(90)
@pytest.mark.parametrize("told, xml", RUN, ids=[re.findall(r"(\w+) (?:ok|failed)", told)[-1] + str(n) for n, (told, _) in enumerate(RUN)])
def test_a_document_does_what_the_guide_says(server, rest, events, told, xml):
    steps, _, keys = told.partition("; keys ")
    tn = rest.number_with(xml)
    with Phone(server.sip(), "12065551234") as phone:
        trunk = rest.trunk(phone.port)["uuid"]
        answer = phone.call(f"sip:{tn}@{server.runtime['sip_udp']}")
        assert answer.code == 200, answer.first
        uuid = events.wait(lambda e: e["type"] == "call_state" and e["call"]["to"] == str(tn))["call"]["uuid"]
        # A key counts once its element waits for it: pressed until the call is over.
        over = time.monotonic() + 60
        while keys and not any(e["payload"]["state"] == "destroyed" for e in events.of_call(uuid, "call_state")):
            send_digit(phone.ear, phone.media, keys, sequence=int(time.monotonic() * 50) & 0x7FFF, stamp=int(time.monotonic() * 8000) & 0xFFFFFFFF)
            time.sleep(0.5)
            assert time.monotonic() < over, events.of_call(uuid)
        seen = events.destroyed(uuid)
        rest.delete(f"/rest/sip/connection/{trunk}")
    ran = [(e["call_flow"]["name"], "ok" if e["success"] else "failed") for e in seen if e["type"] == "call_flow"]
    assert ran == [tuple(step.split()) for step in steps.split(", ")]
