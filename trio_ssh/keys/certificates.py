"""Certificates of OpenSSH (PROTOCOL.certkeys): a public key, who may use it for what and when, signed by an authority's key.

Three things are never mixed up. A certificate that could be read (`Certificate.from_blob`) is whole, and the key that is named in it as
its authority has signed it. Whether that authority is one that we trust is for the caller to ask. And whether the certificate holds for
this user or host, now and from here, is what `check_user` and `check_host` say.

An authority is always a plain key: a certificate in its place is refused by its type, before anything in it is read, so that nesting
costs nothing (hardening B14). Principals are items of a list, never split or joined; an empty list matches nobody.
"""

from __future__ import annotations

import base64
import enum
import os
from collections.abc import Collection

import attrs

from ..errors import CertificateError, DecodeError, KeyFileError, LocalProtocolError, printable
from ..wire.patterns import compile_pattern
from ..wire.primitives import read_name, read_string, read_text, read_uint32, read_uint64, write_name
from .certificate_options import Options, check_source, permissions_of, read_options
from .files import Path, read_regular_file
from .fingerprint import sha256_fingerprint
from .key import PrivateKey, PublicKey, blob_of_fields
from .permissions import Permissions

PRINCIPALS_MAX = 256
FOREVER = (1 << 64) - 1
"""The `valid_before` of a certificate that does not expire."""

_RSA_CERTIFICATE = "ssh-rsa-cert-v01@openssh.com"

CERTIFICATE_KEY_TYPES: dict[str, str] = {
    "ssh-ed25519-cert-v01@openssh.com": "ssh-ed25519",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519-cert-v01@openssh.com": "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
    _RSA_CERTIFICATE: "ssh-rsa",
}
"""Type of a certificate, the first string of its blob -> type of the key in it."""

CERTIFICATE_ALGORITHMS: dict[str, str] = {
    "ssh-ed25519-cert-v01@openssh.com": "ssh-ed25519",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519-cert-v01@openssh.com": "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com": "rsa-sha2-512",
    "rsa-sha2-256-cert-v01@openssh.com": "rsa-sha2-256",
}
"""Algorithm of a signature by a certified key, as it is negotiated or declared, best first -> the plain one in the signature itself."""

LEGACY_CERTIFICATE_ALGORITHMS: dict[str, str] = {_RSA_CERTIFICATE: "ssh-rsa"}
"""The same for SHA-1: never proposed, and used only where it is named (hardening B13)."""

KEY_TYPE_OF_CERTIFICATE_ALGORITHM: dict[str, str] = {
    **{name: name for name in CERTIFICATE_KEY_TYPES},
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com": _RSA_CERTIFICATE,
    "rsa-sha2-256-cert-v01@openssh.com": _RSA_CERTIFICATE,
}
"""Algorithm of a signature by a certified key, legacy ones included -> the type of certificate that it needs."""

_KEY_FIELDS = {  # how many strings (an mpint is one, too) the key itself has, behind the nonce
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    "ssh-rsa": 2,
}
_PRINCIPALS_SHOWN = 5
_PATTERN_LENGTH_MAX = 1024  # no name is so long, and a longer one would cost


class CertificateKind(enum.Enum):
    """Whom a certificate speaks for; the values are those on the wire."""

    USER = 1
    HOST = 2


@attrs.frozen
class Certificate:
    """A certificate whose form and signature are sound. Make one by `from_blob`, `from_openssh_line` or `sign_certificate`.

    Two are equal if their blobs are. Times are seconds since 1970; it is valid from `valid_after` to the moment before `valid_before`
    (`FOREVER` for one without end). Options are name and data, the data as it stands in the certificate.
    """

    blob: bytes = attrs.field(repr=sha256_fingerprint)
    algorithm: str = attrs.field(eq=False)
    """The type: ``ssh-ed25519-cert-v01@openssh.com`` …"""
    public_key: PublicKey = attrs.field(eq=False)
    """The key that is certified."""
    serial: int = attrs.field(eq=False)
    kind: CertificateKind = attrs.field(eq=False)
    key_id: str = attrs.field(eq=False)
    """The authority's name for it, meant for logs."""
    principals: tuple[str, ...] = attrs.field(eq=False)
    """User or host names; of a host certificate they may be patterns with ``*`` and ``?``."""
    valid_after: int = attrs.field(eq=False)
    valid_before: int = attrs.field(eq=False)
    critical_options: Options = attrs.field(eq=False)
    extensions: Options = attrs.field(eq=False)
    authority: PublicKey = attrs.field(eq=False)
    """The key that has signed it. Nothing says that it is one to be trusted."""
    authority_algorithm: str = attrs.field(eq=False)
    """The algorithm of that signature (what ``CASignatureAlgorithms`` is about)."""

    @classmethod
    def from_blob(cls, blob: bytes) -> Certificate:
        """Check and take a certificate from a peer or a file: its form, the key in it, and its authority's signature.

        Raises `DecodeError`. A signature by a legacy algorithm, SHA-1 of RSA, is none.
        """
        certificate, signed_bytes, signature = _read_certificate(bytes(blob))
        if not certificate.authority.verify(certificate.authority_algorithm, signature, certificate.blob[:signed_bytes]):
            raise DecodeError("the signature of the certificate's authority is wrong")
        return certificate

    @classmethod
    def from_openssh_line(cls, line: str) -> Certificate:
        """Read ``type base64 [comment]``, the form of ``-cert.pub`` files. Raises `KeyFileError` (without a path)."""
        fields = [field for field in line.strip(" \t\r\n").replace("\t", " ").split(" ") if field]
        try:
            return cls.from_blob(blob_of_fields(*(*fields, "", "")[:2]))
        except DecodeError as error:
            raise KeyFileError(f"not a certificate line: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> Certificate:
        """Read a ``-cert.pub`` file: its first line that is neither empty nor a comment. Raises `KeyFileError`."""
        lines = read_regular_file(path).decode("utf-8", "surrogateescape").split("\n")
        name = os.fspath(path)
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    return cls.from_openssh_line(line)
                except KeyFileError as error:
                    raise KeyFileError(f"{printable(name)} line {number}: {error}", path=name, line=number) from None
        raise KeyFileError(f"{printable(name)}: there is no certificate in it", path=name)

    def to_openssh_line(self, comment: str = "") -> str:
        """``type base64 [comment]`` without a newline; line breaks and other control characters in the comment become blanks."""
        line = f"{self.algorithm} {base64.b64encode(self.blob).decode('ascii')}"
        cleaned = "".join(c if c.isprintable() else " " for c in comment).strip()
        return f"{line} {cleaned}" if cleaned else line

    @property
    def signature_algorithms(self) -> tuple[str, ...]:
        """The algorithms under which the certified key proposes to sign, best first; no legacy ones."""
        return tuple(name for name, plain in CERTIFICATE_ALGORITHMS.items() if plain in self.public_key.signature_algorithms)

    @property
    def all_signature_algorithms(self) -> tuple[str, ...]:
        """The same, and behind them the legacy ones: what may be named."""
        legacy = (name for name, plain in LEGACY_CERTIFICATE_ALGORITHMS.items() if plain in self.public_key.all_signature_algorithms)
        return (*self.signature_algorithms, *legacy)

    def verify(self, algorithm: str, signature_blob: bytes, data: bytes, *, legacy: bool = False) -> bool:
        """Is `signature_blob` the certified key's signature of `data`? As `PublicKey.verify`, by the name of a certificate's algorithm.

        The algorithm in the blob is the plain one. This says nothing about whether the certificate holds.
        """
        if algorithm not in (self.all_signature_algorithms if legacy else self.signature_algorithms):
            return False
        return self.public_key.verify(plain_algorithm(algorithm), signature_blob, data, legacy=legacy)

    def check_host(self, host: str, now: float) -> None:
        """Raise `CertificateError` unless this is a certificate for `host` that holds at `now`, seconds since 1970.

        Upper and lower case of names are the same. No critical option is known for hosts, so that any of them refuses.
        """
        self._check_kind_and_time(CertificateKind.HOST, now)
        for name, _ in self.critical_options:
            raise CertificateError(f"the host certificate demands {printable(name, 64)!r}, a critical option that is not supported")
        name = host.lower()
        patterns = (principal.lower() for principal in self.principals if len(principal) <= _PATTERN_LENGTH_MAX)
        if not any(compile_pattern(pattern).matches(name) for pattern in patterns):
            raise CertificateError(f"the host certificate is not for {printable(host, 256)!r} but for {self._principals_text()}")

    def check_user(self, principals: Collection[str], now: float, address: str) -> None:
        """Raise `CertificateError` unless this is a user's certificate for one of `principals` that holds at `now` from `address`.

        `principals` are the names that let somebody in, such as the account's; each is compared as a whole. `now` is in seconds since
        1970, `address` the client's IP address, "" if it has none.
        """
        self._check_kind_and_time(CertificateKind.USER, now)
        if not any(principal in principals for principal in self.principals):
            raise CertificateError(f"the certificate is not for this login but for {self._principals_text()}")
        self.permissions()
        check_source(self.critical_options, address)

    def permissions(self) -> Permissions:
        """What a user certificate allows. Raises `CertificateError` for a host's, an unknown critical option, and damaged options."""
        if self.kind is not CertificateKind.USER:
            raise CertificateError("it is a host's certificate, which lets no user in")
        return permissions_of(self.critical_options, self.extensions)

    def _check_kind_and_time(self, kind: CertificateKind, now: float) -> None:
        if self.kind is not kind:
            raise CertificateError(f"it is a {self.kind.name.lower()} certificate, not a {kind.name.lower()} certificate")
        if not self.valid_after <= now < self.valid_before:
            when = "is not valid yet" if now < self.valid_after else "has expired"
            raise CertificateError(f"the certificate {when} (key id {printable(self.key_id, 100)!r}, serial {self.serial})")

    def _principals_text(self) -> str:
        shown = ", ".join(repr(printable(principal, 64)) for principal in self.principals[:_PRINCIPALS_SHOWN])
        more = len(self.principals) - _PRINCIPALS_SHOWN
        return (f"{shown} and {more} more" if more > 0 else shown) or "nobody: its list of principals is empty"


def plain_algorithm(algorithm: str) -> str:
    """The algorithm in the signature of a certified key, for the one that is negotiated or declared; `KeyError` if that is none."""
    return CERTIFICATE_ALGORITHMS.get(algorithm) or LEGACY_CERTIFICATE_ALGORITHMS[algorithm]


@attrs.frozen
class CertifiedKey:
    """A private key and the certificate for it. Raises `LocalProtocolError` for a certificate of another key."""

    key: PrivateKey
    certificate: Certificate

    def __attrs_post_init__(self) -> None:
        if self.certificate.public_key != self.key.public_key:
            raise LocalProtocolError(
                f"the certificate is for the key {self.certificate.public_key.fingerprint()}, not for {self.key.public_key.fingerprint()}"
            )

    @classmethod
    def from_files(cls, key_path: Path, certificate_path: Path | None = None, passphrase: str | bytes | None = None) -> CertifiedKey:
        """Read both; where the certificate's path is not given, it is the key's with ``-cert.pub`` behind it, as OpenSSH has it.

        Raises `KeyFileError`, as `PrivateKey.from_file` does.
        """
        path = f"{os.fspath(key_path)}-cert.pub" if certificate_path is None else os.fspath(certificate_path)
        certificate = Certificate.from_file(path)
        try:
            return cls(PrivateKey.from_file(key_path, passphrase), certificate)
        except LocalProtocolError as error:
            raise KeyFileError(f"{printable(path)}: {error}; sign the key again", path=path) from None

    @property
    def signature_algorithms(self) -> tuple[str, ...]:
        """As `Certificate.signature_algorithms`."""
        return self.certificate.signature_algorithms

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """As `PrivateKey.sign`, by the name of a certificate's algorithm; the signature blob names the plain one."""
        if algorithm not in self.certificate.all_signature_algorithms:
            raise LocalProtocolError(f"a certificate of type {self.certificate.algorithm} cannot sign by {printable(algorithm, 64)!r}")
        return self.key.sign(plain_algorithm(algorithm), data)


def _read_certificate(blob: bytes) -> tuple[Certificate, int, bytes]:
    """The certificate, how many bytes of it are signed, and the signature, which is still to be checked."""
    algorithm, offset = read_name(blob, 0)
    plain = CERTIFICATE_KEY_TYPES.get(algorithm)
    if plain is None:
        raise DecodeError(f"certificate type {printable(algorithm, 64)!r} is not supported")
    _, offset = read_string(blob, offset)  # the nonce
    key_start = offset
    for _ in range(_KEY_FIELDS[plain]):
        _, offset = read_string(blob, offset)
    key = bytearray()
    write_name(key, plain)
    key += blob[key_start:offset]
    serial, offset = read_uint64(blob, offset)
    kind, offset = read_uint32(blob, offset)
    key_id, offset = read_text(blob, offset)
    principals, offset = read_string(blob, offset)
    valid_after, offset = read_uint64(blob, offset)
    valid_before, offset = read_uint64(blob, offset)
    critical_options, offset = read_string(blob, offset)
    extensions, offset = read_string(blob, offset)
    _, offset = read_string(blob, offset)  # reserved
    authority, signed_bytes = read_string(blob, offset)
    signature, offset = read_string(blob, signed_bytes)
    if offset != len(blob):
        raise DecodeError(f"{len(blob) - offset} bytes follow the end of the certificate")
    if "\0" in key_id:
        raise DecodeError("the key id of the certificate has a NUL in it")
    signer = _read_authority(authority)
    certificate = Certificate(
        blob=blob,
        algorithm=algorithm,
        serial=serial,
        kind=_read_kind(kind),
        key_id=key_id,
        principals=_read_principals(principals),
        valid_after=valid_after,
        valid_before=valid_before,
        critical_options=read_options(critical_options, "critical options"),
        extensions=read_options(extensions, "extensions"),
        authority=signer,
        authority_algorithm=_signed_by(signer, signature),
        public_key=PublicKey.from_blob(bytes(key)),
    )
    return certificate, signed_bytes, signature


def _read_kind(number: int) -> CertificateKind:
    try:
        return CertificateKind(number)
    except ValueError:
        raise DecodeError(f"a certificate is for a user (1) or a host (2), not {number}") from None


def _read_principals(data: bytes) -> tuple[str, ...]:
    principals: list[str] = []
    offset = 0
    while offset < len(data):
        if len(principals) == PRINCIPALS_MAX:
            raise DecodeError(f"the certificate has more than {PRINCIPALS_MAX} principals")
        principal, offset = read_text(data, offset)
        if not principal or "\0" in principal:
            raise DecodeError("a principal of the certificate is empty or has a NUL in it")
        principals.append(principal)
    return tuple(principals)


def _read_authority(blob: bytes) -> PublicKey:
    key_type, _ = read_name(blob, 0)
    if "-cert-v" in key_type:
        raise DecodeError("the certificate is signed by a certificate, not by a key")
    return PublicKey.from_blob(blob)


def _signed_by(authority: PublicKey, signature: bytes) -> str:
    algorithm, _ = read_name(signature, 0)
    if algorithm not in authority.signature_algorithms:
        raise DecodeError(f"it is signed by {printable(algorithm, 64)!r}, which a key of type {authority.algorithm} may not do")
    return algorithm
