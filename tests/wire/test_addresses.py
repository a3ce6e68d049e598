"""Lists of addresses: what matches, and what is no list."""

from __future__ import annotations

import ipaddress

import pytest

from trio_ssh.wire.addresses import AddressList


@pytest.mark.parametrize(
    ("items", "address", "matches"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.0/24,!192.0.2.9", "192.0.2.8", True),
        ("192.0.2.0/24,!192.0.2.9", "192.0.2.9", False),
        ("!192.0.2.9", "192.0.2.8", False),
        ("192.0.2.*", "192.0.2.8", True),
        ("192.0.?.8", "192.0.2.8", True),
        ("192.0.2.*", "192.0.20.8", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("2001:DB8:*", "2001:db8::1", True),
        ("0.0.0.0/0", "203.0.113.1", True),
        ("0.0.0.0/0", "::1", False),
        ("10.0.0.0/8,::1", "::1", True),
    ],
)
def test_what_matches(items: str, address: str, matches: bool):
    assert AddressList.of(items.split(",")).matches(ipaddress.ip_address(address)) is matches


@pytest.mark.parametrize("item", ["", "!", "host", "host*", "192.0.2.0/33", "192.0.2.0/*", "192.0.2.256", "2001:db8::/129", "\x1b*"])
def test_what_is_no_item(item: str):
    with pytest.raises(ValueError, match="is not an address"):
        AddressList.of([item])


def test_bits_behind_the_mask():
    with pytest.raises(ValueError, match=r"^'192.0.2.1/24' is not .*: bits are set behind its mask$"):
        AddressList.of(["192.0.2.1/24"])


def test_lists_are_values():
    assert AddressList.of(["::1"]) == AddressList.of(["::1"])
    assert hash(AddressList.of(["10.*"])) == hash(AddressList.of(["10.*"]))
    assert not AddressList().matches(ipaddress.ip_address("::1"))
