"""``ssh -G``: the settings that hold for a host, in the order and with the spelling of OpenSSH's program."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from . import ssh_config
from .client_config import Resolved
from .settings import Keyword
from .ssh_values import AddKeys, AddKeysMode, CNAMERule, ServiceClass, shown_service_class
from .values import LogLevel, RekeyLimit

Lines = Iterable[str]
_TRUTH = {"yes": "true", "no": "false"}


def settings_text(resolved: Resolved, name: str, expand: Callable[[str, str], str]) -> str:
    """All settings, one to a line. `name` is the host as the user gave it; ``expand(text, keyword)`` puts in the tokens of a path."""
    lines = [f"host {name}"]
    for shown, keyword, texts in _ROWS:
        lines += [f"{shown} {text}" for text in texts(_value(resolved, keyword, expand))]
    return "".join(f"{line}\n" for line in lines)


def _value(resolved: Resolved, keyword: Keyword[Any], expand: Callable[[str, str], str]) -> Any:
    settings = resolved.settings
    value = settings[keyword]
    special: Mapping[Keyword[Any], Callable[[], Any]] = {
        ssh_config.HOST_NAME: lambda: resolved.host,
        ssh_config.USER: lambda: resolved.tokens["r"],
        ssh_config.UPDATE_HOST_KEYS: lambda: ssh_config.updates_host_keys(settings),
        ssh_config.IDENTITY_FILE: lambda: ssh_config.identity_files(settings) or ssh_config.USUAL_IDENTITY_FILES,
        ssh_config.CERTIFICATE_FILE: lambda: ssh_config.certificate_files(settings),
        ssh_config.SEND_ENV: lambda: ssh_config.sent_names(settings),
        ssh_config.USER_KNOWN_HOSTS_FILE: lambda: tuple(expand(path, keyword.name) for path in value),
        ssh_config.REMOTE_COMMAND: lambda: None if value is None else expand(value, keyword.name),
        ssh_config.IDENTITY_AGENT: lambda: None if value is None else expand(value, keyword.name),
    }
    return special.get(keyword, lambda: value)()


def _yes_no(value: bool) -> Lines:
    return ["yes" if value else "no"]


def _word(value: enum.Enum) -> Lines:
    return [str(value.value)]


def _truth(value: enum.Enum) -> Lines:
    """Yes and no as ssh writes them where there are other values as well."""
    return [_TRUTH.get(str(value.value), str(value.value))]


def _number(value: int | None) -> Lines:
    return [str(value or 0)]


def _text(value: str) -> Lines:
    return [value]


def _if_set(value: str | None) -> Lines:
    return [] if value is None else [value]


def _commas(value: tuple[str, ...]) -> Lines:
    return [",".join(value)]


def _commas_if_set(value: tuple[str, ...] | None) -> Lines:
    return [",".join(value)] if value else []


def _words(value: tuple[str, ...]) -> Lines:
    return [" ".join(value) or "none"]


def _each(value: tuple[str, ...]) -> Lines:
    return value


def _time(value: int | None) -> Lines:
    return ["none" if value is None else str(value)]


def _cnames(value: tuple[CNAMERule, ...]) -> Lines:
    return [" ".join(f"{','.join(rule.sources)}:{','.join(rule.targets)}" for rule in value) or "none"]


def _add_keys(value: AddKeys) -> Lines:
    lifetime = [] if value.seconds is None else [str(value.seconds)]
    mode = [] if lifetime and value.mode is AddKeysMode.YES else _truth(value.mode)
    return [" ".join([*mode, *lifetime])]


def _rekey(value: RekeyLimit) -> Lines:
    return [f"{value.bytes or 0} {value.seconds or 0}"]


def _level(value: LogLevel) -> Lines:
    return [{LogLevel.QUIET: "SILENT", LogLevel.DEBUG1: "DEBUG"}.get(value, value.name)]


def _escape(value: str | None) -> Lines:
    if value is None:
        return ["none"]
    return [value if value.isprintable() else f"\\^{chr(ord(value) | 64)}"]


def _service(value: ServiceClass) -> Lines:
    return [f"{shown_service_class(value.interactive)} {shown_service_class(value.bulk)}"]


def _variables(value: tuple[Any, ...]) -> Lines:
    return [f"{variable.name}={variable.value}" for variable in value]


def _hash(value: str) -> Lines:
    return [value.upper()]


_ROWS: tuple[tuple[str, Keyword[Any], Callable[[Any], Lines]], ...] = tuple(
    (name or keyword.name.lower(), keyword, texts)
    for keyword, texts, name in (
        (ssh_config.USER, _text, ""),
        (ssh_config.HOST_NAME, _text, ""),
        (ssh_config.PORT, _number, ""),
        (ssh_config.ADDRESS_FAMILY, _word, ""),
        (ssh_config.BATCH_MODE, _yes_no, ""),
        (ssh_config.CANONICALIZE_FALLBACK_LOCAL, _yes_no, ""),
        (ssh_config.CANONICALIZE_HOSTNAME, _truth, ""),
        (ssh_config.CHECK_HOST_IP, _yes_no, ""),
        (ssh_config.COMPRESSION, _yes_no, ""),
        (ssh_config.CLEAR_ALL_FORWARDINGS, _yes_no, ""),
        (ssh_config.FINGERPRINT_HASH, _hash, ""),
        (ssh_config.HASH_KNOWN_HOSTS, _yes_no, ""),
        (ssh_config.IDENTITIES_ONLY, _yes_no, ""),
        (ssh_config.KBD_INTERACTIVE_AUTHENTICATION, _yes_no, ""),
        (ssh_config.NO_HOST_AUTHENTICATION_FOR_LOCALHOST, _yes_no, ""),
        (ssh_config.PASSWORD_AUTHENTICATION, _yes_no, ""),
        (ssh_config.PUBKEY_AUTHENTICATION, _truth, ""),
        (ssh_config.REQUEST_TTY, _truth, ""),
        (ssh_config.SESSION_TYPE, _word, ""),
        (ssh_config.STDIN_NULL, _yes_no, ""),
        (ssh_config.STRICT_HOST_KEY_CHECKING, _truth, ""),
        (ssh_config.TCP_KEEP_ALIVE, _yes_no, ""),
        (ssh_config.VISUAL_HOST_KEY, _yes_no, ""),
        (ssh_config.UPDATE_HOST_KEYS, _truth, ""),
        (ssh_config.CANONICALIZE_MAX_DOTS, _number, ""),
        (ssh_config.CONNECTION_ATTEMPTS, _number, ""),
        (ssh_config.NUMBER_OF_PASSWORD_PROMPTS, _number, ""),
        (ssh_config.SERVER_ALIVE_COUNT_MAX, _number, ""),
        (ssh_config.SERVER_ALIVE_INTERVAL, _number, ""),
        (ssh_config.REQUIRED_RSA_SIZE, _number, ""),
        (ssh_config.BIND_ADDRESS, _if_set, ""),
        (ssh_config.BIND_INTERFACE, _if_set, ""),
        (ssh_config.CIPHERS, _commas, ""),
        (ssh_config.HOST_KEY_ALGORITHMS, _commas, ""),
        (ssh_config.HOST_KEY_ALIAS, _if_set, ""),
        (ssh_config.IDENTITY_AGENT, _if_set, ""),
        (ssh_config.IGNORE_UNKNOWN, _commas_if_set, ""),
        (ssh_config.KBD_INTERACTIVE_DEVICES, _commas_if_set, ""),
        (ssh_config.KEX_ALGORITHMS, _commas, ""),
        (ssh_config.CA_SIGNATURE_ALGORITHMS, _commas, ""),
        (ssh_config.REMOTE_COMMAND, _if_set, ""),
        (ssh_config.LOG_LEVEL, _level, ""),
        (ssh_config.MACS, _commas, ""),
        (ssh_config.PREFERRED_AUTHENTICATIONS, _commas_if_set, ""),
        (ssh_config.PUBKEY_ACCEPTED_ALGORITHMS, _commas, ""),
        (ssh_config.REVOKED_HOST_KEYS, _if_set, ""),
        (ssh_config.TAG, _if_set, ""),
        (ssh_config.REFUSE_CONNECTION, _if_set, ""),
        (ssh_config.IDENTITY_FILE, _each, ""),
        (ssh_config.CANONICAL_DOMAINS, _words, ""),
        (ssh_config.CERTIFICATE_FILE, _each, ""),
        (ssh_config.GLOBAL_KNOWN_HOSTS_FILE, _words, ""),
        (ssh_config.USER_KNOWN_HOSTS_FILE, _words, ""),
        (ssh_config.SEND_ENV, _each, ""),
        (ssh_config.SET_ENV, _variables, ""),
        (ssh_config.ADD_KEYS_TO_AGENT, _add_keys, ""),
        (ssh_config.CONNECT_TIMEOUT, _time, ""),
        (ssh_config.CANONICALIZE_PERMITTED_CNAMES, _cnames, "canonicalizePermittedcnames"),  # so OpenSSH's program writes it
        (ssh_config.ESCAPE_CHAR, _escape, ""),
        (ssh_config.IP_QOS, _service, ""),
        (ssh_config.REKEY_LIMIT, _rekey, ""),
        (ssh_config.SYSLOG_FACILITY, _text, ""),
    )
)


def shown_names() -> Iterator[str]:
    """The names that stand before the values, in order."""
    yield "host"
    for name, _, _ in _ROWS:
        yield name
