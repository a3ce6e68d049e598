"""Certificates against those of `cryptography`: what it makes we read, what we make it reads, field by field."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_identity,
    load_ssh_public_key,
)

from tests.keys.conftest import KINDS
from tests.keys.raw_certificates import FOREVER, string
from trio_ssh.keys import Certificate, CertificateKind, CertificateRequest, PrivateKey, sign_certificate


def theirs(certificate: Certificate) -> SSHCertificate:
    identity = load_ssh_public_identity(certificate.to_openssh_line().encode())
    assert isinstance(identity, SSHCertificate)
    return identity


def private(key: PrivateKey) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    loaded = load_ssh_private_key(key.to_openssh(), None)
    assert isinstance(loaded, (ed25519.Ed25519PrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
    return loaded


def test_cryptography_reads_what_we_sign(key, keys):
    for authority in (keys[name] for name in KINDS):
        request = CertificateRequest(
            public_key=key.public_key,
            kind=CertificateKind.HOST,
            key_id="ä key",
            principals=("*.example.com", "host"),
            serial=12345678901234567890,
            valid_after=1_700_000_000,
            valid_before=1_900_000_000,
            critical_options={"verify-required": b"", "force-command": "ls"},
            extensions={"permit-pty": b"", "permit-X11-forwarding": b"", "a@example.com": "value"},
        )
        read = theirs(sign_certificate(authority, request))
        read.verify_cert_signature()
        assert read.public_key() == load_ssh_public_key(key.public_key.to_openssh_line().encode())
        assert read.signature_key() == load_ssh_public_key(authority.public_key.to_openssh_line().encode())
        assert (read.serial, read.type, read.key_id) == (12345678901234567890, SSHCertificateType.HOST, "ä key".encode())
        assert read.valid_principals == [b"*.example.com", b"host"]
        assert (read.valid_after, read.valid_before) == (1_700_000_000, 1_900_000_000)
        assert read.critical_options == {b"force-command": b"ls", b"verify-required": b""}
        assert list(read.extensions) == [b"a@example.com", b"permit-X11-forwarding", b"permit-pty"]
        assert read.nonce == request.nonce


def test_we_read_what_cryptography_signs(key, keys):
    for authority in (keys[name] for name in KINDS):
        public = load_ssh_public_key(key.public_key.to_openssh_line().encode())
        assert isinstance(public, (ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey, rsa.RSAPublicKey))
        builder = (
            SSHCertificateBuilder()
            .public_key(public)
            .type(SSHCertificateType.USER)
            .key_id(b"made elsewhere")
            .serial(FOREVER)
            .valid_principals([b"alice", b"a,b"])
            .valid_after(0)
            .valid_before(FOREVER)
            .add_critical_option(b"source-address", b"192.0.2.0/24")
            .add_extension(b"permit-pty", b"")
            .add_extension(b"permit-agent-forwarding", b"")
        )
        certificate = Certificate.from_openssh_line(builder.sign(private(authority)).public_bytes().decode())
        assert (certificate.public_key, certificate.authority) == (key.public_key, authority.public_key)
        assert (certificate.kind, certificate.key_id, certificate.serial) == (CertificateKind.USER, "made elsewhere", FOREVER)
        assert certificate.principals == ("alice", "a,b")
        assert certificate.critical_options == (("source-address", string("192.0.2.0/24")),)
        assert [name for name, _ in certificate.extensions] == ["permit-agent-forwarding", "permit-pty"]
        certificate.check_user(("alice",), 1_800_000_000, "192.0.2.9")
