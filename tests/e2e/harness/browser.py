"""A softphone in a browser: JsSIP in Chromium, over WebSocket, with WebRTC's own offers and answers."""

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

JSSIP = Path(__file__).parents[1] / "browser/jssip.js"
FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # On a machine without a network its own address has to do.
    "--allow-loopback-in-peer-connection",
]

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
        session.on("confirmed", () => note("confirmed"));
        session.on("ended", ({ cause }) => note("ended", cause));
        const listen = (connection) => connection.addEventListener("track", ({ track }) => {
            const stream = new MediaStream([track]);
            if (track.kind === "video") {
                window.eye = Object.assign(document.createElement("video"), { srcObject: stream, muted: true });
                window.eye.play();
                return;
            }
            // Chromium lets sound flow only to where it is played.
            const player = new Audio();
            player.srcObject = stream;
            player.play();
            const context = new AudioContext();
            const analyser = context.createAnalyser();
            analyser.fftSize = 32768;
            context.createMediaStreamSource(stream).connect(analyser);
            window.ear = { player, context, analyser };
        });
        // Of a call of its own there is one already.
        if (session.connection) listen(session.connection);
        else session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
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

    def call(self, uri, video=False, pc_config=None):
        call = "([to, video, pcConfig]) => window.ua.call(to, { mediaConstraints: { audio: true, video }, pcConfig })"
        self.run(call, [uri, video, pc_config or {}])

    def answer(self, video=False):
        self.run("video => window.session.answer({ mediaConstraints: { audio: true, video } })", video)

    def hang_up(self):
        self.run("() => window.session.terminate()")

    def until_seen(self, frames=30):
        """Waits for so many further pictures; the mean of their red, green and blue."""
        stats = """async () => {
            const all = [...(await window.session.connection.getStats()).values()];
            return all.find(({ type, kind }) => type === "inbound-rtp" && kind === "video")?.framesDecoded ?? 0;
        }"""
        wanted, end = self.run(stats) + frames, time.monotonic() + 20
        while self.run(stats) < wanted:
            assert time.monotonic() < end, "no further pictures"
            self.page.wait_for_timeout(50)
        return self.run(
            """() => {
                const canvas = new OffscreenCanvas(64, 48);
                const paper = canvas.getContext("2d");
                paper.drawImage(window.eye, 0, 0, 64, 48);
                const { data } = paper.getImageData(0, 0, 64, 48);
                return [0, 1, 2].map((at) => data.filter((_, index) => index % 4 === at).reduce((a, b) => a + b, 0) / (64 * 48));
            }"""
        )

    def heard(self):
        """The last 0.7 s that were played, and samples per second."""
        samples, rate = self.run(
            """() => {
                const samples = new Float32Array(window.ear.analyser.fftSize);
                window.ear.analyser.getFloatTimeDomainData(samples);
                return [Array.from(samples), window.ear.context.sampleRate];
            }"""
        )
        return (np.array(samples) * 32767).astype(np.int16), int(rate)

    def until_loud(self, hz, timeout=20_000):
        """Waits until what is played is nothing but a tone of about this frequency, for as long as it is looked back."""
        self.page.wait_for_function(
            """hz => {
                if (!window.ear) return false;
                const { analyser, context } = window.ear;
                const bins = new Float32Array(analyser.frequencyBinCount);
                analyser.getFloatFrequencyData(bins);
                const peak = bins.indexOf(Math.max(...bins));
                const samples = new Float32Array(analyser.fftSize);
                analyser.getFloatTimeDomainData(samples);
                const loud = (from) => samples.slice(from, from + 240).some((sample) => Math.abs(sample) > 0.02);
                let all = true;
                for (let from = 0; from + 240 <= samples.length; from += 240) all &&= loud(from);
                return all && Math.abs((peak * context.sampleRate) / analyser.fftSize - hz) < 10;
            }""",
            arg=hz,
            timeout=timeout,
        )

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

        # It calls the same way, and the far end hangs up.
        self.run("() => { window.seen.length = 0 }")
        self.call(f"sip:anybody@{domain}")
        self.wait("confirmed")
        self.wait("ended")

        self.run("() => window.ua.unregister()")
        self.wait("unregistered")
        assert rest.get(path)["registrations"] == []


@contextmanager
def chromium(*microphones):
    """Pages that do not look at certificates: the test's authority is none that Chromium knows. One browser for each file that
    is its microphone, or a single one without."""
    with sync_playwright() as playwright, ExitStack() as browsers:
        contexts = []
        for microphone in microphones or [None]:
            flags = [f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS + flags)
            browsers.callback(browser.close)
            contexts.append(browser.new_context(ignore_https_errors=True))
        yield contexts if len(microphones) > 1 else contexts[0]
