"""Networks of this machine's own: namespaces joined by links, NAT between them, and wires that lose and reorder.

They take root and a kernel that allows namespaces: `missing()` says what is not to be had. Loss and reordering are done here, frame
by frame and from a seed, as not every kernel has netem.
"""

import contextlib
import ctypes
import functools
import heapq
import itertools
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PACKET_OUTGOING = 4
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
PROTOCOL_UDP = 17

libc = ctypes.CDLL(None, use_errno=True)


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


@functools.cache
def missing():
    """Why there can be no networks here; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    for tool in ("ip", "nft"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    name = f"opentact-{os.getpid()}-try"
    try:
        run("ip", "netns", "add", name)
    except OSError as fault:
        return f"no network namespaces here: {fault}"
    try:
        run("ip", "netns", "exec", name, "nft", "add", "table", "ip", "try")
        run("ip", "-n", name, "link", "add", "try", "type", "veth", "peer", "name", "try2")
    except OSError as fault:
        return f"no NAT or links here: {fault}"
    finally:
        run("ip", "netns", "del", name)
    return None


class Place:
    """A namespace. `with place:` the thread, and what it starts or opens, is there."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")
        self.handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
        self.home = []

    def run(self, *words):
        run("ip", "netns", "exec", self.name, *words)

    def __enter__(self):
        self.home.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        self._go(self.handle)
        return self

    def __exit__(self, *_):
        home = self.home.pop()
        self._go(home)
        os.close(home)

    @staticmethod
    def _go(handle):
        if libc.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def masquerade(self, device, forwards=()):
        """What leaves by `device` comes from its address; `forwards` are (UDP ports, address) to let in."""
        with self:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        rules = ["add table ip nat", "add chain ip nat in { type nat hook prerouting priority -100 ; }"]
        rules += ["add chain ip nat out { type nat hook postrouting priority 100 ; }"]
        rules += [f"add rule ip nat in iifname {device} udp dport {ports} dnat to {to}" for ports, to in forwards]
        rules += [f"add rule ip nat out oifname {device} masquerade"]
        for rule in rules:
            self.run("nft", rule)

    def forget_udp_after(self, seconds):
        """Its NAT forgets who has sent and heard nothing for so long."""
        with self:
            for name in ("udp_timeout", "udp_timeout_stream"):
                Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(seconds))

    def close(self):
        os.close(self.handle)
        run("ip", "netns", "del", self.name)


class Networks:
    """Namespaces and links of one test."""

    numbers = itertools.count(1)

    def __init__(self):
        self.places, self.wires = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for part in [*self.wires, *self.places]:
            with contextlib.suppress(OSError):
                part.close()

    def place(self):
        place = Place(f"opentact-{os.getpid()}-{next(self.numbers)}")
        self.places.append(place)
        return place

    def link(self, a, b, network):
        """Joins two places, `.1` and `.2` of a /24; returns the names of the devices."""
        devices = [f"ot{os.getpid() % 100000}v{next(self.numbers)}" for _ in range(2)]
        run("ip", "link", "add", devices[0], "type", "veth", "peer", "name", devices[1])
        for number, (place, device) in enumerate(zip((a, b), devices, strict=True), 1):
            run("ip", "link", "set", device, "netns", place.name)
            if network:
                place.run("ip", "address", "add", f"{network}.{number}/24", "dev", device)
            # An IPv6 address that comes by itself a second later is a change of networks to a browser.
            place.run("ip", "link", "set", device, "addrgenmode", "none")
            place.run("ip", "link", "set", device, "up")
        return devices

    def wire(self, a, b, network, **faults):
        """The same by a wire with faults; see `Wire`."""
        middle = self.place()
        left, inner = self.link(a, middle, None)
        right, outer = self.link(b, middle, None)
        for number, (place, device) in enumerate(((a, left), (b, right)), 1):
            place.run("ip", "address", "add", f"{network}.{number}/24", "dev", device)
            with place:
                compute_checksums(device)
        wire = Wire(middle, inner, outer, **faults)
        self.wires.append(wire)
        return left, right, wire

    @staticmethod
    def route(place, gateway):
        place.run("ip", "route", "add", "default", "via", gateway)


def compute_checksums(device):
    """A veth leaves checksums to hardware that it has not: who reads frames from it would pass on wrong ones."""
    import fcntl

    value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(value)))


class Wire(threading.Thread):
    """Carries frames between two devices; of UDP it loses a part and holds another back for `late` seconds, so that what comes
    after overtakes it. `lost` and `held` count them."""

    def __init__(self, place, a, b, loss=0.0, reorder=0.0, late=0.03, seed=1):
        super().__init__(daemon=True)
        self.loss, self.reorder, self.late = loss, reorder, late
        self.random = random.Random(seed)
        self.lost = self.held = 0
        with place:
            self.sockets = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) for _ in (a, b)]
            for one, device in zip(self.sockets, (a, b), strict=True):
                one.bind((device, ETH_P_ALL))
        self.stop_reader, self.stop_writer = os.pipe()
        self.start()

    def run(self):
        a, b = self.sockets
        waiting, order = [], itertools.count()
        while True:
            until = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            ready, _, _ = select.select([a, b, self.stop_reader], [], [], until)
            if self.stop_reader in ready:
                return
            for source, target in ((a, b), (b, a)):
                if source not in ready:
                    continue
                frame, (_, _, kind, *_) = source.recvfrom(65_536)
                if kind == PACKET_OUTGOING:
                    continue
                udp = frame[12:14] == struct.pack("!H", ETH_P_IP) and frame[23] == PROTOCOL_UDP
                if udp and self.random.random() < self.loss:
                    self.lost += 1
                elif udp and self.random.random() < self.reorder:
                    self.held += 1
                    heapq.heappush(waiting, (time.monotonic() + self.late, next(order), target, frame))
                else:
                    target.send(frame)
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, target, frame = heapq.heappop(waiting)
                target.send(frame)

    def close(self):
        os.write(self.stop_writer, b"x")
        self.join()
        for one in self.sockets:
            one.close()
        os.close(self.stop_reader)
        os.close(self.stop_writer)
