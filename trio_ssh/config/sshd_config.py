"""The server's configuration: a part of sshd_config(5), with the place of every value."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property

import attrs

from .. import Algorithms
from .algorithm_list import algorithm_list
from .lines import Path, file_lines, option_lines, text_lines
from .settings import Keyword, Section, Settings, parse_sections, settings_of, table_of
from .values import (
    ListenAddress,
    LogLevel,
    RekeyLimit,
    Subsystem,
    environment_patterns,
    listen_address,
    listening_port,
    log_level,
    one,
    one_more,
    path_or_none,
    paths,
    rekey_limit,
    seconds_or_none,
    subsystem,
    text,
    whole_number,
    yes_no,
)

_SUPPORTED = Algorithms()  # all that there is, is on by default
_COUNT_MAX = 2**31 - 1

PORT: Keyword[tuple[int, ...]] = Keyword("Port", one_more(listening_port), (22,), accumulates=True)
LISTEN_ADDRESS: Keyword[tuple[ListenAddress, ...]] = Keyword("ListenAddress", one_more(listen_address), (), accumulates=True)
HOST_KEY: Keyword[tuple[str, ...]] = Keyword("HostKey", one_more(text), (), accumulates=True)
AUTHORIZED_KEYS_FILE: Keyword[tuple[str, ...]] = Keyword("AuthorizedKeysFile", paths, (".ssh/authorized_keys", ".ssh/authorized_keys2"))
STRICT_MODES = Keyword("StrictModes", one(yes_no), True)
PASSWORD_AUTHENTICATION = Keyword("PasswordAuthentication", one(yes_no), False)
PUBKEY_AUTHENTICATION = Keyword("PubkeyAuthentication", one(yes_no), True)
ACCEPT_ENV: Keyword[tuple[str, ...]] = Keyword("AcceptEnv", environment_patterns, (), accumulates=True)
SUBSYSTEM: Keyword[tuple[Subsystem, ...]] = Keyword("Subsystem", subsystem, (), accumulates=True)
PID_FILE: Keyword[str | None] = Keyword("PidFile", one(path_or_none), None)
REKEY_LIMIT = Keyword("RekeyLimit", rekey_limit, RekeyLimit())
LOG_LEVEL = Keyword("LogLevel", one(log_level), LogLevel.INFO)
CIPHERS = Keyword("Ciphers", one(algorithm_list("cipher", _SUPPORTED.ciphers, _SUPPORTED.ciphers)), _SUPPORTED.ciphers)
MACS = Keyword("MACs", one(algorithm_list("MAC", _SUPPORTED.macs, _SUPPORTED.macs)), _SUPPORTED.macs)
KEX_ALGORITHMS = Keyword("KexAlgorithms", one(algorithm_list("key exchange method", _SUPPORTED.kex, _SUPPORTED.kex)), _SUPPORTED.kex)
PERMIT_TTY = Keyword("PermitTTY", one(yes_no), True)
MAX_AUTH_TRIES = Keyword("MaxAuthTries", one(whole_number(1, _COUNT_MAX)), 6)
LOGIN_GRACE_TIME: Keyword[int | None] = Keyword("LoginGraceTime", one(seconds_or_none), 120)
MAX_SESSIONS = Keyword("MaxSessions", one(whole_number(0, _COUNT_MAX)), 10)

TABLE = table_of(
    PORT,
    LISTEN_ADDRESS,
    HOST_KEY,
    AUTHORIZED_KEYS_FILE,
    STRICT_MODES,
    PASSWORD_AUTHENTICATION,
    PUBKEY_AUTHENTICATION,
    ACCEPT_ENV,
    SUBSYSTEM,
    PID_FILE,
    REKEY_LIMIT,
    LOG_LEVEL,
    CIPHERS,
    MACS,
    KEX_ALGORITHMS,
    PERMIT_TTY,
    MAX_AUTH_TRIES,
    LOGIN_GRACE_TIME,
    MAX_SESSIONS,
)


@attrs.frozen
class SSHDConfig:
    """Sections of settings, most important first."""

    sections: tuple[Section, ...] = ()

    @classmethod
    def from_file(cls, path: Path) -> SSHDConfig:
        """Read a file. Raises `ConfigError` that names the file and, where it has one, the line."""
        return cls(parse_sections(file_lines(os.path.expanduser(path)), TABLE, {}))

    @classmethod
    def from_text(cls, content: str, path: str = "text") -> SSHDConfig:
        """Parse text; `path` is only named in errors. Raises `ConfigError`."""
        return cls(parse_sections(text_lines(content, path), TABLE, {}))

    @classmethod
    def from_options(cls, options: Iterable[str]) -> SSHDConfig:
        """Parse options, each ``Keyword=value`` or ``Keyword value``. Raises `ConfigError`."""
        return cls(parse_sections(option_lines(options), TABLE, {}))

    def followed_by(self, other: SSHDConfig) -> SSHDConfig:
        """These settings, and `other`'s where these say nothing."""
        return SSHDConfig(self.sections + other.sections)

    @cached_property
    def settings(self) -> Settings:
        """What holds for every connection."""
        return settings_of(self.sections, TABLE)
