"""From our KEXINIT and theirs to the algorithms of a connection (RFC 4253 §7.1, RFC 8308 §2.1).

The client's order wins: each algorithm is the first of the client's list that the server's list has too. The markers ``ext-info-*`` and
``kex-strict-*`` stand among the kex algorithms but are none: they are put into the first KEXINIT only, read from the peer's first only,
and never selected.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import attrs

from ..crypto.compression import COMPRESSIONS, Compressor, Decompressor
from ..crypto.kex import KEX, GroupExchangeRecipe
from ..crypto.moduli import Moduli
from ..crypto.processor import default_ciphers
from ..crypto.suites import (
    DEFAULT_COMPRESSION,
    DEFAULT_KEX,
    DEFAULT_MACS,
    is_aead,
    supported_ciphers,
    supported_compression,
    supported_kex,
    supported_macs,
)
from ..errors import DecodeError, KeyExchangeError, LocalProtocolError, NegotiationError, printable
from ..keys.certificates import CERTIFICATE_ALGORITHMS, KEY_TYPE_OF_CERTIFICATE_ALGORITHM
from ..keys.signature import DEFAULT_HOST_KEY_ALGORITHMS, DEFAULT_USER_KEY_ALGORITHMS, supported_signature_algorithms
from ..wire.codec import decode, encode, field_names
from ..wire.transport import KexInit
from .limits import Limits
from .role import Role


def certificate_algorithms(plain: Iterable[str]) -> tuple[str, ...]:
    """Those by which certificates of such keys are used, in the same order."""
    return tuple(certified for name in plain for certified, signs_by in CERTIFICATE_ALGORITHMS.items() if signs_by == name)


EXT_INFO_MARKER = {Role.CLIENT: "ext-info-c", Role.SERVER: "ext-info-s"}
STRICT_MARKER = {Role.CLIENT: "kex-strict-c-v00@openssh.com", Role.SERVER: "kex-strict-s-v00@openssh.com"}
DEFAULT_KEX_SERVER = tuple(name for name in DEFAULT_KEX if not name.startswith("diffie-hellman-"))
"""Finite-field groups cost a server ten to a thousand times what they cost a stranger who makes one up (hardening A13)."""
DEFAULT_CERTIFICATE_ALGORITHMS = certificate_algorithms(DEFAULT_HOST_KEY_ALGORITHMS)
"""What host certificates are used by."""
DEFAULT_SIGNATURE_ALGORITHMS = certificate_algorithms(DEFAULT_USER_KEY_ALGORITHMS) + DEFAULT_USER_KEY_ALGORITHMS
COOKIE_BYTES = 16
REMEMBERED = 16
REMEMBERED_BYTES_MAX = 4096
_NO_COOKIE = bytes(16)
MARKERS = frozenset([*EXT_INFO_MARKER.values(), *STRICT_MARKER.values()])


def supported_identity_algorithms() -> tuple[str, ...]:
    """All signature algorithms there are, those of certificates, legacy and registered ones included."""
    return tuple(dict.fromkeys((*supported_signature_algorithms(), *KEY_TYPE_OF_CERTIFICATE_ALGORITHM)))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


def _check(field: str, names: tuple[str, ...], supported: tuple[str, ...]) -> None:
    if not names:
        raise LocalProtocolError(f"Algorithms.{field} is empty: nothing could ever be agreed on")
    for name in names:
        if name not in supported:
            raise LocalProtocolError(f"Algorithms.{field}: {printable(name)!r} is not supported; there are {', '.join(supported)}")


@attrs.frozen(kw_only=True, cache_hash=True)
class Algorithms:
    """What may be negotiated, most wanted first. The defaults are the strong and widely spoken ones; an empty list is refused.

    Legacy algorithms are supported, but only where their names are given. `require_strict_kex` refuses a peer without strict key exchange,
    which guards against an attacker who cuts the first encrypted packets. `guess_kex`, for a client, sends the first key exchange packet
    before the server has said what it can do: a round trip less if both prefer the same, a packet for nothing if not (RFC 4253 §7).
    """

    kex: tuple[str, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(_names))
    """None: the usual ones, which for a server are those without finite-field groups."""
    host_keys: tuple[str, ...] = attrs.field(default=DEFAULT_CERTIFICATE_ALGORITHMS + DEFAULT_HOST_KEY_ALGORITHMS, converter=_names)
    """Signature algorithms of host keys and certificates; a client offers those of certificates where it trusts an authority."""
    ciphers: tuple[str, ...] = attrs.field(factory=default_ciphers, converter=_names)
    macs: tuple[str, ...] = attrs.field(default=DEFAULT_MACS, converter=_names)
    compression: tuple[str, ...] = attrs.field(default=DEFAULT_COMPRESSION, converter=_names)
    signatures: tuple[str, ...] = attrs.field(default=DEFAULT_SIGNATURE_ALGORITHMS, converter=_names)
    """Signature algorithms of user keys and certificates: those a server takes, and those a client uses (RFC 8332 §3.3)."""
    require_strict_kex: bool = False
    guess_kex: bool = False
    moduli: Moduli = attrs.field(factory=Moduli.built_in, repr=False)
    """What a server chooses a group from when a client asks for group exchange (RFC 4419)."""

    def __attrs_post_init__(self) -> None:
        """Raises `LocalProtocolError` for an empty list or a name that is not supported."""
        if self.kex is not None:
            _check("kex", self.kex, supported_kex())
        _check("host_keys", self.host_keys, supported_identity_algorithms())
        _check("ciphers", self.ciphers, supported_ciphers())
        _check("compression", self.compression, supported_compression())
        _check("signatures", self.signatures, supported_identity_algorithms())
        if self.macs or not all(is_aead(cipher) for cipher in self.ciphers):
            _check("macs", self.macs, supported_macs())

    @classmethod
    def everything(cls) -> Algorithms:
        """All that is supported, legacy and registered algorithms too, the usual ones first: to choose names from, not to be offered."""
        usual = cls()

        def all_of(first: tuple[str, ...], supported: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys((*first, *supported)))

        signatures = all_of(usual.signatures, supported_identity_algorithms())
        return cls(
            kex=all_of(usual.kex_for(Role.CLIENT), supported_kex()),
            host_keys=all_of(usual.host_keys, supported_identity_algorithms()),
            ciphers=all_of(usual.ciphers, supported_ciphers()),
            macs=all_of(usual.macs, supported_macs()),
            compression=all_of(usual.compression, supported_compression()),
            signatures=signatures,
        )

    def kex_for(self, role: Role) -> tuple[str, ...]:
        """The key exchange methods that `role` offers."""
        if self.kex is not None:
            return self.kex
        return DEFAULT_KEX if role is Role.CLIENT else DEFAULT_KEX_SERVER

    def guess(self, role: Role) -> str | None:
        """The method whose first packet goes out with our first KEXINIT; None when nothing is guessed."""
        if not self.guess_kex or role is Role.SERVER:
            return None
        recipe = KEX[self.kex_for(role)[0]]
        return None if isinstance(recipe, GroupExchangeRecipe) or recipe.slow else recipe.name

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
            (*self.kex_for(role), *markers),
            self.host_keys,
            self.ciphers,
            self.ciphers,
            self.macs,
            self.macs,
            self.compression,
            self.compression,
            first_kex_packet_follows=first and self.guess(role) is not None,
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

    @property
    def compression(self) -> tuple[str, str]:
        """Client to server, server to client."""
        return self.compression_client_to_server, self.compression_server_to_client

    def compression_from(self, role: Role) -> str:
        """How what `role` sends is compressed."""
        return self.compression_client_to_server if role is Role.CLIENT else self.compression_server_to_client


def is_delayed(compression: str) -> bool:
    """Does this method begin behind the login, and not with the keys?"""
    return COMPRESSIONS[compression].delayed


def new_compressor(negotiated: Negotiated, role: Role, *, authenticated: bool) -> Compressor | None:
    """For what `role` sends under fresh keys; a delayed method does nothing before authentication is complete (RFC 4253 §6.2)."""
    recipe = COMPRESSIONS[negotiated.compression_from(role)]
    return None if recipe.compressor is None or (recipe.delayed and not authenticated) else recipe.compressor()


def new_decompressor(negotiated: Negotiated, role: Role, *, authenticated: bool) -> Decompressor | None:
    """For what `role` receives, likewise."""
    recipe = COMPRESSIONS[negotiated.compression_from(role.peer)]
    return None if recipe.decompressor is None or (recipe.delayed and not authenticated) else recipe.decompressor()


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
            if any(len(name) > limits.kexinit_name_bytes for name in names):
                raise DecodeError(f"a name in the peer's KEXINIT has more than {limits.kexinit_name_bytes} bytes")
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
