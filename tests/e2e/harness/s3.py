"""A stand-in for an S3 server: one folder in memory, which answers 503 as often as it is told to."""

import http.server
import re
import threading


class S3:
    """Objects by path (`/bucket/key`). `refusals`: PUTs still to be refused; `away`: everything is."""

    def __init__(self, refusals=0):
        self.objects, self.types, self.refused = {}, {}, 0
        self.refusals, self.away = refusals, False
        handler = type("Handler", (_Handler,), {"s3": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3 = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuses(self):
        """Whether the request is no good, and was told so."""
        signed = "AWS4-HMAC-SHA256 Credential=the-key/" in self.headers.get("Authorization", "")
        if self.s3.away or not signed:
            self.s3.refused += 1
            self.answer(503 if self.s3.away else 403)
            return True
        return False

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refuses():
            return
        if self.s3.refusals > 0:
            self.s3.refusals -= 1
            self.s3.refused += 1
            self.answer(503, b"<Error><Code>SlowDown</Code></Error>")
            return
        self.s3.objects[self.path] = body
        self.s3.types[self.path] = self.headers.get("Content-Type")
        self.answer(200, ETag='"1"')

    def do_GET(self):
        if self.refuses():
            return
        body = self.s3.objects.get(self.path)
        if body is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        common = {"ETag": '"1"', "Last_Modified": "Mon, 30 Nov 2026 06:00:00 GMT"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2]), len(body) - 1)
            self.answer(206, body[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(body)}", **common)
        else:
            self.answer(200, body, **common)

    do_HEAD = do_GET

    def do_DELETE(self):
        if not self.refuses():
            self.s3.objects.pop(self.path, None)
            self.answer(204)
