"""Where ``trio-ssh`` goes and with what: the command line and the configuration files put together."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs

from .. import KeyFileError, KnownHosts, PassphraseRequired, PrivateKey
from ..config import Settings, SSHConfig, StrictHostKeyChecking, expand_path, expand_tokens, ssh_config
from ..errors import ConfigError
from .report import log
from .ssh_arguments import Invocation, check_name, local_user

DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")


@attrs.frozen(kw_only=True)
class Destination:
    """`name` is the host as the user wrote it, `host` what it stands for."""

    name: str
    host: str
    port: int
    user: str
    settings: Settings

    def path(self, text: str, keyword: str) -> str:
        """A path with ``~`` and ``%`` tokens. Raises `ConfigError`."""
        tokens = {"d": str(Path.home()), "h": self.host, "n": self.name, "p": str(self.port), "r": self.user}
        if "%u" in text:
            tokens["u"] = local_user()
        return expand_path(text, tokens, keyword)

    @property
    def batch_mode(self) -> bool:
        """Nobody may be asked anything."""
        return self.settings[ssh_config.BATCH_MODE]

    def known_hosts(self) -> KnownHosts:
        """The files to look for the host's key; new keys go into the first. Raises `ConfigError`."""
        user = self.settings[ssh_config.USER_KNOWN_HOSTS_FILE]
        system = self.settings[ssh_config.GLOBAL_KNOWN_HOSTS_FILE]
        paths = [self.path(path, "UserKnownHostsFile") for path in user] or [os.devnull]
        return KnownHosts((*paths, *(self.path(path, "GlobalKnownHostsFile") for path in system)))

    def host_key_checking(self) -> StrictHostKeyChecking:
        """In batch mode nobody can be asked, so an unknown key is refused."""
        checking = self.settings[ssh_config.STRICT_HOST_KEY_CHECKING]
        return StrictHostKeyChecking.YES if checking is StrictHostKeyChecking.ASK and self.batch_mode else checking

    def identities(self) -> list[PrivateKey | LockedFile]:
        """Private keys to try, in order. Those that somebody named must be usable: raises `KeyFileError`, `ConfigError`.

        Of the usual files the ones that are missing or unusable are left out, the latter with a warning.
        """
        if ssh_config.IDENTITY_FILE in self.settings:
            named = [path for path in self.settings[ssh_config.IDENTITY_FILE] if path.lower() != "none"]
            return [_read_key(path) for path in dict.fromkeys(self.path(path, "IdentityFile") for path in named)]
        usual = (str(Path.home() / ".ssh" / name) for name in DEFAULT_IDENTITIES)
        return [key for path in usual if os.path.lexists(path) and (key := _read_key_if_usable(path)) is not None]


@attrs.frozen
class LockedFile:
    """A private key file that wants a passphrase."""

    path: str


def resolve(invocation: Invocation) -> Destination:
    """Read the configuration, and find out where to go. Raises `ConfigError`, `UsageError`."""
    settings = invocation.options.followed_by(_read_config(invocation.config_path)).for_host(invocation.host)
    host_name = settings[ssh_config.HOST_NAME]
    host = invocation.host if host_name is None else expand_tokens(host_name, {"h": invocation.host}, "HostName")
    check_name("host", host)
    user = settings[ssh_config.USER]
    if user is None:
        user = local_user()
    check_name("user", user)
    host = re.sub(r"^\[(.*)\]$", r"\1", host)
    return Destination(name=invocation.host, host=host.lower(), port=settings[ssh_config.PORT], user=user, settings=settings)


def _read_config(path: str | None) -> SSHConfig:
    if path is not None:
        return SSHConfig() if path.lower() == "none" else SSHConfig.from_file(path)
    try:
        usual = Path.home() / ".ssh" / "config"
    except RuntimeError:
        raise ConfigError("your home folder is not known: set HOME, or name a configuration with -F") from None
    return SSHConfig.from_file(usual, ours=True) if os.path.lexists(usual) else SSHConfig()


def _read_key(path: str) -> PrivateKey | LockedFile:
    try:
        return PrivateKey.from_file(path)
    except PassphraseRequired:
        return LockedFile(path)


def _read_key_if_usable(path: str) -> PrivateKey | LockedFile | None:
    try:
        return _read_key(path)
    except KeyFileError as error:
        log.warning("%s", error)
        return None
