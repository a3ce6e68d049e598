"""The server's configuration: sshd_config(5), as far as it is supported, with the place of every value.

config = SSHDConfig.from_options(["Port=2222"]).followed_by(SSHDConfig.from_file("sshd_config"))
config.settings[PORT]                                                 # what holds for everybody
config.for_subject(Subject(user="ada", address="192.0.2.7"))[BANNER]  # Match blocks included, which stand above the rest
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any

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
from .include import Includer
from .lines import Line, Path, option_lines, text_lines
from .settings import Keyword, Section, Setting, Settings, parse_sections, table_of
from .ssh_values import AddressFamily, address_family
from .sshd_match import Placed, Subject, check_places, open_match, placed_settings, settings_for
from .sshd_other import OtherLines
from .sshd_words import (
    Chain,
    GroupPattern,
    KeyDemands,
    RootLogin,
    UserPattern,
    VariablePatterns,
    authentication_methods,
    command_or_none,
    file_name,
    file_name_or_none,
    fingerprint_hash,
    group_patterns,
    key_demands,
    program_or_none,
    root_login,
    service_name,
    syslog_facility,
    user_environment,
    user_patterns,
    variables,
)
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
    seconds,
    seconds_or_none,
    subsystem,
    whole_number,
    yes_no,
)

_USUAL = Algorithms()
# Stricter than the library: what only peers from before 2014 and a few libraries need is there when it is asked for, with "+name".
_USUAL_MACS = tuple(name for name in _USUAL.macs if name.endswith("-etm@openssh.com"))
_USUAL_KEX = _USUAL.kex_for(Role.SERVER)
_COUNT_MAX = 2**31 - 1
_CERTIFIED = tuple(name for name in _USUAL.signatures if "-cert-v" in name)
_USUAL_HOST_KEYS = tuple(dict.fromkeys((*_CERTIFIED, *_USUAL.host_keys)))
_USUAL_AUTHORITIES = tuple(name for name in _USUAL.signatures if name not in _CERTIFIED)
RSA_BITS_MIN = 2048


def _plain_signatures(algorithms: Algorithms) -> tuple[str, ...]:
    return tuple(name for name in algorithms.signatures if "-cert-v" not in name)


PORT: Keyword[tuple[int, ...]] = Keyword("Port", one_more(listening_port), (22,), accumulates=True)
ADDRESS_FAMILY = Keyword("AddressFamily", one(address_family), AddressFamily.ANY)
LISTEN_ADDRESS: Keyword[tuple[ListenAddress, ...]] = Keyword("ListenAddress", one_more(listen_address), (), accumulates=True)
HOST_KEY: Keyword[tuple[str, ...]] = Keyword("HostKey", one_more(file_name), (), accumulates=True)
HOST_CERTIFICATE: Keyword[tuple[str, ...]] = Keyword("HostCertificate", one_more(file_name), (), accumulates=True)
USE_PAM = Keyword("UsePAM", one(yes_no), False)
PAM_SERVICE_NAME = Keyword("PAMServiceName", one(service_name), "sshd")
STRICT_MODES = Keyword("StrictModes", one(yes_no), True)
PASSWORD_AUTHENTICATION = Keyword("PasswordAuthentication", one(yes_no), True)
KBD_INTERACTIVE_AUTHENTICATION = Keyword("KbdInteractiveAuthentication", one(yes_no), True)
PUBKEY_AUTHENTICATION = Keyword("PubkeyAuthentication", one(yes_no), True)
PUBKEY_AUTH_OPTIONS = Keyword("PubkeyAuthOptions", key_demands, KeyDemands())
PERMIT_EMPTY_PASSWORDS = Keyword("PermitEmptyPasswords", one(yes_no), False)
PERMIT_ROOT_LOGIN = Keyword("PermitRootLogin", one(root_login), RootLogin.PROHIBIT_PASSWORD)
AUTHENTICATION_METHODS: Keyword[tuple[Chain, ...]] = Keyword("AuthenticationMethods", authentication_methods, ())
AUTHORIZED_KEYS_FILE: Keyword[tuple[str, ...]] = Keyword("AuthorizedKeysFile", paths, (".ssh/authorized_keys", ".ssh/authorized_keys2"))
AUTHORIZED_KEYS_COMMAND: Keyword[str | None] = Keyword("AuthorizedKeysCommand", one(program_or_none), None, whole_line=True)
AUTHORIZED_KEYS_COMMAND_USER: Keyword[str | None] = Keyword("AuthorizedKeysCommandUser", one(path_or_none), None)
AUTHORIZED_PRINCIPALS_FILE: Keyword[str | None] = Keyword("AuthorizedPrincipalsFile", one(path_or_none), None)
AUTHORIZED_PRINCIPALS_COMMAND: Keyword[str | None] = Keyword("AuthorizedPrincipalsCommand", one(program_or_none), None, whole_line=True)
AUTHORIZED_PRINCIPALS_COMMAND_USER: Keyword[str | None] = Keyword("AuthorizedPrincipalsCommandUser", one(path_or_none), None)
TRUSTED_USER_CA_KEYS: Keyword[str | None] = Keyword("TrustedUserCAKeys", one(file_name_or_none), None)
REVOKED_KEYS: Keyword[str | None] = Keyword("RevokedKeys", one(file_name_or_none), None)
ALLOW_USERS: Keyword[tuple[UserPattern, ...]] = Keyword("AllowUsers", user_patterns, (), accumulates=True)
DENY_USERS: Keyword[tuple[UserPattern, ...]] = Keyword("DenyUsers", user_patterns, (), accumulates=True)
ALLOW_GROUPS: Keyword[tuple[GroupPattern, ...]] = Keyword("AllowGroups", group_patterns, (), accumulates=True)
DENY_GROUPS: Keyword[tuple[GroupPattern, ...]] = Keyword("DenyGroups", group_patterns, (), accumulates=True)
BANNER: Keyword[str | None] = Keyword("Banner", one(file_name_or_none), None)
FORCE_COMMAND: Keyword[str | None] = Keyword("ForceCommand", one(command_or_none), None, whole_line=True)
PERMIT_TTY = Keyword("PermitTTY", one(yes_no), True)
PERMIT_USER_RC = Keyword("PermitUserRC", one(yes_no), True)
PERMIT_USER_ENVIRONMENT = Keyword("PermitUserEnvironment", one(user_environment), VariablePatterns())
ACCEPT_ENV: Keyword[tuple[str, ...]] = Keyword("AcceptEnv", environment_patterns, (), accumulates=True)
SET_ENV: Keyword[tuple[tuple[str, str], ...]] = Keyword("SetEnv", variables, ())
SUBSYSTEM: Keyword[tuple[Subsystem, ...]] = Keyword("Subsystem", subsystem, (), accumulates=True)
PID_FILE: Keyword[str | None] = Keyword("PidFile", one(file_name_or_none), None)
REKEY_LIMIT = Keyword("RekeyLimit", rekey_limit, RekeyLimit())
LOG_LEVEL = Keyword("LogLevel", one(log_level), LogLevel.INFO)
SYSLOG_FACILITY = Keyword("SyslogFacility", one(syslog_facility), "AUTH")
FINGERPRINT_HASH = Keyword("FingerprintHash", one(fingerprint_hash), "SHA256")
CIPHERS = Keyword("Ciphers", one(algorithm_list("cipher", lambda a: a.ciphers, _USUAL.ciphers)), _USUAL.ciphers)
MACS = Keyword("MACs", one(algorithm_list("MAC", lambda a: a.macs, _USUAL_MACS)), _USUAL_MACS)
KEX_ALGORITHMS = Keyword("KexAlgorithms", one(algorithm_list("key exchange method", lambda a: a.kex or (), _USUAL_KEX)), _USUAL_KEX)
HOST_KEY_ALGORITHMS = Keyword(
    "HostKeyAlgorithms", one(algorithm_list("host key algorithm", lambda a: a.host_keys, _USUAL_HOST_KEYS)), _USUAL_HOST_KEYS
)
PUBKEY_ACCEPTED_ALGORITHMS = Keyword(
    "PubkeyAcceptedAlgorithms", one(algorithm_list("signature algorithm", lambda a: a.signatures, _USUAL.signatures)), _USUAL.signatures
)
CA_SIGNATURE_ALGORITHMS = Keyword(
    "CASignatureAlgorithms", one(algorithm_list("signature algorithm", _plain_signatures, _USUAL_AUTHORITIES)), _USUAL_AUTHORITIES
)
REQUIRED_RSA_SIZE = Keyword("RequiredRSASize", one(whole_number(0, 16384)), RSA_BITS_MIN)
COMPRESSION = Keyword("Compression", one(choice({"yes": True, "delayed": True, "no": False}, "yes, delayed or no")), True)
MODULI_FILE: Keyword[str | None] = Keyword("ModuliFile", one(file_name_or_none), "/etc/ssh/moduli")
CLIENT_ALIVE_INTERVAL = Keyword("ClientAliveInterval", one(seconds), 0)
CLIENT_ALIVE_COUNT_MAX = Keyword("ClientAliveCountMax", one(whole_number(0, _COUNT_MAX)), 3)
TCP_KEEP_ALIVE = Keyword("TCPKeepAlive", one(yes_no), True)
USE_DNS = Keyword("UseDNS", one(yes_no), False)
MAX_AUTH_TRIES = Keyword("MaxAuthTries", one(whole_number(1, _COUNT_MAX)), 6)
LOGIN_GRACE_TIME: Keyword[int | None] = Keyword("LoginGraceTime", one(seconds_or_none), 120)
MAX_SESSIONS = Keyword("MaxSessions", one(whole_number(0, _COUNT_MAX)), 10)
MAX_STARTUPS = Keyword("MaxStartups", one(max_startups), MaxStartups())
# Here OpenSSH's defaults are none and 32:128, which leave a single source all the places there are.
PER_SOURCE_MAX_STARTUPS: Keyword[int | None] = Keyword("PerSourceMaxStartups", one(count_or_none), 10)
PER_SOURCE_NET_BLOCK_SIZE = Keyword("PerSourceNetBlockSize", one(net_block_size), NetBlockSize())
PER_SOURCE_PENALTIES: Keyword[tuple[Penalty, ...]] = Keyword("PerSourcePenalties", penalties, (), accumulates=True)
PER_SOURCE_PENALTY_EXEMPT_LIST: Keyword[tuple[str, ...]] = Keyword("PerSourcePenaltyExemptList", one(address_list), ())

IN_MATCH: tuple[Keyword[Any], ...] = (
    ACCEPT_ENV,
    ALLOW_GROUPS,
    ALLOW_USERS,
    AUTHENTICATION_METHODS,
    AUTHORIZED_KEYS_COMMAND,
    AUTHORIZED_KEYS_COMMAND_USER,
    AUTHORIZED_KEYS_FILE,
    AUTHORIZED_PRINCIPALS_COMMAND,
    AUTHORIZED_PRINCIPALS_COMMAND_USER,
    AUTHORIZED_PRINCIPALS_FILE,
    BANNER,
    CA_SIGNATURE_ALGORITHMS,
    DENY_GROUPS,
    DENY_USERS,
    FORCE_COMMAND,
    KBD_INTERACTIVE_AUTHENTICATION,
    MAX_AUTH_TRIES,
    MAX_SESSIONS,
    PASSWORD_AUTHENTICATION,
    PERMIT_EMPTY_PASSWORDS,
    PERMIT_ROOT_LOGIN,
    PERMIT_TTY,
    PERMIT_USER_RC,
    PUBKEY_ACCEPTED_ALGORITHMS,
    PUBKEY_AUTHENTICATION,
    PUBKEY_AUTH_OPTIONS,
    REVOKED_KEYS,
    SET_ENV,
    TRUSTED_USER_CA_KEYS,
)
"""What may stand in a Match block. (sshd takes ClientAlive*, LogLevel and RekeyLimit there, too; here they hold for everybody alike.)"""

_ALIASES = {
    "challengeresponseauthentication": KBD_INTERACTIVE_AUTHENTICATION,
    "skeyauthentication": KBD_INTERACTIVE_AUTHENTICATION,
    "pubkeyacceptedkeytypes": PUBKEY_ACCEPTED_ALGORITHMS,
    "authorizedkeyscommandrunas": AUTHORIZED_KEYS_COMMAND_USER,
}

TABLE = table_of(
    *IN_MATCH,
    PORT,
    ADDRESS_FAMILY,
    LISTEN_ADDRESS,
    HOST_KEY,
    HOST_CERTIFICATE,
    USE_PAM,
    PAM_SERVICE_NAME,
    STRICT_MODES,
    PERMIT_USER_ENVIRONMENT,
    SUBSYSTEM,
    PID_FILE,
    REKEY_LIMIT,
    LOG_LEVEL,
    SYSLOG_FACILITY,
    FINGERPRINT_HASH,
    CIPHERS,
    MACS,
    KEX_ALGORITHMS,
    HOST_KEY_ALGORITHMS,
    REQUIRED_RSA_SIZE,
    COMPRESSION,
    MODULI_FILE,
    CLIENT_ALIVE_INTERVAL,
    CLIENT_ALIVE_COUNT_MAX,
    TCP_KEEP_ALIVE,
    USE_DNS,
    LOGIN_GRACE_TIME,
    MAX_STARTUPS,
    PER_SOURCE_MAX_STARTUPS,
    PER_SOURCE_NET_BLOCK_SIZE,
    PER_SOURCE_PENALTIES,
    PER_SOURCE_PENALTY_EXEMPT_LIST,
)
_READ = {**TABLE, **_ALIASES}
_OPENERS = {"match": open_match}
INCLUDE_FOLDER = "/etc/ssh"
DEFAULT_HOST_KEYS = ("/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key")


@attrs.frozen
class SSHDConfig:
    """Sections of settings, most important first, and what is to be said about lines that have no effect."""

    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False)

    @classmethod
    def from_file(cls, path: Path, *, include_folder: str = INCLUDE_FOLDER) -> SSHDConfig:
        """Read a file, and what it includes; `include_folder` is where ``Include`` looks for what is not absolute.

        Raises `ConfigError` that names the file and, where it has one, the line.
        """
        others = _other_lines()
        includer = Includer(parse=partial(_parse, others), folder=include_folder, home=False, ours=False)
        return cls._of(includer.read(os.path.expanduser(path), ours=False), others)

    @classmethod
    def from_text(cls, content: str, path: str = "text") -> SSHDConfig:
        """Parse text, which can include nothing; `path` is only named in errors. Raises `ConfigError`."""
        others = _other_lines()
        return cls._of(_parse(others, text_lines(content, path), None), others)

    @classmethod
    def from_options(cls, options: Iterable[str]) -> SSHDConfig:
        """Parse options, each ``Keyword=value`` or ``Keyword value``. Raises `ConfigError`."""
        others = _other_lines()
        return cls._of(parse_sections(option_lines(options), _READ, {}, other=others.take), others)

    @classmethod
    def _of(cls, sections: tuple[Section, ...], others: OtherLines) -> SSHDConfig:
        check_places(placed_settings(sections), {keyword.name for keyword in IN_MATCH})
        return cls(sections, tuple(others.warnings))

    def followed_by(self, other: SSHDConfig) -> SSHDConfig:
        """These settings, and `other`'s where these say nothing. Match blocks of both stand above what is outside of them."""
        return SSHDConfig(self.sections + other.sections, self.warnings + other.warnings)

    @cached_property
    def settings(self) -> Settings:
        """What holds where no Match block counts: for the server as a whole."""
        return settings_for(self._placed, TABLE, None)

    def for_subject(self, subject: Subject) -> Settings:
        """What holds for one login. No I/O."""
        return settings_for(self._placed, TABLE, subject)

    def all_settings(self) -> Iterator[Setting]:
        """Every line, whether it ever counts or not."""
        return (one.setting for one in self._placed)

    @cached_property
    def _placed(self) -> tuple[Placed, ...]:
        return tuple(placed_settings(self.sections))


def _other_lines() -> OtherLines:
    return OtherLines([keyword.name for keyword in TABLE.values()])


def _parse(others: OtherLines, lines: Iterable[Line], include: Callable[[Line], Iterable[Section]] | None) -> tuple[Section, ...]:
    return parse_sections(lines, _READ, _OPENERS, include=include, other=others.take)
