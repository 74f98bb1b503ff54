"""SUBSCRIBE and NOTIFY: sipp watches the calls of a user, baresip whether messages wait."""

import pytest

from harness import sipp
from harness.baresip import Baresip
from test_messages import office
from test_softphones import SECRET, account


def test_100_watchers_are_told_of_calls_and_leave(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "porter", "desk")
    login = f"[authentication username=porter password={SECRET}]"
    result = sipp.run(
        tmp_path,
        "subscribe.xml",
        server.sip(),
        calls=100,
        rate=50,
        rows=[("porter", login)],
        keys={"domain": domain, "watched": "desk"},
    )
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert (result.succeeded, result.failed) == (100, 0)
    assert server.is_healthy()


@pytest.mark.timeout(60)
def test_a_softphone_hears_whether_messages_wait(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = office(rest, "desk")
    with Baresip(tmp_path / "desk", account(server, "desk", domain, SECRET, regint=60, mwi="yes"), mwi=True) as desk:
        told = desk.said("Text-Message: 0/0")
    assert "Messages-Waiting: no" in told
    assert f"Message-Account: sip:desk@{domain}" in told
