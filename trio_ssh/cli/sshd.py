"""``trio-sshd``: a server for shells, commands and subsystems of this machine's accounts; flags are sshd(8)'s.

Without root's rights it serves the account that it runs as. No configuration is read unless -f names it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Sequence

import trio

from .. import SSHError, __version__
from ..config import Settings, SSHDConfig, sshd_config
from ..config.sshd_dump import dump
from ..config.sshd_match import Subject
from ..server.accounts import find_account
from .account_access import group_names
from .daemon import go_into_background, listen, listeners_of, pid_file, shown_address
from .report import ending_signals, log, log_to_file, log_to_stderr, log_to_syslog, run_tool, say
from .sshd_arguments import ConnectionSpec, ServerInvocation, parse_arguments
from .sshd_server import Server

TOOL = "trio-sshd"


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 0 after a stop that was asked for, 255 after a failure."""
    return run_tool(TOOL, _run, words)


def _run(words: Sequence[str]) -> int:
    invocation = parse_arguments(words)
    if invocation.wants_version:
        say(f"trio_ssh_{__version__}, Python {sys.version.split()[0]}")
        return 0
    config = _config(invocation)
    server = Server.of(config) if invocation.check_settings else None
    if invocation.show_settings or server is None:
        _show(config, invocation.subject)
        return 0
    for warning in config.warnings:
        log.warning("%s", warning)
    if invocation.test_only:
        return 0
    settings = config.settings
    _start_log(invocation, settings)
    if invocation.inetd:
        trio.run(_serve_standard_files, server)
        return 0
    return _serve_network(invocation, settings, server)


def _config(invocation: ServerInvocation) -> SSHDConfig:
    if invocation.config_path is None or invocation.config_path.lower() == "none":
        return invocation.options
    return invocation.options.followed_by(SSHDConfig.from_file(invocation.config_path))


def _start_log(invocation: ServerInvocation, settings: Settings) -> None:
    level = settings[sshd_config.LOG_LEVEL]
    if invocation.log_path is not None:
        log_to_file(TOOL, os.path.abspath(invocation.log_path), level, server=True)
    elif invocation.inetd and not (invocation.log_to_stderr or invocation.debug):
        log_to_syslog(TOOL, level, settings[sshd_config.SYSLOG_FACILITY])  # inetd may have joined stderr to the connection
    else:
        log_to_stderr(TOOL, level, server=True)  # a server that goes into the background takes the system's log when it does


def _show(config: SSHDConfig, spec: ConnectionSpec | None) -> None:
    """-T, -G: all settings, of the login that -C describes."""
    for line in dump(config.for_subject(trio.run(_subject, spec or ConnectionSpec()))):
        print(line)


async def _subject(spec: ConnectionSpec) -> Subject:
    account = None if spec.user is None else await find_account(spec.user)
    return Subject(
        user=spec.user,
        groups=() if account is None else group_names(account),
        exists=account is not None and not spec.invalid_user,
        host=spec.host,
        address=spec.addr,
        local_address=spec.laddr,
        local_port=spec.lport,
        rdomain=spec.rdomain,
    )


def _serve_network(invocation: ServerInvocation, settings: Settings, server: Server) -> int:
    sockets = listen(settings[sshd_config.LISTEN_ADDRESS], settings[sshd_config.PORT], settings[sshd_config.ADDRESS_FAMILY])
    try:
        for one in sockets:
            host, port = one.getsockname()[:2]
            log.info("Server listening on %s.", shown_address(host, port))
        if not (invocation.foreground or invocation.debug):
            go_into_background()
            if invocation.log_path is None:
                log_to_syslog(TOOL, settings[sshd_config.LOG_LEVEL], settings[sshd_config.SYSLOG_FACILITY])
        with pid_file(settings[sshd_config.PID_FILE]):
            gc.freeze()  # what is loaded by now stays: looking it through again and again would stop everybody for 10 ms each time
            trio.run(_until_signalled, server, sockets, invocation)
    finally:
        for one in sockets:
            one.close()
    return 0


async def _until_signalled(server: Server, sockets: Sequence[socket.socket], invocation: ServerInvocation) -> None:
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_heed_signals, signals, nursery.cancel_scope, server, invocation)
            listeners = listeners_of(sockets, server.settings[sshd_config.TCP_KEEP_ALIVE])
            await (server.serve_one(listeners) if invocation.debug else server.serve_all(listeners))
            nursery.cancel_scope.cancel()


async def _heed_signals(
    signals: AsyncIterator[int], scope: trio.CancelScope, server: Server, invocation: ServerInvocation
) -> None:
    """SIGHUP reads the configuration again, unless it is a terminal's that has gone; the others end the server."""
    async for number in signals:
        if number == signal.SIGHUP and not os.isatty(2):
            log.info("Received signal %d; reading the configuration again.", number)
            await trio.to_thread.run_sync(_read_again, server, invocation)
            continue
        log.info("Received signal %d; terminating.", number)
        scope.cancel()


def _read_again(server: Server, invocation: ServerInvocation) -> None:
    """What is wrong with the new one is logged, and the old one stays."""
    try:
        config = _config(invocation)
        left_out = server.take(config)
    except SSHError as error:
        log.error("The configuration stays as it was: %s", error)
        return
    for warning in config.warnings:
        log.warning("%s", warning)
    if left_out:
        log.warning("These settings count only when the server is started anew: %s", ", ".join(left_out))


async def _serve_standard_files(server: Server) -> None:
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_heed_signals, signals, nursery.cancel_scope, server, ServerInvocation())
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


if __name__ == "__main__":
    sys.exit(main())
