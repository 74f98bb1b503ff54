"""What a call looked like on the wire, read by tshark."""

import contextlib
import pathlib
import subprocess

from harness import sipp
from harness.rtp import RtpEar
from harness.server import BINARY

PROMPT = "<Response><Answer/><Say>Welcome to Opentact.</Say><Hangup/></Response>"


def called(rest):
    """A number with the prompt, and the port of a trunk that may call it."""
    tn, port = rest.number_with(PROMPT), sipp.free_port()
    rest.trunk(port)
    return tn, port


def call(folder, server, tn, port, ear):
    keys = {"to": tn, "ear": ear.port}
    result = sipp.run(folder, "prompt_then_bye.xml", server.sip(), calls=1, rate=1, port=port, keys=keys)
    assert result.code == 0, result.errors


@contextlib.contextmanager
def watching(command):
    """The process of `opentact sip trace`, once it watches."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline() == "opentact: watching\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_tshark_reads_the_capture_of_a_call(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn, port = called(rest)
    with RtpEar() as ear:
        call(tmp_path, server, tn, port, ear)
        found = rest.until(
            lambda: rest.post("/rest/call/search", {"state": "destroyed", "to": f"*{tn}"}), lambda found: found["total"] == 1
        )
    path = f"/rest/call/{found['data'][0]['uuid']}/trace"
    assert rest.get(path)["sip"][0]["summary"].startswith("INVITE sip:")
    answer = rest.ask("GET", path, params={"format": "pcap"})
    assert answer.status_code == 200
    (tmp_path / "call.pcap").write_bytes(answer.content)
    fields = ["-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "_ws.malformed"]
    shown = subprocess.run(
        ["tshark", "-r", tmp_path / "call.pcap", "-d", f"udp.port=={server.sip()[1]},sip", *fields],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [line.split() for line in shown.splitlines()]
    assert words[0] == ["INVITE"] and words[-1] == ["200"]
    for word in ("200", "ACK", "BYE"):
        assert [word] in words, shown


def test_sip_messages_are_watched_live(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn, port = called(rest)
    watch = [BINARY, "sip", "trace", "--data", server.data, "--peer", f"127.0.0.1:{port}"]
    kept = tmp_path / "live.pcap"
    with (
        watching([*watch, "--method", "BYE", "--full", "--count", "2"]) as text,
        watching([*watch, "--pcap", kept, "--count", "4"]) as capture,
        RtpEar() as ear,
    ):
        call(tmp_path, server, tn, port, ear)
        shown, _ = text.communicate(timeout=20)
        capture.communicate(timeout=20)
        assert (text.returncode, capture.returncode) == (0, 0)
    lines = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert "--> " in lines[0] and "  UDP  BYE sip:" in lines[0], shown
    assert "<-- " in lines[1] and lines[1].endswith("  UDP  200 OK"), shown
    assert "    CSeq: " in shown
    read = subprocess.run(["tshark", "-r", kept, "-T", "fields", "-e", "udp.srcport"], capture_output=True, text=True, check=True)
    assert len(read.stdout.split()) == 4


def test_nobody_else_may_watch(own_server, tmp_path):
    server = own_server()
    socket = pathlib.Path(server.data) / "sip.sock"
    assert socket.stat().st_mode & 0o777 == 0o600
    refused = subprocess.run([BINARY, "sip", "trace", "--data", tmp_path], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "no server is to be watched" in refused.stderr
