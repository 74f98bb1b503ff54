"""SMPP against a codec that is not ours: smpplib at the simulated SMSC, and our ESME at an SMSC made of smpplib."""

import subprocess

import pytest

from harness.server import BINARY, ROOT
import smpp_peer


# Without ./test before it, the first of these builds the workspace.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def examples():
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--workspace", "--all-targets"], cwd=ROOT, check=True)
    return BINARY.parent / "examples"


@pytest.fixture
def smsc(examples):
    """The simulated SMSC by itself; yields the process, host and port."""
    process = subprocess.Popen([examples / "dev_smsc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    host, port = process.stdout.readline().strip().rsplit(":", 1)
    yield process, host, port
    process.stdin.close()
    process.wait(timeout=20)


def test_another_esme_at_the_simulated_smsc(smsc):
    _, host, port = smsc
    smpp_peer.check_smsc(host, port)


def test_another_esme_gets_a_message_of_the_network(smsc):
    process, host, port = smsc
    with smpp_peer.Esme(host, port) as esme:
        process.stdin.write("12125550199 12025550150 hi there\n")
        process.stdin.flush()
        esme.read_until(esme.messages)
        assert esme.messages() == [("12125550199", "12025550150", b"hi there")]


def test_our_esme_at_another_smsc(examples):
    smpp_peer.check_esme(examples / "smpp_send")
