"""What a key that is given to an agent may be used for: the constraints of RFC 9987 §5.2.7 and those of OpenSSH's PROTOCOL.agent.

A list of constraints is all or nothing. None says how long it is, so that one that is not known hides where the next begins; and a key
that is held without one of its constraints is a key that its owner did not allow. So an unknown one is an error for the whole list
(hardening E02, E03).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from ..errors import DecodeError, LocalProtocolError, printable
from ..wire.codec import String, Text, decode, encode, structure
from ..wire.primitives import (
    read_boolean,
    read_byte,
    read_name,
    read_string,
    read_text,
    read_uint32,
    write_boolean,
    write_byte,
    write_name,
    write_string,
    write_text,
    write_uint32,
)

LIFETIME, CONFIRM, EXTENSION = 1, 2, 255
SK_PROVIDER = "sk-provider@openssh.com"
RESTRICT_DESTINATION = "restrict-destination-v00@openssh.com"
ASSOCIATED_CERTIFICATES = "associated-certs-v00@openssh.com"

CONSTRAINTS_MAX = 16
"""In one request; there are five kinds, and none makes sense twice."""
DESTINATIONS_MAX = 1024
HOST_KEYS_MAX = 1024
"""Of one host."""


@attrs.frozen
class Lifetime:
    """The agent forgets the key after so many seconds."""

    seconds: int


@attrs.frozen
class Confirm:
    """The agent asks its user before each signature (``ssh-add -c``)."""


@attrs.frozen
class SecurityKeyProvider:
    """What the agent reaches a security key by: ``internal`` for what is built into it, or the path of a library that it loads."""

    provider: str = "internal"


@attrs.frozen
class HostKeySpec:
    """A key of a host, or of an authority that signs its certificates."""

    key_blob: bytes
    is_authority: bool = False


@attrs.frozen
class Hop:
    """A host by its name (for people) and its keys (which count). The user name is a pattern; an empty one is anybody.

    A hop without name and keys, as the first of a `Destination`, is the machine that the agent runs on.
    """

    hostname: str = ""
    keys: tuple[HostKeySpec, ...] = ()
    username: str = ""


@attrs.frozen
class Destination:
    """One step on which the key may be used: from this host to that one."""

    origin: Hop
    target: Hop


@attrs.frozen
class RestrictDestination:
    """The key may be used for these steps only (``ssh-add -h``). It needs clients that bind their connections to sessions."""

    destinations: tuple[Destination, ...]


@attrs.frozen
class AssociatedCertificates:
    """Certificates, as blobs, for keys that are loaded from a token; `certificates_only`: the plain keys are left out."""

    certificates: tuple[bytes, ...]
    certificates_only: bool = False


Constraint: TypeAlias = Lifetime | Confirm | SecurityKeyProvider | RestrictDestination | AssociatedCertificates


def write_constraints(out: bytearray, constraints: tuple[Constraint, ...]) -> None:
    """Append them, as they stand at the end of a request. Raises `LocalProtocolError` for a value that the wire cannot hold."""
    for constraint in constraints:
        if isinstance(constraint, Lifetime):
            write_byte(out, LIFETIME)
            write_uint32(out, constraint.seconds)
        elif isinstance(constraint, Confirm):
            write_byte(out, CONFIRM)
        else:
            write_byte(out, EXTENSION)
            _write_extension(out, constraint)


def _write_extension(out: bytearray, constraint: SecurityKeyProvider | RestrictDestination | AssociatedCertificates) -> None:
    if isinstance(constraint, SecurityKeyProvider):
        write_name(out, SK_PROVIDER)
        write_text(out, constraint.provider)
    elif isinstance(constraint, RestrictDestination):
        if not constraint.destinations:
            raise LocalProtocolError("a key that may be used for no destination is of no use: name one, or leave the constraint out")
        write_name(out, RESTRICT_DESTINATION)
        write_string(out, b"".join(_destination_bytes(each) for each in constraint.destinations))
    else:
        write_name(out, ASSOCIATED_CERTIFICATES)
        write_boolean(out, constraint.certificates_only)
        certificates = bytearray()
        for blob in constraint.certificates:
            write_string(certificates, blob)
        write_string(out, certificates)


def read_constraints(data: bytes, offset: int) -> tuple[tuple[Constraint, ...], int]:
    """All that follow from `offset` on. Raises `DecodeError`, also for one that is not known or comes twice."""
    found: list[Constraint] = []
    while offset < len(data):
        if len(found) == CONSTRAINTS_MAX:
            raise DecodeError(f"more than {CONSTRAINTS_MAX} constraints")
        constraint, offset = _read_constraint(data, offset)
        if any(type(other) is type(constraint) for other in found):
            raise DecodeError(f"the constraint {type(constraint).__name__} comes twice")
        found.append(constraint)
    return tuple(found), offset


def _read_constraint(data: bytes, offset: int) -> tuple[Constraint, int]:
    kind, offset = read_byte(data, offset)
    if kind == LIFETIME:
        seconds, offset = read_uint32(data, offset)
        return Lifetime(seconds), offset
    if kind == CONFIRM:
        return Confirm(), offset
    if kind != EXTENSION:
        raise DecodeError(f"constraint {kind} is not known")
    name, offset = read_name(data, offset)
    read = _extensions.get(name)
    if read is None:
        raise DecodeError(f"constraint {printable(name, 64)!r} is not known")
    return read(data, offset)


def _read_provider(data: bytes, offset: int) -> tuple[Constraint, int]:
    provider, offset = read_text(data, offset)
    return SecurityKeyProvider(provider), offset


def _read_destinations(data: bytes, offset: int) -> tuple[Constraint, int]:
    packed, offset = read_string(data, offset)
    found = _read_all(packed, _read_destination, DESTINATIONS_MAX)
    if not found:
        raise DecodeError("a restriction to no destination at all")
    return RestrictDestination(found), offset


def _read_certificates(data: bytes, offset: int) -> tuple[Constraint, int]:
    certificates_only, offset = read_boolean(data, offset)
    packed, offset = read_string(data, offset)
    return AssociatedCertificates(_read_all(packed, read_string, DESTINATIONS_MAX), certificates_only), offset


_extensions: dict[str, Callable[[bytes, int], tuple[Constraint, int]]] = {
    SK_PROVIDER: _read_provider,
    RESTRICT_DESTINATION: _read_destinations,
    ASSOCIATED_CERTIFICATES: _read_certificates,
}


def _read_all(data: bytes, read: Callable[[bytes, int], tuple[Any, int]], most: int) -> tuple[Any, ...]:
    """Everything in `data`, one behind the other."""
    found: list[Any] = []
    offset = 0
    while offset < len(data):
        if len(found) == most:
            raise DecodeError(f"more than {most} entries in a constraint")
        value, offset = read(data, offset)
        found.append(value)
    return tuple(found)


@structure
class _DestinationFields:
    """The last string is kept for later versions, and empty."""

    origin: String
    target: String
    reserved: String = b""


@structure
class _HopFields:
    username: Text
    hostname: Text
    reserved: String


def _destination_bytes(destination: Destination) -> bytes:
    out = bytearray()
    write_string(out, encode(_DestinationFields(_hop_bytes(destination.origin), _hop_bytes(destination.target))))
    return bytes(out)


def _read_destination(data: bytes, offset: int) -> tuple[Destination, int]:
    packed, offset = read_string(data, offset)
    fields = decode(_DestinationFields, packed)
    if fields.reserved:
        raise DecodeError("a destination constraint has an extension that is not known")
    return Destination(_read_hop(fields.origin), _read_hop(fields.target)), offset


def _hop_bytes(hop: Hop) -> bytes:
    out = bytearray(encode(_HopFields(hop.username, hop.hostname, b"")))
    for key in hop.keys:
        write_string(out, key.key_blob)
        write_boolean(out, key.is_authority)
    return bytes(out)


def _read_hop(data: bytes) -> Hop:
    username, offset = read_text(data, 0)
    hostname, offset = read_text(data, offset)
    reserved, offset = read_string(data, offset)
    if reserved:
        raise DecodeError("a hop of a destination constraint has an extension that is not known")
    return Hop(hostname, _read_all(data[offset:], _read_host_key, HOST_KEYS_MAX), username)


def _read_host_key(data: bytes, offset: int) -> tuple[HostKeySpec, int]:
    blob, offset = read_string(data, offset)
    is_authority, offset = read_boolean(data, offset)
    return HostKeySpec(blob, is_authority), offset
