"""What a call looked like on the wire, read by tshark."""

import subprocess

from harness import sipp
from harness.rtp import RtpEar

PROMPT = "<Response><Answer/><Say>Welcome to Opentact.</Say><Hangup/></Response>"


def test_tshark_reads_the_capture_of_a_call(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(PROMPT)
    port = sipp.free_port()
    rest.trunk(port)
    with RtpEar() as ear:
        result = sipp.run(
            tmp_path, "prompt_then_bye.xml", server.sip(), calls=1, rate=1, port=port, keys={"to": tn, "ear": ear.port}
        )
        assert result.code == 0, result.errors
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
