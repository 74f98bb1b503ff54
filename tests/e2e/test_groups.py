"""A group of users, with baresip as their phones."""

import pytest

from harness.baresip import Baresip
from test_softphones import SECRET, account


@pytest.mark.timeout(90)
def test_the_phones_of_a_group_ring_and_the_first_to_answer_has_the_call(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    path = f"/rest/sip/domain/{domain}"
    users = {
        login: rest.post(f"{path}/user", {"login": login, "password": SECRET})["uuid"] for login in ("desk", "door", "away")
    }
    group = rest.post(f"{path}/group", {"name": "reception", "users": list(users.values())})
    tn = rest.number_with(f"<Response><Dial><To>group:{group['uuid']}</To></Dial><Hangup/></Response>")
    phone = lambda login: Baresip(tmp_path / login, account(server, login, domain, SECRET, regint=60))  # noqa: E731
    caller = Baresip(tmp_path / "caller", account(server, "trunk", "127.0.0.1", regint=0))
    with phone("desk") as desk, phone("door") as door, caller, server.events() as events:
        online = lambda: [user for user in rest.get(f"{path}/user") if user["state"] == "online"]  # noqa: E731
        rest.until(online, lambda found: len(found) == 2)
        rest.trunk(caller.sip)
        host, port = server.sip()
        caller.command("dial", f"sip:{tn}@{host}:{port}")
        desk.wait("CALL_INCOMING")
        door.wait("CALL_INCOMING")
        door.command("accept")
        caller.wait("CALL_ESTABLISHED")
        door.wait("CALL_ESTABLISHED")
        desk.wait("CALL_CLOSED")
        live = events.wait(lambda e: e["type"] == "call_bridge" and e["payload"]["state"] == "bridged")
        origin, dialled = live["payload"]["calls"]
        assert rest.get(f"/rest/call/{dialled}")["sip_user"]["uuid"] == users["door"]
        caller.command("hangup")
        door.wait("CALL_CLOSED")
        events.destroyed(origin)
    assert server.is_healthy()
