"""`Process`: a command, shell or subsystem on the other side, in the manner of `trio.Process` (RFC 4254 §6)."""

from __future__ import annotations

from enum import Enum

import attrs
import trio

from ..connection.channel import Channel
from ..connection.inbox import End, Inbox
from ..connection.terminal import Terminal
from ..errors import RemoteProtocolError
from ..wire.codec import decode, encode
from ..wire.connection import Break, ExitSignal, ExitStatus, Signal

EXIT_SIGNAL_TEXT_MAX = 32 * 1024


class Stderr(Enum):
    """What becomes of a process's stderr."""

    PIPE = "a stream of its own"
    MERGE = "mixed into stdout, in the order of arrival"
    DISCARD = "dropped"


PIPE, MERGE, DISCARD = Stderr.PIPE, Stderr.MERGE, Stderr.DISCARD


class ProcessStdin(trio.abc.SendStream):
    """Closing it is the process's end of file."""

    __slots__ = ("_channel", "_closed")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self._channel.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        self._check()
        await self._channel.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            self._channel.end_output_nowait()
        finally:
            await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("stdin was closed")


class ProcessOutput(trio.abc.ReceiveStream):
    """Closing it drops whatever still comes, so that the process can go on."""

    __slots__ = ("_inbox",)

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._inbox.receive_some(max_bytes)

    async def aclose(self) -> None:
        self._inbox.finish(End.CLOSED)
        await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Process:
    """What `open_process`, `open_shell` and `open_subsystem` give.

    `exit_status` is None until the process has ended, and for ever if it was ended by `exit_signal` (a name without SIG). `stderr` is None
    unless it is a stream of its own. Stdout and stderr share a window: read both, or merge or discard stderr.
    """

    stdin: trio.abc.SendStream
    stdout: trio.abc.ReceiveStream
    stderr: trio.abc.ReceiveStream | None
    _channel: Channel
    exit_status: int | None = None
    exit_signal: ExitSignalReport | None = None
    terminal: Terminal | None = None
    _ended: trio.Event = attrs.field(factory=trio.Event)

    @classmethod
    def _on(cls, channel: Channel, stderr: Stderr) -> Process:
        """Take over a session channel before anything can come in on it."""
        separate = channel.keep_stderr(merged=stderr is MERGE) if stderr is not DISCARD else None
        stderr_stream = ProcessOutput(separate) if separate is not None and stderr is PIPE else None
        process = cls(ProcessStdin(channel), ProcessOutput(channel.inbox), stderr_stream, channel)
        channel.on_request = process._receive_request
        channel.when_ended(process._ended.set)
        return process

    def _receive_request(self, request_type: str, request_fields: bytes) -> bool:
        """Called by the reader: how the process ended (RFC 4254 §6.10)."""
        if request_type in ("exit-status", "exit-signal"):
            if self.exit_status is not None or self.exit_signal is not None:
                raise RemoteProtocolError("the server said twice how a process ended")
            if request_type == "exit-status":
                self.exit_status = decode(ExitStatus, request_fields).exit_status
            else:
                message = decode(ExitSignal, request_fields)
                text = message.error_message[:EXIT_SIGNAL_TEXT_MAX]
                self.exit_signal = ExitSignalReport(message.signal_name, message.core_dumped, text)
            self._ended.set()
            return True
        return False

    async def wait(self) -> int | None:
        """Until the process has ended; its exit status. None: it was ended by `exit_signal`, or the server did not say how.

        Raises `ConnectionLost` if the connection ended first. A process that waits for somebody to read its output does not end.
        """
        await self._ended.wait()
        self._channel.raise_if_lost(unless=self.exit_status is not None or self.exit_signal is not None)
        return self.exit_status

    def _collect(self) -> None:
        """Keep all output for `_collected`, without bound: for `run_process`, which wants all of it and reads none in between."""
        self._channel.inbox.collect()
        if self._channel.stderr_inbox is not None:
            self._channel.stderr_inbox.collect()

    @property
    def _collected(self) -> tuple[bytes, bytes]:
        """Stdout and stderr."""
        errors = self._channel.stderr_inbox
        return self._channel.inbox.collected, errors.collected if errors not in (None, self._channel.inbox) else b""

    async def _feed(self, data: bytes) -> None:
        """All of stdin, then its end. A process that ends without reading it is no error."""
        try:
            if data:
                await self._channel.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self._channel.end_output_nowait()

    async def _wait_closed(self) -> int | None:
        """Until the channel is closed, so that all output has come; the exit status. Raises `ConnectionLost` if that ended first."""
        await self._channel.ended.wait()
        self._channel.raise_if_lost()
        return self.exit_status

    def send_signal(self, name: str) -> None:
        """Ask the server to signal the process: a name without SIG, such as ``INT`` (RFC 4254 §6.9). There is no answer."""
        self._channel.request_nowait("signal", encode(Signal(name.removeprefix("SIG"))))

    def send_break(self, milliseconds: int = 0) -> None:
        """A BREAK on the terminal's line (RFC 4335)."""
        self._channel.request_nowait("break", encode(Break(milliseconds)))

    def terminate(self) -> None:
        """``send_signal("TERM")``."""
        self.send_signal("TERM")

    def kill(self) -> None:
        """``send_signal("KILL")``."""
        self.send_signal("KILL")

    def resize(self, columns: int, rows: int, width_pixels: int = 0, height_pixels: int = 0) -> None:
        """Tell the server the terminal's new size in characters, and pixels where known."""
        terminal = self.terminal or Terminal()
        self.terminal = attrs.evolve(terminal, columns=columns, rows=rows, width_pixels=width_pixels, height_pixels=height_pixels)
        self._channel.request_nowait("window-change", self.terminal.window_change())

    async def aclose(self) -> None:
        """Close the channel; what the server does to a process that still runs is its affair (OpenSSH hangs it up)."""
        await self._channel.aclose()


@attrs.frozen
class ExitSignalReport:
    """How a signal ended a process. `text` is the server's; show it through `errors.printable` only."""

    name: str
    core_dumped: bool
    text: str


@attrs.frozen
class CompletedProcess:
    """What `run_process` gives. `exit_signal` is a name without SIG."""

    command: str
    exit_status: int | None
    exit_signal: str | None
    stdout: bytes = attrs.field(repr=False)
    stderr: bytes = attrs.field(repr=False)
