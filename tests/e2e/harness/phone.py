"""A plain SIP client over UDP: just enough of RFC 3261 to place one call or ask one thing, and to do it wrong."""

import hashlib
import random
import re
import socket

from .rtp import RtpEar


def digest(challenge, method, uri, user, password):
    """`Authorization` for an MD5 challenge with or without qop (RFC 2617)."""
    field = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
    ha1 = md5(f"{user}:{field['realm']}:{password}")
    ha2 = md5(f"{method}:{uri}")
    head = f'Digest username="{user}", realm="{field["realm"]}", nonce="{field["nonce"]}", uri="{uri}", algorithm=MD5'
    if "opaque" in field:
        head += f', opaque="{field["opaque"]}"'
    if "qop" in field:
        response = md5(f"{ha1}:{field['nonce']}:00000001:c0ffee:auth:{ha2}")
        return f'{head}, qop=auth, nc=00000001, cnonce="c0ffee", response="{response}"'
    response = md5(f"{ha1}:{field['nonce']}:{ha2}")
    return f'{head}, response="{response}"'


class Message:
    def __init__(self, datagram):
        head, _, self.body = datagram.partition(b"\r\n\r\n")
        self.first, *lines = head.decode("latin-1").split("\r\n")
        self.lines = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for key, value in self.lines if key.lower() == name.lower()]

    def __getitem__(self, name):
        return self.all(name)[0]

    @property
    def code(self):
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else None

    @property
    def method(self):
        return None if self.code else self.first.split()[0]


class Phone:
    """One UDP socket. `name@domain` is who it says it is."""

    VIA = "UDP"
    # Of its Contact URI.
    PARAMETERS = ""

    def __init__(self, server, name="tester", domain="127.0.0.1", password=None):
        self.server, self.name, self.domain, self.password = server, name, domain, password
        self.connect()
        self.tag = f"{random.getrandbits(32):08x}"
        self.call_id = f"{random.getrandbits(64):016x}"
        self.sequence = 0
        self.hops = 70
        self.to_tag = ""
        self.target = None
        self.route = []
        self.ear = None

    def connect(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(self.server)
        self.port = self.socket.getsockname()[1]
        self.local = f"127.0.0.1:{self.port}"

    @property
    def contact(self):
        return f"<sip:{self.name}@{self.local}{self.PARAMETERS}>"

    def close(self):
        self.socket.close()
        if self.ear:
            self.ear.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self, timeout=5):
        self.socket.settimeout(timeout)
        return Message(self.socket.recv(65536))

    def request(self, method, uri, to, sequence=None, body=b"", more=(), branch=None, content="application/sdp"):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        branch = branch or f"z9hG4bK{random.getrandbits(64):016x}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.VIA} {self.local};branch={branch};rport",
            f"Max-Forwards: {self.hops}",
            f"From: <sip:{self.name}@{self.domain}>;tag={self.tag}",
            f"To: <{to}>{self.to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: {self.contact}",
            *more,
        ]
        if body:
            lines.append(f"Content-Type: {content}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode() + body)
        return branch

    def final(self, timeout=10, method=None):
        """The next final response (to `method`)."""
        while True:
            message = self.receive(timeout)
            if message.code and message.code >= 200 and (method is None or message["CSeq"].endswith(method)):
                return message

    def ask(self, method, uri, to=None, more=(), body=b"", timeout=10):
        """One request and its final response; a challenge is answered when there is a password."""
        to = to or uri
        branch = self.request(method, uri, to, body=body, more=more)
        answer = self.final(timeout, method)
        if answer.code in (401, 407) and self.password is not None:
            if method == "INVITE":
                self.acknowledge_failure(uri, answer, branch)
            name = "WWW-Authenticate" if answer.code == 401 else "Proxy-Authenticate"
            challenge = next(c for c in answer.all(name) if "SHA-256" not in c)
            reply = "Authorization" if answer.code == 401 else "Proxy-Authorization"
            value = digest(challenge, method, uri, self.name, self.password)
            branch = self.request(method, uri, to, body=body, more=[*more, f"{reply}: {value}"])
            answer = self.final(timeout, method)
        if method == "INVITE" and answer.code >= 300:
            self.acknowledge_failure(uri, answer, branch)
        return answer

    def acknowledge_failure(self, uri, answer, branch):
        # RFC 3261 17.1.1.3: same branch, the To of the response.
        lines = [
            f"ACK {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.VIA} {self.local};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {answer['From']}",
            f"To: {answer['To']}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {answer['CSeq'].split()[0]} ACK",
            "Content-Length: 0",
            "",
            "",
        ]
        self.send("\r\n".join(lines).encode())

    def register(self, expires=120, **more):
        uri = f"sip:{self.domain}"
        return self.ask("REGISTER", uri, f"sip:{self.name}@{self.domain}", [f"Expires: {expires}"], **more)

    def offer(self):
        self.ear = self.ear or RtpEar()
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.ear.port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
        ).encode()

    def call(self, to, timeout=20):
        """Places a call; the final response, acknowledged. `media` is then where the server hears."""
        answer = self.ask("INVITE", to, body=self.offer(), timeout=timeout)
        if answer.code < 300:
            self.to_tag = ";tag=" + re.search(r"tag=([^;>\s]+)", answer["To"]).group(1)
            self.target = re.search(r"<?(sip:[^>;]+)", answer["Contact"]).group(1)
            self.remote = re.match(r"<([^>]+)>", answer["To"]).group(1) if "<" in answer["To"] else to
            recorded = [one.strip() for value in answer.all("Record-Route") for one in value.split(",")]
            self.route = [f"Route: {one}" for one in reversed(recorded)]
            self.request("ACK", self.target, self.remote, sequence=int(answer["CSeq"].split()[0]), more=self.route)
            sdp = answer.body.decode()
            host = re.search(r"^c=IN IP4 (\S+)", sdp, re.M).group(1)
            self.media = (host, int(re.search(r"^m=audio (\d+)", sdp, re.M).group(1)))
        return answer

    def hang_up(self):
        self.request("BYE", self.target, self.remote, more=self.route)
        return self.final(method="BYE")

    def wait_bye(self, timeout=30):
        """Waits until the other side hangs up; its BYE, answered."""
        while True:
            message = self.receive(timeout)
            if message.method == "BYE":
                self.reply(message, "200 OK")
                return message

    def invited(self, timeout=20):
        """Waits for a call."""
        while True:
            message = self.receive(timeout)
            if message.method == "INVITE":
                return message

    def pick_up(self, invite):
        self.reply(invite, "200 OK", f"Contact: {self.contact}", "Content-Type: application/sdp", body=self.offer())
        while self.receive().method != "ACK":
            pass

    def reply(self, request, status, *more, body=b""):
        names = ("via", "from", "to", "call-id", "cseq", "record-route")
        echoed = [f"{n}: {v}" for n, v in request.lines if n.lower() in names]
        echoed = [f"{line};tag={self.tag}" if line.startswith("To:") and ";tag=" not in line else line for line in echoed]
        self.send("\r\n".join([f"SIP/2.0 {status}", *echoed, *more, f"Content-Length: {len(body)}", "", ""]).encode() + body)
