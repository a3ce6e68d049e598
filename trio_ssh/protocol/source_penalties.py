"""What a server holds against the source of a bad connection, as a value (OpenSSH's PerSourcePenalties)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..errors import LocalProtocolError
from ..wire.addresses import AddressList


def _address_list(items: Iterable[str] | AddressList) -> AddressList:
    if isinstance(items, AddressList):
        return items
    try:
        return AddressList.of(items)
    except ValueError as error:
        raise LocalProtocolError(f"SourcePenalties.exempt: {error}") from None


@attrs.frozen(kw_only=True)
class SourcePenalties:
    """For each misdeed, how many seconds its source is refused. Penalties add up; the defaults are OpenSSH's.

    A source is a network of `Limits.source_ipv4_bits` or `source_ipv6_bits`. It is refused once it has more than `min_seconds` before it,
    until they are over, and never for longer than `max_seconds`. Connections that are there already are left alone.
    """

    crash_seconds: float = 90
    """Serving it failed by a mistake of ours."""
    auth_failure_seconds: float = 5
    """It tried to log in, and left without."""
    invalid_user_seconds: float = 5
    """It tried to log in as somebody who is not there: the policy said `UNKNOWN_USER`."""
    no_auth_seconds: float = 1
    """It left without having tried to log in. Scanners and monitors do this too."""
    grace_exceeded_seconds: float = 10
    """It held its place until a deadline before the login ran out."""
    refused_seconds: float = 10
    """It was told that it may not come here: the policy said `NOT_WELCOME`."""
    min_seconds: float = 15
    max_seconds: float = 600
    sources_ipv4: int = 65_536
    """Sources that are remembered. One more displaces the one whose penalty ends first."""
    sources_ipv6: int = 65_536
    deny_all_ipv4: bool = False
    """With so many sources remembered, refuse everybody instead, until a penalty ends."""
    deny_all_ipv6: bool = False
    exempt: AddressList = attrs.field(factory=AddressList, converter=_address_list)
    """Addresses, networks and patterns that get no penalties; raises `LocalProtocolError` for what is none of them."""
