"""A node on PostgreSQL does what one on SQLite does."""

import os
import urllib.parse
import uuid

import psycopg
import pytest

URL = os.environ.get("OPENTACT_TEST_POSTGRES")


@pytest.mark.skipif(URL is None, reason="./test gives OPENTACT_TEST_POSTGRES")
def test_calls_and_messages_and_a_restart(own_server):
    # A schema of its own, so that the test finds an empty database.
    schema = f"e2e_{uuid.uuid4().hex}"
    create_schema(schema)
    options = urllib.parse.quote(f"-c search_path={schema}")
    server = own_server(store__url=f"{URL}?options={options}")
    rest = server.rest()
    (tn,) = rest.numbers()
    with server.events() as events:
        call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": "<Response><Answer/><Hangup/></Response>"})
        seen = events.destroyed(call["uuid"])
        assert [e["payload"]["state"] for e in seen if e["type"] == "call_state"] == [
            "init",
            "ringing",
            "live",
            "hangup",
            "destroyed",
        ]
        sms = rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "hello"})
        events.wait(lambda e: e["type"] == "sms" and e["payload"]["uuid"] == sms["uuid"] and e["payload"]["delivered"])
    balance = rest.get("/rest/auth")["account"]["balance"]
    server.restart()
    rest = server.rest()
    assert rest.get("/rest/auth")["account"]["balance"] == balance < 100
    assert rest.get(f"/rest/call/{call['uuid']}")["state"] == "destroyed"
    assert rest.get(f"/rest/sms/{sms['uuid']}")["delivered"] is True


def create_schema(name):
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
