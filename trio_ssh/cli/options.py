"""Single-letter options as OpenSSH's tools take them: ``-v``, ``-vv``, ``-p22``, ``-p 22``, ``-o Name=value``."""

from __future__ import annotations

import getopt
from collections.abc import Sequence

from ..errors import SSHError, printable


class UsageError(SSHError):
    """The command line makes no sense: the text says why."""


def read_options(words: Sequence[str], known: str, supported: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The options at the beginning of `words`, as (letter, value) in order, and the words behind them.

    `known` is a getopt string of all that OpenSSH's tool knows, `supported` the letters that are supported here. What is not is refused
    by name. Raises `UsageError`.
    """
    try:
        options, rest = getopt.getopt(list(words), known)
    except getopt.GetoptError as error:
        shown = f"-{printable(error.opt, 20)}"
        raise UsageError(f"the option {shown} needs a value" if "requires" in error.msg else f"there is no option {shown}") from None
    for option, _ in options:
        if option[1:] not in supported:
            raise UsageError(f"the option {option} is not supported")
    return [(option[1:], value) for option, value in options], rest


def quoted(value: str) -> str:
    """One word of a configuration line."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
