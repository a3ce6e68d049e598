"""Bytes between a session and the files of its process, bounded both ways: at most one buffer is under way in each direction.

Output is read into one buffer that is used again and again: ever-fresh large objects would cost page faults. It starts small, because
most sessions print little, and grows when a read fills it.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Awaitable, Callable

import attrs
import trio

READ_BYTES_MIN = 16 * 1024
READ_BYTES_MAX = 256 * 1024

Send = Callable[[memoryview], Awaitable[None]]


@attrs.define(eq=False)
class Output:
    """One file that the process writes to, read until its end and sent on.

    `silent` is set when nothing has come for as long as `expect_silence` allowed, or at the end; `ended` at the end.
    """

    source: trio.lowlevel.FdStream
    send: Send
    silent: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)
    _silence_seconds: float = math.inf
    _silence_is_end: bool = False
    _waiting: trio.CancelScope | None = None

    def expect_silence(self, seconds: float, *, is_end: bool) -> None:
        """The process has ended. What is there is still sent, however slow the client is; after that so much silence sets `silent`.

        With `is_end` it is the end as well.
        """
        self._silence_seconds = seconds
        self._silence_is_end = is_end
        if self._waiting is not None:
            self._waiting.deadline = trio.current_time() + seconds

    async def run(self) -> None:
        """Until the end. Raises what `send` raises."""
        buffer = memoryview(bytearray(READ_BYTES_MIN))
        while size := await self._next(buffer):
            await self.send(buffer[:size])
            if size == len(buffer) < READ_BYTES_MAX:
                buffer = memoryview(bytearray(4 * size))
        self.silent.set()
        self.ended.set()

    async def _next(self, buffer: memoryview) -> int:
        """How many bytes have come, 0 at the end."""
        while (size := self._read(buffer)) is None:
            if not await self._wait_readable() and self._silence_is_end:
                return 0
        return size

    def _read(self, buffer: memoryview) -> int | None:
        """How many bytes were there, 0 at the end, None when there is nothing yet.

        A terminal hands over 4 KiB at most at a time, so what it has is gathered.
        """
        size = 0
        while size < len(buffer):
            try:
                got = os.readv(self.source.fileno(), [buffer[size:]])
            except BlockingIOError:
                return size or None
            except OSError as error:
                if error.errno != errno.EIO:  # a terminal's way to say that nobody has it open any more
                    raise
                return size
            if got == 0:
                return size
            size += got
            if got > 4096:
                break
        return size

    async def _wait_readable(self) -> bool:
        """False when it has been silent for too long; asked again, there is no such thing any more."""
        with trio.CancelScope(deadline=trio.current_time() + self._silence_seconds) as self._waiting:
            await trio.lowlevel.wait_readable(self.source.fileno())
            return True
        self._silence_seconds = math.inf
        self.silent.set()
        return False
