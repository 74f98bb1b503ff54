"""Who means harm, by sipp, while a good trunk goes on calling: everything is answered as it should be, and nothing is left."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sipp
from harness.phone import Phone
from harness.rtp import RtpEar
from harness.scenario import Caller
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


def options(server, source, more=""):
    """An OPTIONS from this socket."""
    local = "{}:{}".format(*source.getsockname())
    return (
        f"OPTIONS sip:{server.runtime['sip_udp']} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{time.time_ns():x}\r\n"
        f"From: <sip:a@b.example>;tag=1\r\nTo: <sip:c@d.example>\r\nCall-ID: {time.time_ns():x}\r\nCSeq: 1 OPTIONS\r\n"
        f"Max-Forwards: 70\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


def is_answered(server, source, timeout=0.5):
    """Whether this socket gets a 200 for an OPTIONS."""
    source.settimeout(timeout)
    source.sendto(options(server, source), server.sip())
    try:
        return source.recv(65536).startswith(b"SIP/2.0 200")
    except TimeoutError:
        return False


def udp(address="127.0.0.1"):
    source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.bind((address, 0))
    return source


def counted(server, name):
    return sum(value for key, value in server.metrics().items() if key.startswith(name))


def test_of_a_flood_from_one_address_so_much_is_answered_as_it_may_ask(own_server, tmp_path):
    server = own_server(sip__trusted="", sip__rate_limit="20", sip__rate_burst="100", sip__trace_messages="10")
    asks = Caller().request("OPTIONS", again=False).hear_or_not(200)
    begun = time.monotonic()
    keys = {"to": "x", "from": "flood", "host": "127.0.0.1", "home": "127.0.0.1"}
    result = sipp.run(tmp_path, asks.write(tmp_path, "flood"), server.sip(), calls=2000, rate=1000, keys=keys)
    as_expected(result, 2000)
    lasted = time.monotonic() - begun
    dropped = counted(server, 'opentact_sip_rejected_total{reason="rate"}')
    assert 100 <= 2000 - dropped <= 100 + 20 * lasted + 1
    # Only the flood is kept out, and only for as long as it lasts.
    with udp("127.0.0.2") as other, udp() as same:
        assert is_answered(server, other)
        server.rest().until(lambda: is_answered(server, same), bool)
    assert server.is_healthy()


def test_what_is_too_large_is_counted_and_never_written_down(own_server):
    server = own_server(sip__message_limit="8KiB", log__level="debug")
    secret = "ohsomuchofit"
    before = counted(server, "opentact_sip_malformed_total")
    with udp() as source:
        # One long header is no fault.
        source.sendto(options(server, source, f"X-Long: {'x' * 6000}\r\n"), server.sip())
        source.settimeout(5)
        assert source.recv(65536).startswith(b"SIP/2.0 200")
        # A message beyond the limit, one with too many headers, one that is cut off, and one that leads nowhere.
        source.sendto(options(server, source, f"X-Long: {secret * 1000}\r\n"), server.sip())
        source.sendto(options(server, source, f"{secret}: 1\r\n" * 513), server.sip())
        source.sendto(options(server, source)[:200] + secret.encode(), server.sip())
        source.sendto(options(server, source).replace(b"SIP/2.0/UDP", secret.encode()), server.sip())
        source.sendto(secret.encode() * 10, server.sip())
        # All of them in the order they came, so that they are judged when this is answered.
        assert is_answered(server, source, timeout=5)
    assert counted(server, "opentact_sip_malformed_total") - before == 5
    for endless in (f"OPTIONS sip:a SIP/2.0\r\nX: {secret * 1000}", f"OPTIONS sip:a SIP/2.0\r\nContent-Length: 9000\r\n\r\n{secret}"):
        with socket.create_connection(server.sip("tcp"), timeout=5) as stream:
            stream.sendall(endless.encode())
            assert stream.recv(1024) == b""
    assert counted(server, "opentact_sip_malformed_total") - before == 7
    assert secret not in server.log.read_text(errors="replace")
    assert server.is_healthy()
