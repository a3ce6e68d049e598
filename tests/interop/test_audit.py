"""What ssh-audit says of trio-sshd and trio-ssh as they come (hardening A13, ASR-10): each failure and warning stands here with a reason.

A finding that is not listed fails the test, and so does a listed one that is gone: the lists say what is offered by default, and why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from tests.cli.tools import SECONDS, Home, running, tool
from trio_ssh import PrivateKey

Report = dict[str, Any]

NIST = "using elliptic curves that are suspected as being backdoored by the U.S. National Security Agency"
NO_QUANTUM = "does not provide protection against post-quantum attacks"
ENCRYPT_AND_MAC = "using encrypt-and-MAC mode"
ECDSA_RANDOM = "using weak random number generator could reveal the key"
GROUP14 = "2048-bit modulus only provides 112-bits of symmetric strength"

# A suspicion, never shown; for peers that are bound to FIPS 140 these curves, alone or beside ML-KEM, are what there is.
NIST_KEX = ("mlkem768nistp256-sha256", "mlkem1024nistp384-sha384", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
ECDSA = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")

# For peers from before 2024, which have no ML-KEM: behind the hybrids, so that two sides that have them never take these.
CLASSICAL_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
# A client bears the cost of finite-field groups for itself only; a server does not offer them (hardening A13).
FINITE_FIELD_KEX = ("diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512")

SERVER_FAILURES = {name: [NIST] for name in NIST_KEX}
SERVER_WARNINGS = {name: [NO_QUANTUM] for name in CLASSICAL_KEX}
CLIENT_FAILURES = {name: [NIST] for name in (*NIST_KEX, *ECDSA)}
CLIENT_WARNINGS = {
    **SERVER_WARNINGS,
    **{name: [NO_QUANTUM] for name in FINITE_FIELD_KEX},
    # About the server that signs: nothing a client does depends on it.
    **{name: [ECDSA_RANDOM] for name in ECDSA},
}

# Runs ssh-audit, which would listen on every address: here only.
_LISTENING_HERE = """
import runpy, socket, sys

class Socket(socket.socket):
    def bind(self, address):
        if self.family != socket.AF_INET:
            raise OSError("one address is enough")
        super().bind(("127.0.0.1", 0))
        print(self.getsockname()[1], file=sys.stderr, flush=True)

socket.socket = Socket
runpy.run_module("ssh_audit", run_name="__main__")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.make(tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="module")
def server_report(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of trio-sshd with its defaults, an Ed25519 and an RSA host key."""
    rsa = tmp_path_factory.mktemp("key") / "rsa"
    PrivateKey.generate("rsa", 3072).write_file(rsa)
    keys = ["-h", str(home.host_key), "-h", str(rsa)]
    with running(tool("sshd", "-D", "-p", "0", *keys, "-o", "ListenAddress=127.0.0.1"), home.environ) as server:
        command = [sys.executable, "-m", "ssh_audit", "-j", "-p", str(server.port), "127.0.0.1"]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    return read_report(done.stdout)


@pytest.fixture(scope="module")
def client_report(home: Home) -> Report:
    """Of trio-ssh with its defaults."""
    command = [sys.executable, "-c", _LISTENING_HERE, "-j", "-c"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home.environ) as audit:
        try:
            assert audit.stderr is not None
            port = audit.stderr.readline().strip()
            home.run(tool("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-p", port, "127.0.0.1", "true"))
            output, _ = audit.communicate(timeout=SECONDS)
        finally:
            audit.kill()
    return read_report(output)


def read_report(output: bytes | str) -> Report:
    report: Report = json.loads(output)
    assert report["banner"]["software"].startswith("trio_ssh"), report
    return report


def findings(report: Report, level: str) -> dict[str, list[str]]:
    """What it says of each algorithm: ``fail`` or ``warn``."""
    found = {}
    for entry in entries(report):
        if level in entry["notes"]:
            found[entry["algorithm"]] = sorted(entry["notes"][level])
    return found


def entries(report: Report) -> Iterable[dict[str, Any]]:
    for part in ("kex", "key", "enc", "mac"):
        yield from report[part]


def test_asr_10_the_server_has_no_failure_but_the_nist_curves(server_report: Report):
    assert findings(server_report, "fail") == SERVER_FAILURES


def test_asr_10_the_servers_warnings_are_those_with_a_reason(server_report: Report):
    assert findings(server_report, "warn") == SERVER_WARNINGS


def test_a13_the_servers_rate_of_connections_is_safe(server_report: Report):
    """ssh-audit connects as fast as it can and warns above twenty connections a second."""
    assert not [note for note in server_report["additional_notes"] if "throttling" in note]
    assert server_report["cves"] == []


def test_asr_10_the_client_has_no_failure_but_the_nist_curves(client_report: Report):
    assert findings(client_report, "fail") == CLIENT_FAILURES


def test_asr_10_the_clients_warnings_are_those_with_a_reason(client_report: Report):
    assert findings(client_report, "warn") == CLIENT_WARNINGS
    assert client_report["cves"] == []


def test_a02_both_show_the_markers_of_strict_key_exchange(server_report: Report, client_report: Report):
    assert "kex-strict-s-v00@openssh.com" in [entry["algorithm"] for entry in server_report["kex"]]
    assert "kex-strict-c-v00@openssh.com" in [entry["algorithm"] for entry in client_report["kex"]]


def test_a_finding_would_be_seen(home: Home):
    """Of a server that offers more than it would by itself."""
    options = ["-o", "ListenAddress=127.0.0.1", "-o", "KexAlgorithms=+diffie-hellman-group14-sha256", "-o", "MACs=+hmac-sha2-256"]
    with running(tool("sshd", "-D", "-p", "0", "-h", str(home.host_key), *options), home.environ) as server:
        command = [sys.executable, "-m", "ssh_audit", "-j", "--skip-rate-test", "-p", str(server.port), "127.0.0.1"]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    assert findings(read_report(done.stdout), "warn") == {
        **SERVER_WARNINGS,
        "diffie-hellman-group14-sha256": [GROUP14, NO_QUANTUM],
        "hmac-sha2-256": [ENCRYPT_AND_MAC],
    }
