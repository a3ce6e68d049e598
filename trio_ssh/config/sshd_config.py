"""The server's configuration: a part of sshd_config(5), with the place of every value."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property

import attrs

from .. import Algorithms, Role
from .admission_values import (
    MaxStartups,
    NetBlockSize,
    Penalty,
    address_list,
    count_or_none,
    max_startups,
    net_block_size,
    penalties,
)
from .algorithm_list import algorithm_list
from .lines import Path, file_lines, option_lines, text_lines
from .settings import Keyword, Section, Settings, parse_sections, settings_of, table_of
from .values import (
    ListenAddress,
    LogLevel,
    RekeyLimit,
    Subsystem,
    choice,
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

_USUAL = Algorithms()
# Stricter than the library: what only peers from before 2014 and a few libraries need is there when it is asked for, with "+name".
_USUAL_MACS = tuple(name for name in _USUAL.macs if name.endswith("-etm@openssh.com"))
_USUAL_KEX = _USUAL.kex_for(Role.SERVER)
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
CIPHERS = Keyword("Ciphers", one(algorithm_list("cipher", lambda a: a.ciphers, _USUAL.ciphers)), _USUAL.ciphers)
MACS = Keyword("MACs", one(algorithm_list("MAC", lambda a: a.macs, _USUAL_MACS)), _USUAL_MACS)
KEX_ALGORITHMS = Keyword("KexAlgorithms", one(algorithm_list("key exchange method", lambda a: a.kex or (), _USUAL_KEX)), _USUAL_KEX)
HOST_KEY_ALGORITHMS = Keyword(
    "HostKeyAlgorithms", one(algorithm_list("host key algorithm", lambda a: a.host_keys, _USUAL.host_keys)), _USUAL.host_keys
)
PUBKEY_ACCEPTED_ALGORITHMS = Keyword(
    "PubkeyAcceptedAlgorithms", one(algorithm_list("signature algorithm", lambda a: a.signatures, _USUAL.signatures)), _USUAL.signatures
)
COMPRESSION = Keyword("Compression", one(choice({"yes": True, "delayed": True, "no": False}, "yes, delayed or no")), True)
MODULI_FILE: Keyword[str | None] = Keyword("ModuliFile", one(path_or_none), "/etc/ssh/moduli")
PERMIT_TTY = Keyword("PermitTTY", one(yes_no), True)
MAX_AUTH_TRIES = Keyword("MaxAuthTries", one(whole_number(1, _COUNT_MAX)), 6)
LOGIN_GRACE_TIME: Keyword[int | None] = Keyword("LoginGraceTime", one(seconds_or_none), 120)
MAX_SESSIONS = Keyword("MaxSessions", one(whole_number(0, _COUNT_MAX)), 10)
MAX_STARTUPS = Keyword("MaxStartups", one(max_startups), MaxStartups())
# Here OpenSSH's defaults are none and 32:128, which leave a single source all the places there are.
PER_SOURCE_MAX_STARTUPS: Keyword[int | None] = Keyword("PerSourceMaxStartups", one(count_or_none), 10)
PER_SOURCE_NET_BLOCK_SIZE = Keyword("PerSourceNetBlockSize", one(net_block_size), NetBlockSize())
PER_SOURCE_PENALTIES: Keyword[tuple[Penalty, ...]] = Keyword("PerSourcePenalties", penalties, (), accumulates=True)
PER_SOURCE_PENALTY_EXEMPT_LIST: Keyword[tuple[str, ...]] = Keyword("PerSourcePenaltyExemptList", one(address_list), ())

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
    HOST_KEY_ALGORITHMS,
    PUBKEY_ACCEPTED_ALGORITHMS,
    COMPRESSION,
    MODULI_FILE,
    PERMIT_TTY,
    MAX_AUTH_TRIES,
    LOGIN_GRACE_TIME,
    MAX_SESSIONS,
    MAX_STARTUPS,
    PER_SOURCE_MAX_STARTUPS,
    PER_SOURCE_NET_BLOCK_SIZE,
    PER_SOURCE_PENALTIES,
    PER_SOURCE_PENALTY_EXEMPT_LIST,
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
