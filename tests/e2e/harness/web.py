"""A web server of sounds that come as a test wants them to."""

import http.server
import threading
from pathlib import Path

AUDIO = Path(__file__).resolve().parents[2] / "audio"


class Web:
    """`files` are served by name, with an ETag each; those of `tests/audio` are there. `held` are sent to the half, the rest once
    `release` is set; of those `cut` the second half never comes."""

    def __init__(self, **files):
        self.files = {path.name: path.read_bytes() for path in AUDIO.iterdir()}
        self.files |= files
        self.held, self.cut = set(), set()
        self.release = threading.Event()
        # `(name, headers, status)` of every request.
        self.requests = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def serve(self, request):
        name = request.path.lstrip("/")
        body = self.files.get(name)
        etag = f'"{hash(body)}"'
        status = 404 if body is None else 304 if request.headers["If-None-Match"] == etag else 200
        self.requests.append((name, request.headers, status))
        body = body if status == 200 else b""
        request.send_response(status)
        request.send_header("ETag", etag)
        request.send_header("Content-Length", len(body))
        request.end_headers()
        half = len(body) // 2
        request.wfile.write(body[:half])
        if name in self.cut:
            request.close_connection = True
            return
        if name in self.held:
            self.release.wait()
        try:
            request.wfile.write(body[half:])
        except OSError:
            # Whoever asked has given up.
            request.close_connection = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
