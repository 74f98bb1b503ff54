"""Webhooks: every event is told to whoever has asked for it, in order, whatever happens on either side."""

import contextlib
import http.server
import json
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from harness.server import ROOT

FLOW = "<Response><Answer/><Pause length='200'/><Hangup/></Response>"


def example(language):
    """The code in this language of docs/webhooks.md."""
    text = (ROOT / "docs/webhooks.md").read_text()
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return code


documented = {}
exec(example("python"), documented)
verify = documented["verify"]


HANG = "hang"


class Receiver:
    """A web server that answers each request as `choose(path)` says: with a status, with None to close without an answer, or with
    `HANG` to answer nothing and hold the connection until the other side has given up."""

    def __init__(self, choose=lambda _: 204):
        self.taken, self.asked, self.wrong = [], 0, []
        self.secrets = {}
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                with receiver.lock:
                    receiver.asked += 1
                    status = choose(path)
                    if not verify(self.headers["Opentact-Signature"], body, receiver.secrets[path]):
                        receiver.wrong.append(dict(self.headers))
                    if status in range(200, 300):
                        receiver.taken.append((path, query, self.headers, body))
                if status is HANG:
                    # Until the other side closes.
                    with contextlib.suppress(OSError):
                        self.rfile.read(1)
                if status in (None, HANG):
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = take

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def subscribe(self, rest, kind, path="/told", **more):
        made = rest.post("/rest/event/subscription", {"type": kind, "channel": "webhook", "url": self.url(path), **more})
        self.secrets[path] = made["secret"]
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def told(rest, timeout=60):
    """Waits until nothing is left to be told."""
    return rest.until(
        lambda: rest.post("/rest/webhook/delivery", {"state": "waiting", "take": 1}), lambda found: found["total"] == 0, timeout
    )


def log(rest, *kinds):
    """The account's events of these types."""
    events, after = [], 0
    while after is not None:
        page = rest.get("/rest/event", params={"after": after, "take": 100})
        events += [event for event in page["data"] if event["type"] in kinds]
        after = page["next"]
    return events


@pytest.mark.timeout(180)
def test_every_event_comes_in_order_although_both_sides_fail(own_server):
    whims = random.Random(7)
    # One in three fails: broken, gone without an answer, or there and silent.
    with Receiver(lambda _: whims.choices([204, 500, None, HANG], [6, 1, 1, 1])[0]) as receiver:
        server = own_server(webhooks__timeout="2s")
        rest = server.rest()
        receiver.subscribe(rest, "call_state", "/state")
        receiver.subscribe(rest, "call_flow", "/flow")
        (tn,) = rest.numbers()
        for killed in range(3):
            for _ in range(4):
                rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": FLOW})
            want = receiver.asked + 8
            rest.until(lambda: receiver.asked, lambda asked, want=want: asked >= want, 30)
            server.signal(signal.SIGKILL)
            server.wait(5)
            server.start()
            rest = server.rest()
        rest.until(lambda: rest.get("/rest/call/online"), lambda online: online == [])
        told(rest, 120)
        events = log(rest, "call_state", "call_flow")
        taken = [(path, json.loads(body)) for path, _, _, body in receiver.taken]
        assert receiver.wrong == []

    # All of them, each as it stands in the log, nothing else, and each object's in the order they happened.
    assert {event["uuid"] for _, event in taken} == {event["uuid"] for event in events}
    by_uuid = {event["uuid"]: event for event in events}
    lines = {}
    for path, event in taken:
        assert event == by_uuid[event["uuid"]]
        seqs = lines.setdefault((path, event["ref_id"]), [])
        # Twice only the last one: the answer came, and the node died before it had written that.
        assert not seqs or event["seq"] >= seqs[-1], seqs
        seqs.append(event["seq"])
    again = len(taken) - len(by_uuid)
    assert again <= 3 * 16, "not more than were under way when the node was killed"


def test_a_refusal_ends_at_the_failover_address_and_can_be_told_again(own_server):
    answers = {"/first": 410, "/second": 404}
    with Receiver(answers.get) as receiver:
        server = own_server()
        rest = server.rest()
        receiver.secrets["/second"] = "0123456789abcdef"
        receiver.subscribe(rest, "sms", "/first", failover_url=receiver.url("/second"), secret="0123456789abcdef")
        (tn,) = rest.numbers()
        sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "hello"})
        (first, *_) = rest.until(
            lambda: rest.post("/rest/webhook/delivery", {"ref_id": sms["uuid"], "state": "dead"})["data"], lambda found: found, 60
        )
        shown = rest.get(f"/rest/webhook/delivery/{first['uuid']}")
        assert [attempt["status"] for attempt in shown["log"]] == [410, 410, 410, 404]
        assert shown["reason"] == "answered 404" and shown["log"][-1]["url"] == receiver.url("/second")
        assert receiver.taken == [] and receiver.wrong == []
        answers["/first"] = answers["/second"] = 200
        rest.post(f"/rest/webhook/delivery/{first['uuid']}/redeliver")
        rest.until(lambda: rest.get(f"/rest/webhook/delivery/{first['uuid']}"), lambda delivery: delivery["state"] == "delivered")
        told(rest)
        assert first["event"] in [headers["Opentact-Event"] for _, _, headers, _ in receiver.taken]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_app_is_told_of_its_calls(own_server, method):
    with Receiver() as receiver:
        server = own_server()
        rest = server.rest()
        app = rest.app(FLOW, webhook_url=receiver.url("/app?mine=1"), webhook_method=method)
        receiver.secrets["/app"] = app["webhook_secret"]
        (tn,) = rest.numbers()
        call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "sip_control_app": app["uuid"]})
        rest.call(call["uuid"])
        told(rest)
        assert receiver.wrong == []
        states = [query.split("state=")[1].split("&")[0] for _, query, _, _ in receiver.taken]
        assert states == ["init", "ringing", "live", "hangup", "destroyed"]
        assert all(query.startswith("mine=1&state=") for _, query, _, _ in receiver.taken)
        last = receiver.taken[-1][3]
        assert last == b"" if method == "GET" else json.loads(last)["uuid"] == call["uuid"]


def test_a_slow_webhook_holds_up_no_other(own_server):
    stuck = threading.Event()

    with Receiver() as receiver, Receiver() as quick:
        # It takes requests, and answers none.
        receiver.server.RequestHandlerClass.take = receiver.server.RequestHandlerClass.do_POST = lambda _: stuck.wait(60)
        server = own_server(webhooks__timeout="60s", webhooks__concurrent_per_hook="4")
        rest = server.rest()
        receiver.subscribe(rest, "sms", "/slow")
        quick.subscribe(rest, "sms", "/quick")
        (tn,) = rest.numbers()
        for number in range(12):
            rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": f"number {number}"})
        rest.until(lambda: len(quick.taken), lambda count: count >= 36, 30)
        stuck.set()


def test_the_signature_is_checked_in_javascript_as_in_python():
    secret, body, t = "whsec_test", b'{"a":1}', int(time.time())
    signature = f"t={t},v1={documented['hmac'].new(secret.encode(), f'{t}.'.encode() + body, 'sha256').hexdigest()}"
    assert verify(signature, body, secret) and not verify(signature, body + b" ", secret)
    calls = [[signature, body.decode(), secret], [signature, body.decode() + " ", secret], [f"t={t - 400},v1=00", body.decode(), secret]]
    script = f"{example('js')}\nconsole.log(JSON.stringify({json.dumps(calls)}.map((call) => verify(...call))));"
    answer = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == [True, False, False]


def test_messages_are_told_to_callbacks_with_failover(own_server):
    with Receiver(lambda path: 500 if path == "/first" else 204) as receiver:
        rest = own_server().rest()
        urls = {"callback_url": receiver.url("/first"), "callback_url2": receiver.url("/second")}
        profile = rest.post("/rest/profile/messaging", {"name": "told", **urls})
        receiver.secrets = dict.fromkeys(["/first", "/second", "/own"], profile["webhook_secret"])
        (tn,) = rest.numbers()
        rest.patch(f"/rest/lease/tn/{tn}", {"messaging_profile": profile["uuid"]})
        own = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "own", "custom_callback_url": receiver.url("/own")})
        sent = rest.post("/rest/sms", {"from": tn, "to": 12065550112, "message": "fails"})
        rest.post("/rest/dev/sms", {"from": 12065550123, "to": tn, "text": "comes in"})
        rest.until(lambda: rest.post("/rest/sms/search/inbound", {"delivered": True})["total"], lambda total: total == 1, 30)
        told(rest)
        taken = [(path, json.loads(body)) for path, _, _, body in receiver.taken]
        assert receiver.wrong == []
    steps = lambda path, uuid: [(sms["state"], sms["delivered"]) for to, sms in taken if (to, sms["uuid"]) == (path, uuid)]  # noqa: E731
    assert steps("/own", own["uuid"]) == [("success", False), ("success", True)]
    assert steps("/second", sent["uuid"]) == [("success", False), ("failed", False)]
    assert [sms["message"] for path, sms in taken if sms["type"] == "smsi"] == ["comes in"]
    assert {path for path, _ in taken} == {"/own", "/second"}
