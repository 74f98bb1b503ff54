"""The command line, and the three commands that a start prints."""

import json
import os
import re
import select
import signal
import subprocess
import time

from harness.server import BINARY, environment


def run(server, *arguments, timeout=60):
    command = [BINARY, *arguments, "--data", server.data]
    return subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=timeout)


def printed(server):
    """The lines printed after start that begin with `$`: commands to copy."""
    return [line.strip()[2:] for line in server.log.read_text().splitlines() if line.strip().startswith("$ ")]


def test_the_call_command_shows_the_calls_events(own_server):
    server = own_server()
    (command,) = [c for c in printed(server) if " call " in c]
    done = subprocess.run(command, shell=True, env=environment({}), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("init", "ringing", "live", "Answer ok", "Say ok", "hangup", "destroyed"):
        assert word in done.stdout, done.stdout


def test_the_sms_command_shows_its_states(own_server):
    server = own_server()
    (command,) = [c for c in printed(server) if " sms " in c]
    done = subprocess.run(command, shell=True, env=environment({}), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "delivered" in done.stdout


def test_the_softphone_command_registers(own_server):
    server = own_server()
    (command,) = [c for c in printed(server) if "baresip" in c]
    phone = subprocess.Popen(
        command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        rest = server.rest()
        domain = rest.get("/rest/sip/domain")
        domain = (domain["data"] if isinstance(domain, dict) else domain)[0]["domain"]
        assert domain.startswith("home.")

        def state():
            users = rest.get(f"/rest/sip/domain/{domain}/user")
            return (users["data"] if isinstance(users, dict) else users)[0]["state"]

        rest.until(state, lambda state: state == "online", timeout=15)
    finally:
        os.killpg(phone.pid, signal.SIGTERM)
        phone.wait(10)


def test_call_says_why_it_failed(server):
    (tn,) = server.rest().numbers()
    done = run(server, "call", "12065550100", "--from", str(tn))
    assert done.returncode == 2
    assert "17" in done.stdout and "busy" in done.stdout.lower()


def test_call_as_json_lines(server):
    (tn,) = server.rest().numbers()
    done = run(server, "call", "12065550001", "--from", str(tn), "--say", "Hi & bye", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["payload"]["state"] == "destroyed"


def test_failed_sms(server):
    (tn,) = server.rest().numbers()
    done = run(server, "sms", "12065550110", "hello", "--from", str(tn))
    assert done.returncode == 2 and "failed" in done.stdout


def test_numbers_are_searched_ordered_and_listed(server):
    found = run(server, "numbers", "search", "--take", "3")
    assert found.returncode == 0, found.stderr
    tn = re.match(r"\d{11}", found.stdout).group()
    ordered = run(server, "numbers", "order", tn)
    assert ordered.returncode == 0 and "success" in ordered.stdout, ordered.stdout + ordered.stderr
    assert tn in run(server, "numbers", "list").stdout


def test_logs_show_calls_and_their_steps(server):
    rest = server.rest()
    (tn,) = rest.numbers()
    call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": "<Response><Answer/><Hangup/></Response>"})
    rest.call(call["uuid"])
    assert call["uuid"] in run(server, "logs").stdout
    steps = run(server, "logs", call["uuid"]).stdout
    assert "Answer" in steps and "Hangup" in steps


def test_events_tail(server):
    rest = server.rest()
    (tn,) = rest.numbers()
    tail = subprocess.Popen(
        [BINARY, "events", "tail", "--type", "sms", "--data", server.data],
        env=environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 15
        line = ""
        while not line and time.monotonic() < end:
            rest.post("/rest/sms", {"from": tn, "to": 12065550199, "message": "tail me"})
            if select.select([tail.stdout], [], [], 1)[0]:
                line = tail.stdout.readline()
        assert "SMS: type: smso, state:" in line
    finally:
        tail.terminate()
        tail.wait(5)


def test_a_reader_that_leaves_is_no_fault(server):
    rest = server.rest()
    (tn,) = rest.numbers()
    for _ in range(2):
        rest.call(rest.post("/rest/call", {"to": 12065550100, "from": tn, "xml": "<Response><Answer/></Response>"})["uuid"])
    command = f"'{BINARY}' logs --data '{server.data}' | true"
    done = subprocess.run(command, shell=True, env=environment({}), capture_output=True, text=True, timeout=20)
    assert "panicked" not in done.stderr


def test_no_server_is_said_plainly(tmp_path):
    done = subprocess.run(
        [BINARY, "logs", "--data", tmp_path], env=environment({}), capture_output=True, text=True, timeout=10
    )
    assert done.returncode != 0 and "no server runs" in done.stderr


def test_flow_check_names_line_and_column(tmp_path):
    file = tmp_path / "flow.xml"
    file.write_text("<Response>\n  <Answr/>\n  <Pause length='x'/>\n</Response>\n")
    done = subprocess.run([BINARY, "flow", "check", file], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert f"{file}:2:3:" in done.stdout and f"{file}:3:" in done.stdout
    file.write_text("<Response>\n  <Answer/>\n  <Hangup/>\n</Response>\n")
    done = subprocess.run([BINARY, "flow", "check", file], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
