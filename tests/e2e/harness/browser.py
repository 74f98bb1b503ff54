"""A softphone in a browser: JsSIP in Chromium, over WebSocket, with WebRTC's own offers and answers."""

from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

JSSIP = Path(__file__).parents[1] / "browser/jssip.js"
FLAGS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]

PHONE = """([url, uri, password]) => {
    window.seen = [];
    const socket = new JsSIP.WebSocketInterface(url);
    const ua = new JsSIP.UA({ sockets: [socket], uri, password, register: true, session_timers: false });
    const note = (name, detail) => window.seen.push([name, detail ?? null]);
    ua.on("connected", () => note("connected"));
    ua.on("disconnected", ({ code }) => note("disconnected", code));
    ua.on("registered", ({ response }) => note("registered", response.status_code));
    ua.on("unregistered", () => note("unregistered"));
    ua.on("registrationFailed", ({ cause }) => note("registrationFailed", cause));
    ua.on("newRTCSession", ({ originator, session, request }) => {
        window.session = session;
        if (originator === "remote") note("called", request.from.uri.user);
        session.on("failed", ({ message, cause }) => note("failed", message?.status_code ?? cause));
    });
    window.ua = ua;
    ua.start();
}"""


class WebPhone:
    def __init__(self, page, base, url, uri, password):
        # Any page of the server's origin will do; one of https gets the microphone.
        page.goto(f"{base}/rest/health/ready")
        page.add_script_tag(path=JSSIP)
        page.evaluate(PHONE, [url, uri, password])
        self.page = page

    def wait(self, name):
        """What the first event of that name, past or to come, says."""
        found = self.page.wait_for_function("name => window.seen.find(([seen]) => seen === name)", arg=name, timeout=20_000)
        return found.json_value()[1]

    def run(self, script, arg=None):
        return self.page.evaluate(script, arg)

    def lives(self, rest, events, domain, path, transport, xml):
        """Is registered over `transport`, called and refuses, calls and is refused, and unregisters: as `web` of a domain."""
        assert self.wait("registered") == 200
        (registration,) = rest.get(path)["registrations"]
        assert registration["transport"] == transport and ".invalid" in registration["contact"]

        # It hears of a call by its own connection, and says no by it.
        call = rest.post("/rest/call", {"to": f"web@{domain}", "xml": xml})
        self.wait("called")
        self.run("() => window.session.terminate({ status_code: 486 })")
        events.destroyed(call["uuid"])
        assert rest.call(call["uuid"])["q850_cause"] == 17

        # What a browser offers is SRTP keyed by DTLS, which this version does not speak.
        self.run("() => { window.seen.length = 0 }")
        self.run("to => window.ua.call(to, { mediaConstraints: { audio: true } })", f"sip:anybody@{domain}")
        assert self.wait("failed") == 488

        self.run("() => window.ua.unregister()")
        self.wait("unregistered")
        assert rest.get(path)["registrations"] == []


@contextmanager
def chromium():
    """Pages that do not look at certificates: the test's authority is none that Chromium knows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            yield browser.new_context(ignore_https_errors=True)
        finally:
            browser.close()
