"""``trio-ssh``: a shell, a command or a subsystem on another machine; flags and exit statuses are ssh(1)'s."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs
import trio

from .. import Client, ConnectionLost, Credential, Password, PrivateKeyCredential, PrivateKeyFile, __version__, connect, printable
from ..config import LogLevel, client_algorithms, client_limits, ssh_config
from .destination import Destination, LockedFile, resolve
from .event_text import logging_observer
from .host_key_check import HostKeyCheck
from .report import FAILURE, ending_signals, log, log_to_file, log_to_stderr, run_tool, say
from .session import STDIN, Task, run_session, wanted_terminal
from .ssh_arguments import Family, Invocation, TerminalWish, parse_arguments
from .terminal import ControllingTerminal, is_terminal

TOOL = "trio-ssh"
PASSWORD_TRIES = 3


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is that of the remote command, or 255."""
    return run_tool(TOOL, _run, words)


def _run(words: Sequence[str]) -> int:
    invocation = parse_arguments(words)
    if invocation.wants_version:
        say(f"trio_ssh_{__version__}, Python {sys.version.split()[0]}")
        return 0
    _log_as_asked(invocation, invocation.options.for_host(invocation.host)[ssh_config.LOG_LEVEL])
    destination = resolve(invocation)
    _log_as_asked(invocation, destination.settings[ssh_config.LOG_LEVEL])
    return trio.run(_until_signalled, Connection(invocation, destination))


def _log_as_asked(invocation: Invocation, level: LogLevel) -> None:
    if invocation.log_path is not None:
        log_to_file(TOOL, invocation.log_path, level)
    else:
        log_to_stderr(TOOL, level)


async def _until_signalled(connection: Connection) -> int:
    """The terminal and the modes of our files are put right even when we are told to end."""
    result = FAILURE
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
            result = await connection.run()
            nursery.cancel_scope.cancel()
    return result


async def _end_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        log.warning("killed by signal %d", number)
        scope.cancel()


@attrs.define(eq=False)
class Connection:
    """One connection from the command line: how to get in, and what to do there."""

    invocation: Invocation
    destination: Destination
    entering: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    person: ControllingTerminal = attrs.field(factory=ControllingTerminal)
    entered: bool = False

    async def run(self) -> int:
        """The exit status. Raises `SSHError`."""
        destination = self.destination
        settings = destination.settings
        check = HostKeyCheck(destination.known_hosts(), destination.host_key_checking(), self._ask_about_host)
        credentials = self._credentials(check)
        with self.entering:
            self._set_deadline()
            stream = await self._dial() if self.invocation.family is not Family.ANY else None
            async with connect(
                destination.host,
                destination.port,
                username=destination.user,
                credentials=credentials,
                host_keys=check,
                algorithms=client_algorithms(settings),
                limits=client_limits(settings),
                stream=stream,
                observer=logging_observer(log),
                banner=_show_banner,
            ) as client:
                self.entered = True
                self._set_deadline()
                return await self._use(client)
        seconds = settings[ssh_config.CONNECT_TIMEOUT]
        raise ConnectionLost(f"no connection to {destination.host} port {destination.port} within {seconds} s (ConnectTimeout)")

    async def _use(self, client: Client) -> int:
        if self.invocation.no_command:
            await client.wait_closed()
            return 0
        task = self._task()
        status = await run_session(client, task)
        if task.terminal is not None and self.destination.settings[ssh_config.LOG_LEVEL] >= LogLevel.INFO:
            say(f"Connection to {self.destination.host} closed.")
        return status

    def _task(self) -> Task:
        invocation = self.invocation
        terminal = wanted_terminal() if self._wants_terminal() else None
        return Task(command=invocation.command, subsystem=invocation.subsystem, terminal=terminal, no_input=invocation.no_input)

    def _wants_terminal(self) -> bool:
        match self.invocation.terminal:
            case TerminalWish.NEVER:
                return False
            case TerminalWish.ALWAYS:
                return True
            case TerminalWish.FOR_A_SHELL:
                return not self.invocation.command and is_terminal(STDIN)
            case TerminalWish.IF_WE_HAVE_ONE:
                if not is_terminal(STDIN):
                    log.warning("the other side gets no terminal because stdin is none")
                return is_terminal(STDIN)

    # -- getting in --------------------------------------------------------------------------------------------------------------

    def _credentials(self, check: HostKeyCheck) -> list[Credential]:
        ask_passphrase = None if self.destination.batch_mode else self._ask_passphrase
        credentials: list[Credential] = [
            PrivateKeyFile(key.path, ask_passphrase, optional=True) if isinstance(key, LockedFile) else PrivateKeyCredential(key)
            for key in self.destination.identities()
        ]
        if not self.destination.batch_mode:
            credentials.append(Password(self._password_asker(check), tries=PASSWORD_TRIES))
        return credentials

    def _password_asker(self, check: HostKeyCheck) -> Callable[[], Awaitable[str | None]]:
        asked = 0
        given_up = False

        async def ask() -> str | None:
            nonlocal asked, given_up
            if check.changed or given_up:
                return None
            if asked:
                log.warning("Permission denied, please try again.")
            asked += 1
            password = await self._ask(f"{self.destination.user}@{self.destination.host}'s password: ", echo=False)
            given_up = password is None
            return password

        return ask

    async def _ask_passphrase(self, path: str) -> str | None:
        return await self._ask(f"Enter passphrase for key '{printable(path)}': ", echo=False)

    async def _ask_about_host(self, question: str) -> str | None:
        return await self._ask(question, echo=True)

    async def _ask(self, question: str, *, echo: bool) -> str | None:
        """ConnectTimeout does not count the time that a person takes."""
        self.entering.deadline = math.inf
        try:
            return await self.person.ask(question, echo=echo)
        finally:
            self._set_deadline()

    def _set_deadline(self) -> None:
        seconds = self.destination.settings[ssh_config.CONNECT_TIMEOUT]
        self.entering.deadline = math.inf if seconds is None or self.entered else trio.current_time() + seconds

    async def _dial(self) -> trio.SocketStream:
        """A connection to an address of the family that -4 or -6 names."""
        host, port = self.destination.host, self.destination.port
        family = {Family.IPV4: trio.socket.AF_INET, Family.IPV6: trio.socket.AF_INET6}[self.invocation.family]
        reason = "it has no such address"
        try:
            found = await trio.socket.getaddrinfo(host, port, family, trio.socket.SOCK_STREAM)
            for *_, address in found:
                try:
                    return await trio.open_tcp_stream(str(address[0]), port)
                except OSError as error:
                    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
                    reason = cause.strerror or str(cause)
        except OSError as error:
            reason = error.strerror or str(error)
        raise ConnectionLost(f"cannot connect to {host} port {port}: {reason}")


def _show_banner(text: str) -> None:
    if log.isEnabledFor(logging.WARNING):
        for line in text.splitlines():
            say(printable(line, 4096))


if __name__ == "__main__":
    sys.exit(main())
