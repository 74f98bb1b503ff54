"""A number's filter profile, with sipp as the callers."""

from harness import sipp


def test_callers_are_kept_out_by_the_lists_of_the_number(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with("<Response><Answer/><Pause length='5000'/></Response>")
    port = sipp.free_port()
    rest.trunk(port)
    profile = rest.post("/rest/tn_profile", {"name": "no spam"})
    path = f"/rest/tn_profile/{profile['uuid']}"
    rest.patch(f"/rest/lease/tn/{tn}", {"tn_profile": profile["uuid"]})
    call = lambda caller, code: sipp.call(tmp_path, server.sip(), tn, caller=caller, code=code, port=port)  # noqa: E731
    call("+12025550123", 200)
    rest.post(f"{path}/blacklist", {"add": ["1202555*"]})
    call("+12025550123", 603)
    call("+12035550123", 200)
    rest.patch(path, {"on_reject": "busy"})
    rest.post(f"{path}/whitelist", {"add": [12025550123, "1204*"]})
    call("+12025550123", 486)
    call("+12035550123", 486)
    call("+12045550123", 200)
    assert rest.get(path)["rejected"] == 3
    refused = rest.until(lambda: rest.post("/rest/call/search", {"from": "*12035550123"})["data"], lambda calls: len(calls) == 2)
    rules = [call["meta"]["tn_profile"] for call in refused if call.get("meta")]
    assert rules == [{"uuid": profile["uuid"], "name": "no spam", "list": "whitelist", "rule": None}]
    assert server.is_healthy()
