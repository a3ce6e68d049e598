"""How ``trio-ssh`` gets a connection: AddressFamily, BindAddress, BindInterface, ConnectionAttempts, TCPKeepAlive and IPQoS."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import trio

from .. import ConnectionLost
from ..config import Settings, ssh_config
from ..config.ssh_values import AddressFamily
from ..errors import ConfigError, printable
from .interfaces import interface_addresses
from .report import log

SECONDS_BETWEEN_ATTEMPTS = 1.0
_NOTSENT_BYTES = 1 << 19  # as the library's own connections have it: fewer wake-ups
_FAMILIES = {AddressFamily.ANY: socket.AF_UNSPEC, AddressFamily.INET: socket.AF_INET, AddressFamily.INET6: socket.AF_INET6}


async def dial(host: str, port: int, settings: Settings) -> trio.SocketStream:
    """A connection, as the settings want it. Raises `ConnectionLost` when all attempts have failed, `ConfigError`."""
    attempts = settings[ssh_config.CONNECTION_ATTEMPTS]
    for number in range(1, attempts + 1):
        try:
            stream = await _attempt(host, port, settings)
        except OSError as error:
            reason = reason_of(error)
            if number == attempts:
                raise ConnectionLost(f"cannot connect to {printable(host, 300)} port {port}: {reason}") from error
            log.info("attempt %d of %d to connect failed: %s", number, attempts, reason)
            await trio.sleep(SECONDS_BETWEEN_ATTEMPTS)
        else:
            _tune(stream.socket, settings)
            return stream
    raise AssertionError("ConnectionAttempts is at least 1")


async def _attempt(host: str, port: int, settings: Settings) -> trio.SocketStream:
    family = settings[ssh_config.ADDRESS_FAMILY]
    sources = await _sources(settings)
    if family is AddressFamily.ANY and not sources:
        return await trio.open_tcp_stream(host, port)  # tries all addresses, the next ones while the first takes long
    found = await trio.socket.getaddrinfo(host, port, _FAMILIES[family], socket.SOCK_STREAM)
    last: OSError = OSError("it has no address of the right family")
    for kind, _, _, _, address in found:
        source = next((source for source in sources if source[0] == kind), None)
        if sources and source is None:
            continue
        try:
            return await _connect(kind, address, source)
        except OSError as error:
            last = error
    raise last


Source = tuple[int, Any]
"""A family and an address of ours, as `socket` has them."""


async def _sources(settings: Settings) -> list[Source]:
    """Addresses of ours to connect from, by family; empty: any. Raises `ConfigError`, `OSError`."""
    name, interface = settings[ssh_config.BIND_ADDRESS], settings[ssh_config.BIND_INTERFACE]
    if name is not None:
        found = await trio.socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [(each[0], each[4]) for each in found]
    if interface is None:
        return []
    sources: list[Source] = [
        (socket.AF_INET if each.address.version == 4 else socket.AF_INET6, (str(each.address), 0))
        for each in interface_addresses()
        if each.interface == interface and not each.address.is_link_local
    ]
    if not sources:
        raise ConfigError(f"BindInterface: there is no interface '{printable(interface, 40)}' with an address")
    return sources


async def _connect(family: int, address: Any, source: Source | None) -> trio.SocketStream:
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        if source is not None:
            await sock.bind(source[1])
        await sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def _tune(sock: trio.socket.SocketType, settings: Settings) -> None:
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(settings[ssh_config.TCP_KEEP_ALIVE]))


def set_service_class(stream: trio.SocketStream, settings: Settings, *, interactive: bool) -> None:
    """IPQoS, once it is known whether there is a terminal. A system that does not take the value is no reason to fail."""
    wanted = settings[ssh_config.IP_QOS]
    number = wanted.interactive if interactive else wanted.bulk
    if number is None:
        return
    level, name = (socket.IPPROTO_IP, socket.IP_TOS)
    if stream.socket.family == socket.AF_INET6:
        level, name = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    try:
        stream.socket.setsockopt(level, name, number)
    except OSError as error:
        log.debug("IPQoS: %s", error.strerror)


def reason_of(error: BaseException) -> str:
    """What the system says, each text once: several addresses may have failed."""
    return ", ".join(dict.fromkeys(_reasons(error))) or str(error)


def _reasons(error: BaseException | None) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _reasons(inner)
    elif isinstance(error, OSError) and error.__cause__ is not None:
        yield from _reasons(error.__cause__)
    elif isinstance(error, OSError):
        # Trio puts a sentence of its own where the system's text belongs; a resolver's errors have negative numbers.
        yield os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or str(error)
