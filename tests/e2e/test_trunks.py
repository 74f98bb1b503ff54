"""Trunks, with sipp as the providers: one that fails, one that challenges."""

from concurrent.futures import ThreadPoolExecutor

from harness import sipp


def test_the_call_goes_by_the_next_provider_and_answers_its_challenge(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    ports = [sipp.free_port(), sipp.free_port()]
    failing = rest.trunk(ports[0], priority=1)
    good = rest.trunk(ports[1], priority=2, username="me", password="secret")
    profile = rest.post("/rest/profile/outbound_voice", {"name": "out", "sip_connections": [good["uuid"], failing["uuid"]]})
    with ThreadPoolExecutor() as pool, server.events() as events:
        folders = [tmp_path / name for name in ("failing", "digest")]
        for folder in folders:
            folder.mkdir()
        scenarios = ["failing_provider.xml", "digest_provider.xml"]
        peers = [
            pool.submit(sipp.run, folder, scenario, server.sip(), calls=1, rate=1, port=port, timeout=60)
            for folder, scenario, port in zip(folders, scenarios, ports, strict=True)
        ]
        # Until they listen, the node's INVITEs are lost and sent again.
        call = rest.post(
            "/rest/call",
            {
                "to": 12015559999,
                "from": tn,
                "outbound_voice_profile": profile["uuid"],
                "xml": "<Response><Pause length=\"500\"/><Hangup/></Response>",
            },
        )
        results = [peer.result() for peer in peers]
        for result in results:
            assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
            assert (result.succeeded, result.failed) == (1, 0)
        ended = rest.call(call["uuid"])
        assert ended["q850_cause"] == 16
        assert ended["sip_connection"]["uuid"] == good["uuid"]
        assert any(e["type"] == "call_state" for e in events.all)
    health = [rest.get(f"/rest/sip/connection/{trunk['uuid']}")["health"] for trunk in (failing, good)]
    assert [(one["calls"], one["asr"]) for one in health] == [(1, 0), (1, 1)]
    assert health[1]["pdd"] is not None and health[1]["acd"] >= 0
    counted = server.metrics()
    for trunk, outcome in ((failing, "failed"), (good, "answered")):
        assert counted[f'opentact_trunk_calls_total{{trunk="{trunk["uuid"]}",outcome="{outcome}"}}'] == 1
    assert server.is_healthy()


def test_a_provider_that_is_asked_and_silent_goes_down_and_is_told(own_server):
    server = own_server(sip__ping_interval="100ms", sip__ping_failures="1")
    rest = server.rest()
    # Over TCP nobody listens there, which is known at once.
    with server.events() as events:
        trunk = rest.trunk(sipp.free_port(), transport="tcp", options_ping=True)
        path = f"/rest/sip/connection/{trunk['uuid']}"
        rest.until(lambda: rest.get(path)["health"]["state"], lambda state: state == "down")
        rest.until(lambda: [e for e in events.all if e["type"] == "sip_connection"], bool)
    assert server.metrics()[f'opentact_trunk_up{{trunk="{trunk["uuid"]}"}}'] == 0


def test_a_number_of_the_operators_own_provider_is_brought_in_and_called(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = 12024567041
    port = sipp.free_port()
    rest.trunk(port)
    sipp.call(tmp_path, server.sip(), tn, code=404, port=port)
    rest.post("/rest/admin/tnlease/create", {"tns": [tn]})
    app = rest.app("<Response><Answer/><Pause length=\"20000\"/></Response>")
    rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": app["uuid"]})
    steps = [step["step"] for step in rest.get(f"/rest/lease/tn/{tn}/route")["voice"]]
    assert steps == ["sip_control_app", "call_flow"]
    sipp.call(tmp_path, server.sip(), tn, port=port)
    ended = rest.until(lambda: rest.post("/rest/call/search", {"to": f"*{tn}", "state": "destroyed"}), lambda found: found["total"])
    assert ended["data"][0]["sip_control_app"]["uuid"] == app["uuid"]
