"""Lists of IP addresses as OpenSSH writes them: networks, single addresses and patterns, ``!`` before what is left out.

``192.0.2.0/24``, ``2001:db8::/32``, ``192.0.2.7``, ``192.0.2.*``. A network must have no bits set behind its mask, as in sshd_config(5).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import attrs

from ..errors import printable
from .patterns import Pattern, compile_pattern

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_PATTERN = re.compile(r"[0-9A-Fa-f.:*?]+")


@attrs.frozen
class AddressList:
    """Made by `of`; `items` are as they were written."""

    items: tuple[str, ...] = ()
    _included: tuple[IPNetwork | Pattern, ...] = attrs.field(default=(), eq=False, repr=False)
    _excluded: tuple[IPNetwork | Pattern, ...] = attrs.field(default=(), eq=False, repr=False)

    @classmethod
    def of(cls, items: Iterable[str]) -> AddressList:
        """Raises `ValueError`, which names the item that is none."""
        texts = tuple(items)
        included = tuple(_parse(text) for text in texts if not text.startswith("!"))
        return cls(texts, included, tuple(_parse(text[1:]) for text in texts if text.startswith("!")))

    def matches(self, address: IPAddress) -> bool:
        """Is it in the list, and not left out? An IPv4 address inside an IPv6 one is looked up as it is: take it out before."""
        return _any(self._included, address) and not self.excludes(address)

    def excludes(self, address: IPAddress) -> bool:
        """Does an item with a ``!`` match it?"""
        return _any(self._excluded, address)


def address_of(text: str) -> IPAddress | None:
    """The address in a text such as a socket gives: without its scope (``fe80::1%eth0``), and an IPv4 one taken out of an IPv6 one.

    None where there is none.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _any(items: tuple[IPNetwork | Pattern, ...], address: IPAddress) -> bool:
    return any(item.matches(str(address)) if isinstance(item, Pattern) else address in item for item in items)


def _parse(text: str) -> IPNetwork | Pattern:
    try:
        return ipaddress.ip_network(text)  # a single address is a network of one
    except ValueError as error:
        if "/" not in text and ("*" in text or "?" in text) and _PATTERN.fullmatch(text):
            return compile_pattern(text.lower())
        why = ": bits are set behind its mask" if "host bits" in str(error) else ""
        raise ValueError(f"'{printable(text, 100)}' is not an address, a network such as 192.0.2.0/24 or a pattern{why}") from None
