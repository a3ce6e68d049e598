"""CanonicalizeHostname: from the name that the user gave to the one that the domain name system knows (ssh_config(5))."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..errors import ConfigError, printable
from ..wire.patterns import matches_pattern_list
from . import ssh_config
from .settings import Settings
from .ssh_values import Canonicalize, CNAMERule

Resolver: TypeAlias = Callable[[str], Awaitable[str | None]]
"""Looks up a host: its canonical name, "" where that is not told, or None if there is no such host."""


async def no_resolver(name: str) -> str | None:
    """Finds nothing."""
    return None


def numeric_address(host: str) -> str | None:
    """An IP address in its usual spelling (``127.1`` is ``127.0.0.1``); None for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, ValueError):
        return None
    return str(found[0][4][0])


async def canonical_name(settings: Settings, host: str, look_up: Resolver) -> str:
    """What the host is called from now on: an address in its usual spelling, or the full name that was found. Raises `ConfigError`."""
    address = numeric_address(host)
    if address is not None:
        return host if address.lower() == host.lower() else address
    if settings[ssh_config.CANONICALIZE_HOSTNAME] is Canonicalize.NO or looks_like_address(host):
        return host
    anchored = host.endswith(".")
    if not anchored and host.count(".") > settings[ssh_config.CANONICALIZE_MAX_DOTS]:
        return await _follow_only(settings, host, look_up)
    names = [host] if anchored else [f"{host}.{domain}." for domain in settings[ssh_config.CANONICAL_DOMAINS]]
    for name in names:
        alias = await look_up(name)
        if alias is not None:
            return _followed(settings, name.removesuffix("."), alias)
    if not settings[ssh_config.CANONICALIZE_FALLBACK_LOCAL]:
        raise ConfigError(f"the host '{printable(host, 200)}' is in none of CanonicalDomains, and CanonicalizeFallbackLocal is off")
    return await _follow_only(settings, host, look_up)


async def _follow_only(settings: Settings, host: str, look_up: Resolver) -> str:
    """The system's own search may still show an alias that we are allowed to follow."""
    if not settings[ssh_config.CANONICALIZE_PERMITTED_CNAMES]:
        return host
    alias = await look_up(host)
    if alias is None:
        raise ConfigError(f"the host '{printable(host, 200)}' cannot be found, so that it is not known whether it is an alias")
    return _followed(settings, host, alias)


def _followed(settings: Settings, host: str, alias: str) -> str:
    alias = alias.removesuffix(".")
    if alias and alias != host and _is_permitted(host, alias, settings[ssh_config.CANONICALIZE_PERMITTED_CNAMES]):
        return alias
    return host


def _is_permitted(host: str, alias: str, rules: Sequence[CNAMERule]) -> bool:
    return any(matches_pattern_list(host.lower(), rule.sources) and matches_pattern_list(alias.lower(), rule.targets) for rule in rules)


def looks_like_address(host: str) -> bool:
    """An address, or what can only be meant for one: perhaps of an interface that is not there."""
    return "%" in host or ":" in host or not host.strip("0123456789.")
