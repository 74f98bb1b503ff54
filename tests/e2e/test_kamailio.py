"""Kamailio in front of the product, as an operator would put it there, and as a provider that wants a registration."""

from harness import sipp
from harness.kamailio import Kamailio, Registrar
from harness.rtp import RtpEar

PROMPT = "<Response><Answer/><Say>Welcome to Opentact.</Say><Hangup/></Response>"


def test_a_call_keeps_to_the_recorded_route_in_both_directions(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with(PROMPT)
    with Kamailio(tmp_path / "kamailio", server.sip()) as proxy, RtpEar() as ear:
        rest.trunk(proxy.port)
        port = sipp.free_port()
        result = sipp.run(
            tmp_path,
            "prompt_then_bye.xml",
            proxy.address,
            calls=20,
            rate=10,
            port=port,
            keys={"to": tn, "ear": ear.port},
        )
        assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
        assert (result.succeeded, result.failed) == (20, 0)
        assert proxy.passed("INVITE", port) and proxy.passed("ACK", port)
        # The far end's BYE goes the way the INVITE came, not straight to the caller's Contact.
        assert proxy.passed("BYE", server.sip()[1])
    assert len(ear.streams()) == 20


def test_the_node_registers_with_a_provider_and_leaves_it(own_server, tmp_path):
    server = own_server(sip__trunk_expires="600s")
    rest = server.rest()
    with Registrar(tmp_path / "registrar", "secret") as registrar:
        trunks = {
            user: rest.trunk(registrar.port, name=user, username=user, password=password, register=True)["uuid"]
            for user, password in (("known", "secret"), ("wrong", "guess"))
        }

        def registration(user):
            return rest.get(f"/rest/sip/connection/{trunks[user]}")["health"]["registration"] or {}

        known = rest.until(lambda: registration("known"), lambda found: found.get("state") == "registered")
        assert known["expires_on"] is not None and registrar.registered("known", 600)
        refused = rest.until(lambda: registration("wrong"), lambda found: found.get("state") == "refused")
        assert refused["code"] == 401
        rest.delete(f"/rest/sip/connection/{trunks['known']}")
        server.wait_for(lambda: registrar.registered("known", 0), "end of the registration")
    assert server.is_healthy()
