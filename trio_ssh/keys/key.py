"""Public and private keys: the two values that everything else about keys works with."""

from __future__ import annotations

import base64
import os
from functools import cached_property

import attrs
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from ..errors import DecodeError, KeyFileError, LocalProtocolError, failing_as, printable
from .blobs import CURVES, RSA_BITS_MAX, RSA_BITS_MIN, PublicMaths, bits_of, check_blob, encode_blob, needs_building
from .export import PrivateKeyFormat, export_private
from .files import Path, Source, read_private_file, write_private_file
from .fingerprint import fingerprint, randomart, randomart_title, sha256_fingerprint
from .lines import read_base64
from .own_types import generate_own
from .private_fields import write_certified_fields, write_private_fields
from .private_file import read_private
from .private_openssh import BCRYPT_ROUNDS_DEFAULT, KEY_CIPHER_DEFAULT
from .security_keys import SecurityPrivateKey
from .signature import LEGACY_SIGNATURE_ALGORITHMS, SIGNATURE_ALGORITHMS, PrivateMaths, check_signature, make_signature

_LINE_BLANKS = " \t"
_KINDS = "ed25519, ed448, ecdsa (256, 384, 521) or rsa (2048 to 16384)"


@attrs.frozen
class PublicKey:
    """A public key. Make one by `from_blob` or `from_openssh_line`, which check it; two are equal if their blobs are.

    `algorithm` is the key type ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa" …), `blob` the key as it stands on the wire.
    """

    algorithm: str = attrs.field(eq=False)
    blob: bytes = attrs.field(repr=sha256_fingerprint)

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Check and take a blob from a peer or a file. Raises `DecodeError` for anything but a whole, sound key of a type we know."""
        blob = bytes(blob)
        with failing_as("reading a key"):
            algorithm, _ = check_blob(blob)
            key = cls(algorithm, blob)
            if needs_building(algorithm):
                _ = key._maths  # only building the point tells whether it lies on the curve
        return key

    @classmethod
    def from_openssh_line(cls, line: str) -> PublicKey:
        """Read ``type base64 [comment]``, the form of ``.pub`` files. Raises `KeyFileError` (without a path)."""
        fields = line.strip(" \t\r\n").replace("\t", " ").split(" ", 1)
        encoded = fields[1].lstrip(_LINE_BLANKS).split(" ", 1)[0] if len(fields) == 2 else ""
        try:
            return cls.from_blob(blob_of_fields(fields[0], encoded))
        except DecodeError as error:
            raise KeyFileError(f"not a public key line: {error}") from None

    def to_openssh_line(self, comment: str = "") -> str:
        """``type base64 [comment]`` without a newline; line breaks and other control characters in the comment become blanks."""
        line = f"{self.algorithm} {base64.b64encode(self.blob).decode('ascii')}"
        cleaned = one_line(comment)
        return f"{line} {cleaned}" if cleaned else line

    @property
    def signature_algorithms(self) -> tuple[str, ...]:
        """The signature algorithms this key proposes, best first; no legacy ones."""
        return SIGNATURE_ALGORITHMS[self.algorithm]

    @property
    def all_signature_algorithms(self) -> tuple[str, ...]:
        """The same and behind them the legacy ones that this key can be used with, if they are asked for by name: ``ssh-rsa``."""
        return (*self.signature_algorithms, *LEGACY_SIGNATURE_ALGORITHMS.get(self.algorithm, ()))

    @property
    def bits(self) -> int:
        """The key's size as people state it: 256 for ed25519, 456 for ed448, the field's for ecdsa, the modulus's for rsa."""
        return bits_of(self._maths)

    def fingerprint(self, digest: str = "SHA256") -> str:
        """``SHA256:`` and the unpadded base64 of the blob's digest, as ssh-keygen shows it; `digest` may be another, such as MD5."""
        return fingerprint(self.blob, digest)

    def randomart(self, digest: str = "SHA256") -> str:
        """The fingerprint as a picture of eleven lines, as ``ssh-keygen -lv`` shows it."""
        return randomart(self.blob, randomart_title(self.algorithm, self.bits), digest)

    def verify(self, algorithm: str, signature_blob: bytes, data: bytes, *, legacy: bool = False) -> bool:
        """Is `signature_blob` this key's signature of `data` by exactly `algorithm`? Whatever is malformed or out of place is False.

        A legacy algorithm is False as well, unless `legacy` says that its name comes from our own list and not from the peer only.
        """
        if algorithm not in (self.all_signature_algorithms if legacy else self.signature_algorithms):
            return False
        try:
            with failing_as("checking a signature"):
                return check_signature(self._maths, algorithm, signature_blob, data)
        except DecodeError:
            return False

    @cached_property
    def _maths(self) -> PublicMaths:
        return check_blob(self.blob)[1]()


def one_line(comment: str) -> str:
    """The comment as it can stand in a line: what breaks lines and other control characters are blanks."""
    return "".join(c if c.isprintable() else " " for c in comment).strip()


def blob_of_fields(key_type: str, encoded: str) -> bytes:
    """The blob of a text line's type and base64 fields; `DecodeError` unless the base64 is sound and the two types agree.

    Whether the rest of the blob makes sense is not looked at.
    """
    name = key_type.encode("utf-8", "surrogateescape")
    if not 0 < len(name) <= 64:
        raise DecodeError("the key type is missing or too long")
    try:
        blob = read_base64(encoded)
    except ValueError:
        raise DecodeError("the base64 text of the key is malformed") from None
    if not blob.startswith(len(name).to_bytes(4, "big") + name):
        raise DecodeError(f"the line says {printable(key_type, 64)!r}, the key in it is of another type or damaged")
    return blob


@attrs.frozen
class PrivateKey:
    """A private key with its comment. Make one by `generate`, `from_file` or `from_bytes`; no secret shows in its repr.

    `from_bytes`, `from_file`, `to_openssh` and `write_file` with a passphrase cost up to seconds of CPU: call them in a thread where a
    Trio loop must go on.
    """

    public_key: PublicKey
    comment: str = attrs.field(eq=False)
    _maths: PrivateMaths = attrs.field(eq=False, repr=False)

    @classmethod
    def generate(cls, kind: str = "ed25519", bits: int | None = None, comment: str = "") -> PrivateKey:
        """Make a new key: "ed25519", "ed448", "ecdsa" (`bits` 256, 384 or 521; 256 if not given) or "rsa" (2048 to 16384; 3072 if
        not given).

        The name of a key type of your own makes one of that. `ValueError` for another kind or size. An RSA key takes from a tenth of a
        second to minutes.
        """
        return _from_maths(_generate(kind, bits), comment)

    @classmethod
    def from_file(cls, path: Path, passphrase: str | bytes | None = None) -> PrivateKey:
        """Read a private key file in OpenSSH or PEM (PKCS#1, SEC1, PKCS#8) format; a passphrase that is not needed is ignored.

        Raises `KeyFileError` that names the path, what is wrong and what to do; `PassphraseRequired` and `WrongPassphrase` are two of it.
        """
        data = read_private_file(path)
        return _from_maths(*read_private(data, passphrase, Source(os.fspath(path))))

    @classmethod
    def from_bytes(cls, data: bytes, passphrase: str | bytes | None = None) -> PrivateKey:
        """As `from_file`, from the content of such a file."""
        return _from_maths(*read_private(bytes(data), passphrase, Source()))

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """Sign `data`: the signature blob (string algorithm, string signature).

        Raises `LocalProtocolError` for an algorithm that is not among the public key's `all_signature_algorithms`. The signature is
        verified before it is handed out, because a faulty one can give the private key away; if it is faulty, that is a
        `LocalProtocolError` too. `SecurityKeyNeeded`, another one, is raised for the handle of a security key.
        """
        if algorithm not in self.public_key.all_signature_algorithms:
            raise LocalProtocolError(f"a key of type {self.public_key.algorithm} cannot sign by {printable(algorithm, 64)!r}")
        with failing_as("signing"):
            blob = make_signature(self._maths, algorithm, data)
        if not self.public_key.verify(algorithm, blob, data, legacy=True):
            raise LocalProtocolError(f"the signature just made by the key {self.public_key.fingerprint()} is faulty; it was not sent")
        return blob

    @property
    def security_key(self) -> SecurityPrivateKey | None:
        """What is known of the authenticator's key, if this is only the handle of one: then `sign` raises `SecurityKeyNeeded`."""
        return self._maths if isinstance(self._maths, SecurityPrivateKey) else None

    def agent_fields(self) -> bytes:
        """Key type, public and private fields as SSH_AGENTC_ADD_IDENTITY has them (draft-miller-ssh-agent §3.2): the secret itself."""
        out = bytearray()
        write_private_fields(out, self._maths)
        return bytes(out)

    def certified_agent_fields(self, certificate_type: str, certificate_blob: bytes) -> bytes:
        """The same for the key with a certificate: its type (the first string in it), its blob, and the private fields."""
        out = bytearray()
        write_certified_fields(out, self._maths, certificate_type, certificate_blob)
        return bytes(out)

    def to_openssh(
        self, passphrase: str | bytes | None = None, comment: str | None = None, *, rounds: int = BCRYPT_ROUNDS_DEFAULT
    ) -> bytes:
        """The content of a private key file in OpenSSH format; `comment` None keeps the key's own.

        `rounds` (1 to 2048) is bcrypt's cost, some 10 ms each. An empty passphrase is a `ValueError`: None means no encryption.
        """
        return self.with_comment(self.comment if comment is None else comment).export(passphrase=passphrase, rounds=rounds)

    def export(
        self,
        form: PrivateKeyFormat = PrivateKeyFormat.OPENSSH,
        passphrase: str | bytes | None = None,
        *,
        rounds: int = BCRYPT_ROUNDS_DEFAULT,
        cipher: str = KEY_CIPHER_DEFAULT,
    ) -> bytes:
        """The content of a private key file of this form; only OpenSSH's keeps the comment, and uses `rounds` and `cipher`.

        The ciphers are those of ``ssh-keygen -Z``: AES in CTR, CBC and GCM mode. Raises `KeyFileError` for a type of key that has no such
        form, `ValueError` as `to_openssh` does, and for a passphrase of more than 1023 bytes in PEM or another cipher.
        """
        return export_private(self._maths, self.comment, form, passphrase, rounds, cipher)

    def with_comment(self, comment: str) -> PrivateKey:
        """The same key with another comment."""
        return attrs.evolve(self, comment=comment)

    def write_file(
        self,
        path: Path,
        passphrase: str | bytes | None = None,
        *,
        form: PrivateKeyFormat = PrivateKeyFormat.OPENSSH,
        rounds: int = BCRYPT_ROUNDS_DEFAULT,
        cipher: str = KEY_CIPHER_DEFAULT,
        replace: bool = True,
    ) -> None:
        """Write the key to a file, mode 0600 from the first moment; what stood at `path` is replaced in one step.

        A symbolic link at `path` is replaced, not followed. If not `replace`, a file (or link) that is there is an error. Raises
        `KeyFileError`, and what `export` does.
        """
        write_private_file(path, self.export(form, passphrase, rounds=rounds, cipher=cipher), replace=replace)


def _from_maths(maths: PrivateMaths, comment: str = "") -> PrivateKey:
    blob = encode_blob(maths.public_key())
    return PrivateKey(PublicKey.from_blob(blob), comment, maths)


def _generate(kind: str, bits: int | None) -> PrivateMaths:
    if kind == "ed25519" and bits in (None, 256):
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448" and bits in (None, 456):
        return ed448.Ed448PrivateKey.generate()
    if kind == "ecdsa":
        for curve in CURVES.values():
            if curve.maths.key_size == (bits or 256):
                return ec.generate_private_key(curve.maths)
    if bits is None and (own := generate_own(kind)) is not None:
        return own
    if kind == "rsa" and RSA_BITS_MIN <= (bits or 3072) <= RSA_BITS_MAX:
        return rsa.generate_private_key(public_exponent=65537, key_size=bits or 3072)
    raise ValueError(f"there is no key of kind {kind!r} with {bits} bits: use {_KINDS}")
