"""secsipidx, another implementation of STIR/SHAKEN, as signer and verifier of Identity headers."""

import json
import os
import socket
import subprocess
import time

import requests

from .sipp import free_port


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout.decode()


class Authority:
    """A certificate authority of its own, made with openssl."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate, self.key = folder / "root.pem", folder / "root.key"
        self.make_key(self.key)
        openssl(
            "req", "-x509", "-new", "-key", self.key, "-sha256", "-days", "30", "-subj", "/O=Elsewhere/CN=STI root",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", self.certificate,
        )  # fmt: skip

    @staticmethod
    def make_key(path):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)

    def issue(self, name, spc):
        """Certificate and key of a provider with this code, in files."""
        # RFC 8226 9: SEQUENCE { [0] { IA5String } }, tags explicit.
        code = b"\x16" + bytes([len(spc)]) + spc.encode()
        entry = b"\xa0" + bytes([len(code)]) + code
        tn_auth_list = b"\x30" + bytes([len(entry)]) + entry
        return self.certify(name, f"1.3.6.1.5.5.7.1.26=DER:{tn_auth_list.hex(':')}")

    def certify(self, name, extension):
        key, request, certificate, extensions = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem", "cnf"))
        self.make_key(key)
        openssl("req", "-new", "-key", key, "-subj", f"/O=Elsewhere/CN={name}", "-out", request)
        extensions.write_text(f"keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n{extension}\n")
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-sha256",
            "-days", "10", "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key


def sign(key, x5u, orig, dest, attest="A", iat=None, origid="de305d54-75b4-431b-adb2-eb6b9e546014"):
    """An Identity header as secsipidx makes it: by itself, or with an `iat` of somebody else's."""
    command = ["secsipidx", "-fprvkey", key]
    if iat is None:
        command += ["-sign-full", "-x5u", x5u, "-orig-tn", orig, "-dest-tn", dest, "-attest", attest, "-orig-id", origid]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": x5u}
    claims = {"attest": attest, "dest": {"tn": [dest]}, "iat": iat, "orig": {"tn": orig}, "origid": origid}
    command += ["-sign", "-header", json.dumps(header), "-payload", json.dumps(claims)]
    passport = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"{passport};info=<{x5u}>;alg=ES256;ppt=shaken"


class Secsipidx:
    """Its server: publishes the files of a folder over HTTPS, and checks identities over HTTP.

    It fetches certificates from where a header says, over TLS that `tls_ca` vouches for, and asks for a way from them to
    `anchors`."""

    def __init__(self, folder, tls_ca=None, anchors=None):
        self.published = folder / "published"
        self.published.mkdir()
        tls = folder / "tls"
        tls.mkdir()
        authority = Authority(tls)
        self.ca = authority.certificate
        certificate, key = authority.certify("https", "subjectAltName=IP:127.0.0.1")
        self.ports = [free_port() for _ in range(2)]
        http, https = (f"127.0.0.1:{port}" for port in self.ports)
        self.checks, self.files = f"http://{http}/v1/check", f"https://{https}/v1/pub"
        command = ["secsipidx", "-http-srv", http, "-https-srv", https, "-https-pubkey", certificate]
        command += ["-https-prvkey", key, "-http-dir", self.published, "-expire", "60"]
        if anchors:
            # 1: valid now, 4: under an authority of the file.
            command += ["-cert-verify", "5", "-ca-file", anchors]
        environment = os.environ | {"SSL_CERT_FILE": str(tls_ca or self.ca)}
        self.log = (folder / "secsipidx.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)

    def __enter__(self):
        waiting = list(self.ports)
        while waiting:
            if self.process.poll() is not None:
                raise RuntimeError(f"secsipidx ended with {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", waiting[0])).close()
                waiting.pop(0)
            except ConnectionRefusedError:
                time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def publish(self, certificate):
        """Where the certificate is from now on."""
        (self.published / certificate.name).write_bytes(certificate.read_bytes())
        return f"{self.files}/{certificate.name}"

    def takes(self, identity):
        """Whether it finds the header good."""
        return requests.post(self.checks, data=identity, timeout=10).text.strip() == "OK"
