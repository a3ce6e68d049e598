"""The addresses of this machine's network interfaces: for BindInterface and ``Match localnetwork``."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator

import attrs

from ..errors import ConfigError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_SIOCGIFCONF = 0x8912
_REQUESTS_MAX = 1024
_ifconf = struct.Struct("@iP")
# struct ifreq: a name, then a union whose greatest member is a struct ifmap of two longs and more.
_ifreq_bytes = 16 + struct.calcsize("@LLHBBB3x")
_IPV6_TABLE = "/proc/net/if_inet6"


@attrs.frozen
class InterfaceAddress:
    """One address of one interface."""

    interface: str
    address: IPAddress


def interface_addresses() -> tuple[InterfaceAddress, ...]:
    """All of them. Raises `ConfigError` on systems where they cannot be found out."""
    if sys.platform != "linux":
        raise ConfigError("the addresses of network interfaces cannot be found out on this system")
    return (*_ipv4(), *_ipv6())


def local_addresses() -> tuple[IPAddress, ...]:
    """Only the addresses."""
    return tuple(each.address for each in interface_addresses())


def _ipv4() -> Iterator[InterfaceAddress]:
    """ioctl SIOCGIFCONF (netdevice(7)): a table of struct ifreq, filled into a buffer of ours."""
    import array

    table = array.array("B", bytes(_ifreq_bytes * _REQUESTS_MAX))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock.fileno(), _SIOCGIFCONF, _ifconf.pack(len(table), table.buffer_info()[0]))
    filled, _ = _ifconf.unpack(answer)
    for start in range(0, min(filled, len(table)), _ifreq_bytes):
        request = table[start : start + _ifreq_bytes].tobytes()
        (family,) = struct.unpack_from("@H", request, 16)
        if family == socket.AF_INET:
            name = request[:16].partition(b"\0")[0].decode("utf-8", "replace")
            yield InterfaceAddress(name, ipaddress.IPv4Address(request[20:24]))


def _ipv6() -> Iterator[InterfaceAddress]:
    try:
        with open(_IPV6_TABLE, encoding="ascii", errors="replace") as table:
            rows = [line.split() for line in table]
    except OSError:
        return  # a system without IPv6
    for row in rows:
        if len(row) == 6:
            yield InterfaceAddress(row[5], ipaddress.IPv6Address(int(row[0], 16)))
