"""Making certificates: what an authority signs, and the certificate with its signature (PROTOCOL.certkeys).

An authority may be a private key of ours (`sign_certificate`), or one that only an agent holds: then `CertificateRequest.to_be_signed`
gives the bytes for it to sign, and `CertificateRequest.signed_by` makes the certificate of its signature.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from ..errors import DecodeError, LocalProtocolError, printable
from ..wire.primitives import read_name, write_name, write_string, write_text, write_uint32, write_uint64
from .certificate_options import Options, string_option, write_options
from .certificates import CERTIFICATE_KEY_TYPES, FOREVER, PRINCIPALS_MAX, Certificate, CertificateKind
from .key import PublicKey

NONCE_BYTES = 32

_certificate_type_of = {plain: certificate for certificate, plain in CERTIFICATE_KEY_TYPES.items()}


class CertificateAuthority(Protocol):
    """What signs certificates: a `PrivateKey` is one, and so is anything else with these two, such as an agent's key."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, algorithm: str, data: bytes) -> bytes: ...


OptionValues: TypeAlias = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]


def _options(options: OptionValues) -> Options:
    pairs = options.items() if isinstance(options, Mapping) else options
    return tuple((name, string_option(value) if isinstance(value, str) else bytes(value)) for name, value in pairs)


def _texts(principals: Iterable[str]) -> tuple[str, ...]:
    if isinstance(principals, str):
        raise ValueError("principals are a list of names, not one text")
    return tuple(principals)


@attrs.frozen(kw_only=True)
class CertificateRequest:
    """All that stands in a certificate but its authority.

    `principals` are user names, or host names and patterns; without any, the certificate is good for nobody. It is valid from
    `valid_after` to before `valid_before`, seconds since 1970. `critical_options` and `extensions` are names and values, as a mapping or
    in pairs: a text such as a forced command, or bytes, as they are to stand there (those of a flag are empty). Without extensions a user
    certificate permits nothing. `nonce` is random unless given.
    """

    public_key: PublicKey
    kind: CertificateKind = CertificateKind.USER
    key_id: str = ""
    principals: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    serial: int = 0
    valid_after: int = 0
    valid_before: int = FOREVER
    critical_options: Options = attrs.field(default=(), converter=_options)
    extensions: Options = attrs.field(default=(), converter=_options)
    nonce: bytes = attrs.field(factory=lambda: secrets.token_bytes(NONCE_BYTES), repr=False)

    def to_be_signed(self, authority: PublicKey) -> bytes:
        """The bytes that the key `authority` must sign. Raises `LocalProtocolError` for what cannot stand in a certificate."""
        certificate_type = _certificate_type_of.get(self.public_key.algorithm)
        if certificate_type is None:
            raise LocalProtocolError(f"there are no certificates for keys of type {self.public_key.algorithm}")
        self._check()
        out = bytearray()
        write_name(out, certificate_type)
        write_string(out, self.nonce)
        out += self.public_key.blob[read_name(self.public_key.blob, 0)[1] :]
        write_uint64(out, self.serial)
        write_uint32(out, self.kind.value)
        write_text(out, self.key_id)
        write_string(out, _principals(self.principals))
        write_uint64(out, self.valid_after)
        write_uint64(out, self.valid_before)
        write_string(out, write_options(self.critical_options))
        write_string(out, write_options(self.extensions))
        write_string(out, b"")  # reserved
        write_string(out, authority.blob)
        return bytes(out)

    def signed_by(self, authority: PublicKey, signature_blob: bytes) -> Certificate:
        """The certificate, with the authority's signature of `to_be_signed`. Raises `LocalProtocolError` if that is not one."""
        out = bytearray(self.to_be_signed(authority))
        write_string(out, signature_blob)
        try:
            return Certificate.from_blob(bytes(out))
        except DecodeError as error:
            raise LocalProtocolError(f"the certificate that was made is not sound: {error}") from None

    def _check(self) -> None:
        if "\0" in self.key_id:
            raise LocalProtocolError("the key id has a NUL in it")
        for what, number in (("serial number", self.serial), ("begin", self.valid_after), ("end", self.valid_before)):
            if not 0 <= number <= FOREVER:
                raise LocalProtocolError(f"the certificate's {what} {number} is not between 0 and 2^64-1")
        if self.valid_before <= self.valid_after:
            raise LocalProtocolError("the certificate would never be valid: its end is not behind its begin")


def _principals(principals: tuple[str, ...]) -> bytes:
    if len(principals) > PRINCIPALS_MAX:
        raise LocalProtocolError(f"a certificate has at most {PRINCIPALS_MAX} principals, not {len(principals)}")
    out = bytearray()
    for principal in principals:
        if not principal or "\0" in principal:
            raise LocalProtocolError(f"the principal {printable(principal, 64)!r} is empty or has a NUL in it")
        write_text(out, principal)
    return bytes(out)


def sign_certificate(authority: CertificateAuthority, request: CertificateRequest, algorithm: str | None = None) -> Certificate:
    """Make a certificate of `request`, signed by `authority`.

    `algorithm` is one of its key's `signature_algorithms`; None takes the best. Raises `LocalProtocolError` for another one, and for what
    cannot stand in a certificate.
    """
    key = authority.public_key
    chosen = key.signature_algorithms[0] if algorithm is None else algorithm
    if chosen not in key.signature_algorithms:
        raise LocalProtocolError(f"an authority's key of type {key.algorithm} cannot sign certificates by {printable(chosen, 64)!r}")
    return request.signed_by(key, authority.sign(chosen, request.to_be_signed(key)))
