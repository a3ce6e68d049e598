"""``trio-ssh``: a shell, a command or a subsystem on another machine; flags and exit statuses are ssh(1)'s."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import AsyncIterator, Sequence

import attrs
import trio

from .. import Client, ConnectionLost, Credential, __version__, connect, printable
from ..config import LogLevel, client_algorithms, client_limits, ssh_config
from ..config.ssh_values import PublicKeyUse, SessionType, TerminalRequest
from .destination import Destination, find
from .dial import dial, set_service_class
from .event_text import logging_observer
from .host_key_check import Ask, HostKeyCheck
from .host_key_rules import HostKeyRules
from .login import Login
from .options import UsageError
from .prompts import Person, show
from .queries import answer
from .report import FAILURE, ending_signals, log, log_to_file, log_to_stderr, run_tool, say
from .session import STDIN, Task, run_session, wanted_terminal
from .ssh_arguments import Invocation, parse_arguments
from .terminal import is_terminal

TOOL = "trio-ssh"
METHODS = ("publickey", "keyboard-interactive", "password")
"""The order in which they are tried where PreferredAuthentications says nothing."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is that of the remote command, or 255."""
    return run_tool(TOOL, _run, words)


def _run(words: Sequence[str]) -> int:
    invocation = parse_arguments(words)
    if invocation.wants_version:
        say(f"trio_ssh_{__version__}, Python {sys.version.split()[0]}")
        return 0
    if invocation.query is not None:
        show_lines(answer(invocation.query))
        return 0
    _log_as_asked(invocation, invocation.options.for_host(invocation.host)[ssh_config.LOG_LEVEL])
    return trio.run(_until_signalled, invocation)


def show_lines(lines: Sequence[str]) -> None:
    """On stdout, as far as somebody reads them."""
    with contextlib.suppress(BrokenPipeError):
        show("".join(f"{line}\n" for line in lines))


def _log_as_asked(invocation: Invocation, level: LogLevel) -> None:
    if invocation.log_path is not None:
        log_to_file(TOOL, invocation.log_path, level)
    else:
        log_to_stderr(TOOL, level)


async def _until_signalled(invocation: Invocation) -> int:
    """The terminal and the modes of our files are put right even when we are told to end."""
    result = FAILURE
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
            result = await _connect(invocation)
            nursery.cancel_scope.cancel()
    return result


async def _end_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        log.warning("killed by signal %d", number)
        scope.cancel()


async def _connect(invocation: Invocation) -> int:
    destination = await find(invocation)
    if invocation.show_settings:
        show_lines(destination.settings_text().splitlines())
        return 0
    _log_as_asked(invocation, destination.settings[ssh_config.LOG_LEVEL])
    return await Connection(destination, destination.remote_command(invocation)).run()


@attrs.define(eq=False)
class Connection:
    """One connection from the command line: how to get in, and what to do there. `command` "" is a shell."""

    destination: Destination
    command: str
    entering: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    person: Person = attrs.field(factory=Person)
    entered: bool = False

    async def run(self) -> int:
        """The exit status. Raises `SSHError`."""
        destination = self.destination
        settings = destination.settings
        task = self._task()
        check = host_key_rules(destination, self._ask_about_host)
        credentials = self._credentials()
        with self.entering:
            self._set_deadline()
            stream = await dial(destination.host, destination.port, settings)
            set_service_class(stream, settings, interactive=task is not None and task.terminal is not None)
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
                return await self._use(client, task)
        seconds = settings[ssh_config.CONNECT_TIMEOUT]
        raise ConnectionLost(f"no connection to {destination.host} port {destination.port} within {seconds} s (ConnectTimeout)")

    async def _use(self, client: Client, task: Task | None) -> int:
        log.debug("logged in by %s", ", ".join(client.authenticated_by) or "nothing")
        if task is None:
            await client.wait_closed()
            return 0
        status = await run_session(client, task)
        if task.terminal is not None and self.destination.settings[ssh_config.LOG_LEVEL] >= LogLevel.INFO:
            say(f"Connection to {self.destination.host} closed.")
        return status

    def _task(self) -> Task | None:
        """What to run there; None for nothing. Raises `UsageError`."""
        settings = self.destination.settings
        kind = settings[ssh_config.SESSION_TYPE]
        if kind is SessionType.NONE:
            return None
        if kind is SessionType.SUBSYSTEM and not self.command:
            raise UsageError("a subsystem is asked for: name it behind the host")
        return Task(
            command=self.command,
            subsystem=kind is SessionType.SUBSYSTEM,
            terminal=wanted_terminal() if self._wants_terminal() else None,
            no_input=settings[ssh_config.STDIN_NULL],
            escape=settings[ssh_config.ESCAPE_CHAR],
            environ=self.destination.environ(),
        )

    def _wants_terminal(self) -> bool:
        match self.destination.settings[ssh_config.REQUEST_TTY]:
            case TerminalRequest.NO:
                return False
            case TerminalRequest.FORCE:
                return True
            case TerminalRequest.AUTO:
                return not self.command and is_terminal(STDIN)
            case TerminalRequest.YES:
                if not is_terminal(STDIN):
                    log.warning("the other side gets no terminal because stdin is none")
                return is_terminal(STDIN)

    # -- getting in --------------------------------------------------------------------------------------------------------------

    def _credentials(self) -> list[Credential]:
        """In the order of PreferredAuthentications, without the methods that are switched off."""
        settings = self.destination.settings
        may_ask = not settings[ssh_config.BATCH_MODE]
        login = Login(self.destination, self._ask)
        by_method: dict[str, Credential] = {}
        if settings[ssh_config.PUBKEY_AUTHENTICATION] is not PublicKeyUse.NO:
            by_method["publickey"] = self.destination.identities(login.passphrase if may_ask else None, login.confirms)
        if settings[ssh_config.KBD_INTERACTIVE_AUTHENTICATION] and may_ask:
            by_method["keyboard-interactive"] = login.keyboard_interactive()
        if settings[ssh_config.PASSWORD_AUTHENTICATION] and may_ask:
            by_method["password"] = login.password()
        order = settings[ssh_config.PREFERRED_AUTHENTICATIONS] or METHODS
        return [by_method[method] for method in dict.fromkeys(order) if method in by_method]

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
        self.entering.deadline = trio.current_time() + seconds if seconds and not self.entered else math.inf


def host_key_rules(destination: Destination, ask: Ask) -> HostKeyRules:
    """What the settings want of the server's key. Raises `ConfigError`."""
    settings = destination.settings
    check = HostKeyCheck(
        destination.known_hosts(),
        destination.host_key_checking(),
        ask,
        alias=settings[ssh_config.HOST_KEY_ALIAS] or "",
        shows_picture=settings[ssh_config.VISUAL_HOST_KEY],
        trusts_localhost=settings[ssh_config.NO_HOST_AUTHENTICATION_FOR_LOCALHOST],
        update_keys=ssh_config.updates_host_keys(settings),
        digest=settings[ssh_config.FINGERPRINT_HASH],
    )
    return HostKeyRules(
        check_known=check,
        rsa_bits=settings[ssh_config.REQUIRED_RSA_SIZE],
        authority_algorithms=settings[ssh_config.CA_SIGNATURE_ALGORITHMS],
        revoked=destination.revoked_keys(),
    )


def _show_banner(text: str) -> None:
    if log.isEnabledFor(logging.WARNING):
        for line in text.splitlines():
            say(printable(line, 4096))


if __name__ == "__main__":
    sys.exit(main())
