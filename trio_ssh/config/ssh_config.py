"""The client's configuration, ssh_config(5): its keywords, each the key to its value (`settings[PORT]`), and what they mean.

Keywords that are known, but not honoured, stand in `ssh_other`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import Algorithms, Role
from ..wire.patterns import compile_pattern_list, matches_pattern
from .algorithm_list import algorithm_list
from .settings import Keyword, Settings, Table, table_of
from .ssh_values import (
    AddKeys,
    AddressFamily,
    Canonicalize,
    CNAMERule,
    PublicKeyUse,
    ServiceClass,
    SessionType,
    TerminalRequest,
    UpdateHostKeys,
    Variable,
    add_keys_to_agent,
    address_family,
    canonicalize,
    comma_list,
    count,
    domains,
    escape_character,
    facility,
    fingerprint_hash,
    pattern_list,
    permitted_cnames,
    public_key_use,
    rsa_bits,
    sent_variables,
    service_class,
    session_type,
    set_variables,
    terminal_request,
    text_or_none,
    time_or_none,
    update_host_keys,
)
from .values import (
    LogLevel,
    RekeyLimit,
    StrictHostKeyChecking,
    log_level,
    one,
    one_more,
    path_or_none,
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
_COUNT_MAX = 2**31 - 1

# -- where to ---------------------------------------------------------------------------------------------------------------------
USER: Keyword[str | None] = Keyword("User", one(text), None)
PORT: Keyword[int] = Keyword("Port", one(port), 22)
HOST_NAME: Keyword[str | None] = Keyword("HostName", one(text), None)
TAG: Keyword[str | None] = Keyword("Tag", one(text), None)
REFUSE_CONNECTION: Keyword[str | None] = Keyword("RefuseConnection", one(text), None)
ADDRESS_FAMILY = Keyword("AddressFamily", one(address_family), AddressFamily.ANY)
BIND_ADDRESS: Keyword[str | None] = Keyword("BindAddress", one(text), None)
BIND_INTERFACE: Keyword[str | None] = Keyword("BindInterface", one(text), None)
CONNECT_TIMEOUT: Keyword[int | None] = Keyword("ConnectTimeout", one(time_or_none), None)
CONNECTION_ATTEMPTS = Keyword("ConnectionAttempts", one(whole_number(1, _COUNT_MAX)), 1)
TCP_KEEP_ALIVE = Keyword("TCPKeepAlive", one(yes_no), True)
IP_QOS = Keyword("IPQoS", service_class, ServiceClass())
CANONICALIZE_HOSTNAME = Keyword("CanonicalizeHostname", one(canonicalize), Canonicalize.NO)
CANONICAL_DOMAINS: Keyword[tuple[str, ...]] = Keyword("CanonicalDomains", domains, ())
CANONICALIZE_MAX_DOTS = Keyword("CanonicalizeMaxDots", one(count), 1)
CANONICALIZE_FALLBACK_LOCAL = Keyword("CanonicalizeFallbackLocal", one(yes_no), True)
CANONICALIZE_PERMITTED_CNAMES: Keyword[tuple[CNAMERule, ...]] = Keyword("CanonicalizePermittedCNAMEs", permitted_cnames, ())

# -- who we are -------------------------------------------------------------------------------------------------------------------
IDENTITY_FILE: Keyword[tuple[str, ...]] = Keyword("IdentityFile", one_more(text), (), accumulates=True)
CERTIFICATE_FILE: Keyword[tuple[str, ...]] = Keyword("CertificateFile", one_more(text), (), accumulates=True)
IDENTITIES_ONLY = Keyword("IdentitiesOnly", one(yes_no), False)
IDENTITY_AGENT: Keyword[str | None] = Keyword("IdentityAgent", one(text), None)
ADD_KEYS_TO_AGENT = Keyword("AddKeysToAgent", add_keys_to_agent, AddKeys())
PREFERRED_AUTHENTICATIONS: Keyword[tuple[str, ...] | None] = Keyword("PreferredAuthentications", one(comma_list), None)
PUBKEY_AUTHENTICATION = Keyword("PubkeyAuthentication", one(public_key_use), PublicKeyUse.YES)
PASSWORD_AUTHENTICATION = Keyword("PasswordAuthentication", one(yes_no), True)
KBD_INTERACTIVE_AUTHENTICATION = Keyword("KbdInteractiveAuthentication", one(yes_no), True)
KBD_INTERACTIVE_DEVICES: Keyword[tuple[str, ...] | None] = Keyword("KbdInteractiveDevices", one(comma_list), None)
NUMBER_OF_PASSWORD_PROMPTS = Keyword("NumberOfPasswordPrompts", one(count), 3)
BATCH_MODE = Keyword("BatchMode", one(yes_no), False)

# -- who the server is ------------------------------------------------------------------------------------------------------------
USER_KNOWN_HOSTS_FILE: Keyword[tuple[str, ...]] = Keyword("UserKnownHostsFile", paths, ("~/.ssh/known_hosts", "~/.ssh/known_hosts2"))
GLOBAL_KNOWN_HOSTS_FILE: Keyword[tuple[str, ...]] = Keyword(
    "GlobalKnownHostsFile", paths, ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
)
STRICT_HOST_KEY_CHECKING = Keyword("StrictHostKeyChecking", one(strict_host_key_checking), StrictHostKeyChecking.ASK)
HOST_KEY_ALIAS: Keyword[str | None] = Keyword("HostKeyAlias", one(text), None)
HASH_KNOWN_HOSTS = Keyword("HashKnownHosts", one(yes_no), False)
CHECK_HOST_IP = Keyword("CheckHostIP", one(yes_no), False)
NO_HOST_AUTHENTICATION_FOR_LOCALHOST = Keyword("NoHostAuthenticationForLocalhost", one(yes_no), False)
REVOKED_HOST_KEYS: Keyword[str | None] = Keyword("RevokedHostKeys", one(path_or_none), None)
UPDATE_HOST_KEYS: Keyword[UpdateHostKeys | None] = Keyword("UpdateHostKeys", one(update_host_keys), None)
VISUAL_HOST_KEY = Keyword("VisualHostKey", one(yes_no), False)
FINGERPRINT_HASH = Keyword("FingerprintHash", one(fingerprint_hash), "sha256")
REQUIRED_RSA_SIZE = Keyword("RequiredRSASize", one(rsa_bits), 1024)

# -- algorithms -------------------------------------------------------------------------------------------------------------------
_PLAIN = tuple(name for name in _USUAL.signatures if "-cert-v0" not in name)
_Lists = tuple[str, Callable[[Algorithms], tuple[str, ...]], tuple[str, ...]]
_LISTS: dict[str, _Lists] = {
    "Ciphers": ("cipher", lambda a: a.ciphers, _USUAL.ciphers),
    "MACs": ("MAC", lambda a: a.macs, _USUAL_MACS),
    "KexAlgorithms": ("key exchange method", lambda a: a.kex or (), _USUAL_KEX),
    "HostKeyAlgorithms": ("host key algorithm", lambda a: a.host_keys, _USUAL.host_keys),
    "PubkeyAcceptedAlgorithms": ("signature algorithm", lambda a: a.signatures, _USUAL.signatures),
    "CASignatureAlgorithms": ("signature algorithm", lambda a: a.signatures, _PLAIN),
}


def _list(name: str, *, lenient: bool = False) -> Keyword[tuple[str, ...]]:
    return Keyword(name, one(algorithm_list(*_LISTS[name], lenient=lenient)), _LISTS[name][2])


CIPHERS = _list("Ciphers")
MACS = _list("MACs")
KEX_ALGORITHMS = _list("KexAlgorithms")
HOST_KEY_ALGORITHMS = _list("HostKeyAlgorithms")
PUBKEY_ACCEPTED_ALGORITHMS = _list("PubkeyAcceptedAlgorithms")
CA_SIGNATURE_ALGORITHMS = _list("CASignatureAlgorithms")
COMPRESSION = Keyword("Compression", one(yes_no), False)
REKEY_LIMIT = Keyword("RekeyLimit", rekey_limit, RekeyLimit())
SERVER_ALIVE_INTERVAL: Keyword[int | None] = Keyword("ServerAliveInterval", one(seconds_or_none), None)
SERVER_ALIVE_COUNT_MAX = Keyword("ServerAliveCountMax", one(whole_number(1, _COUNT_MAX)), 3)

# -- what to do there -------------------------------------------------------------------------------------------------------------
REMOTE_COMMAND: Keyword[str | None] = Keyword("RemoteCommand", one(text_or_none), None, whole_line=True)
REQUEST_TTY = Keyword("RequestTTY", one(terminal_request), TerminalRequest.AUTO)
SESSION_TYPE = Keyword("SessionType", one(session_type), SessionType.DEFAULT)
STDIN_NULL = Keyword("StdinNull", one(yes_no), False)
ESCAPE_CHAR: Keyword[str | None] = Keyword("EscapeChar", one(escape_character), "~")
SEND_ENV: Keyword[tuple[str, ...]] = Keyword("SendEnv", sent_variables, (), accumulates=True)
SET_ENV: Keyword[tuple[Variable, ...]] = Keyword("SetEnv", set_variables, ())

# -- the tool itself --------------------------------------------------------------------------------------------------------------
LOG_LEVEL = Keyword("LogLevel", one(log_level), LogLevel.INFO)
SYSLOG_FACILITY = Keyword("SyslogFacility", one(facility), "USER")
IGNORE_UNKNOWN: Keyword[tuple[str, ...]] = Keyword("IgnoreUnknown", one(pattern_list), ())
CLEAR_ALL_FORWARDINGS = Keyword("ClearAllForwardings", one(yes_no), False)

TABLE = dict(table_of(*[value for value in list(globals().values()) if isinstance(value, Keyword)]))
TABLE |= {
    # Names that OpenSSH has kept for configurations from before they were changed.
    "challengeresponseauthentication": KBD_INTERACTIVE_AUTHENTICATION,
    "skeyauthentication": KBD_INTERACTIVE_AUTHENTICATION,
    "tisauthentication": KBD_INTERACTIVE_AUTHENTICATION,
    "dsaauthentication": PUBKEY_AUTHENTICATION,
    "keepalive": TCP_KEEP_ALIVE,
    "pubkeyacceptedkeytypes": PUBKEY_ACCEPTED_ALGORITHMS,
}
SYSTEM_TABLE: Table = {**TABLE, **{name.lower(): _list(name, lenient=True) for name in _LISTS}}
"""For the system's file, which is written for all programs: its lists may name algorithms that are not supported, beside others."""

OPTION_NAMES = tuple(keyword.name for keyword in dict.fromkeys(TABLE.values()))


USUAL_IDENTITY_FILES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""Looked for where no IdentityFile is set."""


def identity_files(settings: Settings) -> tuple[str, ...]:
    """The files that are named for private keys, each once, as they are written."""
    return tuple(dict.fromkeys(settings[IDENTITY_FILE]))


def certificate_files(settings: Settings) -> tuple[str, ...]:
    """The files that are named for certificates, each once, as they are written."""
    return tuple(dict.fromkeys(settings[CERTIFICATE_FILE]))


def sent_names(settings: Settings) -> tuple[str, ...]:
    """Patterns of the variables to send: what was named and not taken away again."""
    names: list[str] = []
    for word in settings[SEND_ENV]:
        if word.startswith("-"):
            names = [name for name in names if not matches_pattern(name, word[1:])]
        else:
            names.append(word)
    return tuple(names)


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to send: of `environ` those that SendEnv names, then SetEnv's."""
    patterns = compile_pattern_list(sent_names(settings))
    sent = {name: value for name, value in environ.items() if patterns.matches(name)}
    return {**sent, **{variable.name: variable.value for variable in settings[SET_ENV]}}


def updates_host_keys(settings: Settings) -> UpdateHostKeys:
    """Where nothing is said: yes, unless the user has files of their own for known hosts (ssh_config(5))."""
    chosen = settings[UPDATE_HOST_KEYS]
    if chosen is not None:
        return chosen
    usual = USER_KNOWN_HOSTS_FILE not in settings or settings[USER_KNOWN_HOSTS_FILE] == USER_KNOWN_HOSTS_FILE.default[:1]
    return UpdateHostKeys.YES if usual else UpdateHostKeys.NO
