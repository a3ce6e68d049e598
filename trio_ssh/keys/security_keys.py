"""Keys that live in a FIDO authenticator (PROTOCOL.u2f): the public halves, the key handles in private key files, and what is signed.

The authenticator does not sign the data. It signs the hash of its *application*, a byte of flags, a counter, and a hash of the data; the
flags say whether somebody touched it, and whether it knew who that was. They stand in the signature in clear and are covered by it, so they
mean something only once it has been verified. Whether a touch is needed is for the policy to say: `security_key_use` tells what happened.

A browser signs something else again: a JSON text ("client data") with the data in it. That text is made in one fixed way (WebAuthn
§5.8.1.1), so that comparing its beginning byte for byte shows what is in it (§5.8.1.2); nothing is parsed.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TypeAlias

import attrs
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ..errors import DecodeError, LocalProtocolError, printable
from ..wire.primitives import read_byte, read_name, read_string, read_uint32, read_utf8

SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
WEBAUTHN_SK_ECDSA = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
SECURITY_KEY_TYPES = (SK_ED25519, SK_ECDSA)
SECURITY_KEY_ALGORITHMS = (SK_ED25519, SK_ECDSA, WEBAUTHN_SK_ECDSA)

APPLICATION_BYTES_MAX = 1024
_TOUCHED = 0x01
_VERIFIED = 0x04
_ATTESTED_DATA = 0x40
_EXTENSION_DATA = 0x80

TouchedMaths: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


class SecurityKeyNeeded(LocalProtocolError):
    """The private key is in a FIDO authenticator and the file has only its handle: sign through an agent that has the key."""


@attrs.frozen
class SecurityKeyUse:
    """What the authenticator vouches for in one signature. Only a signature that has been verified says anything.

    `touched`: somebody was there (the flag UP). `verified`: and proved who they are, by a PIN or a fingerprint (UV). `counter` goes up
    with each use of most authenticators; some have none and say 0.
    """

    touched: bool
    verified: bool
    counter: int


@attrs.frozen
class SecurityPublicKey:
    """The public half: what the authenticator signs with, and the application (``ssh:``, or a web site's name) that it signs for."""

    maths: TouchedMaths
    application: str

    @property
    def key_size(self) -> int:
        return 256


@attrs.frozen
class SecurityPrivateKey:
    """What a private key file has of a security key: nothing that can sign, but what the authenticator needs to find its key.

    `flags` says what is demanded when it signs (1: a touch, 4: verification, 0x20: it is resident). `handle` is the authenticator's own,
    opaque to us, and so is `reserved`.
    """

    public: SecurityPublicKey
    flags: int
    handle: bytes = attrs.field(repr=False)
    reserved: bytes = attrs.field(default=b"", repr=False)

    def public_key(self) -> SecurityPublicKey:
        return self.public


@attrs.frozen
class SecuritySignature:
    """A signature blob taken apart. `raw` is the bare signature; the last three are a browser's and None for others."""

    raw: bytes
    flags: int
    counter: int
    origin: str | None = None
    client_data: bytes | None = None
    extensions: bytes | None = None

    @property
    def use(self) -> SecurityKeyUse:
        return SecurityKeyUse(bool(self.flags & _TOUCHED), bool(self.flags & _VERIFIED), self.counter)

    def signed_data(self, application: str, data: bytes) -> bytes:
        """What the authenticator signed, if the signature is one of `data`. Raises `DecodeError` for a browser's that is not."""
        head = hashlib.sha256(application.encode()).digest() + struct.pack(">BI", self.flags, self.counter)
        if self.client_data is None:
            return head + hashlib.sha256(data).digest()
        self._check_client_data(data)
        return head + (self.extensions or b"") + hashlib.sha256(self.client_data).digest()

    def _check_client_data(self, data: bytes) -> None:
        origin, client_data = self.origin or "", self.client_data or b""
        if any(character in '"\\' or character < " " for character in origin):
            raise DecodeError("the web origin of the signature has a character in it that no origin has")
        if self.flags & _ATTESTED_DATA or bool(self.flags & _EXTENSION_DATA) is not bool(self.extensions):
            raise DecodeError("the flags of the web signature do not fit what it has with it")
        challenge = base64.urlsafe_b64encode(data).rstrip(b"=")
        expected = b'{"type":"webauthn.get","challenge":"%s","origin":"%s"' % (challenge, origin.encode())
        if not client_data.startswith((expected + b",", expected + b"}")) or not client_data.endswith(b"}"):
            raise DecodeError("the web signature is not one of this data")


def decode_security_signature(algorithm: str, blob: bytes) -> SecuritySignature:
    """Take a signature blob apart; `DecodeError` unless it is whole, exact and says `algorithm`, one of `SECURITY_KEY_ALGORITHMS`."""
    named, offset = read_name(blob, 0)
    if named != algorithm:
        raise DecodeError(f"the signature is of {printable(named, 64)!r}, not of {algorithm}")
    raw, offset = read_string(blob, offset)
    flags, offset = read_byte(blob, offset)
    counter, offset = read_uint32(blob, offset)
    signature = SecuritySignature(raw, flags, counter)
    if algorithm == WEBAUTHN_SK_ECDSA:
        origin, offset = read_utf8(blob, offset)
        client_data, offset = read_string(blob, offset)
        extensions, offset = read_string(blob, offset)
        signature = attrs.evolve(signature, origin=origin, client_data=client_data, extensions=extensions)
    if offset != len(blob):
        raise DecodeError(f"{len(blob) - offset} bytes follow the end of the signature")
    return signature


def security_key_use(signature_blob: bytes) -> SecurityKeyUse | None:
    """What a *verified* signature says of how its security key was used; None if it was not made by one.

    Raises `DecodeError` for a blob that is none; a verified one never is.
    """
    algorithm, _ = read_name(signature_blob, 0)
    if algorithm not in SECURITY_KEY_ALGORITHMS:
        return None
    return decode_security_signature(algorithm, signature_blob).use


def read_application(data: bytes, offset: int) -> tuple[str, int]:
    """The application field of a key. Raises `DecodeError`."""
    application, offset = read_utf8(data, offset)
    if len(application.encode()) > APPLICATION_BYTES_MAX or "\0" in application:
        raise DecodeError("the application of the security key is too long or has a NUL in it")
    return application, offset
