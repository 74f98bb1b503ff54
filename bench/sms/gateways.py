"""The gateways under test. Each takes messages by HTTP at `job`, hands them to the SMSC on port `smsc` of loopback, and tells
the web server on port `web` of what the SMSC said, and of the receipt."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "bench/sip"), str(HERE.parents[1] / "tests/e2e")]

from peers import Usage  # noqa: E402

from harness.server import BINARY, EMAIL, Server, environment  # noqa: E402
from harness.sipp import free_port  # noqa: E402

#: Text of every message: one segment.
TEXT = "Your code for Engines is 123456"
SENDER = "12025550123"


def wait_for(port, what, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"{what} does not listen") from None
            time.sleep(0.1)


class Gateway:
    #: Recipients of one request.
    together = 1

    def cpu(self):
        return sum(usage.cpu() for usage in self.usages)

    def memory(self):
        return sum(usage.memory() for usage in self.usages)


class Processes(Gateway):
    """A gateway of several programs, each in a session of its own."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, name, *command, **more):
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen([*map(str, command)], stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **more)
            )

    @property
    def usages(self):
        return [Usage(process.pid) for process in self.processes]

    def stop(self):
        for process in reversed(self.processes):
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Opentact(Gateway):
    """As it comes, but for limits of what one account may ask for and be told at once. Every message, charge and event is on disk."""

    def __init__(self, folder, smsc, web, **settings):
        self.server = Server(
            folder / "data",
            log__level="warn",
            http__trusted_proxies="127.0.0.0/8",
            limits__requests_per_minute="60000000",
            messaging__carriers=f"north=smpp://load:load@127.0.0.1:{smsc}?window=500",
            messaging__concurrency="1000",
            webhooks__concurrent="200",
            webhooks__concurrent_per_hook="200",
            webhooks__in_memory="100000",
            webhooks__in_memory_per_hook="100000",
            **settings,
        )
        self.server.start()
        rest = self.server.rest()
        (self.number,) = rest.numbers()
        told = {"name": "bench", "callback_url": f"http://127.0.0.1:{web}/told"}
        profile = rest.post("/rest/profile/messaging", told)
        rest.patch(f"/rest/lease/tn/{self.number}", {"messaging_profile": profile["uuid"]})
        # Money for 10 million messages.
        command = [BINARY, "admin", "--data", self.server.data, "balance", EMAIL, "100000"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(self.server.settings))
        self.token = rest.post("/rest/token", {"name": "bench"})["token"]

    @property
    def usages(self):
        return [Usage(self.server.process.pid)]

    @property
    def job(self):
        to = "{to}" if self.together == 1 else "[{to}]"
        head = (
            "POST /rest/sms HTTP/1.1\r\nHost: bench\r\nX-Forwarded-Proto: https\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\nContent-Length: {{length}}\r\n\r\n"
        )
        body = f'{{"from": {self.number}, "to": {to}, "message": "{TEXT}"}}'
        address = self.server.runtime["http"]
        return {"address": address, "head": head, "body": body, "last": '"delivered":true', "together": self.together}

    def stop(self):
        self.server.stop()


class Listed(Opentact):
    """The same with 50 recipients a request."""

    together = 50


class Postgres(Opentact):
    """On PostgreSQL, whose processes count."""

    def __init__(self, folder, smsc, web):
        url, self.postmaster = os.environ["OPENTACT_TEST_POSTGRES"], int(os.environ["OPENTACT_POSTGRES_PID"])
        schema = f"bench_{os.getpid()}_{time.monotonic_ns()}"
        subprocess.run(["psql", "--quiet", "--command", f"CREATE SCHEMA {schema}", url], check=True)
        options = urllib.parse.quote(f"-c search_path={schema}")
        super().__init__(folder, smsc, web, store__url=f"{url}?options={options}")

    @property
    def usages(self):
        return [*super().usages, Usage(self.postmaster)]


class ListedPostgres(Postgres):
    together = 50


KANNEL = """\
group = core
admin-port = {admin}
admin-password = admin
smsbox-port = {smsbox}
log-level = 3
log-file = bearerbox-own.log
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = load
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = load
smsc-password = load
system-type = ""
max-pending-submits = 500
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox}
sendsms-port = {sendsms}
log-level = 3

group = sendsms-user
username = user
password = secret
"""


class Kannel(Processes):
    """As Debian has it: what waits is in memory only."""

    def __init__(self, folder, smsc, web):
        super().__init__(folder)
        ports = {name: free_port() for name in ("admin", "smsbox", "sendsms")}
        (folder / "kannel.conf").write_text(KANNEL.format(smsc=smsc, **ports))
        for box, port in (("bearerbox", "smsbox"), ("smsbox", "sendsms")):
            self.start(box, f"/usr/sbin/{box}", "kannel.conf")
            wait_for(ports[port], box)
        self.address = f"127.0.0.1:{ports['sendsms']}"
        # 8: the SMSC has it; 1: it is delivered.
        told = urllib.parse.quote(f"http://127.0.0.1:{web}/told?type=%d&to=%p", safe="")
        query = f"username=user&password=secret&from={SENDER}&to={{to}}&text={urllib.parse.quote(TEXT)}&dlr-mask=9&dlr-url={told}"
        self.head = f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: bench\r\n\r\n"

    @property
    def job(self):
        return {"address": self.address, "head": self.head, "last": "type=1&"}


JASMIN = [
    ["group -a", "gid g", "ok"],
    ["user -a", "username user", "password secret", "gid g", "uid u", "ok"],
    ["smppccm -a", "cid load", "host 127.0.0.1", "port {smsc}", "username load", "password load", "submit_throughput 0", "ok"],
    ["smppccm -1 load"],
    ["mtrouter -a", "type DefaultRoute", "connector smppc(load)", "rate 0.0", "ok"],
]


class Jasmin(Processes):
    """As PyPI has it, with RabbitMQ and Redis of its own, which count."""

    def __init__(self, folder, smsc, web):
        super().__init__(folder)
        ports = {
            name: free_port()
            for name in ("amqp", "dist", "epmd", "redis", "http", "jcli", "smpps", "smpps_pb", "router", "management")
        }
        self.epmd = str(ports["epmd"])
        self.start("redis", "redis-server", "--port", ports["redis"], "--save", "", "--bind", "127.0.0.1")
        broker = {
            "HOME": str(folder), "RABBITMQ_NODENAME": "bench@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(ports["amqp"]), "RABBITMQ_DIST_PORT": str(ports["dist"]), "ERL_EPMD_PORT": str(ports["epmd"]),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"), "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_PID_FILE": str(folder / "rabbit.pid"),
        }  # fmt: skip
        self.start("rabbitmq", "/usr/lib/rabbitmq/bin/rabbitmq-server", env=os.environ | broker)
        wait_for(ports["redis"], "redis")
        wait_for(ports["amqp"], "rabbitmq")
        own = {
            "ROOT_PATH": str(folder), "LOG_PATH": str(folder), "AMQP_BROKER_PORT": str(ports["amqp"]),
            "REDIS_CLIENT_PORT": str(ports["redis"]), "HTTP_API_PORT": str(ports["http"]), "JCLI_PORT": str(ports["jcli"]),
            "JCLI_AUTHENTICATION": "no", "SMPP_SERVER_PORT": str(ports["smpps"]), "SMPP_SERVER_PB_PORT": str(ports["smpps_pb"]),
            "ROUTER_PORT": str(ports["router"]), "CLIENT_MANAGEMENT_PORT": str(ports["management"]),
        }  # fmt: skip
        for name in ("ROUTER", "CLIENT_MANAGEMENT", "SMPP_SERVER", "SMPP_SERVER_PB", "DLR", "DLR_THROWER", "SM_LISTENER", "HTTP_API"):
            own[f"{name}_LOG_LEVEL"] = "ERROR"
        self.prepare(folder)
        programs = Path(os.environ["OPENTACT_JASMIN"])
        (spec,) = programs.parent.glob("lib/python*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
        own["AMQP_BROKER_SPEC"] = str(spec)
        self.start("jasmin", programs / "python", programs / "jasmind.py", "--enable-dlr-thrower", "--enable-dlr-lookup", env=os.environ | own)
        wait_for(ports["jcli"], "jasmin")
        wait_for(ports["http"], "jasmin")
        with socket.create_connection(("127.0.0.1", ports["jcli"])) as console:
            console.settimeout(20)
            self.until(console, b"Session ref")
            for commands in JASMIN:
                for command in commands:
                    console.sendall(command.format(smsc=smsc).encode() + b"\r\n")
                    self.until(console, b"jcli : " if command == commands[-1] else b"> ")
        self.address = f"127.0.0.1:{ports['http']}"
        told = urllib.parse.quote(f"http://127.0.0.1:{web}/told?to=", safe="")
        query = f"username=user&password=secret&from={SENDER}&to={{to}}&content={urllib.parse.quote(TEXT)}"
        query += f"&dlr=yes&dlr-level=3&dlr-method=GET&dlr-url={told}{{to}}"
        self.head = f"GET /send?{query} HTTP/1.1\r\nHost: bench\r\n\r\n"

    def stop(self):
        super().stop()
        # It has left the session that it was started in.
        subprocess.run(["epmd", "-port", self.epmd, "-kill"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def prepare(folder):
        for path in ("etc/jasmin/store", "var/log/jasmin", "tmp"):
            (folder / path).mkdir(parents=True, exist_ok=True)

    @staticmethod
    def until(console, prompt):
        read = b""
        while prompt not in read:
            part = console.recv(4096)
            assert part, f"jasmin's console ended: {read}"
            read += part

    @property
    def job(self):
        return {"address": self.address, "head": self.head, "last": "message_status=DELIVRD"}


GATEWAYS = {
    "opentact": Opentact,
    "opentact-50": Listed,
    "opentact-pg": Postgres,
    "opentact-pg-50": ListedPostgres,
    "kannel": Kannel,
    "jasmin": Jasmin,
}
