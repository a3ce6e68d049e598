"""Where a login may connect to and listen: permitopen and permitlisten."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.keys.key_options import parse_key_options
from trio_ssh.keys.permissions import RESTRICTED, Permissions


def of(options: str) -> Permissions:
    return parse_key_options(options).permissions


def test_without_a_list_anywhere_or_nowhere():
    for host, port in (("localhost", 80), ("::1", 1), ("", 65535)):
        assert Permissions().may_open(host, port)
        assert Permissions().may_listen(host, port)
        assert not RESTRICTED.may_open(host, port)
        assert not RESTRICTED.may_listen(host, port)
        for nowhere in (attrs.evolve(Permissions(), permit_open=(), permit_listen=()),):
            assert not nowhere.may_open(host, port)
            assert not nowhere.may_listen(host, port)


def test_no_port_forwarding_stands_above_the_lists():
    limits = of('no-port-forwarding,permitopen="a:1",permitlisten="a:1"')
    assert not limits.may_open("a", 1)
    assert not limits.may_listen("a", 1)
    assert of('restrict,port-forwarding,permitopen="a:1"').may_open("a", 1)


@pytest.mark.parametrize(
    ("permitted", "host", "port", "allowed"),
    [
        ("192.0.2.1:80", "192.0.2.1", 80, True),
        ("192.0.2.1:80", "192.0.2.1", 81, False),
        ("192.0.2.1:80", "192.0.2.2", 80, False),
        ("host:*", "host", 12345, True),
        ("host:22", "HOST", 22, False),
        ("h*:22", "host", 22, False),
        ("h*:22", "h*", 22, True),
        ("*:22", "anywhere", 22, True),
        ("*:22", "anywhere", 23, False),
        ("*:*", "anywhere", 23, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:80", "[::1]", 80, False),
        ("[::1]:80", "0:0::1", 80, False),
        ("[2001:db8::1]:*", "2001:db8::1", 9, True),
    ],
)
def test_permitopen_is_literal_but_for_a_star_alone(permitted, host, port, allowed):
    limits = of(f'permitopen="{permitted}",permitopen="other:1"')
    assert limits.may_open(host, port) is allowed
    assert limits.may_open("other", 1)
    assert limits.may_listen(host, port)


@pytest.mark.parametrize(
    ("permitted", "host", "port", "allowed"),
    [
        ("8080", "localhost", 8080, True),
        ("8080", "", 8080, True),
        ("8080", "", 8081, False),
        ("*", "0.0.0.0", 1, True),
        ("localhost:8080", "localhost", 8080, True),
        ("localhost:8080", "LocalHost", 8080, True),
        ("localhost:8080", "127.0.0.1", 8080, False),
        ("localhost:8080", "", 8080, False),
        ("*.example:*", "a.example", 5, True),
        ("*.example:*", "example", 5, False),
        ("[::1]:22000", "::1", 22000, True),
        ("[::*]:22000", "::7", 22000, True),
        ("127.0.0.?:1", "127.0.0.9", 1, True),
    ],
)
def test_permitlisten_takes_patterns(permitted, host, port, allowed):
    limits = of(f'permitlisten="{permitted}"')
    assert limits.may_listen(host, port) is allowed
    assert limits.may_open(host, port)


def test_items_of_a_configuration_may_be_bare_ports():
    limits = attrs.evolve(Permissions(), permit_listen=("8080", "*"))
    assert limits.may_listen("x", 8080)
    assert limits.may_listen("x", 1)


places = st.lists(st.sampled_from(["a:1", "a:*", "b:2", "*:3"]), max_size=3)


@given(places, places, st.booleans(), st.sampled_from(["a", "b", "c"]), st.integers(1, 3))
def test_b06_together_they_allow_nothing_that_one_of_them_forbids(ours, theirs, forwarding, host, port):
    one = Permissions(permit_open=tuple(ours) or None, permit_listen=tuple(ours) or None, port_forwarding=forwarding)
    two = Permissions(permit_open=tuple(theirs), permit_listen=tuple(theirs))
    both = one.narrowed_by(two)
    assert not both.may_open(host, port) or (one.may_open(host, port) and two.may_open(host, port))
    assert not both.may_listen(host, port) or (one.may_listen(host, port) and two.may_listen(host, port))
