"""`ReplyQueue`: requests that want a reply, answered in the order they were made (RFC 4254 §4, §5.4).

A caller that goes away keeps its place in the queue until its answer has come, so nobody is given another's (hardening TRI-15). An answer
that nobody waits for is dropped (C01).
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from ..errors import RequestDenied, SSHError
from .transport import lost


@attrs.define(eq=False)
class Reply:
    """One place in the queue."""

    arrived: trio.Event = attrs.field(factory=trio.Event)
    success: bool = False
    payload: bytes = b""
    cause: SSHError | None = None


class ReplyQueue:
    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: deque[Reply] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def place(self) -> Reply:
        """To be taken in the same synchronous act as sending the request."""
        reply = Reply()
        self._places.append(reply)
        return reply

    def answer(self, success: bool, payload: bytes = b"") -> None:
        """The peer's next answer."""
        if self._places:
            reply = self._places.popleft()
            reply.success, reply.payload = success, payload
            reply.arrived.set()

    def fail(self, cause: SSHError) -> None:
        """No further answer will come."""
        while self._places:
            reply = self._places.popleft()
            reply.cause = cause
            reply.arrived.set()


async def wait_reply(reply: Reply, what: str) -> bytes:
    """The payload of a success. Raises `RequestDenied` for a failure, `ConnectionLost` or `RequestDenied` when no answer can come."""
    await reply.arrived.wait()
    if reply.cause is not None:
        raise lost(reply.cause) if not isinstance(reply.cause, RequestDenied) else RequestDenied(str(reply.cause))
    if not reply.success:
        raise RequestDenied(f"the peer refused {what}")
    return reply.payload
