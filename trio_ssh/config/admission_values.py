"""What the words behind MaxStartups, PerSourceMaxStartups, PerSourceNetBlockSize and PerSourcePenalties mean (sshd_config(5))."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs

from .. import SourcePenalties
from ..wire.addresses import AddressList
from .match import Words
from .values import choice, seconds, shown, whole_number

_COUNT_MAX = 2**31 - 1
_count = whole_number(0, _COUNT_MAX)
_FRACTION = re.compile(r"[0-9]+\.[0-9]+s?", re.IGNORECASE)


@attrs.frozen
class MaxStartups:
    """From `begin` connections on newcomers are refused with `percent` probability, which grows to 100 at `full`."""

    begin: int = 10
    percent: int = 30
    full: int = 100


def max_startups(word: str) -> MaxStartups:
    """``begin:percent:full``, or one number that is both bounds."""
    parts = word.split(":")
    if len(parts) == 1:
        full = whole_number(1, _COUNT_MAX)(word)
        return MaxStartups(begin=full, full=full)
    if len(parts) != 3:
        raise ValueError(f"{shown(word)} is not a number, or start:rate:full such as 10:30:100")
    begin, percent, full = whole_number(1, _COUNT_MAX)(parts[0]), whole_number(1, 100)(parts[1]), whole_number(1, _COUNT_MAX)(parts[2])
    if begin > full:
        raise ValueError(f"{shown(word)}: its start is more than its full")
    return MaxStartups(begin, percent, full)


def count_or_none(word: str) -> int | None:
    """A number of connections; ``none`` is no bound."""
    return None if word.lower() == "none" else _count(word)


@attrs.frozen
class NetBlockSize:
    """How many bits of an address make one source."""

    ipv4_bits: int = 32
    ipv6_bits: int = 64


def net_block_size(word: str) -> NetBlockSize:
    """``32``, ``32:64``."""
    ipv4, colon, ipv6 = word.partition(":")
    bits = whole_number(0, 32)(ipv4)
    return NetBlockSize(bits, whole_number(0, 128)(ipv6)) if colon else NetBlockSize(bits)


def address_list(word: str) -> tuple[str, ...]:
    """Addresses, networks and patterns with commas between them."""
    items = tuple(word.split(","))
    AddressList.of(items)
    return items


def _duration(word: str) -> float:
    return float(word.rstrip("sS")) if _FRACTION.fullmatch(word) else seconds(word)


_overflow = choice({"permissive": False, "deny-all": True}, "permissive or deny-all")

_PENALTIES = {
    "crash": ("crash_seconds", _duration),
    "authfail": ("auth_failure_seconds", _duration),
    "invaliduser": ("invalid_user_seconds", _duration),
    "noauth": ("no_auth_seconds", _duration),
    "grace-exceeded": ("grace_exceeded_seconds", _duration),
    "refuseconnection": ("refused_seconds", _duration),
    "max": ("max_seconds", _duration),
    "min": ("min_seconds", _duration),
    "max-sources4": ("sources_ipv4", _count),
    "max-sources6": ("sources_ipv6", _count),
    "overflow": ("deny_all_ipv4", _overflow),
    "overflow6": ("deny_all_ipv6", _overflow),
}

Penalty = tuple[str, float | int | bool]
"""A field of `SourcePenalties` and its value; ``enabled`` stands for yes and no."""


def penalties(words: Words) -> tuple[Penalty, ...]:
    """``yes`` or ``no`` alone, or several of ``crash:90s``, ``max-sources4:65536``, ``overflow:deny-all`` and the like."""
    if words[0].lower() in ("yes", "no"):
        if len(words) > 1:
            raise ValueError(f"{shown(words[0])} must stand alone")
        return (("enabled", words[0].lower() == "yes"),)
    return tuple(_penalty(word) for word in words)


def _penalty(word: str) -> Penalty:
    name, colon, value = word.partition(":")
    if not colon or name not in _PENALTIES:
        raise ValueError(f"{shown(word)} is not yes, no, or a penalty and its value; there are {', '.join(_PENALTIES)}")
    field, parse = _PENALTIES[name]
    return field, parse(value)


def source_penalties(found: Iterable[Penalty], exempt: Iterable[str]) -> SourcePenalties | None:
    """Of several settings of one value the first counts; None where they are switched off. Without a setting they are on."""
    chosen: dict[str, Any] = {}
    for field, value in found:
        chosen.setdefault(field, value)
    if not chosen.pop("enabled", True):
        return None
    if "deny_all_ipv4" in chosen:
        chosen.setdefault("deny_all_ipv6", chosen["deny_all_ipv4"])
    return attrs.evolve(SourcePenalties(exempt=exempt), **chosen)
