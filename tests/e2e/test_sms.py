"""SMS to the simulated network, and from it."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture(scope="module")
def tn(server):
    return server.rest().numbers()[0]


def send(rest, events, tn, line, text="hello", good=None):
    sms = rest.post("/rest/sms", {"from": tn, "to": int("1206555" + line), "message": text})
    assert sms["type"] == "smso" and sms["state"] == "created"
    mine = lambda event: event["type"] == "sms" and event["payload"]["uuid"] == sms["uuid"]  # noqa: E731
    if good:
        events.wait(lambda event: mine(event) and good(event["payload"]))
    return sms, lambda: [event for event in events.all if mine(event)]


def test_gets_its_receipt(rest, events, tn):
    before = rest.get("/rest/auth")["account"]["balance"]
    sms, seen = send(rest, events, tn, "0199", good=lambda p: p["delivered"])
    states = [(e["payload"]["state"], e["payload"]["delivered"]) for e in seen()]
    assert states[0] == ("created", False) and states[-1] == ("success", True)
    assert ("success", False) in states
    stored = rest.get(f"/rest/sms/{sms['uuid']}")
    assert stored["delivered"] is True and stored["segments"] == 1 and len(stored["thread"]) == 32
    assert rest.get("/rest/auth")["account"]["balance"] < before


def test_fails_at_once(rest, events, tn):
    _, seen = send(rest, events, tn, "0110", good=lambda p: p["state"] == "failed")
    assert seen()[-1]["payload"]["reason"]


def test_gets_no_receipt(rest, events, tn):
    sms, seen = send(rest, events, tn, "0111", good=lambda p: p["state"] == "success")
    send(rest, events, tn, "0198", good=lambda p: p["delivered"])  # one that was sent later has its receipt
    assert rest.get(f"/rest/sms/{sms['uuid']}")["delivered"] is False
    assert len(seen()) >= 2


def test_is_undeliverable(rest, events, tn):
    _, seen = send(rest, events, tn, "0112", good=lambda p: p["state"] == "failed")
    assert seen()[-1]["payload"]["delivered"] is False


def test_is_throttled_and_then_delivered(rest, events, tn):
    send(rest, events, tn, "0113", good=lambda p: p["delivered"])


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [("a" * 160, "GSM", 1), ("a" * 161, "GSM", 2), ("€" * 80, "GSM", 1), ("п" * 70, "UCS2", 1), ("😀" * 36, "UCS2", 2)],
)
def test_segments(rest, events, tn, text, encoding, segments):
    sms, _ = send(rest, events, tn, "0197", text, good=lambda p: p["delivered"])
    assert sms["segments"] == segments
    assert sms["encoding"].upper().replace("-", "").startswith(encoding)


def test_an_own_number_receives_it(rest, events, tn):
    (other,) = rest.numbers()
    rest.post("/rest/sms", {"from": tn, "to": other, "message": "to myself: ä € 😀"})
    event = events.wait(lambda e: e["type"] == "sms" and e["payload"]["type"] == "smsi" and e["payload"]["to"] in (other, str(other)))
    assert event["payload"]["message"] == "to myself: ä € 😀"


def test_the_outside_world_texts_a_number(rest, events, tn):
    rest.post("/rest/dev/sms", {"from": 12065550123, "to": tn, "text": "hello from outside"})
    event = events.wait(lambda e: e["type"] == "sms" and e["payload"].get("message") == "hello from outside")
    assert event["payload"]["type"] == "smsi"
    found = rest.post("/rest/sms/search", {"message": "*from outside*"})
    assert found["total"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": 12065550199, "message": "x"}, "params.from"),
        ({"from": 0, "to": 12065550199, "message": "x"}, "params.from"),
        ({"to": "nobody", "message": "x"}, "params.to"),
        ({"to": 12065550199}, "params.message"),
        ({"to": 12065550199, "message": "x" * 919}, "params.message"),
        ({"to": 12065550199, "message": ""}, "params.message"),
    ],
)
def test_bad_messages_name_their_field(rest, tn, body, field):
    if field != "params.from":
        body = {"from": tn, **body}
    answer = rest.ask("POST", "/rest/sms", json=body)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["fields"]


def test_a_number_of_others_cannot_send(rest):
    answer = rest.ask("POST", "/rest/sms", json={"from": 12065550188, "to": 12065550199, "message": "x"})
    assert answer.status_code in (404, 422)


def test_is_looked_at_before_it_is_sent(rest, tn):
    preview = rest.post("/rest/sms/preview", {"from": tn, "to": [12065550198, 12065550199], "message": "“Hello” €"})
    assert (preview["message"], preview["encoding"], preview["segments"]) == ('"Hello" €', "gsm", 1)
    assert preview["total"] == 2 * preview["price"] > 0 and preview["sufficient_balance"] is True


def test_waits_for_its_time_and_is_taken_back(rest, tn):
    body = {"from": tn, "to": 12065550199, "message": "later", "send_at": "2000-01-01T00:00:00Z"}
    sms = rest.post("/rest/sms", body)
    rest.until(lambda: rest.get(f"/rest/sms/{sms['uuid']}"), lambda sms: sms["delivered"])
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    sms = rest.post("/rest/sms", body | {"send_at": soon, "priority": "high"})
    assert rest.get("/rest/sms/queue")["scheduled"] == 1
    assert rest.delete(f"/rest/sms/{sms['uuid']}")["reason"] == "Canceled"
    assert rest.ask("DELETE", f"/rest/sms/{sms['uuid']}").status_code == 409
    assert rest.get("/rest/sms/queue")["scheduled"] == 0
    late = rest.ask("POST", "/rest/sms", json=body | {"send_at": "2099-01-01T00:00:00Z"})
    assert late.status_code == 422 and "params.send_at" in late.json()["fields"]


def test_is_not_sent_to_who_has_opted_out(rest, events):
    (tn,) = rest.numbers()
    them = 12065550177
    texts = lambda event: event["type"] == "sms" and event["payload"]["to"] == them and event["payload"]["automated"]  # noqa: E731
    rest.post("/rest/dev/sms", {"from": them, "to": tn, "text": " stop! "})
    reply = events.wait(lambda event: texts(event) and event["payload"]["delivered"])
    assert "START" in reply["payload"]["message"]
    refused = rest.ask("POST", "/rest/sms", json={"from": tn, "to": them, "message": "x"})
    assert refused.status_code == 403 and refused.json()["code"] == 407, refused.text
    assert [entry["tn"] for entry in rest.get("/rest/sms/optout")["data"]] == [them]
    rest.post("/rest/dev/sms", {"from": them, "to": tn, "text": "Start"})
    events.wait(lambda event: texts(event) and "resubscribed" in event["payload"]["message"])
    rest.post("/rest/sms", {"from": tn, "to": them, "message": "x"})


def test_comes_from_a_pool_that_takes_turns_and_sticks(rest):
    profile = rest.post("/rest/profile/messaging", {"name": "pool", "number_pool_enable": True, "sticky_sender": True})
    numbers = rest.numbers(2)
    for number in numbers:
        rest.patch(f"/rest/lease/tn/{number}", {"messaging_profile": profile["uuid"]})
    recipients = [13035550100 + n for n in range(4)]
    first = rest.post("/rest/sms", {"messaging_profile": profile["uuid"], "to": recipients, "message": "one"})
    assert {sms["type"] for sms in first} == {"smsr"}
    assert sorted(int(sms["from"]) for sms in first) == sorted(numbers * 2)
    again = rest.post("/rest/sms", {"messaging_profile": profile["uuid"], "to": recipients[::-1], "message": "two"})
    assert [sms["from"] for sms in again] == [sms["from"] for sms in first][::-1]


def test_the_log_is_exported(rest, tn):
    sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": '=SUM(1), "quoted"'})
    answer = rest.ask("POST", "/rest/sms/search", json={"message": "=SUM*"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["uuid"], row["message"], row["to"]) == (sms["uuid"], '\'=SUM(1), "quoted"', "12065550199")
