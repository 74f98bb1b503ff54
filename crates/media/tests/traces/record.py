"""Records what a line does to a packet every 20 ms while TCP shares it: record.py NAME RATE QUEUE [SECONDS] > NAME.txt

Two network namespaces are joined by a pair of interfaces; one way has the RATE (`tc` tbf, 1mbit) and a queue of so many milliseconds,
beyond which it drops. The TCP is the kernel's own: a transfer without end in the second quarter of the time, short ones every second in
the third, nothing in the others. A line of the output is the microseconds a packet was on its way, by one clock, or `-` where it never came.
Takes root.
"""

import ctypes
import random
import socket
import struct
import subprocess
import sys
import threading
import time

ADDRESSES = "10.77.0.1", "10.77.0.2"
PORT = 5004
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def run(command):
    subprocess.run(command.split(), check=True)


def inside(place, work, *arguments):
    """Does the work in a thread whose sockets are in that namespace."""

    def there():
        with open(f"/run/netns/{place}") as handle:
            if libc.setns(handle.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        work(*arguments)

    thread = threading.Thread(target=there, daemon=True)
    thread.start()
    return thread


def hear(delays, ready):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    sock.bind((ADDRESSES[1], PORT))
    ready.set()
    while True:
        data, control, *_ = sock.recvmsg(256, 64)
        seconds, nanoseconds = struct.unpack("qq", control[0][2])
        number, sent = struct.unpack_from("!IQ", data)
        delays[number] = (seconds * 10**9 + nanoseconds - sent) // 1000


def speak(count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0, begin + number * 0.02 - time.monotonic()))
        sock.sendto(struct.pack("!IQ", number, time.time_ns()).ljust(172, b"\0"), (ADDRESSES[1], PORT))


def swallow(ready):
    server = socket.create_server((ADDRESSES[1], PORT))
    ready.set()

    def drain(connection):
        while connection.recv(65536):
            pass

    while True:
        threading.Thread(target=drain, args=server.accept()[:1], daemon=True).start()


def compete(seconds):
    quarter, begin = seconds / 4, time.monotonic()

    def transfer(until, octets=1 << 40):
        with socket.create_connection((ADDRESSES[1], PORT)) as connection:
            while time.monotonic() < until and octets > 0:
                octets -= connection.send(bytes(min(octets, 4096)))

    time.sleep(quarter)
    transfer(begin + 2 * quarter)
    while time.monotonic() < begin + 3 * quarter:
        transfer(begin + 3 * quarter, random.randrange(2_000, 60_000))
        time.sleep(random.uniform(0.3, 1.5))


def main(name, rate, queue, seconds=60):
    places = f"{name}-a", f"{name}-b"
    for place in places:
        run(f"ip netns add {place}")
    try:
        run(f"ip -n {places[0]} link add line type veth peer name line netns {places[1]}")
        for place, address in zip(places, ADDRESSES):
            run(f"ip -n {place} addr add {address}/24 dev line")
            run(f"ip -n {place} link set line up")
        run(f"ip netns exec {places[0]} tc qdisc add dev line root tbf rate {rate} burst 3000 latency {queue}ms")
        count = int(seconds) * 50
        delays, ready = [None] * count, [threading.Event(), threading.Event()]
        inside(places[1], hear, delays, ready[0])
        inside(places[1], swallow, ready[1])
        all(event.wait(5) for event in ready)
        inside(places[0], compete, int(seconds))
        inside(places[0], speak, count).join()
        time.sleep(1)
        for delay in delays:
            print("-" if delay is None else delay)
    finally:
        for place in places:
            run(f"ip netns del {place}")


if __name__ == "__main__":
    main(*sys.argv[1:])
