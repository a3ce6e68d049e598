"""UseDNS: a client's host name, as far as it is true."""

from __future__ import annotations

import socket

import trio

NAME_SECONDS = 10


async def name_of_address(address: str) -> str:
    """The name that the address has, if that name has the address, too; else the address itself, as with sshd."""
    with trio.move_on_after(NAME_SECONDS):
        try:
            name, _ = await trio.socket.getnameinfo((address, 0), socket.NI_NAMEREQD | socket.NI_NUMERICSERV)
            found = await trio.socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return address
        if not _is_numeric(name) and any(one[4][0] == address for one in found):
            return name.lower()
    return address


def _is_numeric(name: str) -> bool:
    """A name that looks like an address would pass for one in patterns."""
    try:
        socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True
