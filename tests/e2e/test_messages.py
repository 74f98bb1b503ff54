"""MESSAGE between SIP users: kept while the other is away, brought in order, and at once to who is there."""

import re
import time

import pytest

from harness import sipp
from harness.baresip import Baresip
from test_softphones import SECRET, account, users


def office(rest, *logins):
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    for login in logins:
        rest.post(f"/rest/sip/domain/{domain}/user", {"login": login, "password": SECRET})
    return domain


def shown(phone, pattern, count, timeout=15):
    """What a phone shows of the messages it gets, once there are so many."""
    end = time.monotonic() + timeout
    while len(found := re.findall(pattern, phone.log())) < count:
        assert time.monotonic() < end, phone.log()
        time.sleep(0.05)
    return found


@pytest.mark.timeout(90)
def test_what_sipp_wrote_to_somebody_away_is_there_in_order_when_the_phone_registers(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "robot", "desk")
    login = f"[authentication username=robot password={SECRET}]"
    rows = [("robot", login, f"line {number:02}") for number in range(30)]
    # One after the other, as RFC 3428 wants of one sender.
    (tmp_path / "sipp").mkdir()
    result = sipp.run(
        tmp_path / "sipp",
        "message.xml",
        server.sip(),
        calls=len(rows),
        rate=100,
        limit=1,
        rows=rows,
        keys={"domain": domain, "to": "desk"},
    )
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert (result.succeeded, result.failed) == (30, 0)
    waiting = rest.post("/rest/sip/message/search", {"state": "created", "take": 100})
    assert waiting["total"] == 30
    assert len({message["thread"] for message in waiting["data"]}) == 1
    with Baresip(tmp_path / "desk", account(server, "desk", domain, SECRET, regint=60)) as desk:
        lines = shown(desk, r"line \d\d", 30)
        rest.until(
            lambda: rest.post("/rest/sip/message/search", {"state": "success"}), lambda found: found["total"] == 30
        )
    assert lines == [text for _, _, text in rows]


@pytest.mark.timeout(90)
def test_two_softphones_write_to_each_other(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "desk", "porter")
    phones = {}
    for number, (login, other) in enumerate((("desk", "porter"), ("porter", "desk"))):
        phones[login] = Baresip(
            tmp_path / login,
            account(server, login, domain, SECRET, regint=60),
            ports=(15000 + 100 * number, 15099 + 100 * number),
            contacts=f'"{other}" <sip:{other}@{domain}>\n',
        )
    with phones["desk"] as desk, phones["porter"] as porter:
        rest.until(
            lambda: [user["state"] for user in users(rest, domain)], lambda states: states == ["online", "online"]
        )
        desk.command("message", "is the parcel there")
        shown(porter, "is the parcel there", 1)
        porter.command("message", "not yet")
        shown(desk, "not yet", 1)
        found = rest.until(
            lambda: rest.post("/rest/sip/message/search", {"delivered": True}), lambda found: found["total"] == 2
        )
    newest, first = found["data"]
    assert first["thread"] == newest["thread"]
    assert (first["from"], first["to"], first["message"]) == (f"desk@{domain}", f"porter@{domain}", "is the parcel there")
