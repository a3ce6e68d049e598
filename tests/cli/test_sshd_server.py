"""What trio-sshd is made of before anybody connects: host keys and their certificates, and what a new configuration changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.logins import AUTHORITY, KEY, ME, login
from trio_ssh import CertificateKind, CertifiedKey, ConfigError, KeyFileError, PrivateKey
from trio_ssh.cli.sshd_server import Server
from trio_ssh.config import SSHDConfig
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate


@pytest.fixture
def host_key(tmp_path: Path) -> Path:
    PrivateKey.generate().write_file(tmp_path / "host_key")
    return tmp_path / "host_key"


def server(text: str) -> Server:
    return Server.of(SSHDConfig.from_text(text, "config"))


def test_host_certificates(host_key, tmp_path):
    key = PrivateKey.from_file(host_key)
    request = CertificateRequest(public_key=key.public_key, kind=CertificateKind.HOST, principals=("a.example",))
    (tmp_path / "cert.pub").write_text(sign_certificate(AUTHORITY, request).to_openssh_line())
    (found,) = server(f"HostKey {host_key}\nHostCertificate {tmp_path}/cert.pub").host_keys
    assert isinstance(found, CertifiedKey)
    assert found.certificate.principals == ("a.example",)
    (plain,) = server(f"HostKey {host_key}\nHostCertificate none").host_keys
    assert plain == key


def test_certificates_that_are_no_hosts(host_key, tmp_path):
    request = CertificateRequest(public_key=KEY.public_key, kind=CertificateKind.HOST, principals=("a.example",))
    (tmp_path / "cert.pub").write_text(sign_certificate(AUTHORITY, request).to_openssh_line())
    with pytest.raises(ConfigError, match=f"config line 2: HostCertificate {tmp_path}/cert.pub: it is for none of the host keys"):
        server(f"HostKey {host_key}\nHostCertificate {tmp_path}/cert.pub")
    request = CertificateRequest(public_key=PrivateKey.from_file(host_key).public_key, kind=CertificateKind.USER, principals=("ada",))
    (tmp_path / "cert.pub").write_text(sign_certificate(AUTHORITY, request).to_openssh_line())
    with pytest.raises(ConfigError, match="it is a user's certificate, not a host's"):
        server(f"HostKey {host_key}\nHostCertificate {tmp_path}/cert.pub")
    with pytest.raises(KeyFileError, match=re.escape(f"{tmp_path}/nothing")):
        server(f"HostKey {host_key}\nHostCertificate {tmp_path}/nothing")


async def test_a_new_configuration(host_key):
    text = f"HostKey {host_key}\nPort 2222\nMaxSessions 5\nCiphers aes256-ctr"
    running = server(text)
    assert running.take(SSHDConfig.from_text(text)) == []
    changed = SSHDConfig.from_text(f"HostKey {host_key}\nMaxSessions 1\nPermitRootLogin yes\nMatch User {ME}\nMaxAuthTries 2")
    assert sorted(running.take(changed)) == ["Ciphers", "Port"]
    rules = await login(running.rules)
    assert (rules.sessions, rules.auth_failures) == (1, 2)
    with pytest.raises(ConfigError):
        running.take(SSHDConfig.from_text("RevokedKeys /nowhere/list"))
    assert running.rules.config is changed
