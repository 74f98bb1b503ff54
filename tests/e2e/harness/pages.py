"""A web server of a test: what it answers, and what it was asked."""

import http.server
import threading
import time
from urllib.parse import parse_qsl, urlsplit


class Asked:
    def __init__(self, method, path, query, headers, body):
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body

    def __repr__(self):
        return f"{self.method} {self.path} {self.query}"


class Pages:
    """`pages[path]` is a document (text, or octets), `(status, text)`, or what makes one of these of the request."""

    def __init__(self, pages=None):
        self.pages = dict(pages or {})
        self.asked = []
        self.changed = threading.Condition()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), self.headers, body)
                with web.changed:
                    web.asked.append(asked)
                    web.changed.notify_all()
                page = web.pages.get(url.path, (404, ""))
                page = page(asked) if callable(page) else page
                status, text = page if isinstance(page, tuple) else (200, page)
                self.send_response(status)
                octets = text if isinstance(text, bytes) else text.encode()
                self.send_header("Content-Type", "audio/wav" if url.path.endswith(".wav") else "application/xml")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def of(self, path):
        with self.changed:
            return [asked for asked in self.asked if asked.path == path]

    def wait(self, path, count=1, timeout=30):
        """The request number `count` for this path, past or to come."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                asked = [one for one in self.asked if one.path == path]
                if len(asked) >= count:
                    return asked[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{path} was not asked for; but {self.asked}")
                self.changed.wait(left)
