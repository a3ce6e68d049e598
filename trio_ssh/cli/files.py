"""stdin, stdout and stderr as streams, with no thread and no copy more than needed.

Theory of operation
- A file descriptor must be in non-blocking mode to be waited for, but the mode belongs to the open file, which we share with whoever
  started us: a shell would find its terminal non-blocking. So pipes and terminals are opened once more by their ``/proc/self/fd`` name:
  the new open file is ours alone. Where that cannot be done (sockets, other systems) the mode is set, and set back at the end.
- A regular file is always "ready", so it cannot be waited for; it is read and written in a thread, 1 MiB at a time.
- One buffer is used again and again: fresh large objects would cost page faults.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import attrs
import trio

PIPE_BYTES = 1 << 20
READ_BYTES = 256 << 10
FILE_READ_BYTES = 1 << 20
FILE_WRITE_THREAD_BYTES = 64 << 10


@attrs.define(eq=False)
class InputFile:
    """A file to read from. `receive_some` gives a view that is good until the next call; an empty one is the end."""

    _number: int
    _buffer: memoryview
    _in_thread: bool

    async def receive_some(self) -> memoryview:
        await trio.lowlevel.checkpoint_if_cancelled()
        size = await self._read()
        return self._buffer[:size]

    async def _read(self) -> int:
        if self._in_thread:
            return await trio.to_thread.run_sync(os.readv, self._number, [self._buffer])
        while True:
            try:
                return os.readv(self._number, [self._buffer])
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._number)
            except OSError:  # a terminal that is gone
                return 0


@attrs.define(eq=False)
class OutputFile:
    """A file to write to."""

    _number: int
    _in_thread: bool

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises `OSError` (`BrokenPipeError` if nobody reads any more)."""
        await trio.lowlevel.checkpoint_if_cancelled()
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += await self._write(view[sent:])

    async def _write(self, view: memoryview) -> int:
        if self._in_thread and len(view) >= FILE_WRITE_THREAD_BYTES:
            return await trio.to_thread.run_sync(os.write, self._number, view)
        while True:
            try:
                return os.write(self._number, view)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._number)


@asynccontextmanager
async def open_input(number: int) -> AsyncIterator[InputFile]:
    """Read from a file descriptor; it is as it was when the block ends."""
    can_wait = _can_wait(number)
    with _own(number, os.O_RDONLY, can_wait) as own:
        size = READ_BYTES if can_wait else FILE_READ_BYTES
        yield InputFile(own, memoryview(bytearray(size)), _is_regular(number))


@asynccontextmanager
async def open_output(number: int) -> AsyncIterator[OutputFile]:
    """Write to a file descriptor; it is as it was when the block ends."""
    with _own(number, os.O_WRONLY, _can_wait(number)) as own:
        yield OutputFile(own, _is_regular(number))


@contextlib.contextmanager
def _own(number: int, access: int, can_wait: bool) -> Iterator[int]:
    if not can_wait:
        yield number
        return
    own = _opened_again(number, access)
    shared = own is None
    if own is None:
        own = os.dup(number)
    was_blocking = os.get_blocking(own)
    os.set_blocking(own, False)
    try:
        yield own
    finally:
        trio.lowlevel.notify_closing(own)
        if shared:
            os.set_blocking(own, was_blocking)
        os.close(own)


def _opened_again(number: int, access: int) -> int | None:
    try:
        own = os.open(f"/proc/self/fd/{number}", access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    with contextlib.suppress(OSError, AttributeError):
        if stat.S_ISFIFO(os.fstat(own).st_mode):
            fcntl.fcntl(own, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # a wider pipe: fewer task switches on either side
    return own


def _can_wait(number: int) -> bool:
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(number))


def _is_regular(number: int) -> bool:
    return stat.S_ISREG(os.fstat(number).st_mode)
