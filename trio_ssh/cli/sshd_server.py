"""What ``trio-sshd`` serves with: host keys, algorithms and limits that stay, and the rules of logins, which may be read again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import cast

import attrs
import trio

from .. import Algorithms, CertifiedKey, Observer, PrivateKey, Services, SSHError, serve_listeners, serve_stream
from ..config import LogLevel, Setting, Settings, SSHDConfig, server_algorithms, server_limits, sshd_config
from ..errors import ConfigError
from ..keys.certificates import Certificate, CertificateKind
from ..server.login_shell import login_shell
from .account_rules import AccountRules
from .account_settings import check_account_settings, counts_at_once
from .daemon import TunedListener
from .login_log import login_observer
from .report import log

HostKey = PrivateKey | CertifiedKey


@attrs.define(eq=False, kw_only=True)
class Server:
    """Make one by `of`; `settings` are those that it was started with."""

    handler: Services
    settings: Settings
    host_keys: tuple[HostKey, ...]
    rules: AccountRules
    algorithms: Algorithms

    @classmethod
    def of(cls, config: SSHDConfig) -> Server:
        """Check the settings and read the host keys. Raises `ConfigError`, `KeyFileError`."""
        settings = config.settings
        check_account_settings(config)
        subsystems = {one.name: one.command for one in reversed(settings[sshd_config.SUBSYSTEM])}  # the first of a name counts
        shell = login_shell(subsystems=subsystems)
        handler = Services(session=shell, subsystems=dict.fromkeys(subsystems, shell))  # another subsystem is refused when asked for
        return cls(
            handler=handler,
            settings=settings,
            host_keys=_host_keys(settings),
            rules=AccountRules(config),
            algorithms=server_algorithms(settings),
        )

    def take(self, config: SSHDConfig) -> list[str]:
        """From the next login on these rules hold. Returns the keywords that have changed without effect. Raises `ConfigError`."""
        check_account_settings(config)
        self.rules.config = config
        keywords = [keyword for keyword in sshd_config.TABLE.values() if not counts_at_once(keyword)]
        return [keyword.name for keyword in keywords if config.settings[keyword] != self.settings[keyword]]

    @property
    def _observer(self) -> Observer:
        return login_observer(log, verbose=self.settings[sshd_config.LOG_LEVEL] >= LogLevel.VERBOSE)

    async def serve_all(self, listeners: Sequence[TunedListener]) -> None:
        """For ever."""
        serve = partial(serve_listeners, self.handler, listeners, host_keys=self.host_keys, authenticate=self.rules)
        await serve(
            algorithms=self.algorithms,
            limits=server_limits(self.settings),
            observer=self._observer,
            accept_env=self.settings[sshd_config.ACCEPT_ENV],
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
        """One connection on any stream."""
        serve = partial(serve_stream, self.handler, stream, host_keys=self.host_keys, authenticate=self.rules)
        await serve(
            algorithms=self.algorithms,
            limits=server_limits(self.settings),
            observer=self._observer,
            accept_env=self.settings[sshd_config.ACCEPT_ENV],
        )


def _host_keys(settings: Settings) -> tuple[HostKey, ...]:
    paths = [path for path in settings[sshd_config.HOST_KEY] if path.lower() != "none"]
    if not paths:
        paths = [path for path in sshd_config.DEFAULT_HOST_KEYS if os.access(path, os.R_OK)]
    if not paths:
        raise ConfigError("there is no host key: name a private key file with -h or HostKey (ssh-keygen -t ed25519 makes one)")
    keys: list[HostKey] = [PrivateKey.from_file(path) for path in paths]
    for setting in settings:
        if setting.name == sshd_config.HOST_CERTIFICATE.name and setting.value != ("none",):
            _certify(keys, setting)
    return tuple(keys)


def _certify(keys: list[HostKey], setting: Setting) -> None:
    """Put the certificate that a line names beside its key."""
    (path,) = cast("tuple[str]", setting.value)
    certificate = Certificate.from_file(path)
    if certificate.kind is not CertificateKind.HOST:
        raise setting.place.error(f"HostCertificate {path}: it is a user's certificate, not a host's")
    for number, key in enumerate(keys):
        if isinstance(key, PrivateKey) and key.public_key == certificate.public_key:
            keys[number] = CertifiedKey(key, certificate)
            return
    raise setting.place.error(f"HostCertificate {path}: it is for none of the host keys, or another one is for the same key")
