"""What the words behind a keyword mean. Each function takes text and gives a value, or raises `ValueError` saying what is wrong."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar

import attrs

from ..errors import printable
from .match import Words

T = TypeVar("T")

_TIME = re.compile(r"(?:[0-9]+[smhdw]?)+", re.IGNORECASE)
_TIME_PART = re.compile(r"([0-9]+)([smhdw]?)", re.IGNORECASE)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SECONDS_MAX = 2**31 - 1
_SIZE = re.compile(r"([0-9]+)([kmg]?)", re.IGNORECASE)
_UNIT_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_REKEY_BYTES_MIN = 16
_ENVIRONMENT_PATTERN = re.compile(r"[A-Za-z_*?][A-Za-z0-9_*?]*")


def one(parse: Callable[[str], T]) -> Callable[[Words], T]:
    """A parser of exactly one word."""

    def parse_words(words: Words) -> T:
        if len(words) != 1:
            raise ValueError(f"it takes one value, not {len(words)}")
        return parse(words[0])

    return parse_words


def one_more(parse: Callable[[str], T]) -> Callable[[Words], tuple[T, ...]]:
    """A parser of exactly one word for a keyword that accumulates."""
    single = one(parse)
    return lambda words: (single(words),)


def text(word: str) -> str:
    """Any text but an empty one."""
    if not word:
        raise ValueError("its value is empty")
    return word


def paths(words: Words) -> tuple[str, ...]:
    """One path or several; ``none`` alone is no path."""
    return () if is_none(words) else tuple(text(word) for word in words)


def is_none(words: Words) -> bool:
    return len(words) == 1 and words[0].lower() == "none"


def path_or_none(word: str) -> str | None:
    return None if word.lower() == "none" else text(word)


def yes_no(word: str) -> bool:
    return choice({"yes": True, "true": True, "no": False, "false": False}, "yes or no")(word)


def choice(choices: dict[str, T], wanted: str) -> Callable[[str], T]:
    """A parser of a few words, in upper or lower case; `wanted` names them in the error."""

    def parse(word: str) -> T:
        try:
            return choices[word.lower()]
        except KeyError:
            raise ValueError(f"{shown(word)} is not {wanted}") from None

    return parse


def whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(word: str) -> int:
        if not (word.isascii() and word.isdigit() and len(word) <= 12 and least <= int(word) <= most):
            raise ValueError(f"{shown(word)} is not a number from {least} to {most}")
        return int(word)

    return parse


port = whole_number(1, 65535)
listening_port = whole_number(0, 65535)


def seconds(word: str) -> int:
    """A time such as ``90``, ``1h30m`` or ``2d`` (sshd_config(5), TIME FORMATS)."""
    total = sum(int(count) * _UNIT_SECONDS[unit.lower()] for count, unit in _TIME_PART.findall(word)) if _TIME.fullmatch(word) else -1
    if not 0 <= total <= _SECONDS_MAX:
        raise ValueError(f"{shown(word)} is not a time such as 90, 90s or 1h30m")
    return total


def seconds_or_none(word: str) -> int | None:
    """A time; ``none`` and 0 are none."""
    return None if word.lower() == "none" else seconds(word) or None


@attrs.frozen
class RekeyLimit:
    """After how many bytes and seconds to renew the keys; None leaves the default, `seconds` 0 is no limit of time."""

    bytes: int | None = None
    seconds: int | None = None


def rekey_limit(words: Words) -> RekeyLimit:
    """``1G 1h``, ``16``, ``default none``, ``none``."""
    if len(words) > 2:
        raise ValueError(f"it takes a size and a time, not {len(words)} values")
    size = None if words[0].lower() in ("default", "none") else _size(words[0])
    if len(words) == 1:
        return RekeyLimit(size)
    return RekeyLimit(size, 0 if words[1].lower() == "none" else seconds(words[1]))


def _size(word: str) -> int:
    found = _SIZE.fullmatch(word)
    if not found or len(word) > 18:
        raise ValueError(f"{shown(word)} is not a size such as 16, 500M or 1G")
    size = int(found[1]) * _UNIT_BYTES[found[2].lower()]
    if size < _REKEY_BYTES_MIN:
        raise ValueError(f"{shown(word)} is less than {_REKEY_BYTES_MIN} bytes")
    return size


class StrictHostKeyChecking(enum.Enum):
    """What to do about a host key that is not known, and about one that changed."""

    YES = "yes"
    ASK = "ask"
    ACCEPT_NEW = "accept-new"
    NO = "no"


strict_host_key_checking = choice(
    {
        **{member.value: member for member in StrictHostKeyChecking},
        "true": StrictHostKeyChecking.YES,
        "false": StrictHostKeyChecking.NO,
        "off": StrictHostKeyChecking.NO,
    },
    "yes, no, ask, accept-new or off",
)


class LogLevel(enum.IntEnum):
    """ssh_config(5), LogLevel; each level says what those below it say, and more."""

    QUIET = 0
    FATAL = 1
    ERROR = 2
    INFO = 3
    VERBOSE = 4
    DEBUG1 = 5
    DEBUG2 = 6
    DEBUG3 = 7


log_level = choice(
    {**{member.name.lower(): member for member in LogLevel}, "debug": LogLevel.DEBUG1},
    "QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3",
)


@attrs.frozen
class ListenAddress:
    """Where a server listens; `port` None is each of its Port values."""

    host: str
    port: int | None = None


def listen_address(word: str) -> ListenAddress:
    """``host``, ``host:port``, ``[address]:port`` or a bare IPv6 address."""
    if word.startswith("["):
        host, bracket, rest = word[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{shown(word)} is not an address such as [::1]:22")
        return ListenAddress(text(host), listening_port(rest[1:]) if rest else None)
    if _is_ipv6(word):
        return ListenAddress(word)
    host, colon, rest = word.partition(":")
    return ListenAddress(text(host), listening_port(rest) if colon else None)


def _is_ipv6(word: str) -> bool:
    try:
        return ipaddress.ip_address(word).version == 6
    except ValueError:
        return False


@attrs.frozen
class Subsystem:
    """``Subsystem name command``: the command that serves it."""

    name: str
    command: str


def subsystem(words: Words) -> tuple[Subsystem, ...]:
    if len(words) < 2:
        raise ValueError("it takes a name and a command")
    if words[1].startswith("internal-"):
        raise ValueError(f"the command {shown(words[1])} is not supported; name a program")
    return (Subsystem(text(words[0]), " ".join(words[1:])),)


def environment_patterns(words: Words) -> tuple[str, ...]:
    """Names of environment variables, with ``*`` and ``?``."""
    for word in words:
        if not _ENVIRONMENT_PATTERN.fullmatch(word):
            raise ValueError(f"{shown(word)} is not the name of an environment variable")
    return words


def shown(word: str) -> str:
    """A word as errors show it."""
    return f"'{printable(word, 100)}'"
