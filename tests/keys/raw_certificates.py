"""Certificates field by field, so that a test can have any of them wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable

import attrs

from trio_ssh.keys import PrivateKey, PublicKey

FOREVER = (1 << 64) - 1
ED25519_CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"


def string(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(raw)) + raw


def strings(*values: bytes | str) -> bytes:
    return b"".join(map(string, values))


def options(*pairs: tuple[str, bytes]) -> bytes:
    """In the order given, right or wrong."""
    return b"".join(string(name) + string(value) for name, value in pairs)


@attrs.frozen(kw_only=True)
class RawCertificate:
    """Every field as bytes; the defaults are a sound user certificate for alice, without end."""

    key: PublicKey
    authority: PrivateKey
    algorithm: str = ED25519_CERTIFICATE
    nonce: bytes = bytes(32)
    serial: bytes = bytes(8)
    kind: int = 1
    key_id: bytes = b"a test"
    principals: bytes = string("alice")
    valid_after: int = 0
    valid_before: int = FOREVER
    critical: bytes = b""
    extensions: bytes = b""
    reserved: bytes = b""
    signature_key: bytes | None = None
    signature_algorithm: str | None = None
    sign: Callable[[bytes], bytes] | None = None
    tail: bytes = b""

    def body(self) -> bytes:
        key_fields = self.key.blob[4 + len(self.key.algorithm) :]
        return b"".join(
            (
                strings(self.algorithm, self.nonce) + key_fields,
                self.serial + struct.pack(">I", self.kind) + strings(self.key_id, self.principals),
                struct.pack(">QQ", self.valid_after, self.valid_before),
                strings(self.critical, self.extensions, self.reserved),
                string(self.authority.public_key.blob if self.signature_key is None else self.signature_key),
            )
        )

    def blob(self) -> bytes:
        body = self.body()
        if self.sign is not None:
            return body + string(self.sign(body)) + self.tail
        algorithm = self.signature_algorithm or self.authority.public_key.signature_algorithms[0]
        return body + string(self.authority.sign(algorithm, body)) + self.tail


def nested(depth: int, key: PublicKey) -> bytes:
    """A certificate signed by a certificate signed by a certificate …, made in time linear in `depth`. No signature in it is right."""
    head = strings(ED25519_CERTIFICATE, b"") + key.blob[15:] + bytes(8) + struct.pack(">I", 1) + strings(b"", b"") + bytes(16) + bytes(12)
    tail = string(b"")
    length = len(key.blob)
    heads: list[bytes] = []
    for _ in range(depth):
        heads.append(head + struct.pack(">I", length))
        length += len(heads[-1]) + len(tail)
    return b"".join(reversed(heads)) + key.blob + tail * depth
