"""A websocket edge in front: Kamailio terminates WS and WSS of browsers and other clients and passes on by UDP."""

import pytest

from harness import sound
from harness.browser import WebPhone, chromium
from harness.edge import WebEdge, WebsocketPhone

SECRET = "correct-horse-battery"
TONE = "<Response><Answer/><Tone hz='600' don='2000' doff='0' timeout='2000'/><Hangup/></Response>"


@pytest.fixture
def office(own_server, tmp_path, request):
    """A server with a user `web`, the edge in front of it, and where the user is seen by REST. Its parameter is `media.srtp`."""
    server = own_server(media__srtp=getattr(request, "param", "optional"))
    rest = server.rest()
    app = rest.app(TONE)["uuid"]
    domain = rest.post("/rest/sip/domain", {"domain": "office", "sip_control_app": app})["domain"]
    user = rest.post(f"/rest/sip/domain/{domain}/user", {"login": "web", "password": SECRET})
    with WebEdge(tmp_path / "edge", server) as edge:
        yield server, edge, domain, f"/rest/sip/domain/{domain}/user/{user['uuid']}"


def hears(phone):
    """Its ear has heard the tone of the flow."""
    heard = phone.ear.audio()
    assert abs(sound.frequency(heard[4000:-4000]) - 600) < 2


@pytest.mark.timeout(90)
@pytest.mark.parametrize("office", ["off"], indirect=True)  # It is no browser: it takes no more than RTP/AVP.
def test_a_websocket_client_calls_and_is_called_through_the_edge(office):
    server, edge, domain, path = office
    rest = server.rest()
    with WebsocketPhone(edge.ready("ws"), "web", domain, SECRET) as phone, server.events() as events:
        aor = f"sip:web@{domain}"
        assert phone.ask("REGISTER", f"sip:{domain}", aor, ["Expires: 120", "Supported: path"]).code == 200
        (registration,) = rest.get(path)["registrations"]
        # To the server it is a phone behind a proxy.
        assert registration["transport"] == "udp" and ".invalid" in registration["contact"]

        call = rest.post("/rest/call", {"to": f"web@{domain}", "xml": TONE})
        phone.pick_up(phone.invited())
        phone.wait_bye()
        hears(phone)
        events.destroyed(call["uuid"])
        assert rest.call(call["uuid"])["q850_cause"] == 16
        phone.ear.packets.clear()

        # The other way: the far end's BYE comes by the recorded route too.
        assert phone.call(f"sip:anybody@{domain}").code == 200
        phone.wait_bye()
        hears(phone)
        for method in ("REGISTER", "INVITE", "ACK"):
            assert edge.passed(method, "ws"), method
        for method in ("INVITE", "ACK", "BYE"):
            assert edge.passed(method, "udp"), method


@pytest.mark.timeout(90)
@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_a_browser_registers_and_is_called_through_the_edge(office, scheme):
    server, edge, domain, path = office
    rest = server.rest()
    with chromium() as browser, server.events() as events:
        phone = WebPhone(browser.new_page(), server.base, edge.ready(scheme), f"sip:web@{domain}", SECRET)
        # It asks for outbound (RFC 5626), for which the edge has to say that it knows how.
        phone.lives(rest, events, domain, path, "udp", TONE)
        assert edge.passed("INVITE", scheme) and edge.passed("INVITE", "udp")
