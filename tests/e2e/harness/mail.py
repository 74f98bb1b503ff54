"""An SMTP server that keeps what it is given (aiosmtpd)."""

import email
import email.policy
import queue

from aiosmtpd.controller import Controller

from .sipp import free_port


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


class Mailbox:
    """Takes mail on a free port. `refuse` answers with what it is set to, in place of taking."""

    def __init__(self):
        self.mails = queue.Queue()
        self.refuse = None
        self.port = free_port()
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, _server, _session, envelope):
        answer, self.refuse = self.refuse, None
        if answer:
            return answer
        self.mails.put((envelope, parsed(envelope.content)))
        return "250 taken"

    def next(self, timeout=60):
        return self.mails.get(timeout=timeout)
