"""The event websocket, read by a thread so that nothing is missed while a test does other things."""

import json
import ssl
import threading
import time

import websocket


class EventSocket:
    def __init__(self, url, ca, token, authenticate=True):
        context = ssl.create_default_context(cafile=ca)
        self.socket = websocket.create_connection(url, sslopt={"context": context}, timeout=30)
        self.all = []
        self.closed = self.fault = None
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        # One after the other: an SSL socket of Python is not for two threads at once, and the first read has TLS's tickets to take.
        if authenticate:
            self.send({"type": "auth", "payload": token})
        self.reader.start()
        if authenticate:
            self.wait(lambda event: event["type"] == "auth")

    def send(self, frame):
        self.socket.send(json.dumps(frame))

    def _read(self):
        while True:
            try:
                opcode, data = self.socket.recv_data()
            except (websocket.WebSocketException, OSError) as fault:
                opcode, data = websocket.ABNF.OPCODE_CLOSE, b""
                self.fault = fault
            with self.changed:
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    self.all.append(json.loads(data))
                elif opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.closed = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1006
                self.changed.notify_all()
                if self.closed is not None:
                    return

    def wait(self, good, timeout=30):
        """The first event, past or to come, for which `good` holds."""
        end = time.monotonic() + timeout
        seen = 0
        with self.changed:
            while True:
                for event in self.all[seen:]:
                    if good(event):
                        return event
                seen = len(self.all)
                left = end - time.monotonic()
                if left <= 0 or (self.closed is not None and seen == len(self.all)):
                    raise TimeoutError(f"not among {[event['message'] for event in self.all]}; closed: {self.closed} {self.fault!r}")
                self.changed.wait(left)

    def wait_closed(self, timeout=15):
        """The close code."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed is not None, timeout)
        return self.closed

    def of_call(self, uuid, kind=None):
        with self.changed:
            return [e for e in self.all if e.get("call", {}).get("uuid") == uuid and kind in (None, e["type"])]

    def destroyed(self, uuid, timeout=60):
        """Waits for a call's end; its events in the order they came."""

        def good(event):
            return (
                event["type"] == "call_state"
                and event["call"]["uuid"] == uuid
                and event["payload"]["state"] == "destroyed"
            )

        self.wait(good, timeout)
        return self.of_call(uuid)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
