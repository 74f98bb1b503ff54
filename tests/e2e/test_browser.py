"""SIP over WebSocket with a browser as its phone."""

import pytest

from harness.browser import WebPhone, chromium

SECRET = "correct-horse-battery"
FLOW = "<Response><Answer/><Pause length='1'/><Hangup/></Response>"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_a_softphone_in_a_browser_registers_and_is_called(own_server, scheme):
    server = own_server(sip__ws="true")
    rest = server.rest()
    app = rest.app(FLOW)["uuid"]
    domain = rest.post("/rest/sip/domain", {"domain": "office", "sip_control_app": app})["domain"]
    user = rest.post(f"/rest/sip/domain/{domain}/user", {"login": "web", "password": SECRET})
    path = f"/rest/sip/domain/{domain}/user/{user['uuid']}"
    url = f"wss://{server.runtime['https']}/sip" if scheme == "wss" else f"ws://{server.runtime['http']}/sip"
    with chromium() as browser, server.events() as events:
        phone = WebPhone(browser.new_page(), server.base, url, f"sip:web@{domain}", SECRET)
        phone.lives(rest, events, domain, path, "ws", FLOW)

        phone.run("() => { window.seen.length = 0 }")
        phone.run("() => window.ua.register()")
        assert phone.wait("registered") == 200
        phone.page.close()
        rest.until(lambda: rest.get(path)["state"], lambda state: state == "offline")


@pytest.mark.timeout(60)
def test_a_stop_tells_browsers_to_go_away(own_server):
    server = own_server()
    rest = server.rest()
    domain = rest.post("/rest/sip/domain", {"domain": "office"})["domain"]
    rest.post(f"/rest/sip/domain/{domain}/user", {"login": "web", "password": SECRET})
    with chromium() as browser:
        url = f"wss://{server.runtime['https']}/sip"
        phone = WebPhone(browser.new_page(), server.base, url, f"sip:web@{domain}", SECRET)
        phone.wait("registered")
        server.signal()
        assert phone.wait("disconnected") == 1001
        assert server.wait(10) == 0
