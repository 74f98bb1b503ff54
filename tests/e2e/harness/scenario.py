"""Writes scenarios for sipp: what one side of a call says and wants to hear, step by step.

`Caller` calls `[to]` at the node, `Callee` is called by it. Both fail, as sipp does, on every message that was not expected.
"""

from xml.sax.saxutils import quoteattr

MEDIA = """v=0
o=- 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio {port} RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


def media(port="[media_port]", *, direction="sendrecv", version=1):
    """A session description: G.711 µ-law and keys, at this port."""
    return MEDIA.format(port=port, direction=direction, version=version)


class Side:
    """Steps in order; each method adds one and returns the side."""

    def __init__(self):
        self.steps = []
        self.variables = []
        self.sequence = 0
        self.inside = False

    def write(self, folder, name):
        """The path of the scenario, written to `folder`."""
        path = folder / f"{name}.xml"
        used = f'<Reference variables="{",".join(self.variables)}"/>' if self.variables else ""
        path.write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n' + "\n".join([*self.steps, used]) + "\n</scenario>\n"
        )
        return path

    def pause(self, milliseconds):
        self.steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    def play(self, capture):
        """The RTP of a capture file; the scenario goes on meanwhile."""
        self.steps.append(f'<nop><action><exec play_pcap_audio="{capture}"/></action></nop>')
        return self

    def linger(self, milliseconds=600):
        """Answers what comes again, and fails on what should not come."""
        self.steps.append(f'<timewait milliseconds="{milliseconds}"/>')
        return self

    def _variable(self):
        self.variables.append(f"v{len(self.variables)}")
        return self.variables[-1]

    def _ereg(self, pattern, header=None, absent=False, into=None):
        where = f'search_in="hdr" header="{header}:"' if header else 'search_in="msg"'
        check = 'check_it_inverse="true"' if absent else 'check_it="true"'
        return f"<ereg regexp={quoteattr(pattern)} {where} {check} assign_to=\"{into or self._variable()}\"/>"

    def _receive(self, attributes, headers, body, without, kept=()):
        """`headers` are patterns by name, `body` patterns of lines, `without` what stands nowhere in the message."""
        actions = [self._ereg(pattern, header) for header, pattern in (headers or {}).items()]
        actions += [self._ereg(pattern) for pattern in body]
        actions += [self._ereg(pattern, absent=True) for pattern in without]
        actions += [self._ereg(".*", header, into=name) for name, header in kept]
        inside = f"<action>{''.join(actions)}</action>" if actions else ""
        self.steps.append(f"<recv {attributes}>{inside}</recv>")
        return self

    def hear(self, code, *, headers=None, body=(), without=(), timeout=10_000, optional=False):
        """A response."""
        kind = 'optional="true"' if optional else f'timeout="{timeout}"'
        attributes = f'response="{code}" {kind}' + (' rrs="true"' if code > 100 else "")
        return self._receive(attributes, headers, body, without)

    def hear_or_not(self, code, timeout=500):
        """A response, or none in that time."""
        self.steps.append(f'<recv response="{code}" timeout="{timeout}" ontimeout="silence"/><label id="silence"/><pause milliseconds="1"/>')
        return self

    def challenged(self, code=407):
        """A challenge that the next request answers with `[field1]`."""
        self.steps.append(f'<recv response="{code}" auth="true"/>')
        return self

    def asked(self, method, *, headers=None, body=(), without=(), timeout=30_000):
        """A request within the call."""
        return self._receive(f'request="{method}" timeout="{timeout}"', headers, body, without)

    def respond(self, status, *headers, body=""):
        """Answers the request that came last."""
        lines = ["[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"]
        return self._send(f"SIP/2.0 {status}", [*lines, *headers], body, retrans=False)

    def hang_up(self, *headers):
        self.request("BYE", *headers)
        return self.hear(200)

    def hung_up(self, **expected):
        self.asked("BYE", **expected)
        return self.respond("200 OK").linger()

    def refusal_taken(self):
        """The ACK of a refusal, within the INVITE's transaction (RFC 3261 17.1.1.3)."""
        uri = "[next_url]" if self.inside else "sip:[to]@[host]"
        lines = ["[last_Via:]", "[last_From:]", "[last_To:]", "Call-ID: [call_id]", f"CSeq: {self.sequence} ACK", "Max-Forwards: 70"]
        return self._send(f"ACK {uri} SIP/2.0", lines, "", retrans=False)

    def _send(self, first, lines, body, retrans):
        if body:
            lines = [*lines, "Content-Type: application/sdp"] if not any("Content-Type" in line for line in lines) else lines
        lines = [*lines, f"Content-Length: {'[len]' if body else '0'}"]
        text = "\n".join([first, *lines, "", *body.splitlines()])
        again = ' retrans="500"' if retrans else ""
        self.steps.append(f"<send{again}><![CDATA[\n{text}\n\n]]></send>")
        return self


class Caller(Side):
    """Its numbers, the host it calls and what it calls itself by are sipp keys: `to`, and `from` where it is not a number."""

    FROM = "<sip:[from]@[home]>;tag=[pid]t[call_number]"
    INVITE = "branch=z9hG4bK-[pid]-[call_number]-invite"

    def request(self, method, *headers, body="", cseq=None, via="branch=[branch]", again=True, without=()):
        """A request outside of a dialog until `answered`, then within it. `cseq` is that of the one before plus one. What
        `headers` name, and `without`, is not written as usual."""
        if cseq is None:
            self.sequence += 1
            cseq = self.sequence
        uri, tag = ("[next_url]", "[peer_tag_param]") if self.inside else ("sip:[to]@[host]", "")
        lines = [
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];{via}",
            *(["[routes]"] if self.inside else []),
            f"From: {self.FROM}",
            f"To: <sip:[to]@[host]>{tag}",
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            "Contact: <sip:[from]@[local_ip]:[local_port];transport=[transport]>",
            "Max-Forwards: 70",
        ]
        given = {line.split(":")[0] for line in headers} | set(without)
        lines = [line for line in lines if line.split(":")[0] not in given]
        return self._send(f"{method} {uri} SIP/2.0", [*lines, *headers], body, retrans=again and method != "ACK")

    def invite(self, *headers, body=None, via=None):
        """An INVITE, with an offer where `body` says nothing else; a 100 may come."""
        self.request("INVITE", *headers, body=media() if body is None else body, via=via or self.INVITE)
        return self.hear(100, optional=True)

    def cancel(self):
        """Gives up the INVITE that was sent last."""
        return self.request("CANCEL", cseq=self.sequence, via=self.INVITE, again=False)

    def refused(self, code, **expected):
        """A final response that is no success, and its ACK."""
        self._rung().hear(code, **expected)
        return self.refusal_taken()

    def _rung(self):
        """What may come before."""
        return self if self.inside else self.hear(180, optional=True).hear(183, optional=True)

    def challenged(self, code=407):
        super().challenged(code)
        return self.refusal_taken() if code == 407 else self

    def answered(self, *, answer="", ack=True, **expected):
        """The 200, and its ACK with `answer` where it brought an offer."""
        self._rung().hear(200, **expected)
        self.inside = True
        return self.acknowledge(answer) if ack else self

    def acknowledge(self, answer=""):
        return self.request("ACK", body=answer, cseq=self.sequence)


class Callee(Side):
    """Answers INVITEs whatever has come since, under the tag `[pid]c[call_number]`."""

    def __init__(self):
        super().__init__()
        self.inside = True

    def invited(self, *, headers=None, body=(), without=(), name=""):
        """`name` tells a re-INVITE's apart."""
        kept = [(f"via{name}", "Via"), (f"cseq{name}", "CSeq"), (f"from{name}", "From"), (f"to{name}", "To")]
        self.variables += [variable for variable, _ in kept]
        return self._receive('request="INVITE" rrs="true" timeout="60000"', headers, body, without, kept)

    def answer(self, status, *headers, body="", name="", tag=";tag=[pid]c[call_number]"):
        """A response to the INVITE; a final one comes again until its ACK."""
        lines = [
            f"Via: [$via{name}]",
            f"From: [$from{name}]",
            f"To: [$to{name}]{tag}",
            "Call-ID: [call_id]",
            f"CSeq: [$cseq{name}]",
            "Contact: <sip:callee@[local_ip]:[local_port];transport=[transport]>",
            *headers,
        ]
        return self._send(f"SIP/2.0 {status}", lines, body, retrans=not status.startswith("1"))

    def request(self, method, *headers, body="", cseq=None, again=True):
        """Within the dialog."""
        if cseq is None:
            self.sequence += 1
            cseq = self.sequence
        lines = [
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
            "[routes]",
            "From: [$to];tag=[pid]c[call_number]",
            "To: [$from]",
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            "Contact: <sip:callee@[local_ip]:[local_port];transport=[transport]>",
            "Max-Forwards: 70",
            *headers,
        ]
        return self._send(f"{method} [next_url] SIP/2.0", lines, body, retrans=again and method != "ACK")
