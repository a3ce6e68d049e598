"""The command line of ``trio-ssh``, understood: which host, with which settings, to do what."""

from __future__ import annotations

import enum
import os
import pwd
import re
import urllib.parse
from collections.abc import Sequence

import attrs

from ..config import SSHConfig
from ..errors import printable
from .options import UsageError, quoted, read_options

USAGE = """usage: trio-ssh [-46aCknNqstTvVx] [-c ciphers] [-E log_file] [-F config_file] [-i identity_file]
                [-l user] [-m macs] [-o option] [-p port] destination [command [argument ...]]"""

_KNOWN = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"
_SUPPORTED = "46aCcEFiklmnNopqstTvVx"  # -a, -k and -x switch off what is never on here
_AS_OPTIONS = {"c": "Ciphers", "i": "IdentityFile", "l": "User", "m": "MACs", "p": "Port"}
_BAD_NAME = re.compile(r"[\x00-\x20\x7f]")


class TerminalWish(enum.Enum):
    """Whether the other side should have a terminal."""

    NEVER = "-T"
    FOR_A_SHELL = "the default: if a shell is asked for and we have one"
    IF_WE_HAVE_ONE = "-t"
    ALWAYS = "-tt"


class Family(enum.Enum):
    """Which addresses to connect to."""

    ANY = 0
    IPV4 = 4
    IPV6 = 6


@attrs.frozen(kw_only=True)
class Invocation:
    """One command line. `command` "" is the login shell; `options` are the settings that it gives, first ones first."""

    host: str
    command: str = ""
    options: SSHConfig = attrs.field(factory=SSHConfig)
    config_path: str | None = None
    """-F: instead of ~/.ssh/config; ``none`` is no file."""
    terminal: TerminalWish = TerminalWish.FOR_A_SHELL
    family: Family = Family.ANY
    no_input: bool = False
    no_command: bool = False
    subsystem: bool = False
    log_path: str | None = None
    wants_version: bool = False


def parse_arguments(words: Sequence[str]) -> Invocation:
    """Understand the words behind the program's name. Raises `UsageError`, and `ConfigError` for a bad ``-o`` and the like."""
    options, rest = read_options(words, _KNOWN, _SUPPORTED)
    if any(letter == "V" for letter, _ in options):
        return Invocation(host="", wants_version=True)
    if not rest:
        raise UsageError("name a host to connect to\n" + USAGE)
    destination, *rest = rest
    more, rest = read_options(rest, _KNOWN, _SUPPORTED)  # options may stand behind the host too
    user, host, port = split_destination(destination)
    flags = "".join(letter for letter, _ in (*options, *more))
    # The order is the precedence: whatever stands first on the command line wins, as with ssh.
    compression = ["Compression=yes"] if "C" in flags else []
    settings = [*_settings(options), *_of_destination(user, port), *_settings(more), *compression, *_log_level(flags)]
    last = dict([*options, *more])
    subsystem = "s" in flags
    if subsystem and not rest:
        raise UsageError("-s needs the name of a subsystem behind the host")
    return Invocation(
        host=host,
        command=" ".join(rest),
        options=SSHConfig.from_options(settings),
        config_path=last.get("F"),
        terminal=_terminal(flags),
        family=_family(flags),
        no_input="n" in flags,
        no_command="N" in flags,
        subsystem=subsystem,
        log_path=last.get("E"),
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
    """No control characters, and nothing that another program could take for an option (hardening E11). Raises `UsageError`."""
    if not name or name.startswith("-") or _BAD_NAME.search(name) or not name.isprintable() or len(name) > 1024:
        raise UsageError(f"'{printable(name, 100)}' cannot be the name of a {kind}")


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


def _settings(options: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    for letter, value in options:
        if letter == "o":
            found.append(value)
        elif letter in _AS_OPTIONS:
            found.append(f"{_AS_OPTIONS[letter]}={quoted(value)}")
    return found


def _of_destination(user: str | None, port: int | None) -> list[str]:
    settings = [] if user is None else [f"User={quoted(user)}"]
    return settings if port is None else [*settings, f"Port={port}"]


def _log_level(flags: str) -> list[str]:
    if verbosity := flags.count("v"):
        return [f"LogLevel=DEBUG{min(verbosity, 3)}"]
    return ["LogLevel=QUIET"] if "q" in flags else []


def _terminal(flags: str) -> TerminalWish:
    wishes = [flag for flag in flags if flag in "tT"]
    if not wishes:
        return TerminalWish.FOR_A_SHELL
    if wishes[-1] == "T":
        return TerminalWish.NEVER
    return TerminalWish.ALWAYS if wishes.count("t") > 1 else TerminalWish.IF_WE_HAVE_ONE


def _family(flags: str) -> Family:
    last = [flag for flag in flags if flag in "46"][-1:]
    return {"4": Family.IPV4, "6": Family.IPV6}[last[0]] if last else Family.ANY
