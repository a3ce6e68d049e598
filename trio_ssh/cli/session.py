"""One session of ``trio-ssh``: the remote process's streams joined to our own, its exit status ours."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import trio

from .. import Client, Process, RequestDenied, Terminal, printable
from .escapes import Escape, EscapeFilter, help_text
from .files import InputFile, OutputFile, open_input, open_output
from .report import FAILURE, log
from .terminal import is_terminal, raw_mode, read_terminal, terminal_size

STDIN, STDOUT, STDERR = 0, 1, 2

# What may still be on its way when nobody reads our stdout any more. Who goes on writing beyond that would have got SIGPIPE, had it
# written to our stdout itself; a process that takes no notice loses its channel.
DROPPED_BYTES_BEFORE_SIGNAL = 4 << 20
DROPPED_BYTES_MAX = 64 << 20


@attrs.frozen(kw_only=True)
class Task:
    """What to run. `command` "" is the login shell; `terminal` is what the other side shall have, None for none."""

    command: str = ""
    subsystem: bool = False
    terminal: Terminal | None = None
    no_input: bool = False
    escape: str | None = "~"
    """The escape character at a terminal; None for none."""
    environ: Mapping[str, str] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Session:
    """A running process and what joins it to our files."""

    client: Client
    process: Process
    local_terminal: bool
    """Our stdin is a terminal in raw mode: escapes are obeyed and changes of its size passed on."""
    escape: str | None = "~"
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    terminated: bool = False
    stdout_is_broken: bool = False

    async def run(self, *, no_input: bool) -> int:
        """Until the process has ended and all it printed is out; the exit status for us."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                if self.local_terminal:
                    await nursery.start(self._pass_sizes)
                nursery.start_soon(self._feed, no_input, nursery)
                async with trio.open_nursery() as outputs:
                    outputs.start_soon(self._drain, self.process.stdout, STDOUT)
                    if self.process.stderr is not None:
                        outputs.start_soon(self._drain, self.process.stderr, STDERR)
                await self.process.wait()
                nursery.cancel_scope.cancel()
        return self._status()

    def _status(self) -> int:
        if self.terminated:
            return FAILURE
        if self.process.exit_signal is not None:
            if not self.stdout_is_broken:
                text = printable(self.process.exit_signal.text)
                log.error("the remote process was ended by signal %s%s", printable(self.process.exit_signal.name, 40), text and f": {text}")
            return FAILURE
        return FAILURE if self.process.exit_status is None else self.process.exit_status & 0xFF

    async def _feed(self, no_input: bool, nursery: trio.Nursery) -> None:
        try:
            if not no_input:
                async with open_input(STDIN) as source:
                    await (self._feed_typed(source, nursery) if self.local_terminal else self._feed_all(source))
            await self.process.stdin.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it takes no more input; whoever waits for its end hears how it ended

    async def _feed_all(self, source: InputFile) -> None:
        while data := await source.receive_some():
            await self.process.stdin.send_all(data)

    async def _feed_typed(self, source: InputFile, nursery: trio.Nursery) -> None:
        escapes = EscapeFilter(self.escape)
        while data := await source.receive_some():
            for piece in escapes.feed(bytes(data)):
                if isinstance(piece, Escape):
                    await self._obey(piece, nursery)
                else:
                    await self.process.stdin.send_all(piece)

    async def _obey(self, escape: Escape, nursery: trio.Nursery) -> None:
        match escape:
            case Escape.TERMINATE:
                self.terminated = True
                self.scope.cancel()
            case Escape.REKEY:
                nursery.start_soon(self.client.rekey)
            case Escape.HELP:
                async with open_output(STDERR) as out:
                    await out.send_all(help_text(self.escape or "~"))
        await trio.lowlevel.checkpoint()

    async def _drain(self, source: trio.abc.ReceiveStream, number: int) -> None:
        async with open_output(number) as out:
            if not await self._copy(source, out):
                if number == STDOUT:
                    self.stdout_is_broken = True
                await self._drop(source)

    async def _copy(self, source: trio.abc.ReceiveStream, out: OutputFile) -> bool:
        """False if our own file takes no more (hardening FLT-25)."""
        async for data in source:
            try:
                await out.send_all(data)
            except BrokenPipeError:
                return False
            except OSError as error:
                log.error("the output cannot be written: %s", error.strerror)
                return False
        return True

    async def _drop(self, source: trio.abc.ReceiveStream) -> None:
        """Take what is on its way, so that the process can go on and tell how it ended."""
        dropped = 0
        signalled = False
        async for data in source:
            dropped += len(data)
            if dropped > DROPPED_BYTES_BEFORE_SIGNAL and not signalled:
                signalled = True
                self.process.send_signal("PIPE")
            if dropped > DROPPED_BYTES_MAX:
                self.terminated = True
                self.scope.cancel()

    async def _pass_sizes(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGWINCH) as signals:
            task_status.started()
            async for _ in signals:
                self.process.resize(*terminal_size(STDIN))


async def run_session(client: Client, task: Task) -> int:
    """Run it; the exit status for us. Raises `SSHError` if it cannot be started or the connection is lost."""
    local_terminal = task.terminal is not None and is_terminal(STDIN)
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(_open(client, task))
        if local_terminal:
            stack.enter_context(raw_mode(STDIN))
        return await Session(client, process, local_terminal, task.escape).run(no_input=task.no_input)


@asynccontextmanager
async def _open(client: Client, task: Task) -> AsyncIterator[Process]:
    try:
        if task.subsystem:
            opening = client.open_subsystem(task.command)
        elif task.command:
            opening = client.open_process(task.command, environ=task.environ, terminal=task.terminal)
        else:
            opening = client.open_shell(task.terminal, environ=task.environ)
        async with opening as process:
            yield process
    except RequestDenied as error:
        raise RequestDenied(f"the server refused {_what(task)}: {error}") from error


def _what(task: Task) -> str:
    if task.subsystem:
        return f"the subsystem {printable(task.command, 100)}"
    return "the command" if task.command else "a shell"


def wanted_terminal() -> Terminal:
    """Our own terminal, for the other side."""
    return read_terminal(STDIN)
