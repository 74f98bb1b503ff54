"""Searches by REST over many rows: requests a second, delay, CPU per 1,000 requests, memory; on SQLite and PostgreSQL.

Each database is filled with copies of one real lease and one real call, then the server is started on it and asked by wrk with a
token. CPU is of the server alone and, with PostgreSQL, of the database too.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "bench/sip"), str(HERE.parents[1] / "tests/e2e")]

import psycopg  # noqa: E402
from peers import Usage  # noqa: E402

from harness.server import Server  # noqa: E402

#: The first of the numbers that are leased; they follow one on the other.
FIRST = 17_000_000_000
#: Calls are to so many numbers.
CALLEES = 100_000
ROW_GAP = "0.25"  # seconds from one call to the next


class Sqlite:
    name = "SQLite"

    def __init__(self, folder):
        self.file = folder / "data/opentact.db"
        self.settings = {}

    def open(self):
        connection = sqlite3.connect(self.file)
        # Built in from 3.41 on.
        connection.create_function("unhex", 1, bytes.fromhex, deterministic=True)
        return connection

    def database_cpu(self):
        return 0

    #: A number in order of time, and `i` of the row made the UUID (version 7) and the time of a row.
    uuid = "unhex(printf('%012x7%03x8%015x', 1750000000000 + i * 250, i % 4096, i + {salt}))"
    time = "strftime('%Y-%m-%dT%H:%M:%f', 1750000000 + i * " + ROW_GAP + ", 'unixepoch') || '000+00:00'"
    rows = "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) SELECT i FROM n)"
    to_text = "CAST({} AS TEXT)"

    def stop(self):
        pass


class Postgres:
    name = "PostgreSQL"

    def __init__(self, _folder):
        self.url = os.environ["OPENTACT_TEST_POSTGRES"]
        self.schema = f"bench_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {self.schema}")
        self.settings = {"store__url": f"{self.url}?options=-c%20search_path%3D{self.schema}"}

    def open(self):
        return psycopg.connect(self.url, options=f"-c search_path={self.schema}")

    def database_cpu(self):
        with self.open() as connection:
            port = connection.info.port
        # The postmaster and all it has started.
        (pid,) = subprocess.run(["pgrep", "-o", "-f", f"port={port}"], check=True, capture_output=True, text=True).stdout.split()
        return Usage(int(pid)).cpu()

    uuid = "(lpad(to_hex(1750000000000 + i * 250), 12, '0') || '7' || lpad(to_hex(i % 4096), 3, '0') || '8' || lpad(to_hex(i + {salt}), 15, '0'))::uuid"
    time = "to_timestamp(1750000000 + i * " + ROW_GAP + ")"
    rows = "(SELECT generate_series(0, {count} - 1)::bigint AS i) AS n"
    to_text = "({})::text"

    def stop(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {self.schema} CASCADE")


def copy(database, cursor, table, count, **changed):
    """`count` rows that are those of `table`'s one row but for what is changed."""
    columns = [column[0] for column in cursor.execute(f"SELECT * FROM {table} LIMIT 0").description]
    values = ", ".join(changed.get(column, f"template.{column}") for column in columns)
    rows = database.rows.format(count=count)
    begin = time.monotonic()
    cursor.execute(f"CREATE TEMPORARY TABLE template AS SELECT * FROM {table} LIMIT 1")
    cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {rows}, template")
    cursor.execute("DROP TABLE template")
    print(f"  {count:,} rows of {table} in {time.monotonic() - begin:.0f} s", flush=True)


def fill(database, options):
    connection = database.open()
    cursor = connection.cursor()
    when = {"created_on": database.time, "modified_on": database.time}
    number = f"{FIRST} + i"
    copy(database, cursor, "tns", options.leases, tn=number)
    # The inventory's first lease is a number of another kind: the copies have only what a search looks at.
    copy(database, cursor, "tn_leases", options.leases, uuid=database.uuid.format(salt=1), tn=number, tn_order="NULL", **when)
    callee = database.to_text.format(f"{FIRST} + (i * 7919) % {CALLEES}")
    copy(database, cursor, "calls", options.calls, uuid=database.uuid.format(salt=2), to_number=callee, **when)
    connection.commit()
    if database.name == "PostgreSQL":
        connection.autocommit = True
    cursor.execute("ANALYZE")
    connection.close()


def scenes(rest, options):
    """Name, path and body of each search."""
    cursor = rest.post("/rest/call/search", {"take": 100, "count": False})["next_cursor"]
    called = FIRST + 4711 % CALLEES
    yield "lease by number", "/rest/lease/tn/search", {"tn": str(FIRST + options.leases // 2)}
    yield "leases, newest 10", "/rest/lease/tn/search", {"count": False}
    yield "leases, newest 10, total", "/rest/lease/tn/search", {}
    yield "calls, newest 10", "/rest/call/search", {"count": False}
    yield "calls, 100 by cursor", "/rest/call/search", {"take": 100, "cursor": cursor, "count": False}
    yield "calls, 10 by offset 100,000", "/rest/call/search", {"skip": 100_000, "count": False}
    yield "calls to one number", "/rest/call/search", {"to": str(called), "count": False}
    yield "calls, newest 10, total", "/rest/call/search", {}


def ask(server, token, path, body, folder, options):
    """What wrk tells of a search asked for over and over: rate, p50, p99 in ms, requests that failed."""
    script = folder / "ask.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [[{json.dumps(body)}]]\n"
        f"wrk.headers['content-type'] = 'application/json'\nwrk.headers['authorization'] = 'Bearer {token}'\n"
    )
    command = ["wrk", "--latency", "-t1", f"-c{options.clients}", f"-d{options.seconds}s", "--timeout", "60s", "-s", script]
    text = subprocess.run([*command, server.base + path], check=True, capture_output=True, text=True).stdout
    milliseconds = lambda share: in_milliseconds(re.search(rf"{share}%\s+(\S+)", text)[1])  # noqa: E731
    requests = int(re.search(r"(\d+) requests in", text)[1])
    failed = sum(map(int, re.findall(r"(?:Non-2xx or 3xx responses: |connect |read |write |timeout )(\d+)", text)))
    return requests, milliseconds("50"), milliseconds("99"), failed


def in_milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def measure(kind, options):
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        database = kind(folder)
        try:
            # Before the searches are asked for as fast as they are answered.
            server = Server(folder / "data", log__level="warn", limits__requests_per_minute="1000000000", **database.settings)
            with server:
                rest = server.rest()
                (tn,) = rest.numbers()
                call = rest.post("/rest/call", {"to": 12065550001, "from": tn, "xml": "<Response><Answer/><Hangup/></Response>"})
                rest.call(call["uuid"])
            print(f"{database.name}:", flush=True)
            fill(database, options)
            with server:
                rest = server.rest()
                token = rest.post("/rest/token", {"name": "bench"})["token"]
                usage = Usage(server.process.pid)
                print(f"  {'':<28}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU s / 1,000':>15}{'database':>10}{'MiB':>7}{'failed':>8}")
                for name, path, body in scenes(rest, options):
                    found = rest.post(path, body)
                    assert found["data"], name
                    before, database_before, begin = usage.cpu(), database.database_cpu(), time.monotonic()
                    requests, p50, p99, failed = ask(server, token, path, body, folder, options)
                    cpu, seconds = usage.cpu() - before, time.monotonic() - begin
                    database_cpu = database.database_cpu() - database_before
                    per = 1_000 / max(1, requests)
                    print(
                        f"  {name:<28}{requests / seconds:>11.0f}{p50:>9.2f}{p99:>9.2f}{cpu * per:>15.3f}{database_cpu * per:>10.3f}"
                        f"{usage.memory():>7.0f}{failed:>8}",
                        flush=True,
                    )
        finally:
            database.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leases", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--clients", type=int, default=8, help="requests at a time (default: 8)")
    parser.add_argument("--seconds", type=int, default=10, help="of each search (default: 10)")
    parser.add_argument("--databases", nargs="*", choices=["SQLite", "PostgreSQL"], default=["SQLite", "PostgreSQL"])
    parser.add_argument("--folder", type=Path, help="where the database lies; it takes about 10 GB (default: the temporary folder)")
    options = parser.parse_args()
    for kind in (Sqlite, Postgres):
        if kind.name in options.databases:
            measure(kind, options)


if __name__ == "__main__":
    main()
