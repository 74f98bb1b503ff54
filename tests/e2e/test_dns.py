"""Hosts found by NAPTR and SRV records, asked of dnsmasq."""

import socket
import subprocess
from contextlib import contextmanager

from harness.phone import Message
from harness.sipp import free_port

FLOW = "<Response><Answer/><Hangup/></Response>"


@contextmanager
def dnsmasq(*records):
    port = free_port()
    # Only what is given, in the foreground, as whoever runs the test.
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-", "--user="]
    listen = [f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file="]
    process = subprocess.Popen(
        ["dnsmasq", *options, *listen, *(f"--{record}" for record in records)], stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if "started" in line:
                break
        else:
            raise RuntimeError(f"dnsmasq ended with {process.wait()}")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def refuse(peer, caller_done):
    """Answers the next INVITE with 486, and takes its ACK; the INVITE."""
    while True:
        datagram, source = peer.recvfrom(65536)
        invite = Message(datagram)
        if invite.method == "INVITE":
            break
    echoed = [f"{n}: {v}" for n, v in invite.lines if n.lower() in ("via", "from", "to", "call-id", "cseq")]
    peer.sendto("\r\n".join(["SIP/2.0 486 Busy Here", *echoed, "Content-Length: 0", "", ""]).encode(), source)
    assert Message(peer.recv(65536)).method == "ACK"
    caller_done()
    return invite


def test_a_host_is_called_where_its_records_say(own_server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(20)
        port = peer.getsockname()[1]
        records = (
            "naptr-record=carrier.test,10,10,s,SIP+D2U,,_sip._udp.carrier.test",
            f"srv-host=_sip._udp.carrier.test,gateway.carrier.test,{port},1,1",
            "host-record=gateway.carrier.test,127.0.0.1",
        )
        with dnsmasq(*records) as server:
            node = own_server(sip__dns=server)
            rest = node.rest()
            with node.events() as events:
                # By address: NAPTR, SRV and A.
                call = rest.post("/rest/call", {"to": "sip:desk@carrier.test", "xml": FLOW})["uuid"]
                invite = refuse(peer, lambda: events.destroyed(call))
                assert invite.first.startswith("INVITE sip:desk@carrier.test SIP/2.0")
                assert rest.call(call)["q850_cause"] == 17

                # By trunk: its transport is known, so SRV and A.
                trunk = rest.post("/rest/sip/connection", {"name": "by name", "hostname": "carrier.test"})["uuid"]
                number = rest.numbers()[0]
                wanted = {"to": 12065550001, "sip_connection": trunk, "from": number, "xml": FLOW}
                call = rest.post("/rest/call", wanted)["uuid"]
                refuse(peer, lambda: events.destroyed(call))
                assert rest.call(call)["q850_cause"] == 17

                # Nobody of that name.
                call = rest.ask("POST", "/rest/call", json={"to": "sip:desk@nowhere.test", "xml": FLOW})
                assert "nowhere.test cannot be resolved" in call.text
