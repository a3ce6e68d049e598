"""The command line of ``trio-sshd``, understood."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..config import SSHDConfig
from ..errors import printable
from .options import UsageError, quoted, read_options

USAGE = """usage: trio-sshd [-46DdeGiqtTV] [-C connection_spec] [-c host_cert_file] [-E log_file] [-f config_file]
                 [-g login_grace_time] [-h host_key_file] [-o option] [-p port]"""

_KNOWN = "46b:C:c:DdE:ef:Gg:h:ik:o:p:qRrTtu:V"
_SUPPORTED = "46CcDdEefGghiopqTtV"
_AS_OPTIONS = {"h": "HostKey", "p": "Port", "c": "HostCertificate", "g": "LoginGraceTime"}
_FAMILIES = {"4": "AddressFamily=inet", "6": "AddressFamily=inet6"}


@attrs.frozen(kw_only=True)
class ConnectionSpec:
    """What -C says of a connection."""

    user: str | None = None
    host: str | None = None
    addr: str | None = None
    laddr: str | None = None
    lport: int | None = None
    rdomain: str | None = None
    invalid_user: bool = False


@attrs.frozen(kw_only=True)
class ServerInvocation:
    """One command line; `options` are the settings that it gives."""

    options: SSHDConfig = attrs.field(factory=SSHDConfig)
    config_path: str | None = None
    foreground: bool = False
    """-D"""
    debug: bool = False
    """-d: one connection in the foreground, everything logged to stderr."""
    inetd: bool = False
    """-i: the connection is our stdin and stdout."""
    test_only: bool = False
    """-t"""
    show_settings: bool = False
    """-T and -G"""
    check_settings: bool = True
    """-G does not: it only reads them."""
    subject: ConnectionSpec | None = None
    """-C: whose settings to show, Match blocks included."""
    log_to_stderr: bool = False
    """-e"""
    log_path: str | None = None
    """-E"""
    wants_version: bool = False


def parse_arguments(words: Sequence[str]) -> ServerInvocation:
    """Understand the words behind the program's name. Raises `UsageError`, and `ConfigError` for a bad ``-o`` and the like."""
    options, rest = read_options(words, _KNOWN, _SUPPORTED)
    if rest:
        raise UsageError(f"there is nothing to do with the word '{rest[0]}'\n{USAGE}")
    flags = "".join(letter for letter, _ in options)
    last = dict(options)
    settings = [text for letter, value in options if (text := _as_setting(letter, value))]
    if "d" in flags:
        settings.append(f"LogLevel=DEBUG{min(flags.count('d'), 3)}")
    elif "q" in flags:
        settings.append("LogLevel=QUIET")
    return ServerInvocation(
        options=SSHDConfig.from_options(settings),
        config_path=last.get("f"),
        foreground="D" in flags,
        debug="d" in flags,
        inetd="i" in flags,
        test_only="t" in flags,
        show_settings="T" in flags or "G" in flags,
        check_settings="G" not in flags,
        subject=_spec(",".join(value for letter, value in options if letter == "C")),
        log_to_stderr="e" in flags,
        log_path=last.get("E"),
        wants_version="V" in flags,
    )


def _as_setting(letter: str, value: str) -> str:
    if letter == "o":
        return value
    return f"{_AS_OPTIONS[letter]}={quoted(value)}" if letter in _AS_OPTIONS else _FAMILIES.get(letter, "")


def _spec(text: str) -> ConnectionSpec | None:
    """``user=ada,addr=192.0.2.7``; also ``invalid-user`` alone."""
    found: dict[str, object] = {}
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        if name == "invalid-user" and not equals:
            found["invalid_user"] = True
        elif name == "lport" and value.isdecimal() and 0 < int(value) < 1 << 16:
            found[name] = int(value)
        elif name in ("user", "host", "addr", "laddr", "rdomain") and value:
            found[name] = value
        else:
            raise UsageError(f"-C: '{printable(item, 100)}' is not user=, host=, addr=, laddr=, lport= or rdomain= and its value")
    return ConnectionSpec(**found) if found else None  # type: ignore[arg-type]
