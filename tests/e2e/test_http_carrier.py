"""Providers with a JSON API as carriers: a stand-in that answers as told, and goes silent."""

import json
import signal
import threading

import pytest

from harness.provider import SECRET, Provider, sign
from harness.server import PASSWORD

THEM = 12065550199


@pytest.fixture
def provider():
    with Provider() as provider:
        yield provider


def carriers(*entries):
    return json.dumps(list(entries))


def state(rest, sms):
    return rest.get(f"/rest/sms/{sms['uuid']}")


def over(rest, sms):
    return rest.until(lambda: state(rest, sms), lambda sms: sms["state"] in ("success", "failed"), 30)


def test_a_message_goes_out_and_its_receipt_comes_back(own_server, provider):
    server = own_server(messaging__carriers=carriers(provider.carrier()))
    rest = server.rest()
    (tn,) = rest.numbers()
    sms = rest.post("/rest/sms", {"from": tn, "to": THEM, "message": 'Grüße, "you" \\ 🙂\n'})
    headers, body = provider.requests.get(timeout=10)
    assert json.loads(body) == {
        "id": sms["uuid"], "from": str(tn), "to": str(THEM), "text": 'Grüße, "you" \\ 🙂\n', "encoding": "ucs2",
        "segments": 1, "repeated": False,
    }
    assert headers["Idempotency-Key"] == sms["uuid"]
    signature = headers["Opentact-Signature"]
    assert signature == sign(body, seconds=int(signature.split(",")[0].removeprefix("t=")))
    sent = over(rest, sms)
    assert (sent["state"], sent["carrier"], sent["reference_id"], sent["attempts"]) == ("success", "east", "m1", 1)
    assert not sent["delivered"]

    receipt = {"id": "m1", "status": "delivered"}
    refused = provider.tell(server, "receipt", receipt, **{"Opentact-Signature": sign(json.dumps(receipt).encode(), "wrong")})
    assert refused.status_code == 401 and not state(rest, sms)["delivered"]
    old = sign(json.dumps(receipt).encode(), seconds=1_700_000_000)
    assert provider.tell(server, "receipt", receipt, **{"Opentact-Signature": old}).status_code == 401
    assert provider.tell(server, "receipt", receipt, carrier="west").status_code == 404
    assert provider.tell(server, "receipt", {"id": "m1"}).status_code == 422
    # It is on disk once it is acknowledged.
    assert provider.tell(server, "receipt", receipt).status_code == 200
    assert state(rest, sms)["delivered"]


def test_a_message_comes_in_once(own_server, provider):
    server = own_server(messaging__carriers=carriers(provider.carrier()))
    rest = server.rest()
    (tn,) = rest.numbers()
    told = {"id": "in-1", "from": f"+{THEM}", "to": tn, "text": "Привет из API"}
    for _ in range(2):
        assert provider.tell(server, "message", told).status_code == 200
    found = rest.post("/rest/sms/search/inbound", {})
    assert [(sms["from"], sms["message"], sms["state"]) for sms in found["data"]] == [(str(THEM), "Привет из API", "success")]


def test_another_contract_is_configuration(own_server, provider):
    provider.answers = [(200, {}, {"messages": [{"id": "abc", "status": "0"}]}), (200, {}, {"messages": [{"status": "7: barred"}]})]
    other = provider.carrier(
        headers={"Authorization": "Bearer 123", "Idempotency-Key": "opentact-${id}"},
        body='{"recipients": ["+${to}"], "sender": "+${from}", "content": {"${encoding}": "${text}"}}',
        answer={"id": "/messages/0/id", "error": "/messages/0/status"},
        receipt={"id": "/data/message", "status": "/data/state"},
        message={"id": "/data/id", "from": "/data/sender", "to": "/data/recipient", "text": "/data/content"},
        statuses={"Arrived": "delivered", "Barred": "undeliverable"},
        callback_header={"X-Api-Key": SECRET},
    )
    server = own_server(messaging__carriers=carriers(other))
    rest = server.rest()
    (tn,) = rest.numbers()
    sms = rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "hello"})
    headers, body = provider.requests.get(timeout=10)
    assert json.loads(body) == {"recipients": [f"+{THEM}"], "sender": f"+{tn}", "content": {"gsm": "hello"}}
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer 123", f"opentact-{sms['uuid']}")
    assert over(rest, sms)["reference_id"] == "abc"
    receipt = {"data": {"message": "abc", "state": "ARRIVED"}}
    assert provider.tell(server, "receipt", receipt).status_code == 401, "a signature is not what this one is known by"
    assert provider.tell(server, "receipt", receipt, **{"X-Api-Key": SECRET}).status_code == 200
    assert state(rest, sms)["delivered"]
    refused = over(rest, rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "again"}))
    assert (refused["state"], refused["reason"]) == ("failed", "HTTP 200: 7: barred")


def test_what_the_provider_says_is_done(own_server, provider):
    with Provider() as second:
        server = own_server(messaging__carriers=carriers(provider.carrier(), second.carrier("west")))
        rest = server.rest()
        (tn,) = rest.numbers()

        def sent(*answers):
            provider.answers = list(answers)
            return over(rest, rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "hello"}))

        refused = sent((422, {}, {"error": "no such number"}))
        assert (refused["state"], refused["reason"], refused["attempts"]) == ("failed", "HTTP 422: no such number", 1)
        # A fault of its own: the next carrier, in the same attempt.
        failed_over = sent((500, {}, {}))
        assert (failed_over["carrier"], failed_over["attempts"], failed_over["repeated"]) == ("west", 1, False)
        # It wants nothing for an hour: the others do not ask it at all.
        seen = len(provider.seen)
        first = sent((429, {"Retry-After": "3600"}, {}))
        second_one = sent()
        assert (first["carrier"], second_one["carrier"], len(provider.seen)) == ("west", "west", seen + 1)
    charged = rest.post("/rest/transaction/search", {"ref_type": "sms_outgoing", "take": 1})["total"]
    assert charged == 3


def test_a_provider_that_is_not_there_gets_it_once_it_is(own_server):
    with Provider() as gone:
        entry = gone.carrier()
    server = own_server(messaging__carriers=carriers(entry))
    rest = server.rest()
    (tn,) = rest.numbers()
    sms = rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "hello"})
    rest.until(lambda: state(rest, sms), lambda sms: sms["attempts"] > 0)
    with Provider() as back:
        entry["url"] = back.url
        server.settings["messaging.carriers"] = carriers(entry)
        server.restart()
        rest = server.rest(password=PASSWORD)
        done = over(rest, sms)
        # It had not left: that is no repetition.
        assert (done["state"], done["repeated"], len(back.seen)) == ("success", False, 1)


def test_a_kill_between_request_and_answer_makes_one_repetition_that_says_so(own_server, provider):
    held = threading.Event()
    provider.answers = [lambda handler: held.wait(60)]
    server = own_server(messaging__carriers=carriers(provider.carrier()))
    rest = server.rest()
    (tn,) = rest.numbers()
    sms = rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "hello"})
    first, body = provider.requests.get(timeout=10)
    assert json.loads(body)["repeated"] is False
    server.signal(signal.SIGKILL)
    server.wait(5)
    held.set()
    server.start()
    rest = server.rest(password=PASSWORD)
    again, body = provider.requests.get(timeout=20)
    assert json.loads(body)["repeated"] is True and again["Idempotency-Key"] == first["Idempotency-Key"] == sms["uuid"]
    done = over(rest, sms)
    assert (done["state"], done["repeated"]) == ("success", True)
    charged = rest.post("/rest/transaction/search", {"ref_type": "sms_outgoing", "take": 1})["total"]
    assert (charged, len(provider.seen)) == (1, 2)


def test_what_is_never_answered_is_asked_twice_and_fails(own_server, provider):
    # The connection ends without an answer, as with a provider that dies.
    drop = lambda handler: setattr(handler, "close_connection", True)  # noqa: E731
    provider.answers = [drop, drop]
    rest = own_server(messaging__carriers=carriers(provider.carrier())).rest()
    (tn,) = rest.numbers()
    done = over(rest, rest.post("/rest/sms", {"from": tn, "to": THEM, "message": "hello"}))
    assert (done["state"], done["reason"], done["repeated"]) == ("failed", "No answer from the carrier", True)
    assert [body["repeated"] for _, body in provider.seen] == [False, True]
