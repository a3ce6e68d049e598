"""What a Unix server does around its work: listening sockets, the background, the pid file."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence

import attrs
import trio

from ..config import ListenAddress
from ..config.ssh_values import AddressFamily
from ..errors import ConfigError, printable

BACKLOG = 128
_NOTSENT_BYTES = 1 << 20


_FAMILIES = {AddressFamily.ANY: socket.AF_UNSPEC, AddressFamily.INET: socket.AF_INET, AddressFamily.INET6: socket.AF_INET6}
_EVERYWHERE = {AddressFamily.ANY: ("0.0.0.0", "::"), AddressFamily.INET: ("0.0.0.0",), AddressFamily.INET6: ("::",)}


def listen(
    addresses: Sequence[ListenAddress], ports: Sequence[int], family: AddressFamily = AddressFamily.ANY
) -> list[socket.socket]:
    """Open the listening sockets; an address without a port listens on each of `ports`. Raises `ConfigError`.

    Without addresses it listens everywhere, by IPv4 and IPv6, as far as `family` allows it and the machine has them.
    """
    wanted = [(address.host, port) for address in addresses for port in ((address.port,) if address.port is not None else ports)]
    everywhere = not addresses
    if everywhere:
        wanted = [(host, port) for port in ports for host in _EVERYWHERE[family]]
    sockets: list[socket.socket] = []
    faults: list[str] = []
    for host, port in wanted:
        try:
            # Any free port: the same one for both families.
            chosen = sockets[-1].getsockname()[1] if everywhere and port == 0 and sockets and host == "::" else port
            sockets += _listen_at(host, chosen, _FAMILIES[family])
        except OSError as error:
            faults.append(f"cannot listen on {shown_address(host, port)}: {error.strerror or error}")
    if faults and not (everywhere and sockets):
        for one in sockets:
            one.close()
        raise ConfigError(faults[0])
    return sockets


def _listen_at(host: str, port: int, wanted: int) -> list[socket.socket]:
    sockets = []
    found = socket.getaddrinfo(host, port, wanted, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        one = socket.socket(family, kind, protocol)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(BACKLOG)
        except BaseException:
            one.close()
            raise
        sockets.append(one)
    return sockets


def shown_address(host: str, port: int) -> str:
    return f"{printable(host, 300)} port {port}"


@attrs.frozen
class TunedListener(trio.abc.Listener[trio.SocketStream]):
    """A listener of our own sockets: the kernel may take a batch that is not sent yet (trio asks for 16 KiB, which wakes too often).

    With `keep_alive` it also asks peers that are silent for hours whether they are still there (TCPKeepAlive).
    """

    _listener: trio.SocketListener
    _keep_alive: bool = True

    async def accept(self) -> trio.SocketStream:
        stream = await self._listener.accept()
        with contextlib.suppress(OSError, AttributeError):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(self._keep_alive))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_BYTES)
        return stream

    async def aclose(self) -> None:
        await self._listener.aclose()


def listeners_of(sockets: Sequence[socket.socket], keep_alive: bool = True) -> list[TunedListener]:
    """For trio; within `trio.run` only."""
    return [TunedListener(trio.SocketListener(trio.socket.from_stdlib_socket(one)), keep_alive) for one in sockets]


def go_into_background() -> None:
    """The process that was started ends; its child goes on without terminal, working folder and standard files. Before `trio.run` only."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():  # no leader of a session: no terminal that we open can become ours
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    if null > 2:
        os.close(null)


@contextlib.contextmanager
def pid_file(path: str | None) -> Iterator[None]:
    """Our number stands in the file meanwhile. Raises `ConfigError`."""
    if path is None:
        yield
        return
    mine = f"{os.getpid()}\n"
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(number, "w", encoding="ascii") as file:
            file.write(mine)
    except OSError as error:
        raise ConfigError(f"PidFile {printable(path)}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            with open(path, encoding="ascii", errors="replace") as file:
                still_mine = file.read(32) == mine
            if still_mine:
                os.unlink(path)
