"""Start, restart, what the listeners say before anybody has an account."""

import json
import os
import stat
import subprocess

import pytest
import requests

from harness import timed
from harness.server import BINARY, EMAIL, PASSWORD, environment


def test_a_restart_is_ready_soon_and_tells_its_addresses(own_server):
    server = own_server()
    server.restart()  # a warm disk: certificate and database are there
    timed.within("ready after", server.ready_after * 1000, 1000)
    assert server.runtime["pid"] == server.process.pid
    for name in ("http", "https", "sip_udp", "sip_tcp", "metrics"):
        host, _, port = server.runtime[name].rpartition(":")
        assert host == "127.0.0.1" and int(port) > 0


def test_runtime_file_goes_with_the_server(own_server):
    server = own_server()
    server.stop()
    assert not (server.data / "runtime.json").exists()


@pytest.mark.parametrize("path", ["/", "/rest/call?take=1", "/swagger/", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_redirects_every_path(server, method, path):
    answer = requests.request(method, f"http://{server.runtime['http']}{path}", allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    assert answer.headers["Location"] == server.base + path


def test_health_and_metrics(server):
    for kind in ("live", "ready"):
        assert server.rest().ask("GET", f"/rest/health/{kind}").status_code == 200
    assert server.metrics()['opentact_build_info{version="0.1.0"}'] == 1


def test_openapi_describes_what_is_served(server):
    answer = server.rest().ask("GET", "/swagger/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    for path in ("/rest/call", "/rest/sms", "/rest/order", "/rest/tn/search", "/rest/sip/app"):
        assert path in document["paths"], path
    page = server.rest().ask("GET", "/swagger/")
    assert page.status_code == 200 and "<html" in page.text.lower()


def test_first_start_makes_the_owner(own_server):
    user = own_server().rest().get("/rest/auth")
    assert user["email"] == EMAIL and user["role"] == "Admin"
    assert user["account"]["balance"] == 100


def test_a_random_password_is_printed_once_and_works(own_server):
    server = own_server(admin_password="")
    printed = server.log.read_text()
    (password,) = {line.split()[-1] for line in printed.splitlines() if line.strip().startswith("password")}
    assert server.rest(password=password).get("/rest/auth")["email"] == EMAIL
    server.restart()
    assert server.log.read_text().count(password) == 1


def test_restart_keeps_what_was_made(own_server):
    server = own_server()
    rest = server.rest()
    (tn,) = rest.numbers()
    app = rest.app("<Response><Answer/></Response>", name="kept")
    rest.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": app["uuid"]})
    ca = (server.data / "tls/ca.pem").read_text()
    balance = rest.get("/rest/auth")["account"]["balance"]
    server.restart()
    rest = server.rest()
    assert (server.data / "tls/ca.pem").read_text() == ca
    assert rest.get(f"/rest/lease/tn/{tn}")["sip_control_app"]["uuid"] == app["uuid"]
    assert "<Answer/>" in rest.get(f"/rest/sip/app/call/flow/{app['uuid']}")
    assert rest.get("/rest/auth")["account"]["balance"] == balance


def test_secrets_of_the_data_folder_are_private(server):
    for name in ("credentials.json", "tls/ca.key", "tls/server.key", "secret.key"):
        assert stat.S_IMODE(os.stat(server.data / name).st_mode) == 0o600, name
    assert PASSWORD not in (server.data / "credentials.json").read_text()


def run(*arguments, **settings):
    return subprocess.run([BINARY, *arguments], env=environment(settings), capture_output=True, text=True, timeout=20)


def test_unknown_and_bad_settings_are_named_with_their_place(tmp_path):
    file = tmp_path / "opentact.toml"
    file.write_text('[sip]\nudpp = "127.0.0.1:1"\n')
    done = run("serve", "--config", file, "--data", tmp_path / "d", "--log.format", "xml")
    assert done.returncode != 0
    assert "sip.udpp: unknown setting; did you mean sip.udp?" in done.stderr and "opentact.toml:2" in done.stderr
    assert "log.format" in done.stderr and "flag --log.format" in done.stderr


def test_a_taken_port_is_named(server, tmp_path):
    done = run("serve", "--data", tmp_path / "d", "--https.listen", server.runtime["https"])
    assert done.returncode != 0
    assert "https.listen" in done.stderr


def test_check_says_whether_it_could_start(server, tmp_path):
    good = run("check", "--data", tmp_path / "d")
    assert good.returncode == 0, good.stderr
    bad = run("check", "--data", tmp_path / "d", "--sip.udp", server.runtime["sip_udp"])
    assert bad.returncode != 0 and "sip.udp" in bad.stderr
    # Of several listeners every one is tried, and beside each other.
    bad = run("check", "--data", tmp_path / "d", "--sip.tcp", f"127.0.0.1:0,{server.runtime['sip_tcp']},[::1]:0")
    assert bad.returncode != 0 and f"sip.tcp = {server.runtime['sip_tcp']}" in bad.stderr
    bad = run("check", "--data", tmp_path / "d", "--sip.external_address", "203.0.113.5,10.0.0.0/8=2001:db8::1")
    assert bad.returncode != 0 and "sip.external_address" in bad.stderr
    bad = run("check", "--data", tmp_path / "d", "--sip.tls", server.runtime["sip_tls"])
    assert bad.returncode != 0 and "sip.tls" in bad.stderr
    bad = run("check", "--data", tmp_path / "d", "--sip.tls_ca", "/etc/hostname")
    assert bad.returncode != 0 and "sip.tls_ca" in bad.stderr and "/etc/hostname" in bad.stderr


def test_print_config_reads_back(tmp_path):
    printed = run("serve", "--print-config", "--data", "/somewhere")
    assert printed.returncode == 0
    assert 'data = "/somewhere"' in printed.stdout and "flag --data" in printed.stdout
    assert PASSWORD not in printed.stdout


def test_json_logs_are_json(own_server):
    server = own_server(log__format="json")
    server.stop()
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert any(json.loads(line)["message"] == "ready" for line in lines)
