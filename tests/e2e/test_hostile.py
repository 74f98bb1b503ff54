"""Who means harm, by sipp, while a good trunk goes on calling: everything is answered as it should be, and nothing is left."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sipp
from harness.phone import Phone
from harness.rtp import RtpEar
from test_messages import office
from test_softphones import SECRET


def as_expected(result, calls):
    assert result.code == 0, f"{result.errors}\n{result.screen[-3000:]}"
    assert (result.succeeded, result.failed) == (calls, 0)


@pytest.mark.timeout(120)
def test_floods_of_strangers_and_spoofed_dialogs_do_not_keep_a_good_trunk_out(own_server, tmp_path):
    server = own_server()
    rest = server.rest()
    tn = rest.number_with("<Response><Answer/><Say>Welcome to Opentact.</Say><Hangup/></Response>")
    domain = office(rest, "desk")
    trunk = sipp.free_port()
    rest.trunk(trunk)
    for name in ("strangers", "spoofed", "good"):
        (tmp_path / name).mkdir()
    guesses = [(f"guess{n}", f"[authentication username=guess{n} password=guess-{n}]") for n in range(200)]
    with RtpEar() as ear, ThreadPoolExecutor() as pool:
        run = lambda name, scenario, **more: pool.submit(  # noqa: E731
            sipp.run, tmp_path / name, scenario, server.sip(), **more
        )
        strangers = run("strangers", "stranger.xml", calls=200, rate=40, rows=guesses, keys={"domain": domain})
        spoofed = run("spoofed", "spoofed.xml", calls=200, rate=40, keys={"to": tn})
        good = run("good", "prompt_then_bye.xml", calls=20, rate=4, port=trunk, keys={"to": tn, "ear": ear.port})
        as_expected(strangers.result(), 200)
        as_expected(spoofed.result(), 200)
        as_expected(good.result(), 20)
    assert rest.get("/rest/call/online") == []
    # Nobody of them is kept from calling who has a password.
    with Phone(server.sip(), "desk", domain, SECRET) as phone:
        assert phone.register().code == 200
    assert server.is_healthy()
