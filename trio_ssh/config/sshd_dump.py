"""A server's settings as ``sshd -T`` prints them: its order, its spelling, defaults included."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from . import sshd_config as c
from .settings import Keyword, Settings
from .ssh_values import AddressFamily
from .sshd_words import KeyDemands
from .values import ListenAddress, LogLevel

Show: TypeAlias = Callable[[Any], Iterable[str]]
"""Makes of a value the texts behind the keyword, one for each line."""

_FAMILIES = {
    AddressFamily.ANY: socket.AF_UNSPEC,
    AddressFamily.INET: socket.AF_INET,
    AddressFamily.INET6: socket.AF_INET6,
}
# What sshd says for a level that has two names.
_LEVELS = {LogLevel.QUIET: "SILENT", LogLevel.DEBUG1: "DEBUG"}


def dump(settings: Settings) -> Iterator[str]:
    """Lines of a keyword in lower case and its value."""
    for keyword, show in _ROWS:
        name = keyword.name.lower()
        if keyword is c.LISTEN_ADDRESS:
            values: Iterable[str] = _listen_addresses(settings)
        elif keyword is c.HOST_KEY:
            values = host_keys(settings)
        else:
            values = show(settings[keyword])
        yield from (f"{name} {value}" for value in values)


def host_keys(settings: Settings) -> tuple[str, ...]:
    """The files of the host keys; without any the usual ones, of which those count that are there."""
    return tuple(path for path in settings[c.HOST_KEY] if path.lower() != "none") or c.DEFAULT_HOST_KEYS


def _listen_addresses(settings: Settings) -> Iterator[str]:
    ports = settings[c.PORT]
    family = _FAMILIES[settings[c.ADDRESS_FAMILY]]
    for address in settings[c.LISTEN_ADDRESS] or (ListenAddress(""),):
        for port in ports if address.port is None else (address.port,):
            yield from (_numeric(*found[:2]) for found in _resolved(address.host, port, family))


def _resolved(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host or None, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return [(host, port)]  # whoever listens there will say what is wrong with it
    return sorted((one[4] for one in found), key=lambda end: ":" not in str(end[0])) if not host else [one[4] for one in found]


def _numeric(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _one(value: object) -> tuple[str]:
    return (str(value),)


def _yes_no(value: bool) -> tuple[str]:
    return ("yes" if value else "no",)


def _or_none(value: str | None) -> tuple[str]:
    return ("none" if value is None else value,)


def _each(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _written(patterns: Iterable[Any]) -> tuple[str, ...]:
    return tuple(pattern.written for pattern in patterns)


def _comma(values: Iterable[str]) -> tuple[str]:
    return (",".join(values),)


def _key_demands(value: KeyDemands) -> tuple[str]:
    given = [name for name, on in (("touch-required", value.touch), ("verify-required", value.verify)) if on]
    return (" ".join(given) or "none",)


def _size(value: object) -> tuple[str]:
    return ("none" if value is None else str(value),)


def _penalties(found: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """Not a keyword of every sshd: shown by the names of the library's fields, where somebody set it."""
    text = " ".join(f"{field}:{value}" for field, value in found)
    return (text,) if text else ()


_ROWS: tuple[tuple[Keyword[Any], Show], ...] = (
    (c.PORT, _each),
    (c.ADDRESS_FAMILY, lambda value: (value.value,)),
    (c.LISTEN_ADDRESS, _each),
    (c.USE_PAM, _yes_no),
    (c.PAM_SERVICE_NAME, _one),
    (c.LOGIN_GRACE_TIME, lambda value: (str(value or 0),)),
    (c.MAX_AUTH_TRIES, _one),
    (c.MAX_SESSIONS, _one),
    (c.CLIENT_ALIVE_INTERVAL, _one),
    (c.CLIENT_ALIVE_COUNT_MAX, _one),
    (c.REQUIRED_RSA_SIZE, _one),
    (c.PERMIT_ROOT_LOGIN, lambda value: (value.value,)),
    (c.PUBKEY_AUTHENTICATION, _yes_no),
    (c.PASSWORD_AUTHENTICATION, _yes_no),
    (c.KBD_INTERACTIVE_AUTHENTICATION, _yes_no),
    (c.PERMIT_TTY, _yes_no),
    (c.PERMIT_USER_RC, _yes_no),
    (c.STRICT_MODES, _yes_no),
    (c.TCP_KEEP_ALIVE, _yes_no),
    (c.PERMIT_EMPTY_PASSWORDS, _yes_no),
    (c.COMPRESSION, _yes_no),
    (c.USE_DNS, _yes_no),
    (c.FINGERPRINT_HASH, _one),
    (c.PID_FILE, _or_none),
    (c.MODULI_FILE, _or_none),
    (c.CIPHERS, _comma),
    (c.MACS, _comma),
    (c.BANNER, _or_none),
    (c.FORCE_COMMAND, _or_none),
    (c.TRUSTED_USER_CA_KEYS, _or_none),
    (c.REVOKED_KEYS, _or_none),
    (c.AUTHORIZED_PRINCIPALS_FILE, _or_none),
    (c.AUTHORIZED_KEYS_COMMAND, _or_none),
    (c.AUTHORIZED_KEYS_COMMAND_USER, _or_none),
    (c.AUTHORIZED_PRINCIPALS_COMMAND, _or_none),
    (c.AUTHORIZED_PRINCIPALS_COMMAND_USER, _or_none),
    (c.KEX_ALGORITHMS, _comma),
    (c.CA_SIGNATURE_ALGORITHMS, _comma),
    (c.HOST_KEY_ALGORITHMS, _comma),
    (c.PUBKEY_ACCEPTED_ALGORITHMS, _comma),
    (c.LOG_LEVEL, lambda level: (_LEVELS.get(level, level.name),)),
    (c.SYSLOG_FACILITY, _one),
    (c.AUTHORIZED_KEYS_FILE, lambda value: (" ".join(value) or "none",)),
    (c.HOST_KEY, _each),
    (c.HOST_CERTIFICATE, _each),
    (c.ALLOW_USERS, _written),
    (c.DENY_USERS, _written),
    (c.ALLOW_GROUPS, _written),
    (c.DENY_GROUPS, _written),
    (c.ACCEPT_ENV, _each),
    (c.SET_ENV, lambda value: [f"{name}={text}" for name, text in value]),
    (c.AUTHENTICATION_METHODS, lambda value: (" ".join(map(",".join, value)) or "any",)),
    (c.SUBSYSTEM, lambda value: [f"{one.name} {one.command}" for one in value]),
    (c.MAX_STARTUPS, lambda value: (f"{value.begin}:{value.percent}:{value.full}",)),
    (c.PER_SOURCE_MAX_STARTUPS, _size),
    (c.PER_SOURCE_NET_BLOCK_SIZE, lambda value: (f"{value.ipv4_bits}:{value.ipv6_bits}",)),
    (c.PER_SOURCE_PENALTIES, _penalties),
    (c.PER_SOURCE_PENALTY_EXEMPT_LIST, lambda value: (",".join(value),) if value else ()),
    (c.REKEY_LIMIT, lambda value: (f"{value.bytes or 0} {value.seconds or 0}",)),
    (c.PERMIT_USER_ENVIRONMENT, lambda value: ({"": "no", "*": "yes"}.get(value.written, value.written),)),
    (c.PUBKEY_AUTH_OPTIONS, _key_demands),
)
