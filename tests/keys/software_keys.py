"""Security keys without the hardware: what an authenticator, or a browser with one, does when it is asked to sign (PROTOCOL.u2f, WebAuthn).

For tests of everything that verifies: flags, counter, application and origin are what the test says, not what is good.
"""

from __future__ import annotations

import base64
import hashlib
import struct

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from trio_ssh.keys import PrivateKey, PublicKey
from trio_ssh.keys.blobs import encode_blob
from trio_ssh.keys.security_keys import SK_ECDSA, SK_ED25519, WEBAUTHN_SK_ECDSA, SecurityPrivateKey, SecurityPublicKey
from trio_ssh.wire.primitives import write_byte, write_mpint, write_name, write_string, write_uint32

UP, UV, RESIDENT = 0x01, 0x04, 0x20
ORIGIN = "https://example.com"
HANDLE = b"handle of a software key"


@attrs.frozen
class SoftwareKey:
    """An authenticator with one key. `file_flags` is what its private key file says is demanded."""

    maths: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    application: str = "ssh:"
    file_flags: int = UP

    @classmethod
    def generate(cls, key_type: str, application: str = "ssh:", file_flags: int = UP) -> SoftwareKey:
        """`key_type` is ``sk-ssh-ed25519@openssh.com`` or ``sk-ecdsa-sha2-nistp256@openssh.com``."""
        if key_type == SK_ED25519:
            return cls(ed25519.Ed25519PrivateKey.generate(), application, file_flags)
        assert key_type == SK_ECDSA
        return cls(ec.generate_private_key(ec.SECP256R1()), application, file_flags)

    @property
    def public_half(self) -> SecurityPublicKey:
        return SecurityPublicKey(self.maths.public_key(), self.application)

    @property
    def public_key(self) -> PublicKey:
        return PublicKey.from_blob(encode_blob(self.public_half))

    @property
    def algorithm(self) -> str:
        return self.public_key.algorithm

    def private_key(self, comment: str = "a security key") -> PrivateKey:
        """The handle, as it stands in a file: it cannot sign."""
        return PrivateKey(self.public_key, comment, SecurityPrivateKey(self.public_half, self.file_flags, HANDLE, b""))

    def sign(self, algorithm: str, data: bytes, *, flags: int = UP, counter: int = 7) -> bytes:
        """A signature blob; of `WEBAUTHN_SK_ECDSA` with the origin `ORIGIN` and no extensions."""
        if algorithm == WEBAUTHN_SK_ECDSA:
            return self.sign_web(data, client_data_for(data), flags=flags, counter=counter)
        raw = self.sign_raw(flags, counter, b"", data)
        return sk_blob(algorithm, raw, flags, counter)

    def sign_web(
        self, data: bytes, client_data: bytes, *, origin: str = ORIGIN, flags: int = UP, counter: int = 7, extensions: bytes = b""
    ) -> bytes:
        """A browser's signature blob with these parts, whether they fit together or not; the maths is right."""
        raw = self.sign_raw(flags, counter, extensions, client_data)
        return sk_blob(WEBAUTHN_SK_ECDSA, raw, flags, counter, origin.encode(), client_data, extensions)

    def sign_raw(self, flags: int, counter: int, extensions: bytes, message: bytes) -> bytes:
        """The bare signature over what an authenticator covers."""
        head = hashlib.sha256(self.application.encode()).digest() + struct.pack(">BI", flags, counter)
        covered = head + extensions + hashlib.sha256(message).digest()
        if isinstance(self.maths, ed25519.Ed25519PrivateKey):
            return self.maths.sign(covered)
        out = bytearray()
        for number in decode_dss_signature(self.maths.sign(covered, ec.ECDSA(hashes.SHA256()))):
            write_mpint(out, number)
        return bytes(out)


def client_data_for(data: bytes, origin: str = ORIGIN, rest: str = ',"crossOrigin":false}') -> bytes:
    """The JSON text that a browser makes of what it is asked to sign."""
    challenge = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}"{rest}'.encode()


def sk_blob(algorithm: str, raw: bytes, flags: int, counter: int, *web: bytes) -> bytes:
    """A signature blob of these parts."""
    out = bytearray()
    write_name(out, algorithm)
    write_string(out, raw)
    write_byte(out, flags)
    write_uint32(out, counter)
    for part in web:
        write_string(out, part)
    return bytes(out)
