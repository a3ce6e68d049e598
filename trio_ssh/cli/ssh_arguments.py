"""The command line of ``trio-ssh``, understood: which host, with which settings, to do what."""

from __future__ import annotations

import os
import pwd
import urllib.parse
from collections.abc import Sequence

import attrs

from ..config import SSHConfig
from ..config.names import check_host_name, check_user_name
from ..errors import printable
from .options import UsageError, quoted, read_options

USAGE = """usage: trio-ssh [-46aCGknNqstTvVx] [-B bind_interface] [-b bind_address] [-c ciphers]
                [-E log_file] [-e escape_char] [-F config_file] [-i identity_file]
                [-l user] [-m macs] [-o option] [-P tag] [-p port] destination [command [argument ...]]
       trio-ssh -Q query"""

_KNOWN = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"
_SUPPORTED = "46aBbCcEeFGiklmnNopPqQstTvVx"  # -a, -k and -x switch off what is never on here
# As with ssh, these stand above every -o, and the last of them counts; -i, -l, -o, -p and -P count in their order.
_OVERRIDING = {"4": "AddressFamily=inet", "6": "AddressFamily=inet6", "C": "Compression=yes", "n": "StdinNull=yes"}
_OVERRIDING_WITH_VALUE = {"B": "BindInterface", "b": "BindAddress", "c": "Ciphers", "e": "EscapeChar", "m": "MACs"}
_IN_ORDER = {"i": "IdentityFile", "l": "User", "P": "Tag", "p": "Port"}


@attrs.frozen(kw_only=True)
class Invocation:
    """One command line. `command` "" is the login shell; `options` are the settings that it gives, first ones first."""

    host: str
    command: str = ""
    options: SSHConfig = attrs.field(factory=SSHConfig)
    config_path: str | None = None
    """-F: instead of the user's and the system's files; ``none`` is no file."""
    log_path: str | None = None
    show_settings: bool = False
    wants_version: bool = False
    query: str | None = None
    """-Q: which names are asked for."""


def parse_arguments(words: Sequence[str]) -> Invocation:
    """Understand the words behind the program's name. Raises `UsageError`, and `ConfigError` for a bad ``-o`` and the like."""
    options, rest = read_options(words, _KNOWN, _SUPPORTED)
    if any(letter == "V" for letter, _ in options):
        return Invocation(host="", wants_version=True)
    if "Q" in dict(options):
        return Invocation(host="", query=dict(options)["Q"])
    if not rest:
        raise UsageError("name a host to connect to\n" + USAGE)
    destination, *rest = rest
    more, rest = read_options(rest, _KNOWN, _SUPPORTED.replace("Q", ""))  # options may stand behind the host too
    user, host, port = split_destination(destination)
    flags = "".join(letter for letter, _ in (*options, *more))
    if "s" in flags and not rest:
        raise UsageError("-s needs the name of a subsystem behind the host")
    last = dict([*options, *more])
    settings = [*_overriding(flags, last), *_in_order(options), *_of_destination(user, port), *_in_order(more)]
    return Invocation(
        host=host,
        command=" ".join(rest),
        options=SSHConfig.from_options(settings),
        config_path=last.get("F"),
        log_path=last.get("E"),
        show_settings="G" in flags,
    )


def split_destination(text: str) -> tuple[str | None, str, int | None]:
    """User, host and port of ``[user@]host`` or ``ssh://[user@]host[:port]``. Raises `UsageError`."""
    if text.lower().startswith("ssh://"):
        user, host, port = _split_uri(text)
    else:
        before, at, host = text.rpartition("@")
        user, port = (before if at else None), None
    check_name("host", host)
    if user is not None:
        check_name("user", user)
    return user, host, port


def check_name(kind: str, name: str) -> None:
    """Nothing that another program could take for an option, or a shell for more than a name (hardening E11). Raises `UsageError`."""
    try:
        check_host_name(name) if kind == "host" else check_user_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def local_user() -> str:
    """The name of the account that we run as. Raises `UsageError`."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise UsageError(f"no account has the number {os.getuid()}; give a user name with -l") from None


def _split_uri(text: str) -> tuple[str | None, str, int | None]:
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"'{printable(text, 200)}': {error}") from None
    if parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise UsageError(f"'{printable(text, 200)}' is not of the form ssh://[user@]host[:port]")
    netloc_user = parts.netloc.rpartition("@")[0].partition(";")[0] if "@" in parts.netloc else None
    user = urllib.parse.unquote(netloc_user) if netloc_user is not None else None
    return user, urllib.parse.unquote(parts.hostname or ""), port


def _overriding(flags: str, last: dict[str, str]) -> list[str]:
    settings = [_OVERRIDING[flag] for flag in reversed(flags) if flag in _OVERRIDING]
    settings += [f"{name}={quoted(last[letter])}" for letter, name in _OVERRIDING_WITH_VALUE.items() if letter in last]
    return [*settings, *_log_level(flags), *_session(flags), *_terminal(flags)]


def _in_order(options: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    for letter, value in options:
        if letter == "o":
            found.append(value)
        elif letter in _IN_ORDER:
            if letter == "l":
                check_name("user", value)
            found.append(f"{_IN_ORDER[letter]}={quoted(value)}")
    return found


def _of_destination(user: str | None, port: int | None) -> list[str]:
    settings = [] if user is None else [f"User={quoted(user)}"]
    return settings if port is None else [*settings, f"Port={port}"]


def _log_level(flags: str) -> list[str]:
    if verbosity := flags.count("v"):
        return [f"LogLevel=DEBUG{min(verbosity, 3)}"]
    return ["LogLevel=QUIET"] if "q" in flags else []


def _session(flags: str) -> list[str]:
    if "N" in flags and "s" in flags:
        raise UsageError("-N asks for no session and -s for one: leave one of them out")
    if "N" in flags:
        return ["SessionType=none", "RequestTTY=no"]
    return ["SessionType=subsystem"] if "s" in flags else []


def _terminal(flags: str) -> list[str]:
    wishes = [flag for flag in flags if flag in "tT"]
    if not wishes:
        return []
    if wishes[-1] == "T":
        return ["RequestTTY=no"]
    return ["RequestTTY=force" if wishes.count("t") > 1 else "RequestTTY=yes"]
