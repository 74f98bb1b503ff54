"""The websocket: every event, once, in order."""

import uuid

from harness.events import EventSocket

FLOW = """<Response><Answer/><Say tag="hello">Hello.</Say><Tone hz="440" don="300" timeout="300"/>
          <Pause length="200"/><Hangup tag="bye"/></Response>"""


def test_auth_answers_with_user_and_account(server):
    with server.events() as events:
        (auth,) = events.all
        assert auth["message"].startswith("WSS connection ") and auth["message"].endswith("success auth owner@example.com")
        assert auth["payload"]["user"]["email"] == "owner@example.com"
        assert auth["payload"]["account"]["uuid"] == auth["account"]["uuid"]
        assert auth["payload"]["ip"] == "127.0.0.1"


def test_a_call_tells_every_state_and_step_in_order(server, rest, events):
    (tn,) = rest.numbers()
    call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": FLOW})
    seen = events.destroyed(call["uuid"])
    told = [
        e["payload"]["state"] if e["type"] == "call_state" else e["call_flow"]["name"]
        for e in seen
        if e["type"] in ("call_state", "call_flow")
    ]
    assert told == ["init", "ringing", "live", "Answer", "Say", "Tone", "Pause", "Hangup", "hangup", "destroyed"]
    assert [e["payload"]["command"]["path"] for e in seen if e["type"] == "call_flow"] == [
        "Answer[0]",
        "Say[1]",
        "Tone[2]",
        "Pause[3]",
        "Hangup[4]",
    ]
    sequence = [e["seq"] for e in seen]
    assert sequence == sorted(sequence)
    assert len({e["uuid"] for e in seen}) == len(seen)
    for event in seen:
        assert event["timestamp"] == event["created_on"]
        assert event["call"]["uuid"] == call["uuid"]
    state = seen[0]
    assert state["message"] == f"{state['call']['type']} out {state['call']['from']} > {state['call']['to']} - init"
    assert seen[-1]["call"]["q850_cause"] == 16 and seen[-1]["call"]["q850_cause_string"]
    logs = rest.get(f"/rest/call/{call['uuid']}")["logs"]
    assert [row["name"] for row in logs] == ["Answer", "Say", "Tone", "Pause", "Hangup"]


def test_sequence_numbers_have_no_gap(server, rest):
    with server.events() as events:
        (tn,) = rest.numbers()
        call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": FLOW})
        events.destroyed(call["uuid"])
        numbers = [e["seq"] for e in events.all if e["type"] != "auth"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_missed_events_are_replayed(server, rest):
    (tn,) = rest.numbers()
    with server.events() as events:
        call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": FLOW})
        seen = events.destroyed(call["uuid"])
    with server.events() as events:
        events.send({"type": "subscribe", "payload": {"types": ["call_state"], "after": seen[0]["seq"] - 1}})
        again = events.destroyed(call["uuid"])
    assert [e["uuid"] for e in again] == [e["uuid"] for e in seen if e["type"] == "call_state"]


def test_only_subscribed_types_arrive(own_server):
    server = own_server()
    rest = server.rest()
    rest.post("/rest/event/subscription", {"is_active": True, "channel": "wss", "type": "sms"})
    (tn,) = rest.numbers()
    with server.events() as events:
        call = rest.post("/rest/call", {"to": 12065550100, "from": tn, "xml": FLOW})
        rest.call(call["uuid"])
        sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "x"})
        events.wait(lambda e: e["type"] == "sms" and e["payload"]["uuid"] == sms["uuid"] and e["payload"]["delivered"])
        assert {e["type"] for e in events.all} <= {"auth", "sms"}


def test_ping(events):
    events.send({"type": "ping"})
    events.wait(lambda e: e["type"] == "pong", timeout=5)


def test_a_bad_token_is_closed_with_4401(server):
    url = f"wss://{server.runtime['https']}/"
    for frame in ({"type": "auth", "payload": "nonsense"}, {"type": "auth"}):
        socket = EventSocket(url, server.ca, "", authenticate=False)
        socket.send(frame)
        assert socket.wait_closed() == 4401


def test_an_api_token_is_taken_too(server, rest):
    token = rest.post("/rest/token", {"name": f"for the websocket {uuid.uuid4()}"})
    with server.events(token["token"]) as events:
        assert events.all[0]["type"] == "auth"


def test_another_account_sees_nothing(server, rest):
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    rest.ask("POST", "/rest/user", json={"email": email, "password": "other password", "first_name": "O", "last_name": "P"})
    other = server.rest(email, "other password")
    (tn,) = rest.numbers()
    with server.events(other.jwt()) as events:
        call = rest.post("/rest/call", {"to": 12065550100, "from": tn, "xml": FLOW})
        rest.call(call["uuid"])
        events.send({"type": "ping"})
        events.wait(lambda e: e["type"] == "pong")
        assert {e["type"] for e in events.all} == {"auth", "pong"}
    assert other.ask("GET", f"/rest/call/{call['uuid']}").status_code in (401, 404)
