"""Keys and certificates as sshd's log shows them, and as the tokens of its commands."""

from __future__ import annotations

import base64

from .. import Certificate, PublicKey, printable
from ..keys.fingerprint import key_family


def shown_key(key: PublicKey, digest: str = "SHA256") -> str:
    """``ED25519 SHA256:…``"""
    return f"{key_family(key.algorithm)} {key.fingerprint(digest)}"


def shown_certificate(certificate: Certificate, digest: str = "SHA256") -> str:
    """``ED25519-CERT SHA256:… ID ada (serial 7) CA ED25519 SHA256:…``"""
    fingerprint = certificate.public_key.fingerprint(digest)
    name = f"{key_family(certificate.algorithm)} {fingerprint} ID {printable(certificate.key_id, 200)} (serial {certificate.serial})"
    return f"{name} CA {shown_key(certificate.authority, digest)}"


def key_tokens(key: PublicKey, certificate: Certificate | None, digest: str = "SHA256") -> dict[str, str]:
    """``%t``, ``%k`` and ``%f`` of AuthorizedKeysCommand: of a certificate its own type and blob, and its key's fingerprint."""
    algorithm, blob = (key.algorithm, key.blob) if certificate is None else (certificate.algorithm, certificate.blob)
    return {"t": algorithm, "k": base64.b64encode(blob).decode("ascii"), "f": key.fingerprint(digest)}


def certificate_tokens(certificate: Certificate, digest: str = "SHA256") -> dict[str, str]:
    """What AuthorizedPrincipalsCommand has beside these."""
    authority = certificate.authority
    return {
        **key_tokens(certificate.public_key, certificate, digest),
        "i": certificate.key_id,
        "s": str(certificate.serial),
        "T": authority.algorithm,
        "K": base64.b64encode(authority.blob).decode("ascii"),
        "F": authority.fingerprint(digest),
    }
