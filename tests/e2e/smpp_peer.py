"""An SMPP peer with a codec that is not ours: PyPI's smpplib, as ESME and as SMSC.

`Esme` binds to an SMSC and submits; `FakeSmsc` is what an ESME can bind to. Run as a program it proves both against
the examples of the `carrier` crate:

    python3 tests/e2e/smpp_peer.py target/debug/examples
"""

import contextlib
import queue
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import smpplib.client
import smpplib.consts as consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

RECEIPT = 0x04
UDHI = 0x40
#: smpplib knows no name for it.
RSUBMITFAIL = 0x45
#: Names of `stat` in a receipt, by number of `message_state`.
STATES = {2: "DELIVRD", 5: "UNDELIV"}


class Esme:
    """A transceiver. What the SMSC delivers is kept in `delivered`, in order, and acknowledged."""

    def __init__(self, host, port, system_id="opentact", password="opentact", timeout=5):
        self.delivered = []
        self.answers = {}
        self.client = smpplib.client.Client(host, port, timeout=timeout, allow_unknown_opt_params=True)
        self.client.set_message_received_handler(self._delivered)
        self.client.set_message_sent_handler(self._answered)
        self.client.set_error_pdu_handler(self._answered)
        self.client.connect()
        try:
            self.client.bind_transceiver(system_id=system_id, password=password)
        except Exception:
            self.client.disconnect()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            # The SMSC may be gone.
            with contextlib.suppress(smpplib.exceptions.ConnectionError):
                self.client.unbind()
        finally:
            self.client.disconnect()

    def _delivered(self, pdu):
        self.delivered.append(pdu)

    def _answered(self, pdu):
        message_id = (getattr(pdu, "message_id", None) or b"").decode()
        self.answers[pdu.sequence] = (pdu.status, message_id)

    def submit(self, source, destination, text, receipt=True):
        """Submits every segment; returns the sequence numbers of the submit_sm."""
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        sequences = []
        for part in parts:
            pdu = self.client.send_message(
                source_addr_ton=consts.SMPP_TON_INTL,
                source_addr_npi=consts.SMPP_NPI_ISDN,
                source_addr=str(source),
                dest_addr_ton=consts.SMPP_TON_INTL,
                dest_addr_npi=consts.SMPP_NPI_ISDN,
                destination_addr=str(destination),
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=receipt,
            )
            sequences.append(pdu.sequence)
        return sequences

    def read_until(self, condition, patience=10):
        """Reads PDUs until `condition()` is true."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the SMSC does not say what was waited for")
            self.client.read_once(auto_send_enquire_link=False)

    def submit_and_wait(self, source, destination, text, receipt=True):
        """Submits; returns the status and message id of each segment."""
        sequences = self.submit(source, destination, text, receipt)
        self.read_until(lambda: all(sequence in self.answers for sequence in sequences))
        return [self.answers[sequence] for sequence in sequences]

    def receipts(self):
        """The receipts so far, as dicts of their fields."""
        return [parse_receipt(pdu) for pdu in self.delivered if pdu.esm_class & 0x3C == RECEIPT]

    def messages(self):
        """What is no receipt: (source, destination, octets)."""
        return [
            (pdu.source_addr.decode(), pdu.destination_addr.decode(), pdu.short_message)
            for pdu in self.delivered
            if pdu.esm_class & 0x3C != RECEIPT
        ]


def parse_receipt(pdu):
    """The fields of a receipt (SMPP 3.4 appendix B), checked against its TLVs where it has them."""
    text = pdu.short_message.decode("ascii")
    pattern = (
        r"id:(?P<id>\S+) sub:(?P<sub>\d{3}) dlvrd:(?P<dlvrd>\d{3}) submit date:(?P<submitted>\d{10}) "
        r"done date:(?P<done>\d{10}) stat:(?P<stat>[A-Z]{7}) err:(?P<err>\w{3}) text:(?P<text>.*)"
    )
    match = re.fullmatch(pattern, text, re.DOTALL)
    assert match, f"no receipt of appendix B: {text!r}"
    fields = match.groupdict()
    if pdu.receipted_message_id is not None:
        assert pdu.receipted_message_id.rstrip(b"\0").decode() == fields["id"]
    if pdu.message_state is not None:
        assert STATES[pdu.message_state] == fields["stat"]
    return fields


class FakeSmsc:
    """Takes any bind and every submit_sm (kept in `submitted`), and answers with ids `1`, `2`, …

    `statuses` are the command statuses of the next answers, one a submit_sm; then all are taken. With `receipts` a
    DELIVRD receipt follows each answer whose submit_sm asked for one.
    """

    def __init__(self, statuses=(), receipts=True, host="127.0.0.1", port=0):
        self.statuses = list(statuses)
        self.receipts = receipts
        self.submitted = queue.Queue()
        self.binds = []
        self.unbound = threading.Event()
        self._receivers = []
        self._awaited = {}
        self._sequence = 0
        self._taken = 0
        self._listener = socket.create_server((host, port))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A port whose accept waits stays open when it is only closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    # smpplib asks its client for these.
    @property
    def sequence(self):
        return self._sequence

    def next_sequence(self):
        self._sequence += 1
        return self._sequence

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        # An ESME may be killed at any moment.
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while head := stream.read(4):
                (length,) = struct.unpack(">L", head)
                pdu = smpplib.smpp.parse_pdu(head + stream.read(length - 4), client=self, allow_unknown_opt_params=True)
                if not self._handle(connection, pdu):
                    break
        if connection in self._receivers:
            self._receivers.remove(connection)

    def deliver(self, source, destination, octets, header=False, patience=10):
        """One deliver_sm to whoever receives, once somebody does; returns when it is acknowledged."""
        deadline = time.monotonic() + patience
        while not self._receivers:
            assert time.monotonic() < deadline, "nobody receives"
            time.sleep(0.05)
        pdu = smpplib.smpp.make_pdu(
            "deliver_sm", client=self, source_addr=str(source), destination_addr=str(destination),
            esm_class=UDHI if header else 0, short_message=octets,
        )
        pdu.sequence = self.next_sequence()
        acknowledged = self._awaited[pdu.sequence] = threading.Event()
        self._receivers[-1].sendall(pdu.generate())
        assert acknowledged.wait(patience), "not acknowledged"

    def _handle(self, connection, pdu):
        def send(command, sequence, to=connection, **fields):
            answer = smpplib.smpp.make_pdu(command, client=self, **fields)
            answer.sequence = sequence
            to.sendall(answer.generate())

        if pdu.command.startswith("bind_") and not pdu.command.endswith("_resp"):
            self.binds.append((pdu.system_id, pdu.password))
            if pdu.command != "bind_transmitter":
                self._receivers.append(connection)
            send(pdu.command + "_resp", pdu.sequence, system_id="fake")
        elif pdu.command == "enquire_link":
            send("enquire_link_resp", pdu.sequence)
        elif pdu.command == "deliver_sm_resp":
            if pdu.status == consts.SMPP_ESME_ROK and pdu.sequence in self._awaited:
                self._awaited.pop(pdu.sequence).set()
        elif pdu.command == "unbind":
            send("unbind_resp", pdu.sequence)
            self.unbound.set()
            return False
        elif pdu.command == "submit_sm":
            status = self.statuses.pop(0) if self.statuses else consts.SMPP_ESME_ROK
            if status != consts.SMPP_ESME_ROK:
                send("submit_sm_resp", pdu.sequence, status=status)
                return True
            self.submitted.put(pdu)
            self._taken += 1
            send("submit_sm_resp", pdu.sequence, message_id=str(self._taken))
            if self.receipts and pdu.registered_delivery & 3 == 1:
                text = (
                    f"id:{self._taken} sub:001 dlvrd:001 submit date:2611031015 done date:2611031016 "
                    "stat:DELIVRD err:000 text:"
                )
                send(
                    "deliver_sm",
                    self.next_sequence(),
                    self._receivers[-1],
                    source_addr=pdu.destination_addr.decode(),
                    destination_addr=pdu.source_addr.decode(),
                    esm_class=RECEIPT,
                    short_message=text.encode(),
                )
        return True


def join(pdus):
    """The octets of the segments of one message, in the order of their headers; checks the headers."""
    parts = {}
    references = set()
    for pdu in pdus:
        assert pdu.esm_class & UDHI, "a segment without header"
        length, element, size, reference, total, number = pdu.short_message[:6]
        assert (length, element, size) == (5, 0, 3) and total == len(pdus)
        references.add(reference)
        parts[number] = pdu.short_message[6:]
    assert len(references) == 1 and sorted(parts) == list(range(1, len(pdus) + 1))
    return b"".join(parts[number] for number in sorted(parts))


def check_smsc(host, port):
    """What an ESME of others sees at the simulated SMSC."""
    source = 12025550150
    try:
        Esme(host, port, password="wrong")
        raise AssertionError("a wrong password was let in")
    except smpplib.exceptions.PDUError as refused:
        assert refused.args[1] == consts.SMPP_ESME_RINVPASWD, refused
    with Esme(host, port) as esme:
        [(status, first)] = esme.submit_and_wait(source, 12125550199, "hello")
        assert status == 0 and first
        esme.read_until(lambda: len(esme.receipts()) == 1)
        assert esme.receipts()[0]["id"] == first and esme.receipts()[0]["stat"] == "DELIVRD"

        [(status, _)] = esme.submit_and_wait(source, 12125550110, "hello")
        assert status == RSUBMITFAIL

        [(status, silent)] = esme.submit_and_wait(source, 12125550111, "hello")
        [(bad_status, bad)] = esme.submit_and_wait(source, 12125550112, "hello")
        assert (status, bad_status) == (0, 0)
        esme.read_until(lambda: len(esme.receipts()) == 2)
        assert esme.receipts()[1]["id"] == bad and esme.receipts()[1]["stat"] == "UNDELIV"
        assert silent not in [receipt["id"] for receipt in esme.receipts()]

        statuses = [esme.submit_and_wait(source, 12125550113, "hello")[0][0] for _ in range(4)]
        assert statuses == [consts.SMPP_ESME_RTHROTTLED] * 3 + [0], statuses

        long = "Grüße, € und [Klammern] in mehreren Segmenten. " * 8
        answers = esme.submit_and_wait(source, 12125550199, long)
        assert len(answers) > 1 and all(status == 0 for status, _ in answers)
        esme.read_until(lambda: len(esme.receipts()) == 3 + len(answers))


def check_esme(program):
    """What an SMSC of others sees of our ESME."""
    long = "A message that does not fit one segment, with [brackets]. " * 4
    lines = ["12025550150 12125550199 hello", "12025550150 12125550199 " + long, "12025550150 12125550199 привет 🙂"]
    with FakeSmsc(statuses=[consts.SMPP_ESME_RTHROTTLED] * 2) as smsc:
        host, port = smsc.address
        done = subprocess.run(
            [program, f"{host}:{port}", "esme", "secret"],
            input="\n".join(lines), capture_output=True, text=True, timeout=60, check=True,
        )
        assert smsc.binds == [(b"esme", b"secret")], smsc.binds
        assert smsc.unbound.wait(5), "no unbind"
        first, *rest = [smsc.submitted.get(timeout=5) for _ in range(smsc.submitted.qsize())]
        assert first.short_message == b"hello" and first.esm_class == 0 and first.data_coding == 0
        assert (first.source_addr, first.destination_addr) == (b"12025550150", b"12125550199")
        *segments, last = rest
        expected = long.replace("[", "\x1b<").replace("]", "\x1b>").encode("ascii")
        assert join(segments) == expected
        assert last.short_message == "привет 🙂".encode("utf-16-be") and last.data_coding == 8
    out = done.stdout.splitlines()
    assert sum("Accepted" in line for line in out) == 3, out
    # One for each segment.
    assert sum("Delivered" in line for line in out) == 2 + len(segments), out


def main(examples):
    smsc = subprocess.Popen(
        [f"{examples}/dev_smsc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        host, port = smsc.stdout.readline().strip().rsplit(":", 1)
        check_smsc(host, port)
        print("ok: smpplib as ESME at the simulated SMSC")
        with Esme(host, port) as esme:
            smsc.stdin.write("12125550199 12025550150 hi there\n")
            smsc.stdin.flush()
            esme.read_until(lambda: esme.messages())
            assert esme.messages() == [("12125550199", "12025550150", b"hi there")]
        print("ok: smpplib as ESME gets a message of the network")
    finally:
        smsc.stdin.close()
        smsc.wait(timeout=20)
    check_esme(f"{examples}/smpp_send")
    print("ok: smpplib as SMSC of our ESME")


if __name__ == "__main__":
    main(sys.argv[1])
