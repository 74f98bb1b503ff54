"""Sippy's B2BUA as trunk in both directions: a call comes from it and one goes to it, and sound goes both ways."""

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.baresip import Baresip
from harness.phone import Phone
from harness.process import end
from harness.sipp import free_port
from test_softphones import account, judge


@contextmanager
def b2bua(folder, port, target):
    """Sippy on a port of loopback, all of whose calls go to `target`."""
    folder.mkdir()
    where = ["-l", "127.0.0.1", "-p", str(port), "-n", f"127.0.0.1:{target}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("b2bua_simple"), "-f", *where], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with Phone(("127.0.0.1", port)) as phone:
            latest = time.monotonic() + 10
            while True:
                try:
                    phone.request("OPTIONS", f"sip:127.0.0.1:{port}", "sip:ping@127.0.0.1")
                    phone.receive(0.5)
                    break
                except (TimeoutError, ConnectionRefusedError):
                    assert time.monotonic() < latest and process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        end(process)


@pytest.mark.timeout(90)
def test_calls_come_from_sippy_and_go_to_it(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    _, port = server.sip()
    coming, going = free_port(), free_port()
    # baresip takes calls to the users it has.
    phone = lambda user, **more: account(server, user, "127.0.0.1", regint=0, **more)  # noqa: E731
    caller = Baresip(tmp_path / "caller", phone("caller"), hz=440, ports=(15000, 15099))
    callee = Baresip(tmp_path / "callee", phone(f"+{tn}", answermode="auto"), hz=880, ports=(15100, 15199))
    with (
        caller,
        callee,
        b2bua(tmp_path / "coming", coming, port),
        b2bua(tmp_path / "going", going, callee.sip),
        server.events() as events,
    ):
        rest.trunk(coming, name="coming")
        there = rest.trunk(going, name="going")
        rest.patch(f"/rest/lease/tn/{tn}", {"sip_connection": there["uuid"]})
        caller.command("dial", f"sip:{tn}@127.0.0.1:{coming}")
        live = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        time.sleep(6)  # the talk itself
        caller.command("hangup")
        callee.wait("CALL_CLOSED")
        ended = [events.destroyed(call)[-1]["call"] for call in live["payload"]["calls"]]
        assert [call["q850_cause"] for call in ended] == [16, 16]
    judge(callee.heard(), 440, 6)
    judge(caller.heard(), 880, 6)
    assert server.is_healthy()
