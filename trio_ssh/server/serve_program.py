"""`serve_program`: one program of the operating system for one session, from its start to its exit status.

The life of it: files are opened, the process is started at their other ends, and tasks carry input, output, window sizes and signals.
When the process has ended and its output is sent, so is its exit status. As with OpenSSH, a process in the background that still
holds the pipes keeps the session open behind the exit status, because it may have something to say; one that shares the terminal does not.
When the client goes first, the process is told by a hang-up and does not outlive it for long (`Child.hang_up`).
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from ..errors import printable
from .accounts import Account, find_account
from .child import Child, Ending, Program, start_child
from .environment import address_variables, child_environment
from .files import Files, open_files
from .session import ServerSession
from .user_rc import user_rc

REFUSED = 1
_NOT_STARTED: dict[type[Exception], int] = {PermissionError: 126, FileNotFoundError: 127}  # what shells say

# RFC 4254 §6.10; others carry the domain of who named them, and OpenSSH named one of this kind before (INFO@openssh.com).
_RFC_SIGNALS = frozenset(["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"])

# How long after the end of the process its files may be silent until we stop waiting for their end. It is waited for only where somebody
# else still has them: a process in the background, mostly.
_SILENCE_SECONDS = 0.25


async def tell(session: ServerSession, text: str) -> None:
    """One line for the person at the other end: on stderr, or in the terminal."""
    line = printable(text)
    if session.terminal is None:
        await session.stderr.send_all(f"{line}\n".encode())
    else:
        await session.send_all(f"{line}\r\n".encode())


async def find_served_account(session: ServerSession, name: str | None) -> Account | None:
    """The account of that name, or else of the session's user. None, with the reason told, where this server cannot act for it."""
    wanted = session.username if name is None else name
    account = await find_account(wanted)
    if account is None:
        await tell(session, f"there is no account {wanted!r} on this machine")
        return None
    if not account.may_be_served:
        await tell(session, f"this server runs without privileges, for its own account only: it cannot serve {wanted!r}")
        return None
    return account


def original_command(session: ServerSession) -> dict[str, str]:
    """The variable that tells a forced command what the client asked for."""
    return {} if session.original_command is None else {"SSH_ORIGINAL_COMMAND": session.original_command}


@attrs.frozen
class Setting:
    """How a program is to run: `environ` stands above all other variables; signals of the client reach it if `takes_signals`."""

    environ: Mapping[str, str] = attrs.field(factory=dict)
    takes_signals: bool = True
    user_rc: bool = False
    """``~/.ssh/rc`` is executed before it, if there is one."""


async def serve_program(session: ServerSession, account: Account, program: Program, setting: Setting) -> int:
    """Run it as that account for that session. Gives the exit status (128 + its number for a signal); the session is told before.

    A program that cannot be started is told to the client: status 127 if it was not found, 126 if it cannot be executed, else 1.
    """
    try:
        files = open_files(session, account)
    except OSError as error:
        await tell(session, f"cannot open the files of the session: {error.strerror}")
        return REFUSED
    try:
        child = await _start(session, account, program, setting, files)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the command
        files.close()
        await tell(session, f"{program.executable}: {error.strerror if isinstance(error, OSError) else error}")
        return _NOT_STARTED.get(type(error), REFUSED)
    except BaseException:
        files.close()
        raise
    ending = await _see_through(session, account, child, files, setting)
    return ending.status


async def _start(session: ServerSession, account: Account, program: Program, setting: Setting, files: Files) -> Child:
    term = None if session.terminal is None else session.terminal.term
    environ = child_environment(
        account,
        session.environ,
        term=term,
        tty=files.tty,
        granted=session.permissions.environ,
        addresses=address_variables(session.peer, session.local),
        extra=setting.environ,
    )
    try:
        first = await user_rc(account) if setting.user_rc else None
        return await start_child(program, account, environ, files.stdio, files.tty, first)
    finally:
        files.close_stdio()


async def _see_through(session: ServerSession, account: Account, child: Child, files: Files, setting: Setting) -> Ending:
    """To the end of the process, whichever end it is. Nothing is left behind: no process, no zombie, no file."""
    try:
        if not child.in_home:
            await tell(session, f"cannot enter the home folder {account.home}; this is the root folder")
        await _converse(session, child, files, setting)
    finally:
        if child.has_ended:
            files.close()
            with trio.CancelScope(shield=True):  # it has ended: there is nothing to wait for
                await child.reap()
        else:
            await child.hang_up(files.foreground_group(), files.close)
    return await child.reap()


async def _converse(session: ServerSession, child: Child, files: Files, setting: Setting) -> None:
    """Until the process has ended and its output is sent, or until the client is gone."""
    all_sent = trio.Event()

    async def unless_gone(work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            nursery.cancel_scope.cancel()

    async def end_output() -> None:
        await files.end_output(session)
        all_sent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(unless_gone, lambda: files.feed(session))
        for output in files.outputs:
            nursery.start_soon(unless_gone, output.run)
        nursery.start_soon(unless_gone, end_output)
        nursery.start_soon(_pass_resizes, session, files)
        nursery.start_soon(_pass_signals, session, child, files, setting.takes_signals)
        await child.wait_ended()
        for output in files.outputs:
            output.expect_silence(_SILENCE_SECONDS, is_end=files.pty is not None)
        for output in files.outputs:
            await output.silent.wait()
        await _report(session, await child.reap())
        await all_sent.wait()
        nursery.cancel_scope.cancel()


async def _report(session: ServerSession, ending: Ending) -> None:
    if ending.signal_name is None:
        await session.exit(ending.status)
    else:
        name = ending.signal_name if ending.signal_name in _RFC_SIGNALS else f"{ending.signal_name}@openssh.com"
        await session.exit_by_signal(name, ending.core_dumped)


async def _pass_resizes(session: ServerSession, files: Files) -> None:
    async for terminal in session.resizes:
        if files.pty is not None:
            files.pty.resize(terminal)


async def _pass_signals(session: ServerSession, child: Child, files: Files, taken: bool) -> None:
    """Signals of RFC 4254 §6.9 reach whoever Ctrl-C would reach: the terminal's foreground, or the process and its group."""
    async for name in session.signals:
        if taken and name in _RFC_SIGNALS:
            child.send_signal(getattr(signal, f"SIG{name}"), files.foreground_group())
