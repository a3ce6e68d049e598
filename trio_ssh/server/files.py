"""The files between a session and its process: three pipes, or one pseudo-terminal; and the tasks that carry bytes through them."""

from __future__ import annotations

import contextlib
import fcntl
import os

import attrs
import trio

from .accounts import Account
from .pty import Pty, open_pty
from .pump import Output
from .session import ServerSession

PIPE_BYTES = 256 * 1024  # Linux's own is 64 KiB; much more would soon use up what it grants to one user (pipe-user-pages-soft)


@attrs.define(eq=False)
class Files:
    """`stdio` are the process's ends, open until it is started; the rest is ours."""

    input: trio.lowlevel.FdStream
    outputs: tuple[Output, ...]
    stdio: tuple[int, int, int]
    pty: Pty | None = None

    @property
    def tty(self) -> str | None:
        """The path of the terminal, if there is one."""
        return None if self.pty is None else self.pty.name

    def foreground_group(self) -> int | None:
        """The process group at the terminal, if there is one."""
        return None if self.pty is None else self.pty.foreground_group()

    def close_stdio(self) -> None:
        """The process has its own copies now."""
        if self.pty is not None:
            self.pty.close_slave()
        else:
            for number in self.stdio:
                os.close(number)
        self.stdio = (-1, -1, -1)

    def close(self) -> None:
        """Our ends; may be called again."""
        self.input.close()
        for output in self.outputs:
            output.source.close()

    async def feed(self, session: ServerSession) -> None:
        """What the client sends goes in, until its EOF, which becomes one here as well. Raises what `session` raises.

        A process that does not read any more is no error: what still comes is dropped, so that the client can go on.
        """
        at_line_start = True
        while data := await session.receive_some():
            at_line_start = data[-1] in b"\r\n"
            try:
                await self.input.send_all(data)
            except trio.BrokenResourceError:
                break
        else:
            await self._end_input(at_line_start)
            return
        while await session.receive_some():
            pass

    async def _end_input(self, at_line_start: bool) -> None:
        if self.pty is None:
            await self.input.aclose()
        else:
            with contextlib.suppress(trio.BrokenResourceError):
                await self.input.send_all(self.pty.end_of_input(at_line_start=at_line_start))

    async def end_output(self, session: ServerSession) -> None:
        """When all that the process writes has been sent, an EOF tells so. Raises what `session` raises."""
        for output in self.outputs:
            await output.ended.wait()
        await session.send_eof()


def open_files(session: ServerSession, account: Account) -> Files:
    """A terminal if the client asked for one, else pipes. Raises `OSError`."""
    if session.terminal is None:
        return _open_pipes(session, account)
    pty = open_pty(session.terminal, account)
    return Files(pty.master, (Output(pty.master, session.send_all),), (pty.slave,) * 3, pty)


def _open_pipes(session: ServerSession, account: Account) -> Files:
    opened: list[tuple[int, int]] = []
    try:
        for _ in range(3):
            opened.append(os.pipe())
            _prepare(opened[-1][0], account)
    except OSError:
        for pair in opened:
            os.close(pair[0])
            os.close(pair[1])
        raise
    (child_in, our_in), (our_out, child_out), (our_err, child_err) = opened
    outputs = (
        Output(trio.lowlevel.FdStream(our_out), session.send_all),
        Output(trio.lowlevel.FdStream(our_err), session.stderr.send_all),
    )
    return Files(trio.lowlevel.FdStream(our_in), outputs, (child_in, child_out, child_err))


def _prepare(pipe: int, account: Account) -> None:
    """Bigger, where the system lets us; and the user's own, so that programs may open /dev/stdout by its name."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    if not account.is_ours:
        os.fchown(pipe, account.uid, account.gid)
