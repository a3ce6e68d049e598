"""The client's configuration: a part of ssh_config(5), with the place of every value.

config = SSHConfig.from_options(["Port=2222"]).followed_by(SSHConfig.from_file("~/.ssh/config"))
settings = config.for_host("build.example")
settings[PORT]              # 2222
settings.places(PORT)       # (command line,)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import attrs

from .. import Algorithms, Role
from .algorithm_list import algorithm_list
from .lines import Path, file_lines, option_lines, text_lines
from .settings import Keyword, Section, Settings, parse_sections, settings_of, table_of
from .values import (
    HostPatterns,
    LogLevel,
    RekeyLimit,
    StrictHostKeyChecking,
    log_level,
    one,
    one_more,
    paths,
    port,
    rekey_limit,
    seconds_or_none,
    strict_host_key_checking,
    text,
    whole_number,
    yes_no,
)

_USUAL = Algorithms()
# Stricter than the library: what only peers from before 2014 and a few libraries need is there when it is asked for, with "+name".
_USUAL_MACS = tuple(name for name in _USUAL.macs if name.endswith("-etm@openssh.com"))
_USUAL_KEX = tuple(name for name in _USUAL.kex_for(Role.CLIENT) if name != "diffie-hellman-group14-sha256")

USER: Keyword[str | None] = Keyword("User", one(text), None)
PORT: Keyword[int] = Keyword("Port", one(port), 22)
HOST_NAME: Keyword[str | None] = Keyword("HostName", one(text), None)
IDENTITY_FILE: Keyword[tuple[str, ...]] = Keyword("IdentityFile", one_more(text), (), accumulates=True)
USER_KNOWN_HOSTS_FILE: Keyword[tuple[str, ...]] = Keyword("UserKnownHostsFile", paths, ("~/.ssh/known_hosts", "~/.ssh/known_hosts2"))
GLOBAL_KNOWN_HOSTS_FILE: Keyword[tuple[str, ...]] = Keyword(
    "GlobalKnownHostsFile", paths, ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
)
STRICT_HOST_KEY_CHECKING = Keyword("StrictHostKeyChecking", one(strict_host_key_checking), StrictHostKeyChecking.ASK)
CIPHERS = Keyword("Ciphers", one(algorithm_list("cipher", lambda a: a.ciphers, _USUAL.ciphers)), _USUAL.ciphers)
MACS = Keyword("MACs", one(algorithm_list("MAC", lambda a: a.macs, _USUAL_MACS)), _USUAL_MACS)
KEX_ALGORITHMS = Keyword("KexAlgorithms", one(algorithm_list("key exchange method", lambda a: a.kex or (), _USUAL_KEX)), _USUAL_KEX)
HOST_KEY_ALGORITHMS = Keyword(
    "HostKeyAlgorithms", one(algorithm_list("host key algorithm", lambda a: a.host_keys, _USUAL.host_keys)), _USUAL.host_keys
)
PUBKEY_ACCEPTED_ALGORITHMS = Keyword(
    "PubkeyAcceptedAlgorithms", one(algorithm_list("signature algorithm", lambda a: a.signatures, _USUAL.signatures)), _USUAL.signatures
)
COMPRESSION = Keyword("Compression", one(yes_no), False)
REKEY_LIMIT = Keyword("RekeyLimit", rekey_limit, RekeyLimit())
BATCH_MODE = Keyword("BatchMode", one(yes_no), False)
LOG_LEVEL = Keyword("LogLevel", one(log_level), LogLevel.INFO)
CONNECT_TIMEOUT: Keyword[int | None] = Keyword("ConnectTimeout", one(seconds_or_none), None)
SERVER_ALIVE_INTERVAL: Keyword[int | None] = Keyword("ServerAliveInterval", one(seconds_or_none), None)
SERVER_ALIVE_COUNT_MAX = Keyword("ServerAliveCountMax", one(whole_number(1, 2**31 - 1)), 3)

TABLE = table_of(
    USER,
    PORT,
    HOST_NAME,
    IDENTITY_FILE,
    USER_KNOWN_HOSTS_FILE,
    GLOBAL_KNOWN_HOSTS_FILE,
    STRICT_HOST_KEY_CHECKING,
    CIPHERS,
    MACS,
    KEX_ALGORITHMS,
    HOST_KEY_ALGORITHMS,
    PUBKEY_ACCEPTED_ALGORITHMS,
    COMPRESSION,
    REKEY_LIMIT,
    BATCH_MODE,
    LOG_LEVEL,
    CONNECT_TIMEOUT,
    SERVER_ALIVE_INTERVAL,
    SERVER_ALIVE_COUNT_MAX,
)
_OPENERS = {"host": HostPatterns}


@attrs.frozen
class SSHConfig:
    """Sections of settings, most important first; reading one costs the file, `for_host` no I/O."""

    sections: tuple[Section, ...] = ()

    @classmethod
    def from_file(cls, path: Path, *, ours: bool = False) -> SSHConfig:
        """Read a file; a ``~`` at its beginning is the home. With `ours` a file that others could have written is refused.

        Raises `ConfigError` that names the file and, where it has one, the line.
        """
        return cls(parse_sections(file_lines(os.path.expanduser(path), ours=ours), TABLE, _OPENERS))

    @classmethod
    def from_text(cls, content: str, path: str = "text") -> SSHConfig:
        """Parse text; `path` is only named in errors. Raises `ConfigError`."""
        return cls(parse_sections(text_lines(content, path), TABLE, _OPENERS))

    @classmethod
    def from_options(cls, options: Iterable[str]) -> SSHConfig:
        """Parse options, each ``Keyword=value`` or ``Keyword value``. Raises `ConfigError`."""
        return cls(parse_sections(option_lines(options), TABLE, {}))

    def followed_by(self, other: SSHConfig) -> SSHConfig:
        """These settings, and `other`'s where these say nothing."""
        return SSHConfig(self.sections + other.sections)

    def for_host(self, host: str) -> Settings:
        """The settings for a host, by the name under which the user asked for it."""
        return settings_of(self.sections, TABLE, host)
