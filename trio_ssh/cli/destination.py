"""Where ``trio-ssh`` goes and with what: the command line and the configuration files put together."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from .. import KnownHosts, __version__
from ..config import Query, Resolved, Settings, SSHConfig, StrictHostKeyChecking, expand_path, expand_tokens, resolve, ssh_config
from ..config.client_config import SYSTEM_FILE
from ..config.ssh_dump import settings_text
from ..config.ssh_other import ignored_text
from ..config.ssh_values import AddKeysMode, PublicKeyUse, SessionType
from ..errors import ConfigError, printable
from .agent_adding import AgentAdding, AskYesNo
from .identities import AskPassphrase, Identities, IdentityFile, certificates_beside, read_certificates
from .interfaces import local_addresses
from .options import UsageError
from .report import log
from .ssh_arguments import Invocation, check_name, local_user

VERSION = f"trio_ssh_{__version__}"
_NAMES_OF_AGENTS = ("none", "SSH_AUTH_SOCK")


@attrs.frozen(kw_only=True)
class Destination:
    """`name` is the host as the user wrote it, `host` what it stands for."""

    name: str
    host: str
    resolved: Resolved

    @property
    def settings(self) -> Settings:
        return self.resolved.settings

    @property
    def port(self) -> int:
        return self.settings[ssh_config.PORT]

    @property
    def user(self) -> str:
        return self.resolved.tokens["r"]

    def path(self, text: str, keyword: str) -> str:
        """A path with ``~``, ``%`` tokens and ``${NAME}``. Raises `ConfigError`."""
        return expand_path(text, self.resolved.tokens, keyword, os.environ)

    def expand(self, text: str, keyword: str) -> str:
        """What -G shows of a value that is expanded before it is used. Raises `ConfigError`."""
        if keyword == ssh_config.REMOTE_COMMAND.name:
            return expand_tokens(text, self.resolved.tokens, keyword)
        if keyword == ssh_config.IDENTITY_AGENT.name and _is_name_of_agent(text):
            return text
        return self.path(text, keyword)

    @property
    def batch_mode(self) -> bool:
        """Nobody may be asked anything."""
        return self.settings[ssh_config.BATCH_MODE]

    def known_hosts(self) -> KnownHosts:
        """The files to look for the host's key; new keys go into the first. Raises `ConfigError`."""
        user = self.settings[ssh_config.USER_KNOWN_HOSTS_FILE]
        paths = [self.path(path, "UserKnownHostsFile") for path in user] or [os.devnull]
        system = self.settings[ssh_config.GLOBAL_KNOWN_HOSTS_FILE]
        return KnownHosts((*paths, *system), hash_hosts=self.settings[ssh_config.HASH_KNOWN_HOSTS])

    def revoked_keys(self) -> str | None:
        """The file of keys that no server may have. Raises `ConfigError`."""
        path = self.settings[ssh_config.REVOKED_HOST_KEYS]
        return None if path is None else self.path(path, "RevokedHostKeys")

    def host_key_checking(self) -> StrictHostKeyChecking:
        """In batch mode nobody can be asked, so an unknown key is refused."""
        checking = self.settings[ssh_config.STRICT_HOST_KEY_CHECKING]
        return StrictHostKeyChecking.YES if checking is StrictHostKeyChecking.ASK and self.batch_mode else checking

    def identities(self, ask_passphrase: AskPassphrase | None, confirm: AskYesNo) -> Identities:
        """The keys to try; `confirm` is asked for AddKeysToAgent=ask. Raises `ConfigError`."""
        settings = self.settings
        wanted, agent = settings[ssh_config.ADD_KEYS_TO_AGENT], self._agent()
        adding = None if wanted.mode is AddKeysMode.NO else AgentAdding(wanted, agent, ask_passphrase, confirm)
        files = self._identity_files()
        named = [self.path(path, "CertificateFile") for path in ssh_config.certificate_files(settings) if path.lower() != "none"]
        return Identities(
            files=files,
            certificates=read_certificates(named),
            beside={} if named else certificates_beside(files),
            agent=agent,
            only=settings[ssh_config.IDENTITIES_ONLY],
            rsa_bits=settings[ssh_config.REQUIRED_RSA_SIZE],
            ask_passphrase=ask_passphrase,
            adding=adding,
        )

    def _identity_files(self) -> tuple[IdentityFile, ...]:
        """Those that are named, or the usual ones. One of the command line must be usable; of others not every machine has all."""
        settings = self.settings
        if ssh_config.IDENTITY_FILE not in settings:
            return tuple(IdentityFile(self.path(path, "IdentityFile")) for path in ssh_config.USUAL_IDENTITY_FILES)
        on_command_line = {
            setting.words[0] for setting in settings if setting.name == ssh_config.IDENTITY_FILE.name and setting.place.path is None
        }
        found = {
            self.path(path, "IdentityFile"): path in on_command_line
            for path in reversed(ssh_config.identity_files(settings))
            if path.lower() != "none"
        }
        return tuple(IdentityFile(path, required) for path, required in reversed(found.items()))

    def _agent(self) -> str | None:
        setting = self.settings[ssh_config.IDENTITY_AGENT]
        return setting if setting is None or _is_name_of_agent(setting) else self.path(setting, "IdentityAgent")

    def remote_command(self, invocation: Invocation) -> str:
        """The command to run, "" for a shell. Raises `ConfigError`, `UsageError`."""
        configured = self.settings[ssh_config.REMOTE_COMMAND]
        if configured is None:
            return invocation.command
        if invocation.command:
            place = self.settings.places(ssh_config.REMOTE_COMMAND)[0]
            raise UsageError(f"a command stands behind the host, and another in {place} (RemoteCommand): leave one of them out")
        return expand_tokens(configured, self.resolved.tokens, "RemoteCommand")

    def environ(self) -> dict[str, str]:
        """The variables to send: of ours those that SendEnv names, then SetEnv's."""
        return ssh_config.environment(self.settings, os.environ)

    def settings_text(self) -> str:
        """What -G prints. Raises `ConfigError`."""
        return settings_text(self.resolved, self.name, self.expand)


def _is_name_of_agent(text: str) -> bool:
    return text in _NAMES_OF_AGENTS or (text.startswith("$") and not text.startswith("${"))


async def find(invocation: Invocation) -> Destination:
    """Read the configuration, and find out where to go. Raises `ConfigError`, `UsageError`."""
    config = invocation.options
    for part in _read_files(invocation.config_path):
        config = config.followed_by(part)
    resolved = await resolve(config, _query(invocation), run=_run_in_shell, look_up=_look_up)
    if text := ignored_text(resolved.ignored):
        log.warning("%s", text)
    for setting in resolved.settings:
        log.debug("%s: set by %s", setting.name, setting.place)
    _check_settings(resolved.settings)
    host = re.sub(r"^\[(.*)\]$", r"\1", resolved.host)
    check_name("host", host)
    check_name("user", resolved.tokens["r"] or local_user())
    return Destination(name=invocation.host, host=host, resolved=resolved)


def _query(invocation: Invocation) -> Query:
    chosen = invocation.options.for_host(invocation.host)[ssh_config.SESSION_TYPE]
    usual = "exec" if invocation.command else "shell"
    kind = usual if chosen is SessionType.DEFAULT else chosen.value
    return Query(host=invocation.host, command=invocation.command, session_type=kind, version=VERSION, addresses=local_addresses)


def _check_settings(settings: Settings) -> None:
    """Values of keywords that are honoured which are not. Raises `ConfigError`."""
    if (message := settings[ssh_config.REFUSE_CONNECTION]) is not None:
        raise settings.places(ssh_config.REFUSE_CONNECTION)[0].error(f"the connection is refused: {printable(message)}")
    for keyword, refused in _REFUSED_VALUES.items():
        if settings[keyword] in refused:
            place = settings.places(keyword)[0]
            raise place.error(f"{keyword.name}: the value '{printable(' '.join(_words(settings, keyword)))}' is not supported")


def _words(settings: Settings, keyword: object) -> Sequence[str]:
    return next(setting.words for setting in settings if setting.name == getattr(keyword, "name", ""))


_REFUSED_VALUES = {
    ssh_config.CHECK_HOST_IP: (True,),
    ssh_config.PUBKEY_AUTHENTICATION: (PublicKeyUse.UNBOUND,),
}


def _read_files(path: str | None) -> list[SSHConfig]:
    """The user's file and the system's, or the one that is named."""
    if path is not None:
        return [] if path.lower() == "none" else [SSHConfig.from_file(path)]
    try:
        usual = Path.home() / ".ssh" / "config"
    except RuntimeError:
        raise ConfigError("your home folder is not known: set HOME, or name a configuration with -F") from None
    files = [SSHConfig.from_file(usual, ours=True)] if os.path.lexists(usual) else []
    return [*files, SSHConfig.from_file(SYSTEM_FILE, system=True)] if os.path.lexists(SYSTEM_FILE) else files


async def _run_in_shell(command: str) -> bool:
    """``Match exec``: the user's shell, which sees the command as it stands in the configuration, its tokens put in."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    log.debug("running %s", command)
    try:
        result = await trio.run_process([shell, "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"Match: exec: {printable(shell)} cannot be run: {error}") from None
    if result.returncode < 0:
        raise ConfigError(f"Match: exec '{printable(command, 200)}': it was ended by signal {-result.returncode}")
    return result.returncode == 0


async def _look_up(name: str) -> str | None:
    """Through the system's resolver."""
    try:
        found = await trio.socket.getaddrinfo(name, None, type=trio.socket.SOCK_STREAM, flags=trio.socket.AI_CANONNAME)
    except (OSError, UnicodeError):
        return None
    return str(found[0][3]).lower()
