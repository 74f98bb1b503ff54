"""Kannel, as many have it, as a customer's software: its bearerbox bound to the server, its smsbox before that."""

import http.server
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
import requests

from harness.server import PASSWORD
from harness.sipp import free_port

COUNT = int(os.environ.get("OPENTACT_KANNEL", "200"))

CONFIG = """\
group = core
admin-port = {admin}
admin-password = admin
smsbox-port = {smsbox}
log-level = 1

group = smsc
smsc = smpp
smsc-id = opentact
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = "{system_id}"
smsc-password = "{password}"
system-type = ""
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1
max-pending-submits = 50

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox}
sendsms-port = {sendsms}
log-level = 1

group = sendsms-user
username = user
password = secret
concatenation = true
max-messages = 6

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{web}/inbound?from=%p&to=%P&text=%b"
"""


class Ear:
    """What Kannel calls: the query of each request, by path."""

    def __init__(self):
        self.heard = []
        ear = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                ear.heard.append((path, dict(urllib.parse.parse_qsl(query))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_port

    def of(self, path):
        return [query for heard, query in list(self.heard) if heard == path]


class Kannel:
    def __init__(self, folder, customer, ear):
        self.ports = {"admin": free_port(), "smsbox": free_port(), "sendsms": free_port(), "web": ear.port}
        smpp = customer.server.runtime["smpp"][0].rsplit(":", 1)[1]
        config = folder / "kannel.conf"
        config.write_text(CONFIG.format(smpp=smpp, **customer.token["smpp"], **self.ports))
        self.ear, self.boxes = ear, []
        for box, port in (("bearerbox", "smsbox"), ("smsbox", "sendsms")):
            with (folder / f"{box}.log").open("wb") as log:
                self.boxes.append(subprocess.Popen([f"/usr/sbin/{box}", str(config)], stdout=log, stderr=log))
            self.wait_for(self.ports[port])

    @staticmethod
    def wait_for(port):
        end = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end, "Kannel does not start"
                time.sleep(0.1)

    def send(self, sender, to, text, number):
        dlr = f"http://127.0.0.1:{self.ear.port}/receipt?type=%d&number={number}"
        query = {
            "username": "user", "password": "secret", "from": sender, "to": to, "text": text, "charset": "UTF-8",
            "coding": 0 if text.isascii() else 2, "dlr-mask": 3, "dlr-url": dlr,
        }
        answer = requests.get(f"http://127.0.0.1:{self.ports['sendsms']}/cgi-bin/sendsms", params=query, timeout=10)
        assert answer.status_code == 202, answer.text

    def stop(self):
        for box in reversed(self.boxes):
            box.terminate()
            box.wait(20)


KILLS = 3
#: At once at our server, and so what Kannel has to send again after a kill at most.
PENDING = 50


@pytest.mark.timeout(3600)
def test_a_server_that_is_killed_costs_kannel_no_message_and_no_receipt(own_server, tmp_path):
    from test_esme import Customer
    from test_smsc import Smsc

    # Not the simulated network, which dies with the server and has its receipts in memory.
    smsc = Smsc(tmp_path)
    settings = {
        "smpp__listen": f"127.0.0.1:{free_port()}", "smpp__rate": "0", "limits__requests_per_minute": "1000000",
        "messaging__carriers": f"north=smpp://esme:secret@127.0.0.1:{smsc.port}?window={PENDING}",
    }
    customer, ear = Customer(own_server(**settings)), Ear()
    server, rest, begun = customer.server, customer.rest, time.monotonic()
    kannel = Kannel(tmp_path, customer, ear)
    outbound = lambda: rest.post("/rest/sms/search/outbound", {"take": 1})["total"]  # noqa: E731
    try:
        part = COUNT // (KILLS + 1)
        for number in range(COUNT):
            kannel.send(customer.tn, 12065550199, f"number {number}", number)
            if number % part == 0 and 0 < number <= KILLS * part:
                # Much of it is with Kannel still.
                rest.until(outbound, lambda total: total > number - part, 60 + COUNT // 20)
                server.signal(signal.SIGKILL)
                server.wait(10)
                server.start()
                rest = server.rest(password=PASSWORD)
        delivered = lambda: {int(query["number"]) for query in ear.of("/receipt") if query["type"] == "1"}  # noqa: E731
        rest.until(lambda: set(range(COUNT)) - delivered(), lambda missing: not missing, 60 + COUNT // 20)
    finally:
        kannel.stop()
        smsc.kill()
    total = outbound()
    # A submit_sm whose answer a kill took is sent again by Kannel: that is all that may be there twice.
    assert COUNT <= total <= COUNT + KILLS * PENDING
    print(f"{COUNT} messages, {KILLS} kills: {total - COUNT} there twice; {time.monotonic() - begun:.0f} s")


@pytest.mark.timeout(3600)
def test_kannel_sends_receives_and_has_every_receipt(own_server, tmp_path):
    from test_esme import Customer

    customer = Customer(own_server(smpp__listen="127.0.0.1:0", smpp__rate="0", limits__requests_per_minute="1000000"))
    rest, ear = customer.rest, Ear()
    kannel = Kannel(tmp_path, customer, ear)
    try:
        long = "Kannel cuts this, привет, into several segments. " * 3
        for number in range(COUNT):
            text = f"number {number}: {long}" if number % 50 == 0 else f"number {number}"
            kannel.send(customer.tn, 12065550100 if number % 7 else 12065550112, text, number)
        rest.post("/rest/dev/sms", {"from": 12065550123, "to": customer.tn, "text": "from outside"})
        ends = lambda: {(query["number"], query["type"]) for query in ear.of("/receipt") if query["type"] in "12"}  # noqa: E731
        expected = {(str(number), "1" if number % 7 else "2") for number in range(COUNT)}
        rest.until(ends, lambda ends: ends == expected, 60 + COUNT // 20)
        rest.until(lambda: ear.of("/inbound"), bool)
    finally:
        kannel.stop()
    assert ear.of("/inbound") == [{"from": "+12065550123", "to": f"+{customer.tn}", "text": "from outside"}]
    found = rest.post("/rest/sms/search/outbound", {"take": 1})
    assert found["total"] == COUNT, "each is one message, and none is there twice"
    longest = rest.post("/rest/sms/search/outbound", {"message": "number 0:*"})["data"]
    assert [sms["message"] for sms in longest] == [f"number 0: {long}"]
