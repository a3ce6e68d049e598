"""`Inbox`: what has come in on a channel and nobody has taken yet. The reader appends, one task receives.

The window bounds it, so appending never waits. All chunks go into one bytearray: a million one-byte messages are a million bytes, and a
receiver that takes everything gets the bytearray itself, without a further copy.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import trio

from ..errors import SSHError
from .exclusive import Exclusive


class End(Enum):
    """How an inbox ends. What was received before can still be taken, except after CLOSED."""

    NOT_YET = "more may come"
    EOF = "the peer said EOF or CLOSE"
    BROKEN = "the connection ended without either"
    CLOSED = "we closed it"


class Inbox:
    __slots__ = ("_buffer", "_busy", "_cause", "_end", "_taken", "_waiter", "append")

    def __init__(self, taken: Callable[[int], None]) -> None:
        """`taken(n)` is called, synchronously, when the application has taken n bytes."""
        self._buffer = bytearray()
        self._taken = taken
        self._end = End.NOT_YET
        self._cause: SSHError | None = None
        self._waiter: trio.lowlevel.Task | None = None
        self.append: Callable[[memoryview], None] = self._keep
        """HOT PATH: one copy, and a wake-up for the first chunk of a batch only."""
        self._busy = Exclusive("another task is already receiving from this stream")

    def __len__(self) -> int:
        return len(self._buffer)

    def _keep(self, data: memoryview) -> None:
        self._buffer += data
        if self._waiter is not None:
            self._wake()

    def _collect(self, data: memoryview) -> None:
        self._buffer += data
        self._taken(len(data))

    def _drop(self, data: memoryview) -> None:
        self._taken(len(data))

    def collect(self) -> None:
        """Take everything as it comes, without bound and without a task: for a caller that wants all of it, in `collected`."""
        self.append = self._collect
        if self._buffer:
            self._taken(len(self._buffer))

    @property
    def collected(self) -> bytes:
        return bytes(self._buffer)

    def finish(self, end: End, cause: SSHError | None = None) -> None:
        """No more will come. The first end counts, but CLOSED counts always."""
        if end is End.CLOSED:
            dropped, self._buffer = len(self._buffer), bytearray()
            self._end = end
            self.append = self._drop  # nobody reads this stream any more, but others of the channel may be in use
            if dropped:
                self._taken(dropped)
        elif self._end is End.NOT_YET:
            self._end, self._cause = end, cause
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        assert waiter is not None
        trio.lowlevel.reschedule(waiter)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """At least one byte, or b"" at the end (see `trio.abc.ReceiveStream`).

        A cancellation takes nothing: between the last checkpoint and the return nothing is awaited.
        """
        if max_bytes is not None:
            if not isinstance(max_bytes, int):
                raise TypeError(f"max_bytes must be a whole number of bytes, not {max_bytes!r}")
            if max_bytes < 1:
                raise ValueError(f"max_bytes must be a positive number of bytes, not {max_bytes!r}")
        with self._busy:
            if self._buffer or self._end is not End.NOT_YET:
                await trio.lowlevel.checkpoint()
            else:
                await self._wait()
            if self._buffer:
                return self._take(max_bytes)
            if self._end is End.EOF:
                return b""
            if self._end is End.CLOSED:
                raise trio.ClosedResourceError("this stream was closed")
            raise trio.BrokenResourceError(f"the stream ended in the middle: {self._cause}") from self._cause

    def _take(self, max_bytes: int | None) -> bytearray:
        if max_bytes is None or max_bytes >= len(self._buffer):
            data, self._buffer = self._buffer, bytearray()
        else:
            data = self._buffer[:max_bytes]
            del self._buffer[:max_bytes]
        self._taken(len(data))
        return data

    async def _wait(self) -> None:
        self._waiter = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
