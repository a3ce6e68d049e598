"""The process of a session: started as the leader of a new OS session, watched without being reaped, ended together with its group.

Theory of operation
- No fork with Python code behind it (``preexec_fn``, ``pty.fork``): other threads may hold locks at that moment. `subprocess` does all that
  is needed between fork and exec in C: setsid, the switch to the user, the working directory.
- The one thing it cannot do is to make a terminal the *controlling* one. On Linux a session leader without a controlling terminal gets the
  first terminal that it opens by its path. So a shell does that and then becomes the program (`_by_shell`). It costs 0.2 ms with
  ``sh``, 0.7 ms with ``bash``; a Python helper that used TIOCSCTTY would cost 9 ms. Only ``bash`` can also choose the name a program is
  started under (``exec -a``), which is how a shell learns that it is a login shell; without it such a shell is told by ``-l``.
- A process that has ended keeps its number until it is reaped. So we wait on a pidfd and reap last: as long as anybody here may send a
  signal to the process or its group, the number cannot belong to somebody else.
- Signals that the server itself ignores would stay ignored in the child, and a program cannot see that this was not meant (a server put
  into the background by a shell script ignores SIGINT; started by nohup, SIGHUP). See `_signals_inherited_by_default`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import trio

from .accounts import Account
from .environment import to_bytes
from .process_groups import existing, living, signal_group

_logger = logging.getLogger("trio_ssh.server")

# What a process gets when its client has gone: (signal, seconds until the next one). The sum stays well below five seconds.
_FAREWELL = ((signal.SIGHUP, 1.0), (signal.SIGTERM, 0.5), (signal.SIGKILL, 1.0))
_LOOK_SECONDS, _LOOK_SECONDS_MAX = 0.02, 0.2

_INHERITED_IF_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

_LOGIN_FLAG_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "fish", "csh", "tcsh"}  # those that understand -l


@attrs.frozen
class Program:
    """What to execute: a path, or a name to be looked up in PATH, and its arguments; the first one is the name it is started under."""

    executable: str
    arguments: tuple[str, ...]


def shell_program(shell: str, command: str | None) -> Program:
    """The account's shell: for one command, or as a login shell, which it knows by the hyphen before its name."""
    name = os.path.basename(shell)
    return Program(shell, (f"-{name}",) if command is None else (name, "-c", command))


@attrs.frozen
class First:
    """A command that `shell` executes before the program, without input, if there is a file at `path`; how it ends does not matter."""

    shell: str
    command: str
    path: str


@attrs.frozen
class Ending:
    """How a process ended: its exit status, or the name of the signal without SIG."""

    status: int
    signal_name: str | None = None
    core_dumped: bool = False


@attrs.define(eq=False)
class Child:
    """A started process. Whoever has it calls `reap` or `hang_up` at the end."""

    process: trio.Process
    in_home: bool
    _pidfd: int | None
    has_ended: bool = False
    _core_dumped: bool = False

    async def wait_ended(self) -> None:
        """Until the process itself has ended; it is not reaped yet (where the system has pidfds)."""
        if self._pidfd is None:
            await self.process.wait()
        else:
            await trio.lowlevel.wait_readable(self._pidfd)
        self.has_ended = True

    def send_signal(self, number: int, group: int | None = None) -> None:
        """To that process group, or to the child's own one; to nobody when the child is reaped."""
        if self.process.returncode is None:
            signal_group(self.process.pid if group is None else group, number)

    async def reap(self) -> Ending:
        """How it ended; waits for the end. May be asked again."""
        await self.wait_ended()
        if self._pidfd is not None:
            self._core_dumped = _dumped_core(self.process.pid)
        code = await self.process.wait()
        self._close_pidfd()
        return Ending(code) if code >= 0 else Ending(128 - code, _signal_name(-code), self._core_dumped)

    async def hang_up(self, foreground: int | None, close_files: Callable[[], None]) -> None:
        """End the process, its group and the `foreground` one: a hang-up, then SIGTERM, then SIGKILL, each to whoever is left; then reap.

        For a client that has gone: shields itself from cancellation, and takes 2.5 seconds at most. The files are closed behind the
        first step, so that nobody dies of a broken pipe who has something to do on a hang-up: a shell says what its child died of.
        """
        left = {self.process.pid} if foreground is None else {self.process.pid, foreground}
        with trio.CancelScope(shield=True):
            for number, seconds in _FAREWELL:
                for group in left:
                    signal_group(group, number)
                    signal_group(group, signal.SIGCONT)  # a stopped process would not see it otherwise
                with trio.move_on_after(seconds):
                    await self._wait_gone(left)
                close_files()
                if not left:
                    break
        self._close_pidfd()
        if self.process.returncode is None:
            _logger.warning("process %d does not end; it is left to itself", self.process.pid)
            trio.lowlevel.spawn_system_task(self.process.wait)

    async def _wait_gone(self, groups: set[int]) -> None:
        """Reaps the child, and takes those groups out of the set that nobody is left in, until it is empty.

        The kernel gives no number away that is still a group's, and we look far more often than its numbers can come round: a group
        that has been there at every look is the one we mean. The child's own number is safe until it is reaped. What is left of others
        is reaped by the first process of the system; where that one takes its time (in many a container), they would still be there at
        each look, so after some looks we look closer.
        """
        pause = _LOOK_SECONDS
        while groups:
            with trio.move_on_after(pause):
                await self.process.wait()
                if existing(groups):
                    await trio.sleep_forever()
            groups &= existing(groups)
            if self.process.returncode is not None and pause > 2 * _LOOK_SECONDS:
                groups &= await living(groups)
            pause = min(2 * pause, _LOOK_SECONDS_MAX)

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


async def start_child(
    program: Program,
    account: Account,
    environ: Mapping[bytes, bytes],
    stdio: tuple[int, int, int],
    tty: str | None,
    first: First | None = None,
) -> Child:
    """Start it in the account's home, with `stdio` as its three files and, if given, the terminal at that path as its controlling one.

    `first` is executed before it, by the same process and in the same surroundings.

    A home that cannot be entered is replaced by the root folder (`Child.in_home` tells). Raises `OSError` when the process cannot be
    started; a program that cannot be executed at a terminal, or behind `first`, says so there instead.
    """
    arguments = _by_shell(program, tty, first) if tty is not None or first is not None else program.arguments
    options: dict[str, Any] = {
        "executable": to_bytes(program.executable) if arguments is program.arguments else None,
        "env": environ,
        "start_new_session": True,
    }
    if not account.is_ours:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    with _signals_inherited_by_default():
        try:
            process = await _open([to_bytes(word) for word in arguments], stdio, cwd=account.home, **options)
            in_home = True
        except OSError as error:
            if error.filename != account.home:
                raise
            process = await _open([to_bytes(word) for word in arguments], stdio, cwd="/", **options)
            in_home = False
    return Child(process, in_home, _pidfd_of(process.pid))


async def _open(command: list[bytes], stdio: tuple[int, int, int], **options: Any) -> trio.Process:
    stdin, stdout, stderr = stdio
    return await trio.lowlevel.open_process(command, stdin=stdin, stdout=stdout, stderr=stderr, **options)


def _by_shell(program: Program, tty: str | None, first: First | None) -> tuple[str, ...]:
    """The command line of a shell that opens the terminal, executes `first`, and becomes the program."""
    steps, words = _steps(tty, first)
    name, *arguments = program.arguments
    if name == os.path.basename(program.executable):
        script = " && ".join([*steps, f"shift {len(words)}", 'exec "$@"'])
        return ("/bin/sh", "-c", script, "sh", *words, program.executable, *arguments)
    bash = shutil.which("bash", path="/bin:/usr/bin:/usr/local/bin")
    if bash is None:
        login = ("-l",) if os.path.basename(program.executable) in _LOGIN_FLAG_SHELLS else ()
        return _by_shell(Program(program.executable, (os.path.basename(program.executable), *login, *arguments)), tty, first)
    become = f'exec -a "${len(words) + 1}" -- "${{@:{len(words) + 2}}}"'
    script = "unset SHLVL PWD OLDPWD; " + " && ".join([*steps, become])
    # With -p it takes nothing from the environment.
    return (bash, "-p", "-c", script, "bash", *words, name, program.executable, *arguments)


def _steps(tty: str | None, first: First | None) -> tuple[list[str], list[str]]:
    """Parts of a shell's script, and the words for its $1, $2 …"""
    steps: list[str] = []
    words: list[str] = []
    if tty is not None:
        steps.append('exec <>"$1" >&0 2>&0')
        words.append(tty)
    if first is not None:
        path, shell, command = (f'"${len(words) + n}"' for n in (1, 2, 3))
        steps.append(f"{{ test ! -e {path} || {shell} -c {command} < /dev/null || :; }}")  # however it ends
        words += [first.path, first.shell, first.command]
    return steps, words


def _pidfd_of(pid: int) -> int | None:
    """None where the system has none, or none left: then the child is reaped as soon as it ends."""
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(OSError):
        return os.pidfd_open(pid)
    return None


def _dumped_core(pid: int) -> bool:
    """Of a process that has ended and is not reaped."""
    with contextlib.suppress(ChildProcessError):  # somebody has told the kernel to reap our children by itself
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return result is not None and result.si_code == os.CLD_DUMPED
    return False


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:  # one of the real-time signals between the first and the last
        return f"RTMIN+{number - signal.SIGRTMIN}"


# --- signals that we ignore --------------------------------------------------------------------------------------------------------------

_spawning = 0
_were_ignored: list[signal.Signals] = []


@contextlib.contextmanager
def _signals_inherited_by_default() -> Iterator[None]:
    """Meanwhile what this process ignores is caught and dropped instead: the same for us, but a child starts with the default.

    Only the main thread can arrange this; anywhere else nothing is changed.
    """
    global _spawning
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _spawning:
        _were_ignored[:] = [number for number in _INHERITED_IF_IGNORED if signal.getsignal(number) is signal.SIG_IGN]
        for number in _were_ignored:
            signal.signal(number, _drop)
    _spawning += 1
    try:
        yield
    finally:
        _spawning -= 1
        if not _spawning:
            for number in _were_ignored:
                if signal.getsignal(number) is _drop:
                    signal.signal(number, signal.SIG_IGN)


def _drop(_number: int, _frame: object) -> None:
    """Caught, and nothing done."""
