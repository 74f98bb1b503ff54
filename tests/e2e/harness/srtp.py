"""SRTP by libsrtp: a phone with keys of its own in its offers (RFC 4568)."""

import base64
import os
import re

from pylibsrtp import Error, Policy, Session

from .phone import Phone
from .rtp import RtpEar

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}


def session(suite, key, ssrc_type):
    return Session(policy=Policy(key=key, ssrc_type=ssrc_type, srtp_profile=SUITES[suite][0]))


class SrtpEar(RtpEar):
    """Before it has keys it hears nothing."""

    def __init__(self):
        self.inbound = self.outbound = None
        self.refused = 0
        super().__init__()

    def secure(self, suite, ours, theirs):
        self.outbound = session(suite, ours, Policy.SSRC_ANY_OUTBOUND)
        self.inbound = session(suite, theirs, Policy.SSRC_ANY_INBOUND)

    def opened(self, datagram):
        try:
            return self.inbound.unprotect(datagram) if self.inbound else None
        except Error:
            self.refused += 1
            return None

    def protected(self, datagram):
        return self.outbound.protect(datagram)


class SrtpPhone(Phone):
    """Offers these suites, in this order, as `protocol`."""

    def __init__(self, *arguments, suites=("AES_CM_128_HMAC_SHA1_80",), protocol="RTP/SAVP", **more):
        super().__init__(*arguments, **more)
        self.suites, self.protocol = suites, protocol
        self.renew()

    def renew(self):
        """Other keys in the next offer."""
        self.keys = {tag: (suite, os.urandom(SUITES[suite][1])) for tag, suite in enumerate(self.suites, 1)}

    def offer(self):
        self.ear = self.ear or SrtpEar()
        lines = [f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}\r\n" for tag, (suite, key) in self.keys.items()]
        return super().offer().replace(b"RTP/AVP", self.protocol.encode()) + "".join(lines).encode()

    def call(self, to, **more):
        answer = super().call(to, **more)
        if answer.code == 200:
            self.agree(answer.body.decode())
        return answer

    def agree(self, answer):
        """Takes the keys of an answer; the one suite it names."""
        ((tag, suite, key),) = re.findall(r"^a=crypto:(\d+) (\S+) inline:([^|\s]+)", answer, re.M)
        offered, ours = self.keys[int(tag)]
        assert suite == offered
        self.suite = suite
        self.ear.secure(suite, ours, base64.b64decode(key))
