"""Keys and certificates of every type that an agent may be given, made once."""

from __future__ import annotations

from functools import cache

from tests.keys.software_keys import SoftwareKey
from trio_ssh import PrivateKey
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificates import CERTIFICATE_KEY_TYPES, CertifiedKey
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

KINDS = {
    "ssh-ed25519": ("ed25519", None),
    "ssh-ed448": ("ed448", None),
    "ecdsa-sha2-nistp256": ("ecdsa", 256),
    "ecdsa-sha2-nistp384": ("ecdsa", 384),
    "ecdsa-sha2-nistp521": ("ecdsa", 521),
    "ssh-rsa": ("rsa", 2048),
}
PLAIN_TYPES = (*KINDS, *SECURITY_KEY_TYPES)
CERTIFIED_TYPES = tuple(CERTIFICATE_KEY_TYPES.values())


@cache
def security_key(key_type: str) -> SoftwareKey:
    return SoftwareKey.generate(key_type)


@cache
def key_of(key_type: str) -> PrivateKey:
    if key_type in SECURITY_KEY_TYPES:
        return security_key(key_type).private_key()
    return PrivateKey.generate(*KINDS[key_type], f"my {key_type}")


@cache
def certified(key_type: str) -> CertifiedKey:
    key = key_of(key_type)
    request = CertificateRequest(public_key=key.public_key, key_id="ada's", principals=("ada",))
    return CertifiedKey(key, sign_certificate(key_of("ssh-ed25519"), request))


def all_keys() -> dict[str, PrivateKey | CertifiedKey]:
    """By key type, or certificate type."""
    certificates = {certified(key_type).certificate.algorithm: certified(key_type) for key_type in CERTIFIED_TYPES}
    return {**{key_type: key_of(key_type) for key_type in PLAIN_TYPES}, **certificates}


ALL_TYPES = (*PLAIN_TYPES, *CERTIFICATE_KEY_TYPES)
