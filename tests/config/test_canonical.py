"""CanonicalizeHostname, with a resolver of our own: which names are asked for, and what the host is called then."""

from __future__ import annotations

import attrs
import pytest

from trio_ssh.config import Local, Query, SSHConfig, resolve, ssh_config
from trio_ssh.config.canonical import numeric_address
from trio_ssh.errors import ConfigError

LOCAL = Local("me", 1000, "/home/me", "desk.example")
ON = "CanonicalizeHostname yes\nCanonicalDomains a.example b.example\n"


@attrs.define
class Names:
    """A name server: full names and what they are aliases of."""

    known: dict[str, str] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)

    async def look_up(self, name: str) -> str | None:
        self.asked.append(name)
        return self.known.get(name)


async def final_host(text: str, host: str, names: Names) -> str:
    resolved = await resolve(SSHConfig.from_text(text), Query(host=host, local=LOCAL), look_up=names.look_up)
    return resolved.host


async def test_the_domains_are_tried_in_order():
    names = Names({"box.b.example.": ""})
    assert await final_host(ON, "Box", names) == "box.b.example"
    assert names.asked == ["box.a.example.", "box.b.example."]


async def test_off_is_the_default():
    names = Names({"box.a.example.": ""})
    assert await final_host("CanonicalDomains a.example", "box", names) == "box"
    assert await final_host("CanonicalizeHostname no\nCanonicalDomains a.example", "box", names) == "box"
    assert names.asked == []


async def test_enough_dots_are_left_alone():
    names = Names({"x.y.a.example.": "", "x.y.z.a.example.": ""})
    assert await final_host(ON, "x.y", names) == "x.y.a.example"
    assert await final_host(ON, "x.y.z", names) == "x.y.z"
    assert await final_host(ON + "CanonicalizeMaxDots 0", "x.y", names) == "x.y"
    assert await final_host(ON + "CanonicalizeMaxDots 2", "x.y.z", names) == "x.y.z.a.example"


async def test_a_full_name_is_asked_for_as_it_is():
    names = Names({"box.other.": ""})
    assert await final_host(ON, "box.other.", names) == "box.other"
    assert names.asked == ["box.other."]


async def test_not_found():
    assert await final_host(ON, "box", Names()) == "box"
    with pytest.raises(ConfigError, match="the host 'box' is in none of CanonicalDomains"):
        await final_host(ON + "CanonicalizeFallbackLocal no", "box", Names())


async def test_aliases_are_followed_where_a_rule_permits_it():
    rules = ON + "CanonicalizePermittedCNAMEs *.a.example:*.c.example,*.d.example"
    assert await final_host(rules, "box", Names({"box.a.example.": "real.c.example."})) == "real.c.example"
    assert await final_host(rules, "box", Names({"box.a.example.": "real.evil.example"})) == "box.a.example"
    assert await final_host(rules, "box", Names({"box.b.example.": "real.c.example"})) == "box.b.example"
    assert await final_host(ON, "box", Names({"box.a.example.": "real.c.example"})) == "box.a.example"
    assert await final_host(ON + "CanonicalizePermittedCNAMEs none", "box", Names({"box.a.example.": "x"})) == "box.a.example"


async def test_an_alias_of_a_name_that_has_dots_enough():
    rules = ON + "CanonicalizePermittedCNAMEs *:*.c.example"
    assert await final_host(rules, "x.y.z", Names({"x.y.z": "real.c.example"})) == "real.c.example"
    with pytest.raises(ConfigError, match=r"'x.y.z' cannot be found"):
        await final_host(rules, "x.y.z", Names())


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0::1", "::1"),
        ("2001:DB8::1", "2001:DB8::1"),
        ("fe80::1%nowhere9", "fe80::1%nowhere9"),
    ],
)
async def test_addresses_are_spelled_as_usual_and_never_looked_up(host, name):
    names = Names()
    assert await final_host(ON, host, names) == name
    assert await final_host("", host, names) == name
    assert names.asked == []


def test_what_is_an_address():
    assert numeric_address("127.1") == "127.0.0.1"
    assert numeric_address("box") is None
    assert numeric_address("x" * 300) is None
    assert numeric_address("a\0b") is None


async def test_the_second_pass_goes_by_the_new_name():
    text = ON + "Host box.a.example\nUser ada\nPort 7\nMatch canonical host *.a.example\nLogLevel ERROR\nHost box\nPort 9"
    resolved = await resolve(SSHConfig.from_text(text), Query(host="box", local=LOCAL), look_up=Names({"box.a.example.": ""}).look_up)
    settings = resolved.settings
    assert (settings[ssh_config.USER], settings[ssh_config.PORT]) == ("ada", 9)  # what the first pass found stays
    assert ssh_config.LOG_LEVEL in settings
    assert (resolved.tokens["h"], resolved.tokens["n"], resolved.tokens["k"]) == ("box.a.example", "box", "box")


async def test_without_a_resolver_nothing_is_found():
    resolved = await resolve(SSHConfig.from_text(ON), Query(host="box", local=LOCAL))
    assert resolved.host == "box"
