"""From our KEXINIT and theirs to the algorithms of a connection (RFC 4253 §7.1, RFC 8308 §2.1).

The client's order wins: each algorithm is the first of the client's list that the server's list has too. The markers ``ext-info-*`` and
``kex-strict-*`` stand among the kex algorithms but are none: they are put into the first KEXINIT only, read from the peer's first only,
and never selected.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import attrs

from ..crypto.suites import DEFAULT_CIPHERS, DEFAULT_KEX, DEFAULT_MACS, SUPPORTED_CIPHERS, SUPPORTED_KEX, SUPPORTED_MACS, is_aead
from ..errors import DecodeError, KeyExchangeError, LocalProtocolError, NegotiationError, printable
from ..keys.signature import DEFAULT_HOST_KEY_ALGORITHMS
from ..wire.codec import decode, encode, field_names
from ..wire.transport import KexInit
from .limits import Limits
from .role import Role

EXT_INFO_MARKER = {Role.CLIENT: "ext-info-c", Role.SERVER: "ext-info-s"}
STRICT_MARKER = {Role.CLIENT: "kex-strict-c-v00@openssh.com", Role.SERVER: "kex-strict-s-v00@openssh.com"}
COMPRESSION = ("none",)
COOKIE_BYTES = 16
REMEMBERED = 16
REMEMBERED_BYTES_MAX = 4096
_NO_COOKIE = bytes(16)
MARKERS = frozenset([*EXT_INFO_MARKER.values(), *STRICT_MARKER.values()])


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


def _check(field: str, names: tuple[str, ...], supported: tuple[str, ...]) -> None:
    if not names:
        raise LocalProtocolError(f"Algorithms.{field} is empty: nothing could ever be agreed on")
    for name in names:
        if name not in supported:
            raise LocalProtocolError(f"Algorithms.{field}: {printable(name)!r} is not supported; there are {', '.join(supported)}")


@attrs.frozen(kw_only=True)
class Algorithms:
    """What may be negotiated, most wanted first. The defaults are the strong and widely spoken ones; an empty list is refused.

    `require_strict_kex` refuses a peer without strict key exchange, which guards against an attacker who cuts the first encrypted packets.
    """

    kex: tuple[str, ...] = attrs.field(default=DEFAULT_KEX, converter=_names)
    host_keys: tuple[str, ...] = attrs.field(default=DEFAULT_HOST_KEY_ALGORITHMS, converter=_names)
    ciphers: tuple[str, ...] = attrs.field(default=DEFAULT_CIPHERS, converter=_names)
    macs: tuple[str, ...] = attrs.field(default=DEFAULT_MACS, converter=_names)
    compression: tuple[str, ...] = attrs.field(default=COMPRESSION, converter=_names)
    require_strict_kex: bool = False

    def __attrs_post_init__(self) -> None:
        """Raises `LocalProtocolError` for an empty list or a name that is not supported."""
        _check("kex", self.kex, SUPPORTED_KEX)
        _check("host_keys", self.host_keys, DEFAULT_HOST_KEY_ALGORITHMS)
        _check("ciphers", self.ciphers, SUPPORTED_CIPHERS)
        _check("compression", self.compression, COMPRESSION)
        if self.macs or not all(is_aead(cipher) for cipher in self.ciphers):
            _check("macs", self.macs, SUPPORTED_MACS)

    def kexinit_payload(self, role: Role, cookie: bytes, *, first: bool) -> bytes:
        """That message in wire form."""
        if len(cookie) != COOKIE_BYTES:
            raise LocalProtocolError(f"a cookie has {COOKIE_BYTES} bytes, not {len(cookie)}")
        payload = _encoded(self, role, first)
        return payload[:1] + cookie + payload[17:]

    def kexinit(self, role: Role, cookie: bytes, *, first: bool) -> KexInit:
        """The message that offers these; `cookie` is 16 random bytes."""
        markers = (EXT_INFO_MARKER[role], STRICT_MARKER[role]) if first else ()
        return KexInit(
            cookie,
            (*self.kex, *markers),
            self.host_keys,
            self.ciphers,
            self.ciphers,
            self.macs,
            self.macs,
            self.compression,
            self.compression,
        )


@lru_cache(REMEMBERED)
def _encoded(algorithms: Algorithms, role: Role, first: bool) -> bytes:
    return encode(algorithms.kexinit(role, _NO_COOKIE, first=first))


@attrs.frozen(kw_only=True)
class Negotiated:
    """The algorithms in use. ``mac_*`` is "" where an AEAD cipher needs none. `strict_kex` and `ext_info` stay as first set."""

    kex: str
    host_key: str
    cipher_client_to_server: str
    cipher_server_to_client: str
    mac_client_to_server: str
    mac_server_to_client: str
    compression_client_to_server: str
    compression_server_to_client: str
    strict_kex: bool
    ext_info: bool
    """The peer takes EXT_INFO."""


def read_kexinit(payload: bytes, limits: Limits) -> KexInit:
    """Decode and bound a peer's KEXINIT. Raises `DecodeError`.

    Peers of one kind offer the same for ever, the cookie apart: what was read lately is not read again.
    """
    if len(payload) > REMEMBERED_BYTES_MAX:
        return _read_kexinit(payload, limits)
    known = _read_known_kexinit(payload[:1] + _NO_COOKIE + payload[17:], limits)
    return KexInit(payload[1:17], *(getattr(known, name) for name in field_names(KexInit)[1:]))


@lru_cache(REMEMBERED)
def _read_known_kexinit(payload: bytes, limits: Limits) -> KexInit:
    return _read_kexinit(payload, limits)


def _read_kexinit(payload: bytes, limits: Limits) -> KexInit:
    kexinit = decode(KexInit, payload)
    for field in field_names(KexInit):
        names = getattr(kexinit, field)
        if isinstance(names, tuple):
            size = sum(len(name) + 1 for name in names) - 1
            if len(names) > limits.kexinit_names or size > limits.kexinit_list_bytes:
                raise DecodeError(f"a list of the peer's KEXINIT has {len(names)} names in {size} bytes: more than is taken")
    return kexinit


def negotiate(role: Role, ours: KexInit, theirs: KexInit, earlier: Negotiated | None, algorithms: Algorithms) -> Negotiated:
    """Choose. `earlier` is what the connection uses now: None in the first exchange. Raises `NegotiationError`."""
    client, server = (ours, theirs) if role is Role.CLIENT else (theirs, ours)

    def choose(kind: str, of_client: tuple[str, ...], of_server: tuple[str, ...]) -> str:
        offered = frozenset(of_server)
        for name in of_client:
            if name in offered and name not in MARKERS:
                return name
        lists = (of_client, of_server) if role is Role.CLIENT else (of_server, of_client)
        raise NegotiationError(kind, *([name for name in names if name not in MARKERS] for names in lists))

    kex = choose("key exchange method", client.kex_algorithms, server.kex_algorithms)
    host_key = choose("host key algorithm", client.server_host_key_algorithms, server.server_host_key_algorithms)
    up = choose("cipher", client.encryption_algorithms_client_to_server, server.encryption_algorithms_client_to_server)
    down = choose("cipher", client.encryption_algorithms_server_to_client, server.encryption_algorithms_server_to_client)
    mac_up, mac_down = "", ""
    if not is_aead(up):
        mac_up = choose("MAC", client.mac_algorithms_client_to_server, server.mac_algorithms_client_to_server)
    if not is_aead(down):
        mac_down = choose("MAC", client.mac_algorithms_server_to_client, server.mac_algorithms_server_to_client)
    return Negotiated(
        kex=kex,
        host_key=host_key,
        cipher_client_to_server=up,
        cipher_server_to_client=down,
        mac_client_to_server=mac_up,
        mac_server_to_client=mac_down,
        compression_client_to_server=choose(
            "compression", client.compression_algorithms_client_to_server, server.compression_algorithms_client_to_server
        ),
        compression_server_to_client=choose(
            "compression", client.compression_algorithms_server_to_client, server.compression_algorithms_server_to_client
        ),
        strict_kex=earlier.strict_kex if earlier else _strict(role, theirs, algorithms),
        ext_info=earlier.ext_info if earlier else EXT_INFO_MARKER[role.peer] in theirs.kex_algorithms,
    )


def _strict(role: Role, theirs: KexInit, algorithms: Algorithms) -> bool:
    strict = STRICT_MARKER[role.peer] in theirs.kex_algorithms
    if algorithms.require_strict_kex and not strict:
        raise KeyExchangeError("the peer does not know strict key exchange, which `require_strict_kex` demands")
    return strict


def guess_is_wrong(ours: KexInit, theirs: KexInit) -> bool:
    """Did the peer send a first kex packet for another method than ours? Then that one packet is to be skipped (RFC 4253 §7)."""
    if not theirs.first_kex_packet_follows:
        return False
    return _first(theirs.kex_algorithms) != _first(ours.kex_algorithms) or (
        _first(theirs.server_host_key_algorithms) != _first(ours.server_host_key_algorithms)
    )


def _first(names: tuple[str, ...]) -> str:
    return next((name for name in names if name not in MARKERS), "")
