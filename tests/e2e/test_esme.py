"""Customers' SMPP software: smpplib as ESME at the server, with sockets of its own where smpplib would not do it."""

import signal
import socket
import ssl
import struct

import pytest
import smpplib.client
import smpplib.consts as consts
import smpplib.exceptions

from harness.server import PASSWORD
from smpp_peer import UDHI, Esme, join

RINVSRCADR, RX_R_APPN = 0x0A, 0x66


class Customer:
    """A server with SMPP, a number and what to bind with."""

    def __init__(self, server):
        self.server = server
        self.rest = server.rest()
        (self.tn,) = self.rest.numbers()
        self.token = self.rest.post("/rest/token", {"name": "smpp"})

    def bind(self, system_id=None, password=None):
        host, port = self.server.runtime["smpp"][0].rsplit(":", 1)
        login = self.token["smpp"]
        return Esme(host, port, system_id or login["system_id"], password or login["password"])


@pytest.fixture
def customer(own_server):
    return Customer(own_server(smpp__listen="127.0.0.1:0"))


def test_submits_and_has_a_receipt(customer):
    with customer.bind() as esme:
        [(status, message_id)] = esme.submit_and_wait(customer.tn, 12065550199, "hello [€]")
        assert status == 0
        esme.read_until(esme.receipts)
        (receipt,) = esme.receipts()
        assert (receipt["id"], receipt["stat"]) == (message_id, "DELIVRD")
        [(status, message_id)] = esme.submit_and_wait(customer.tn, 12065550112, "hello")
        esme.read_until(lambda: len(esme.receipts()) == 2)
        assert (esme.receipts()[1]["id"], esme.receipts()[1]["stat"]) == (message_id, "UNDELIV")
    sms = customer.rest.post("/rest/sms/search", {"message": "hello [*"})["data"]
    assert [one["message"] for one in sms] == ["hello [€]"]


def test_segments_are_one_message_with_a_receipt_each(customer):
    text = "Many words in several segments, with привет and 🙂. " * 5
    with customer.bind() as esme:
        answers = esme.submit_and_wait(customer.tn, 12065550199, text)
        assert len(answers) > 2 and {status for status, _ in answers} == {0}
        esme.read_until(lambda: len(esme.receipts()) == len(answers))
        assert sorted(receipt["id"] for receipt in esme.receipts()) == sorted(id for _, id in answers)
    found = customer.rest.post("/rest/sms/search/outbound", {})
    assert (found["total"], found["data"][0]["message"]) == (1, text)


def test_is_told_of_what_comes_in(customer):
    long = "From outside, in more than one segment. " * 6
    with customer.bind() as esme:
        customer.rest.post("/rest/dev/sms", {"from": 12065550123, "to": customer.tn, "text": "hello"})
        esme.read_until(esme.messages)
        assert esme.messages() == [("12065550123", str(customer.tn), b"hello")]
    # Nobody is bound now.
    customer.rest.post("/rest/dev/sms", {"from": 12065550123, "to": customer.tn, "text": long})
    customer.rest.until(lambda: customer.rest.post("/rest/sms/search/inbound", {})["total"], lambda total: total == 2)
    with customer.bind() as esme:
        esme.read_until(lambda: len(esme.messages()) == 2)
        assert join([pdu for pdu in esme.delivered if pdu.esm_class & UDHI]) == long.encode()


@pytest.mark.parametrize("who", ["token", "login", "wrong", "scope"])
def test_binds_with_a_token_or_its_login(customer, who):
    if who == "token":
        # smpplib sends no more than the standard's 8 characters.
        fields = b"anything\0" + customer.token["token"].encode() + b"\0\0\x34\0\0\0"
        host, port = customer.server.runtime["smpp"][0].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(struct.pack(">4L", 16 + len(fields), 0x09, 0, 1) + fields)
            head = connection.recv(16, socket.MSG_WAITALL)
        assert struct.unpack(">3L", head[4:]) == (0x80000009, 0, 1)
        return
    if who == "login":
        customer.rest.delete(f"/rest/token/{customer.token['uuid']}")
    if who == "scope":
        customer.token = customer.rest.post("/rest/token", {"name": "calls", "scopes": ["call:write"]})
    with pytest.raises(smpplib.exceptions.PDUError) as refused:
        customer.bind(password="wrong" if who == "wrong" else None)
    expected = consts.SMPP_ESME_RBINDFAIL if who == "scope" else consts.SMPP_ESME_RINVPASWD
    assert refused.value.args[1] == expected


def test_is_told_why_a_message_is_refused(customer):
    customer.rest.post("/rest/sms/optout", {"tn": 12065550177})
    with customer.bind() as esme:
        assert esme.submit_and_wait(12065550188, 12065550199, "x")[0][0] == RINVSRCADR
        assert esme.submit_and_wait(customer.tn, 12065550177, "x")[0][0] == RX_R_APPN
    assert customer.rest.post("/rest/sms/search", {})["total"] == 0


def test_receipts_outlive_a_kill(customer):
    with customer.bind() as esme:
        esme.client.send_message(
            source_addr=str(customer.tn), destination_addr="12065550199", short_message=b"hello", registered_delivery=True,
        )
        esme.read_until(lambda: esme.answers)
        ((_, message_id),) = esme.answers.values()
        customer.server.signal(signal.SIGKILL)
        customer.server.wait(5)
    customer.server.start()
    customer.rest = customer.server.rest(password=PASSWORD)
    with customer.bind() as esme:
        esme.read_until(esme.receipts)
        assert esme.receipts()[0]["id"] == message_id


def test_more_than_the_rate_is_throttled(own_server):
    customer = Customer(own_server(smpp__listen="127.0.0.1:0", smpp__rate="10"))
    with customer.bind() as esme:
        sequences = [esme.submit(customer.tn, 12065550199, "x")[0] for _ in range(20)]
        esme.read_until(lambda: len(esme.answers) == 20)
        statuses = [esme.answers[sequence][0] for sequence in sequences]
    assert statuses[0] == 0 and consts.SMPP_ESME_RTHROTTLED in statuses


def test_over_tls(own_server):
    customer = Customer(own_server(smpp__listen="127.0.0.1:0", smpp__tls="127.0.0.1:0"))
    host, port = customer.server.runtime["smpp"][1].rsplit(":", 1)
    context = ssl.create_default_context(cafile=str(customer.server.ca))
    # smpplib does not say which host it wants; the chain is checked all the same.
    context.check_hostname = False
    client = smpplib.client.Client(host, port, timeout=10, ssl_context=context, allow_unknown_opt_params=True)
    client.connect()
    login = customer.token["smpp"]
    client.bind_transmitter(system_id=login["system_id"], password=login["password"])
    client.unbind()
    client.disconnect()


def test_a_server_that_ends_says_goodbye(customer):
    esme = customer.bind()
    customer.server.signal(signal.SIGTERM)
    assert esme.client.read_pdu().command == "unbind"
    customer.server.wait(30)
    esme.client.disconnect()


def test_version_5_and_data_sm(customer):
    """SMPP 5.0 4.1.1.1, 4.2.2.1: octets of the test's own, as no peer here speaks 5.0."""
    login = customer.token["smpp"]
    host, port = customer.server.runtime["smpp"][0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:

        def ask(command, sequence, body):
            connection.sendall(struct.pack(">4L", 16 + len(body), command, 0, sequence) + body)
            length, answer, status, number = struct.unpack(">4L", connection.recv(16, socket.MSG_WAITALL))
            assert (answer, status, number) == (command | 0x80000000, 0, sequence)
            return connection.recv(length - 16, socket.MSG_WAITALL)

        bind = login["system_id"].encode() + b"\0" + login["password"].encode() + b"\0\0\x50\0\0\0"
        # A transmitter: nothing comes in between.
        assert ask(0x02, 1, bind).endswith(b"\x02\x10\x00\x01\x50"), "sc_interface_version"
        source, destination = str(customer.tn).encode(), b"12065550199"
        payload = "привет".encode("utf-16-be")
        data = b"\0\x01\x01" + source + b"\0\x01\x01" + destination + b"\0\0\x01\x08"
        data += struct.pack(">2H", 0x0424, len(payload)) + payload
        message_id, _, tlvs = ask(0x103, 2, data).partition(b"\0")
        assert len(message_id) == 32
        # One of the window's requests is under way.
        assert tlvs[:4] == b"\x04\x28\x00\x01" and 0 < tlvs[4] < 90, "congestion_state"
    found = customer.rest.post("/rest/sms/search/outbound", {})
    assert [sms["message"] for sms in found["data"]] == ["привет"]
