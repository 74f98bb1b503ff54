"""A provider of SMS with a JSON API, as our HTTP carrier is to reach."""

import hashlib
import hmac
import http.server
import json
import queue
import threading
import time

import requests

SECRET = "a secret of the carrier"


def sign(body, secret=SECRET, seconds=None):
    seconds = int(time.time()) if seconds is None else seconds
    tag = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={tag}"


class Provider:
    """Takes every message and answers 201 with an id. `answers` are what the next requests are answered with instead, each
    `(status, headers, body)`, `None` for the usual one, or a function that does as it likes with the request's handler."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = queue.Queue()
        # All of them, in the order they came: `(headers, body)`.
        self.seen = []
        self.taken = 0
        self._lock = threading.Lock()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                provider._serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/messages"

    def carrier(self, name="east", **more):
        """Its entry of `messaging.carriers`, which is JSON."""
        return {"kind": "http", "name": name, "url": self.url, "secret": SECRET} | more

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            self.seen.append((handler.headers, json.loads(body)))
            answer = self.answers.pop(0) if self.answers else None
        if not callable(answer):
            self.answer(handler, answer)
        self.requests.put((handler.headers, body))
        if callable(answer):
            answer(handler)

    def answer(self, handler, answer=None):
        if answer is None:
            with self._lock:
                self.taken += 1
                answer = (201, {}, {"id": f"m{self.taken}"})
        status, headers, body = answer
        octets = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in (headers | {"Content-Length": len(octets)}).items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(octets)

    def tell(self, server, kind, body, carrier="east", **headers):
        """A callback to the server; returns its answer."""
        octets = json.dumps(body).encode()
        headers = headers or {"Opentact-Signature": sign(octets)}
        url = f"{server.base}/carrier/{carrier}/{kind}"
        headers |= {"Content-Type": "application/json"}
        return requests.post(url, data=octets, headers=headers, verify=server.ca, timeout=20)
