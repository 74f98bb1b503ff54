"""Dialogs by sipp: what a phone or trunk may do within a call beyond INVITE and BYE."""

from concurrent.futures import ThreadPoolExecutor

from harness import sipp
from harness.rtp import RtpEar

FLOW = "<Response><Pause length='500'/><Hangup/></Response>"


def succeeded(result):
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert result.failed == 0


def test_a_caller_with_100rel_is_told_until_it_acknowledges(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(
        "<Response><Tone hz='440' don='3000' doff='0' timeout='3000'/><Answer/><Pause length='20000'/></Response>"
    )
    port = sipp.free_port()
    rest.trunk(port)
    with RtpEar() as ear:
        keys = {"to": tn, "ear": ear.port}
        succeeded(sipp.run(tmp_path, "reliable_caller.xml", server.sip(), calls=1, rate=1, port=port, keys=keys))


def test_a_callee_with_100rel_is_acknowledged_and_its_first_description_counts(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    port = sipp.free_port()
    trunk = rest.trunk(port)["uuid"]
    with RtpEar() as ear, ThreadPoolExecutor() as beside:
        keys = {"ear": ear.port}
        callee = beside.submit(
            sipp.run, tmp_path, "reliable_callee.xml", server.sip(), calls=1, rate=1, port=port, keys=keys
        )
        call = rest.post("/rest/call", {"to": 12065550001, "sip_connection": trunk, "from": rest.numbers()[0], "xml": FLOW})
        succeeded(callee.result())
        assert rest.call(call["uuid"])["q850_cause"] == 16
