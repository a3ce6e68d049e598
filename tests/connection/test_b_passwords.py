"""Passwords of absurd sizes and contents: never hashed, or given to the policy as they are (hardening B10, B23)."""

from __future__ import annotations

import attrs
import pytest

import trio_ssh
from tests.connection.logins import at_login, failure, request
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.userauth import PasswordFields, UserauthFailure, string_field


@attrs.define(eq=False)
class Hashing:
    """Counts what would be hashed."""

    hashed: list[str | tuple[str, str]] = attrs.field(factory=list)

    async def check(self, username: str, password: str) -> bool:
        self.hashed.append(password)
        return False

    async def change(self, username: str, old: str, new: str) -> bool:
        self.hashed.append((old, new))
        return False

    @property
    def policy(self) -> trio_ssh.Passwords:
        return trio_ssh.Passwords(self.check, self.change)


def passwords(old: bytes, new: bytes | None = None) -> object:
    return request("password", encode(PasswordFields(new is not None, old, b"" if new is None else string_field(new))))


@pytest.mark.parametrize("size", [1025, 2000, 30_000, 60_000])
async def test_b10_long_passwords_are_not_hashed(autojump_clock, size):
    """FAILURE, whatever packet holds them; as the old one and as the new one of a change, too. One of 1,024 bytes is hashed."""
    hashing = Hashing()
    async with at_login(hashing.policy) as (raw, _):
        for message in (passwords(b"x" * size), passwords(b"x" * (size // 2 + 1), b"x" * (size // 2 + 1)) if size > 2048 else None):
            if message is not None:
                await raw.send(message)
                assert await failure(raw) == UserauthFailure(("password",), False)
        assert hashing.hashed == []
        await raw.send(passwords(b"x" * 1024))
        await failure(raw)
    assert hashing.hashed == ["x" * 1024]


async def test_b10_one_of_200_kib_does_not_even_arrive(autojump_clock):
    """No packet before the login holds it: DISCONNECT 2, nothing is hashed."""
    hashing = Hashing()
    async with at_login(hashing.policy) as (raw, _):
        await raw.send(passwords(b"x" * 200 * 1024))
        await raw.expect_disconnect(2)
    assert hashing.hashed == []


async def test_b10_where_packets_may_be_larger_it_is_refused_unhashed(autojump_clock):
    hashing = Hashing()
    async with at_login(hashing.policy, limits=trio_ssh.Limits(packet_bytes_preauth=256 * 1024)) as (raw, _):
        await raw.send(passwords(b"x" * 200 * 1024))
        await failure(raw)
    assert hashing.hashed == []


@pytest.mark.parametrize("password", ["a\0b", "\0", " ", "\n", "ä" * 512, "\ufeff", "x" * 1024])
async def test_b23_passwords_reach_the_policy_as_they_are(autojump_clock, password):
    hashing = Hashing()
    async with at_login(hashing.policy) as (raw, _):
        await raw.send(passwords(password.encode()))
        await failure(raw)
        await raw.send(passwords(password.encode(), password.encode()))
        await failure(raw)
    assert hashing.hashed == [password, (password, password)]


async def test_b23_empty_passwords_are_refused_unseen_and_count(autojump_clock):
    """By default a policy that would take one is not asked; and it is a failure like any other."""
    asked = []

    async def anybody(username: str, password: str) -> bool:
        asked.append(password)
        return True

    async with at_login(trio_ssh.Passwords(anybody, None), limits=trio_ssh.Limits(auth_failures=3)) as (raw, _):
        for _ in range(2):
            await raw.send(passwords(b""))
            await failure(raw)
        await raw.send(passwords(b""))
        await raw.expect_disconnect(2)
        assert M.USERAUTH_SUCCESS not in raw.numbers
    assert asked == []
