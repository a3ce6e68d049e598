"""The command line of ``trio-sshd``, understood."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..config import SSHDConfig
from .options import UsageError, quoted, read_options

USAGE = """usage: trio-sshd [-DdeitTV] [-E log_file] [-f config_file] [-h host_key_file] [-o option] [-p port]"""

_KNOWN = "46b:C:c:DdE:ef:Gg:h:ik:o:p:qRrTtu:V"
_SUPPORTED = "DdEefhiopqTtV"
_AS_OPTIONS = {"h": "HostKey", "p": "Port"}


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
    """-T"""
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
    settings = [value if letter == "o" else f"{_AS_OPTIONS[letter]}={quoted(value)}" for letter, value in options if letter in "ohp"]
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
        show_settings="T" in flags,
        log_to_stderr="e" in flags,
        log_path=last.get("E"),
        wants_version="V" in flags,
    )
