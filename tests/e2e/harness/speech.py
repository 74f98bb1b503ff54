"""Stand-ins for what speaks and what understands: the speech and transcription API of OpenAI, and a websocket that listens."""

import email.parser
import email.policy
import http.server
import json
import threading

from websockets.sync.server import serve


class SpeechServer:
    """`sound` is what it speaks, a file: the first half at once, the rest once `release` is set. `answer` is what it understands.
    `refuse`: the status it answers, in place of either. `spoken` and `heard` are what it was asked."""

    def __init__(self, sound=b"", answer=None):
        self.sound, self.answer, self.refuse = sound, answer, None
        self.spoken, self.heard = [], []
        self.release = threading.Event()
        self.release.set()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                stand_in.serve(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, request, body):
        if self.refuse:
            return self.send(request, self.refuse, b'{"error":{"message":"no such key"}}')
        if request.path == "/v1/audio/speech":
            self.spoken.append((dict(request.headers), json.loads(body)))
            return self.send(request, 200, self.sound)
        assert request.path == "/v1/audio/transcriptions", request.path
        self.heard.append((dict(request.headers), form(request.headers["Content-Type"], body)))
        return self.send(request, 200, json.dumps(self.answer).encode())

    def send(self, request, status, body):
        request.send_response(status)
        request.send_header("Content-Length", len(body))
        request.end_headers()
        half = len(body) // 2
        request.wfile.write(body[:half])
        request.wfile.flush()
        self.release.wait()
        request.wfile.write(body[half:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def form(kind, body):
    """The fields of a `multipart/form-data` body."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in message.iter_parts()}


class Listener:
    """Understands `text` whatever is said, as soon as it has heard `octets`. `told` is what it was told, `heard` the samples."""

    def __init__(self, text, octets):
        self.text, self.octets, self.told, self.heard = text, octets, [], b""
        self.server = serve(self.listen, "127.0.0.1", 0)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/listen"

    def listen(self, socket):
        for message in socket:
            if isinstance(message, bytes):
                self.heard += message
            else:
                self.told.append(json.loads(message))
            if len(self.heard) >= self.octets:
                socket.send(json.dumps({"type": "partial", "text": self.text[:2]}))
                socket.send(json.dumps({"type": "final", "text": self.text}))
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
