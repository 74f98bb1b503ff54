"""A domain's switch, with sipp as the switch."""

from harness import sipp

# Answers, in the simulated network.
OUTSIDE = 12065550000


def test_a_switch_calls_out_by_its_domains_profile_and_nobody_else_does(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    lease = rest.get(f"/rest/lease/tn/{tn}")
    profile = rest.post("/rest/profile/outbound_voice", {"name": "out", "tn_lease": lease["uuid"]})
    domain = rest.post("/rest/sip/domain", {"domain": "office", "outbound_voice_profile": profile["uuid"]})["domain"]
    sipp.call(tmp_path, server.sip(), OUTSIDE, code=403)
    switches = f"/rest/sip/domain/{domain}/switch"
    switch = rest.post(switches, {"name": "pbx", "remote_ip": "127.0.0.1"})
    sipp.call(tmp_path, server.sip(), OUTSIDE)
    sipp.call(tmp_path, server.sip(), OUTSIDE, host=domain, home="pbx.example.com")
    sipp.call(tmp_path, server.sip(), "nobody", code=404, host=domain)
    outside = {"direction": "out", "to": f"*{OUTSIDE}", "state": "destroyed"}
    found = rest.until(lambda: rest.post("/rest/call/search", outside), lambda found: found["total"] == 2)
    assert {call["tn"]["tn"] for call in found["data"]} == {tn}
    rest.delete(f"{switches}/{switch['uuid']}")
    sipp.call(tmp_path, server.sip(), OUTSIDE, code=403)
    assert server.is_healthy()
