"""The accept loop: one task a listener, which takes connections, has each decided about at once, and outlives what `accept` can fail with.

It stands in for `trio.serve_listeners`, which starts a task for every connection before anybody can say no. Out of descriptors or memory
it waits a moment and tries again (hardening FLT-20); a connection that was gone before it was taken is nobody's error (FLT-21).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import trio

_log = logging.getLogger("trio_ssh.server")

ListenerT = TypeVar("ListenerT", bound=trio.abc.Listener[Any])
Take = Callable[[trio.Nursery, trio.abc.Stream], None]
"""Starts serving a connection in the nursery, or ends it. Never waits; its mistakes end that connection only."""

RETRY_SECONDS = 0.1
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""The system has no room for a connection now."""
PASSING = frozenset(
    getattr(errno, name)
    for name in (
        # accept(2): the connection was reset, or a firewall forbade it.
        *("ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "EINTR", "EAGAIN"),
        # The same page: errors of the network that are pending on the new socket are to be taken as "try again".
        *("ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
"""One connection came to nothing; the next is another matter."""


async def serve_accepted(
    listeners: Sequence[ListenerT], take: Take, task_status: trio.TaskStatus[list[ListenerT]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Accept on all listeners until cancelled; they are closed at the end. Raises what `accept` raises beyond what passes."""
    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(_accept, listener, nursery, take)
        task_status.started(list(listeners))


async def _accept(listener: trio.abc.Listener[Any], nursery: trio.Nursery, take: Take) -> None:
    complained = False
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    if not complained:  # once for each spell: it is tried ten times a second
                        _log.error("no connection can be accepted now: %s", os.strerror(error.errno))
                    complained = True
                    await trio.sleep(RETRY_SECONDS)
                elif error.errno in PASSING:
                    await trio.lowlevel.checkpoint()
                else:
                    raise
                continue
            complained = False
            try:
                take(nursery, stream)
            except Exception:
                _log.exception("a connection was accepted and could not be served")
                nursery.start_soon(trio.aclose_forcefully, stream)


def refuse_at_once(nursery: trio.Nursery, stream: trio.abc.Stream, line: bytes) -> None:
    """Say why, as far as that takes no time, and close. A fresh socket has room for a line; other streams are closed without one."""
    if not isinstance(stream, trio.SocketStream):
        nursery.start_soon(trio.aclose_forcefully, stream)
        return
    with suppress(OSError):
        os.write(stream.socket.fileno(), line)
    stream.socket.close()
