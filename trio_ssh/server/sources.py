"""Where a connection comes from: its peer's address, and the network that counts as one source."""

from __future__ import annotations

import ipaddress

import attrs
import trio

from ..protocol.limits import Limits
from ..wire.addresses import IPAddress


@attrs.frozen(cache_hash=True)
class Source:
    """A network: the first bits of an address. `version` is 4 or 6."""

    version: int
    network: int


class Gone(Exception):
    """The peer has left before anybody looked who it was."""


def peer_address(stream: trio.abc.Stream) -> IPAddress | None:
    """The peer's address; None for local sockets, and for other streams that do not tell. Raises `Gone`.

    A stream of another kind tells by an attribute `peer_address`, which holds an address of the standard library's `ipaddress`.
    """
    if not isinstance(stream, trio.SocketStream):
        told = getattr(stream, "peer_address", None)
        return _unmapped(told) if isinstance(told, IPAddress) else None
    try:
        name = stream.socket.getpeername()
    except OSError:
        raise Gone from None
    return _address(name[0]) if isinstance(name, tuple) else None


def _address(text: str) -> IPAddress | None:
    try:
        return _unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None  # of a family whose addresses are of another kind


def _unmapped(address: IPAddress) -> IPAddress:
    """One source, whichever of our sockets it came to: IPv6 ones show IPv4 peers inside IPv6 addresses."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source_of(address: IPAddress, limits: Limits) -> Source:
    """The network whose connections are counted together."""
    bits = limits.source_ipv4_bits if address.version == 4 else limits.source_ipv6_bits
    return Source(address.version, int(address) >> (address.max_prefixlen - bits))
