"""``trio-sshd``: a server for shells, commands and subsystems of this machine's accounts; flags are sshd(8)'s.

Without root's rights it serves the account that it runs as. No configuration is read unless -f names it.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Sequence

import attrs
import trio

from .. import Algorithms, PrivateKey, Services, SSHError, __version__, serve_listeners, serve_stream
from ..config import Settings, SSHDConfig, server_algorithms, server_limits, sshd_config
from ..errors import ConfigError
from ..server.login_shell import login_shell
from .account_keys import AccountKeys
from .daemon import TunedListener, go_into_background, listen, listeners_of, pid_file, shown_address
from .event_text import logging_observer
from .report import ending_signals, log, log_to_file, log_to_stderr, log_to_syslog, run_tool, say
from .sshd_arguments import ServerInvocation, parse_arguments

TOOL = "trio-sshd"
LEVEL_OF_EVENTS = logging.DEBUG
DEFAULT_HOST_KEYS = ("/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key")


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 0 after a stop that was asked for, 255 after a failure."""
    return run_tool(TOOL, _run, words)


def _run(words: Sequence[str]) -> int:
    invocation = parse_arguments(words)
    if invocation.wants_version:
        say(f"trio_ssh_{__version__}, Python {sys.version.split()[0]}")
        return 0
    settings = _settings(invocation)
    if invocation.show_settings:
        _show(settings)
        return 0
    server = Server.of(settings)
    if invocation.test_only:
        return 0
    _start_log(invocation, settings)
    if invocation.inetd:
        trio.run(_serve_standard_files, server)
        return 0
    return _serve_network(invocation, settings, server)


def _settings(invocation: ServerInvocation) -> Settings:
    config = invocation.options
    if invocation.config_path is not None and invocation.config_path.lower() != "none":
        config = config.followed_by(SSHDConfig.from_file(invocation.config_path))
    return config.settings


def _start_log(invocation: ServerInvocation, settings: Settings) -> None:
    level = settings[sshd_config.LOG_LEVEL]
    if invocation.log_path is not None:
        log_to_file(TOOL, os.path.abspath(invocation.log_path), level, server=True)
    elif invocation.inetd and not (invocation.log_to_stderr or invocation.debug):
        log_to_syslog(TOOL, level)  # inetd may have joined stderr to the connection
    else:
        log_to_stderr(TOOL, level, server=True)  # a server that goes into the background takes the system's log when it does


def _show(settings: Settings) -> None:
    """-T: what was set, each with the place it comes from."""
    for setting in settings:
        print(f"{setting.name} {' '.join(setting.words)}  # {setting.place}")


def _serve_network(invocation: ServerInvocation, settings: Settings, server: Server) -> int:
    sockets = listen(settings[sshd_config.LISTEN_ADDRESS], settings[sshd_config.PORT])
    try:
        for one in sockets:
            host, port = one.getsockname()[:2]
            log.info("Server listening on %s.", shown_address(host, port))
        if not (invocation.foreground or invocation.debug):
            go_into_background()
            if invocation.log_path is None:
                log_to_syslog(TOOL, settings[sshd_config.LOG_LEVEL])
        with pid_file(settings[sshd_config.PID_FILE]):
            gc.freeze()  # what is loaded by now stays: looking it through again and again would stop everybody for 10 ms each time
            trio.run(_until_signalled, server, sockets, invocation.debug)
    finally:
        for one in sockets:
            one.close()
    return 0


async def _until_signalled(server: Server, sockets: Sequence[socket.socket], once: bool) -> None:
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
            listeners = listeners_of(sockets)
            await (server.serve_one(listeners) if once else server.serve_all(listeners))
            nursery.cancel_scope.cancel()


async def _end_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        if number == signal.SIGHUP and not os.isatty(2):
            log.warning("Received signal %d; the configuration cannot be read again: start the server anew.", number)
            continue
        log.info("Received signal %d; terminating.", number)
        scope.cancel()


async def _serve_standard_files(server: Server) -> None:
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
            await server.serve_stream(_standard_stream())
            nursery.cancel_scope.cancel()


def _standard_stream() -> trio.abc.Stream:
    """stdin and stdout as one stream. Their numbers are taken over by the null device, so that nothing else can write into it."""
    is_socket = stat.S_ISSOCK(os.fstat(0).st_mode)
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    if is_socket and os.path.sameopenfile(stdin, stdout):
        os.close(stdout)
        one = socket.socket(fileno=stdin)
        if one.type == socket.SOCK_STREAM:
            return trio.SocketStream(trio.socket.from_stdlib_socket(one))
        stdin = one.detach()
        stdout = os.dup(stdin)
    return trio.StapledStream(trio.lowlevel.FdStream(stdout), trio.lowlevel.FdStream(stdin))


@attrs.frozen(kw_only=True)
class Server:
    """What every connection is served with."""

    handler: Services
    settings: Settings
    host_keys: tuple[PrivateKey, ...]
    keys: AccountKeys
    algorithms: Algorithms

    @classmethod
    def of(cls, settings: Settings) -> Server:
        """Check the settings and read the host keys. Raises `ConfigError`, `KeyFileError`."""
        if settings[sshd_config.PASSWORD_AUTHENTICATION]:
            place = settings.places(sshd_config.PASSWORD_AUTHENTICATION)[0]
            raise place.error(
                "PasswordAuthentication: it cannot be switched on: passwords would have to be checked by PAM, which is not supported"
            )
        if not settings[sshd_config.PUBKEY_AUTHENTICATION]:
            place = settings.places(sshd_config.PUBKEY_AUTHENTICATION)[0]
            raise place.error("PubkeyAuthentication: without it nobody could log in: it is the only method there is")
        subsystems = {one.name: one.command for one in reversed(settings[sshd_config.SUBSYSTEM])}  # the first of a name counts
        keys = AccountKeys(settings[sshd_config.AUTHORIZED_KEYS_FILE], settings[sshd_config.STRICT_MODES])
        shell = login_shell(subsystems=subsystems)
        handler = Services(session=shell, subsystems=dict.fromkeys(subsystems, shell))  # another subsystem is refused when asked for
        return cls(
            handler=handler, settings=settings, host_keys=_host_keys(settings), keys=keys, algorithms=server_algorithms(settings)
        )

    async def serve_all(self, listeners: Sequence[TunedListener]) -> None:
        settings = self.settings
        await serve_listeners(
            self.handler,
            listeners,
            host_keys=self.host_keys,
            authenticate=self.keys,
            algorithms=self.algorithms,
            limits=server_limits(settings),
            observer=logging_observer(log, LEVEL_OF_EVENTS),
            accept_env=settings[sshd_config.ACCEPT_ENV],
            permit_terminal=settings[sshd_config.PERMIT_TTY],
        )

    async def serve_one(self, listeners: Sequence[TunedListener]) -> None:
        """The first connection that comes, and no other."""
        accepted: list[trio.SocketStream] = []
        async with trio.open_nursery() as nursery:

            async def accept(listener: TunedListener) -> None:
                accepted.append(await listener.accept())
                nursery.cancel_scope.cancel()

            for listener in listeners:
                nursery.start_soon(accept, listener)
        for stream in accepted[1:]:
            await trio.aclose_forcefully(stream)
        for listener in listeners:
            await listener.aclose()
        try:
            await self.serve_stream(accepted[0])
        except SSHError as error:
            log.info("%s", error)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        settings = self.settings
        await serve_stream(
            self.handler,
            stream,
            host_keys=self.host_keys,
            authenticate=self.keys,
            algorithms=self.algorithms,
            limits=server_limits(settings),
            observer=logging_observer(log, LEVEL_OF_EVENTS),
            accept_env=settings[sshd_config.ACCEPT_ENV],
            permit_terminal=settings[sshd_config.PERMIT_TTY],
        )


def _host_keys(settings: Settings) -> tuple[PrivateKey, ...]:
    paths = [path for path in settings[sshd_config.HOST_KEY] if path.lower() != "none"]
    if not paths:
        paths = [path for path in DEFAULT_HOST_KEYS if os.access(path, os.R_OK)]
    if not paths:
        raise ConfigError("there is no host key: name a private key file with -h or HostKey (ssh-keygen -t ed25519 makes one)")
    return tuple(PrivateKey.from_file(path) for path in paths)


if __name__ == "__main__":
    sys.exit(main())
