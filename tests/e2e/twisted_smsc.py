"""An SMSC with an SMPP stack that is not ours: smpp.twisted, which is Jasmin's.

    python3 tests/e2e/twisted_smsc.py PORT JOURNAL

It takes what system id `esme`, password `secret` submits, and tells of each that it was delivered. What it has taken is a line of the
journal before it is answered, `+ ID TO TEXT`, and what was told and acknowledged another, `- ID`: killed and started again, it
tells what is left. PORT may be 0; the one in use is its first line of output.
"""

import collections
import sys
from pathlib import Path

from smpp.pdu.operations import DeliverSM
from smpp.pdu.pdu_types import (
    AddrNpi, AddrTon, CommandStatus, EsmClass, EsmClassMode, EsmClassType, RegisteredDeliveryReceipt,
)
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import SMPPServerFactory
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from zope.interface import implementer

SYSTEM_ID = "esme"
#: Receipts that wait for their answers at once.
WINDOW = 50


@implementer(IRealm)
class Realm:
    def requestAvatar(self, avatar, mind, *interfaces):
        return interfaces[0], avatar, lambda: None


class Factory(SMPPServerFactory):
    def __init__(self, config, portal, lost):
        super().__init__(config, portal)
        self.lost = lost

    def removeConnection(self, connection):
        super().removeConnection(connection)
        self.lost(connection)


class Smsc:
    def __init__(self, journal):
        # Receipts: by number to whom, and those that wait for their answers with the session they went by.
        self.taken, self.owed, self.telling = 0, collections.deque(), {}
        told = set()
        for line in Path(journal).read_text().splitlines() if Path(journal).exists() else []:
            kind, number, *rest = line.split(" ", 2)
            if kind == "-":
                told.add(int(number))
            else:
                self.taken = max(self.taken, int(number))
                self.owed.append((int(number), rest[0].split(" ")[0]))
        self.owed = collections.deque(owed for owed in self.owed if owed[0] not in told)
        self.journal = open(journal, "a", buffering=1)
        systems = {SYSTEM_ID: {"max_bindings": 10}}
        config = SMPPServerConfig(msgHandler=self.submitted, systems=systems, enquireLinkTimerSecs=0)
        checker = InMemoryUsernamePasswordDatabaseDontUse()
        # smpp.twisted compares texts, not octets.
        checker.users = {SYSTEM_ID: "secret"}
        portal = Portal(Realm(), [checker])
        self.factory = Factory(config, portal, self.lost)

    def submitted(self, system_id, smpp, pdu):
        self.taken += 1
        number, to = self.taken, pdu.params["destination_addr"].decode()
        self.journal.write(f"+ {number} {to} {pdu.params['short_message'].decode('ascii')}\n")
        if pdu.params["registered_delivery"].receipt != RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED:
            self.owed.append((number, to))
        return DataHandlerResponse(status=CommandStatus.ESME_ROK, message_id=str(number).encode())

    def tell(self):
        """Receipts, as many as the window lets."""
        binds = self.factory.getBoundConnections(SYSTEM_ID)
        # A session that is ending fails at once: each has one try.
        for _ in range(min(len(self.owed), WINDOW - len(self.telling))):
            bind = binds and binds.getNextBindingForDelivery()
            if not bind:
                break
            number, to = self.owed.popleft()
            text = f"id:{number} sub:001 dlvrd:001 submit date:2611031015 done date:2611031016 stat:DELIVRD err:000 text:"
            pdu = DeliverSM(
                source_addr_ton=AddrTon.INTERNATIONAL, source_addr_npi=AddrNpi.ISDN, source_addr=to.encode(),
                dest_addr_ton=AddrTon.INTERNATIONAL, dest_addr_npi=AddrNpi.ISDN, destination_addr=b"1",
                esm_class=EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT),
                short_message=text.encode(),
            )
            self.telling[number] = bind, to
            asked = (number, bind)
            bind.sendDataRequest(pdu).addCallbacks(self.told, self.again, callbackArgs=asked, errbackArgs=asked)
        reactor.callLater(0.01, self.tell)

    def told(self, _, number, bind):
        if self.waits(number, bind):
            del self.telling[number]
            self.journal.write(f"- {number}\n")

    def again(self, _, number, bind):
        if self.waits(number, bind):
            self.owed.append((number, self.telling.pop(number)[1]))

    def waits(self, number, bind):
        return number in self.telling and self.telling[number][0] is bind

    def lost(self, bind):
        """The stack would only notice by its timer that nobody answers any more."""
        for number in [number for number in self.telling if self.waits(number, bind)]:
            self.again(None, number, bind)


def main(port, journal):
    smsc = Smsc(journal)
    listening = reactor.listenTCP(int(port), smsc.factory, interface="127.0.0.1")
    print(listening.getHost().port, flush=True)
    reactor.callLater(0, smsc.tell)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
