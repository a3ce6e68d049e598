"""Passwords of the shadow database: right and wrong ones, and that everybody costs the same."""

from __future__ import annotations

import os
import pwd

import attrs
import pytest

from trio_ssh import AuthAttempt
from trio_ssh.server.shadow import ShadowEntry, ShadowPasswords, crypt, shadow_entry, usual_way

NOW = 20_000 * 86400.0
HASHES = {
    "sha512": "$6$abc$IdWKNKTJEb8LxY7CGg8YBXlvtfZzFw7Mp/r6niK9YB2mdvgY..TKjv1T..8RadRt2qvUHYRLr/TsVArtr91iR1",
    "sha256": "$5$abc$qsg6EHbUzHQzF1POlD7zUwBINSELQxypPaeDcZe6vH0",
}
STAND_IN = "$5$standin$"


@attrs.define(eq=False)
class Machine:
    """Accounts, and how often something was hashed."""

    entries: dict[str, ShadowEntry] = attrs.field(
        factory=lambda: {
            "alice": ShadowEntry(HASHES["sha512"]),
            "bob": ShadowEntry(HASHES["sha256"]),
            "open": ShadowEntry(""),
            "locked": ShadowEntry("!" + HASHES["sha256"]),
            "daemon": ShadowEntry("*"),
            "unreadable": ShadowEntry("x"),
        }
    )
    hashed: list[str] = attrs.field(factory=list)

    def hash_password(self, password: str, setting: str) -> str | None:
        self.hashed.append(setting)
        return crypt(password, setting)

    def passwords(self, **settings) -> ShadowPasswords:
        return ShadowPasswords(
            entry_of=self.entries.get, hash_password=self.hash_password, stand_in=lambda: STAND_IN, clock=lambda: NOW, **settings
        )


async def verdict_of(policy: ShadowPasswords, username: str, password: str | None, **fields) -> bool:
    return (await policy(AuthAttempt(username=username, method="password", password=password, **fields))).accepted


@pytest.mark.parametrize("username", ["alice", "bob"])
async def test_the_right_password_and_no_other(username):
    policy = Machine().passwords()
    assert await verdict_of(policy, username, "secret")
    for wrong in ("Secret", "secret ", "", "!", "*", "secret\0", "\udcff"):
        assert not await verdict_of(policy, username, wrong)
    assert not await verdict_of(policy, username, None)
    assert not await verdict_of(policy, username, "secret", new_password="another")


async def test_b09_everybody_costs_one_hash():
    """Unknown, locked, without a password, not allowed: for each there is one hash, in the usual way for those who have none."""
    for username in ("alice", "nobody here", "locked", "daemon", "unreadable", "open"):
        for futile in (False, True):
            machine = Machine()
            assert not await verdict_of(machine.passwords(futile=futile), username, "wrong")
            assert machine.hashed == [HASHES["sha512"] if username == "alice" else STAND_IN]


async def test_b09_who_may_not_log_in_is_refused_with_the_right_password_too():
    machine = Machine()
    assert not await verdict_of(machine.passwords(futile=True), "alice", "secret")
    assert len(machine.hashed) == 1


async def test_b10_a_long_password_is_not_hashed():
    machine = Machine()
    for password in ("p" * 1025, "p" * 2000, "ä" * 600, "p" * 200 * 1024):
        assert not await verdict_of(machine.passwords(), "alice", password)
    assert machine.hashed == []
    assert not await verdict_of(machine.passwords(), "alice", "p" * 500)
    assert len(machine.hashed) == 1


async def test_b23_empty_passwords_and_nul():
    """An empty one is right only where the account has none and that is permitted; a NUL ends nothing."""
    assert not await verdict_of(Machine().passwords(), "open", "")
    permitting = Machine().passwords(permit_empty=True)
    assert await verdict_of(permitting, "open", "")
    for username, password in (("open", "x"), ("open", "\0"), ("alice", ""), ("alice", "secret\0x"), ("nobody here", ""), ("locked", "")):
        assert not await verdict_of(permitting, username, password)


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        (ShadowEntry("", 19_000, 99_999, -1), True),
        (ShadowEntry("", 19_000, 1000, -1), True),
        (ShadowEntry("", 19_000, 999, -1), False),
        (ShadowEntry("", 19_000, -1, -1), True),
        (ShadowEntry("", 0, 99_999, -1), False),
        (ShadowEntry("", 19_000, 99_999, 20_001), True),
        (ShadowEntry("", 19_000, 99_999, 20_000), False),
        (ShadowEntry("", 19_000, 99_999, 0), False),
    ],
)
async def test_expired_passwords_and_accounts_are_refused(entry, good):
    machine = Machine({"alice": attrs.evolve(entry, password=HASHES["sha256"])})
    assert await verdict_of(machine.passwords(), "alice", "secret") is good
    assert not await verdict_of(machine.passwords(), "alice", "wrong")


def test_crypt():
    for hashed in HASHES.values():
        assert crypt("secret", hashed) == hashed
        assert crypt("wrong", hashed) != hashed
    for useless in ("*0", "*", "!", "", "$nothing$", "!" + HASHES["sha256"], "$5$\0"):
        assert crypt("secret", useless) is None
    assert crypt("se\0cret", HASHES["sha256"]) is None


def test_no_secret_is_shown():
    assert HASHES["sha256"] not in repr(ShadowEntry(HASHES["sha256"]))


def test_this_machine():
    name = pwd.getpwuid(os.getuid()).pw_name
    assert shadow_entry(name) is not None
    for missing in ("no-such-account-here", "a\0b", "\udcff", ""):
        assert shadow_entry(missing) is None
    assert crypt("secret", usual_way()) is not None
