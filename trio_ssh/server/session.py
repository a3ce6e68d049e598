"""`ServerSession`: one session channel as a server's handler sees it (RFC 4254 §6).

`SessionRequests` listens to the channel from its first message on, in the reader's task: it gathers variables and terminal until the
client asks for a shell, a command or a subsystem, which starts the handler; from then on signals and window changes go to the handler.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import TypeVar

import attrs
import trio

from ..connection.authenticator import LoggedIn
from ..connection.channel import Channel
from ..connection.terminal import Terminal
from ..errors import RemoteProtocolError
from ..keys.permissions import Permissions
from ..protocol.limits import Limits
from ..wire.codec import decode, encode
from ..wire.connection import Env, Exec, ExitSignal, ExitStatus, PtyReq, Signal, Subsystem, WindowChange
from ..wire.patterns import PatternList, compile_pattern_list

T = TypeVar("T")
Pair = tuple[trio.MemorySendChannel[T], trio.MemoryReceiveChannel[T]]

SIGNALS_WAITING = 16
LINE_BYTES_MAX = 64 * 1024
TERM_CHARACTERS_MAX = 64
SIGNAL_NAMES = frozenset(["ABRT", "ALRM", "FPE", "HUP", "ILL", "INFO", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"])


@attrs.frozen(kw_only=True)
class SessionPolicy:
    """What sessions of one connection may ask for."""

    accept_env: PatternList
    permit_terminal: bool
    limits: Limits
    shell_and_exec: bool = True
    subsystems: Collection[str] | None = None
    """The names there are; None leaves it to the handler."""

    @classmethod
    def of(cls, accept_env: Sequence[str], permit_terminal: bool, limits: Limits) -> SessionPolicy:
        return cls(accept_env=compile_pattern_list(list(accept_env)), permit_terminal=permit_terminal, limits=limits)

    def for_login(self, login: LoggedIn) -> SessionPolicy:
        """With what its rules say of variables."""
        return self if login.accept_env is None else attrs.evolve(self, accept_env=compile_pattern_list(login.accept_env))


@attrs.define(eq=False)
class SessionRequests:
    """The channel's request handler: every answer is given at once, and every method is called by the reader.

    A forced command takes the place of whatever the client asks for, a subsystem included, before the handler sees it.
    """

    policy: SessionPolicy
    start: Callable[[], None]
    """Called once: the handler may begin."""
    permissions: Permissions = attrs.field(factory=Permissions)
    environ: dict[str, str] = attrs.field(factory=dict)
    terminal: Terminal | None = None
    command: str | None = None
    subsystem: str | None = None
    original_command: str | None = None
    started: bool = False
    _signals: Pair[str] | None = None
    _resizes: Pair[Terminal] | None = None
    _over: bool = False

    @property
    def signals(self) -> Pair[str]:
        """Made when first used: most sessions never are signalled."""
        if self._signals is None:
            self._signals = trio.open_memory_channel(SIGNALS_WAITING)
            if self._over:
                self._signals[0].close()
        return self._signals

    @property
    def resizes(self) -> Pair[Terminal]:
        if self._resizes is None:
            self._resizes = trio.open_memory_channel(1)
            if self._over:
                self._resizes[0].close()
        return self._resizes

    def __call__(self, request_type: str, request_fields: bytes) -> bool:
        handler = _REQUESTS.get(request_type)
        return handler is not None and handler(self, request_fields)

    def _env(self, fields: bytes) -> bool:
        message = decode(Env, fields)
        name = message.variable_name.decode("utf-8", "backslashreplace")
        wanted = not self.started and self.policy.accept_env.matches(name) and name.isprintable() and "=" not in name
        if not wanted or b"\0" in message.variable_value or len(self.environ) >= self.policy.limits.env_vars:
            return False
        self.environ[name] = message.variable_value.decode("utf-8", "surrogateescape")
        return True

    def _pty(self, fields: bytes) -> bool:
        message = decode(PtyReq, fields)
        permitted = self.policy.permit_terminal and self.permissions.terminal
        if self.started or self.terminal is not None or not permitted:
            return False
        if len(message.modes) > self.policy.limits.pty_modes_bytes or len(message.term) > TERM_CHARACTERS_MAX or "\0" in message.term:
            return False
        self.terminal = Terminal(message.term, message.columns, message.rows, message.width_pixels, message.height_pixels, message.modes)
        return True

    def _shell(self, fields: bytes) -> bool:
        if fields:
            raise RemoteProtocolError("bytes follow a shell request")
        return self.policy.shell_and_exec and self._start()

    def _exec(self, fields: bytes) -> bool:
        message = decode(Exec, fields)
        unfit = len(message.command) > self.policy.limits.exec_bytes or b"\0" in message.command
        if self.started or unfit or not self.policy.shell_and_exec:
            return False
        self.command = message.command.decode("utf-8", "surrogateescape")
        return self._start()

    def _subsystem(self, fields: bytes) -> bool:
        message = decode(Subsystem, fields)
        known = self.policy.subsystems
        if self.started or (known is not None and message.subsystem_name not in known):
            return False
        if self.permissions.force_command is not None and not self.policy.shell_and_exec:
            return False  # nobody is there to execute it
        self.subsystem = message.subsystem_name
        self.permissions = attrs.evolve(self.permissions, user_rc=False)  # as with sshd, whatever is executed in the subsystem's place
        return self._start()

    def _start(self) -> bool:
        if self.started:
            return False
        self.started = True
        self.original_command = self.command if self.subsystem is None else self.subsystem
        if self.permissions.force_command is not None:
            self.command, self.subsystem = self.permissions.force_command, None
        self.environ.update(self.permissions.environ)
        self.start()
        return True

    def _window_change(self, fields: bytes) -> bool:
        message = decode(WindowChange, fields)
        if self.terminal is None:
            return False
        self.terminal = attrs.evolve(
            self.terminal,
            columns=message.columns,
            rows=message.rows,
            width_pixels=message.width_pixels,
            height_pixels=message.height_pixels,
        )
        give, take = self.resizes
        if take.statistics().current_buffer_used:
            take.receive_nowait()  # only the newest size matters
        give.send_nowait(self.terminal)
        return True

    def _signal(self, fields: bytes) -> bool:
        name = decode(Signal, fields).signal_name
        if not self.started or name not in SIGNAL_NAMES:
            return False
        try:
            self.signals[0].send_nowait(name)
        except trio.WouldBlock:
            return False  # the handler does not listen; signals are not queued without bound
        return True

    def close(self) -> None:
        """The channel is over: whoever iterates signals or resizes comes to the end."""
        self._over = True
        for pair in (self._signals, self._resizes):
            if pair is not None:
                pair[0].close()


_REQUESTS: dict[str, Callable[[SessionRequests, bytes], bool]] = {
    "env": SessionRequests._env,
    "pty-req": SessionRequests._pty,
    "shell": SessionRequests._shell,
    "exec": SessionRequests._exec,
    "subsystem": SessionRequests._subsystem,
    "window-change": SessionRequests._window_change,
    "signal": SessionRequests._signal,
}


class SessionStderr(trio.abc.SendStream):
    """The session's second output. Closing it sends nothing: SSH has no end of file for stderr."""

    __slots__ = ("_channel", "_closed")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed:
            raise trio.ClosedResourceError("stderr was closed")
        await self._channel.send_stderr(data)

    async def wait_send_all_might_not_block(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("stderr was closed")
        await self._channel.outlet.wait_writable()

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()


class ServerSession(trio.abc.HalfCloseableStream):
    """What a client asked for, and the stream to serve it on: `receive_some` is the client's input, `send_all` its output.

    The handler's task is cancelled when the client goes away. Returning a number from the handler is `exit(number)`; None is 0.
    """

    __slots__ = ("_channel", "_exited", "_requests", "local", "peer", "stderr", "username")

    def __init__(self, channel: Channel, requests: SessionRequests, username: str, peer: str = "", local: str = "") -> None:
        self._channel = channel
        self._requests = requests
        self._exited = False
        self.username = username
        self.peer = peer
        """The client's address as text, ``ADDRESS port N``; "" where the stream has none."""
        self.local = local
        """Our end's, likewise."""
        self.stderr = SessionStderr(channel)

    @property
    def command(self) -> str | None:
        """The command line; None for a shell or a subsystem. Undecodable bytes are surrogate escapes.

        Where the login's permissions force a command, it is that one, whatever the client asked for.
        """
        return self._requests.command

    @property
    def original_command(self) -> str | None:
        """What the client asked for: a command line, the name of a subsystem, or None for a shell."""
        return self._requests.original_command

    @property
    def permissions(self) -> Permissions:
        """What this login may do. A forced command and a forbidden terminal hold already; `user_rc` never holds for subsystems."""
        return self._requests.permissions

    @property
    def subsystem(self) -> str | None:
        """The subsystem's name, such as ``sftp``; None for a shell or a command."""
        return self._requests.subsystem

    @property
    def environ(self) -> dict[str, str]:
        """The variables that the client sent and the server's `accept_env` lets in; above them those of the login's permissions."""
        return self._requests.environ

    @property
    def terminal(self) -> Terminal | None:
        """The terminal asked for, with its present size; None without one."""
        return self._requests.terminal

    @property
    def signals(self) -> trio.MemoryReceiveChannel[str]:
        """Signals the client asks for: names without SIG. A few wait; more are refused."""
        return self._requests.signals[1]

    @property
    def resizes(self) -> trio.MemoryReceiveChannel[Terminal]:
        """New terminal sizes; only the newest waits."""
        return self._requests.resizes[1]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._channel.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._channel.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._channel.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._channel.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._channel.aclose()

    async def lines(self) -> AsyncIterator[bytes]:
        """The input line by line, newline included; a line of more than 64 KiB comes in pieces, the last may have no newline."""
        buffer = bytearray()
        async for chunk in self:
            buffer += chunk
            while (end := buffer.find(b"\n", 0, LINE_BYTES_MAX) + 1) or len(buffer) >= LINE_BYTES_MAX:
                end = end or LINE_BYTES_MAX
                line = bytes(buffer[:end])
                del buffer[:end]
                yield line
        if buffer:
            yield bytes(buffer)

    async def exit(self, status: int) -> None:
        """Say how the session ended; the first word counts. Output sent before arrives before."""
        self.exit_nowait(status)
        await trio.lowlevel.checkpoint()

    def exit_nowait(self, status: int) -> None:
        """`exit` without a checkpoint."""
        if not self._exited:
            fields = encode(ExitStatus(status & 0xFFFFFFFF))
            self._exited = True
            self._channel.request_nowait("exit-status", fields)

    async def exit_by_signal(self, name: str, core_dumped: bool = False, text: str = "") -> None:
        """Say that a signal ended it: a name without SIG (RFC 4254 §6.10)."""
        if not self._exited:
            fields = encode(ExitSignal(name, core_dumped, text))
            self._exited = True
            self._channel.request_nowait("exit-signal", fields)
        await trio.lowlevel.checkpoint()
