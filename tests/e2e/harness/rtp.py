"""RTP sockets that note what comes and when."""

import socket
import struct
import threading
import time

import numpy as np

from . import sound

SO_TIMESTAMPNS = 35


class Packet:
    __slots__ = ("at", "marker", "payload", "payload_type", "sequence", "source", "ssrc", "stamp")

    def __init__(self, at, source, datagram):
        first, second, self.sequence, self.stamp, self.ssrc = struct.unpack("!BBHII", datagram[:12])
        assert first == 0x80, f"RTP without padding, extension or sources expected: {first:#x}"
        self.at, self.source = at, source
        self.marker, self.payload_type = second >> 7, second & 0x7F
        self.payload = datagram[12:]


class RtpEar:
    """Receives RTP of any number of sources; arrival times are the kernel's."""

    def __init__(self, address="127.0.0.1"):
        # RTP takes an even port (RFC 3550 11).
        while True:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((address, 0))
            self.port = self.socket.getsockname()[1]
            if self.port % 2 == 0:
                break
            self.socket.close()
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.packets = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            try:
                datagram, extra, _, source = self.socket.recvmsg(2048, 64)
            except OSError:
                return
            at = time.time()
            for level, kind, data in extra:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanos = struct.unpack("ll", data[:16])
                    at = seconds + nanos / 1e9
            # RTCP on the same port is told by its packet type (RFC 5761 4).
            if len(datagram) >= 12 and not 192 <= datagram[1] <= 223 and (datagram := self.opened(datagram)):
                self.packets.append(Packet(at, source, datagram))

    def opened(self, datagram):
        """A packet as it was before it was protected; `None` when it cannot be opened."""
        return datagram

    def protected(self, datagram):
        return datagram

    def close(self):
        # A blocked recvmsg wakes on shutdown, not on close.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def streams(self):
        """`{ssrc: [Packet]}` in order of sequence."""
        by_source = {}
        for packet in list(self.packets):
            by_source.setdefault((packet.source, packet.ssrc), []).append(packet)
        return by_source

    def audio(self, payload_type=0):
        """Samples of the only stream, mu-law."""
        packets = [p for p in self.packets if p.payload_type == payload_type]
        return sound.from_ulaw(b"".join(p.payload for p in packets))

    def longest_gap(self, payload_type=0):
        """Milliseconds between two packets that follow each other."""
        at = np.array([p.at for p in self.packets if p.payload_type == payload_type])
        return float(np.max(np.diff(at))) * 1000


class RtpMouth(threading.Thread):
    """Sends mu-law in 20 ms packets from an ear's socket."""

    def __init__(self, ear, to, samples, ssrc=0x0DDBA11):
        super().__init__(daemon=True)
        self.ear, self.to, self.ssrc = ear, to, ssrc
        self.octets = sound.to_ulaw(samples)
        self.quiet = threading.Event()
        self.start()

    def run(self):
        begin = time.monotonic()
        for number in range(len(self.octets) // 160):
            wait = begin + number * 0.02 - time.monotonic()
            if wait > 0 and self.quiet.wait(wait):
                return
            head = struct.pack("!BBHII", 0x80, 0x80 if number == 0 else 0, number & 0xFFFF, number * 160, self.ssrc)
            try:
                self.ear.socket.sendto(self.ear.protected(head + self.octets[number * 160 : number * 160 + 160]), self.to)
            except OSError:
                return


def send_digit(ear, to, digit, ssrc=0x0DDBA11, sequence=30000, stamp=1 << 20, payload_type=101):
    """One RFC 4733 event of 100 ms, its end sent thrice (2.5.1.4)."""
    event = "0123456789*#ABCD".index(digit)
    for number, (duration, end) in enumerate([(160, 0), (320, 0), (480, 0), (640, 0), (800, 1), (800, 1), (800, 1)]):
        marker = 0x80 if number == 0 else 0
        head = struct.pack("!BBHII", 0x80, marker | payload_type, (sequence + number) & 0xFFFF, stamp, ssrc)
        ear.socket.sendto(head + struct.pack("!BBH", event, end << 7 | 10, duration), to)
        time.sleep(0.02)


def write_capture(path, samples, ssrc=0x0DDBA11):
    """A capture file (pcap, Ethernet) of mu-law in packets of 20 ms, for sipp to play."""
    octets = sound.to_ulaw(samples)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(len(octets) // 160):
            rtp = struct.pack("!BBHII", 0x80, 0x80 if number == 0 else 0, number & 0xFFFF, number * 160, ssrc)
            rtp += octets[number * 160 : number * 160 + 160]
            udp = struct.pack("!HHHH", 6000, 7000, 8 + len(rtp), 0) + rtp
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0, bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1]))
            frame = bytes(12) + b"\x08\x00" + ip + udp
            file.write(struct.pack("<IIII", number // 50, number % 50 * 20_000, len(frame), len(frame)) + frame)
    return path
