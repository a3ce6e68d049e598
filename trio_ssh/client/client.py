"""`Client`: what can be done on a connection that is logged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from ..connection.channel import Channel
from ..connection.connection import Connection
from ..connection.mux import Mux
from ..connection.statistics import Statistics
from ..connection.terminal import Terminal
from ..connection.transport import lost
from ..errors import ProcessFailed
from ..keys.certificates import Certificate
from ..keys.key import PublicKey
from ..protocol.negotiation import Negotiated
from ..wire.codec import encode
from ..wire.connection import Env, Exec, Subsystem
from .host_keys import HostKeyDoubt
from .host_trust import HostTrust
from .process import PIPE, CompletedProcess, Process, Stderr


@attrs.define(eq=False)
class Client:
    """Given by `connect`. Every call raises `ConnectionLost` when the connection is gone, and says what ended it."""

    _connection: Connection
    _mux: Mux
    _trust: HostTrust

    # -- processes ---------------------------------------------------------------------------------------------------------------

    async def run_process(
        self,
        command: str,
        *,
        input: bytes = b"",
        check: bool = True,
        environ: Mapping[str, str] | None = None,
        terminal: Terminal | None = None,
        stderr: Stderr = PIPE,
    ) -> CompletedProcess:
        """Run a command with `input` as its stdin, and collect what it prints; everything is read, so it never waits for us.

        Raises `ProcessFailed` unless the exit status is 0 (`check=False`: never), `ChannelOpenFailure`, `RequestDenied`. Cancelled, the
        channel is closed on both sides, which ends the command on most servers.
        """
        fields = encode(Exec(command.encode("utf-8", "surrogateescape")))
        async with self._open_session("exec", fields, environ, terminal, stderr, end_input=not input) as process:
            process._collect()
            if input:
                await process._feed(input)
            status = await process._wait_closed()
            output, errors = process._collected
        signal = process.exit_signal.name if process.exit_signal is not None else None
        if check and status != 0:
            raise ProcessFailed(command, status, signal, output, errors)
        return CompletedProcess(command, status, signal, output, errors)

    @asynccontextmanager
    async def open_process(
        self,
        command: str,
        *,
        environ: Mapping[str, str] | None = None,
        terminal: Terminal | None = None,
        stderr: Stderr = PIPE,
    ) -> AsyncIterator[Process]:
        """Start a command (RFC 4254 §6.5); leaving the block closes its channel on both sides.

        `environ` are variables the server may ignore; `terminal` asks for a pseudo-terminal. Raises `ChannelOpenFailure`, `RequestDenied`.
        """
        fields = encode(Exec(command.encode("utf-8", "surrogateescape")))
        async with self._open_session("exec", fields, environ, terminal, stderr) as process:
            yield process

    @asynccontextmanager
    async def open_shell(
        self, terminal: Terminal | None = None, *, environ: Mapping[str, str] | None = None, stderr: Stderr = PIPE
    ) -> AsyncIterator[Process]:
        """Start the user's shell; see `open_process`."""
        async with self._open_session("shell", b"", environ, terminal, stderr) as process:
            yield process

    @asynccontextmanager
    async def open_subsystem(self, name: str, *, stderr: Stderr = PIPE) -> AsyncIterator[Process]:
        """Start a subsystem, such as ``sftp``; see `open_process`."""
        async with self._open_session("subsystem", encode(Subsystem(name)), None, None, stderr) as process:
            yield process

    @asynccontextmanager
    async def _open_session(
        self,
        request: str,
        fields: bytes,
        environ: Mapping[str, str] | None,
        terminal: Terminal | None,
        stderr: Stderr,
        *,
        end_input: bool = False,
    ) -> AsyncIterator[Process]:
        """`end_input`: there will be no stdin, and the server may know it with the request."""
        processes: list[Process] = []

        def prepare(channel: Channel) -> None:
            processes.append(Process._on(channel, stderr))

        channel = await self._mux.open_channel("session", prepare=prepare)
        try:
            process = processes[0]
            for name, value in (environ or {}).items():
                channel.request_nowait("env", encode(Env(name.encode(), value.encode("utf-8", "surrogateescape"))))
            if terminal is not None:
                process.terminal = terminal
                await channel.request("pty-req", terminal.pty_request())
            await channel.request(request, fields, then=channel.end_output_nowait if end_input else None)
            yield process
        finally:
            # Synchronous, so that CLOSE leaves even when we are cancelled; then the peer's is waited for, if there is time.
            channel.close_nowait()
            await channel.aclose()

    # -- the connection ----------------------------------------------------------------------------------------------------------

    async def rekey(self) -> None:
        """Agree on fresh keys, and wait until both directions use them. Cancelled, the exchange goes on."""
        await self._connection.parts.supervisor.rekey()

    async def ping(self) -> float:
        """Seconds for a question to the server and back, behind whatever is queued before it."""
        started = trio.current_time()
        await self._mux.probe()
        return trio.current_time() - started

    async def wait_closed(self) -> None:
        """Until the connection is gone. Returns if we closed it; raises `ConnectionLost` for any other end."""
        await self._connection.ended.wait()
        self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        if self._connection.cause is not None:
            raise lost(self._connection.cause)

    async def aclose(self) -> None:
        """Say DISCONNECT and close; `connect`'s block does it by itself."""
        self._connection.end(None)
        await self._connection.ended.wait()

    def statistics(self) -> Statistics:
        """Counters of the connection and its channels, as of now."""
        return self._connection.statistics()

    @property
    def negotiated(self) -> Negotiated:
        """The algorithms in use."""
        return self._connection.negotiated

    @property
    def host_key(self) -> PublicKey:
        """The server's key, which the policy has accepted."""
        shown = self._connection.parts.supervisor.state.host_key
        assert shown is not None  # there is no Client before the first key exchange
        return shown.public_key if isinstance(shown, Certificate) else shown

    @property
    def host_certificate(self) -> Certificate | None:
        """The certificate that the server's key came with; None for a plain key."""
        shown = self._connection.parts.supervisor.state.host_key
        return shown if isinstance(shown, Certificate) else None

    @property
    def host_key_doubt(self) -> HostKeyDoubt | None:
        """Why the server's key is not believed though the policy let it pass: then nothing may be forwarded. None for a good key."""
        return self._trust.doubt

    @property
    def authenticated_by(self) -> tuple[str, ...]:
        """The methods by which we were let in, in order; ``none`` where the server wanted no proof (see `connect`'s `allow_none`)."""
        return self._connection.logged_in.methods

    @property
    def server_version(self) -> str:
        """The server's identification line; show it through `errors.printable` only."""
        return self._connection.parts.supervisor.state.peer_line.decode("ascii", "backslashreplace")

    @property
    def username(self) -> str:
        """The name that we are logged in under."""
        return self._connection.username
