"""Who exists is told by no byte that a server answers, whatever is wrong with what was asked (hardening B09, generator G2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio

import trio_ssh
from tests.connection.logins import KBDINT, at_login, question, request, signed
from tests.pairs import HOST_KEY, USER_KEY
from tests.protocol.test_auth import SESSION_ID
from trio_ssh import ACCEPT, REFUSE, UNKNOWN_USER, Prompt, any_of
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.auth_server import Requested, ServerAuthentication
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect
from trio_ssh.wire.userauth import PasswordFields, string_field

EXISTS, DOES_NOT = "ada", "eve"
OTHER = trio_ssh.PrivateKey.generate()
MANY = trio_ssh.Limits(auth_failures=10_000, auth_requests=10_000)


# -- a server with one account -------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Keys:
    methods = ("publickey",)

    async def __call__(self, attempt):
        if attempt.username != EXISTS:
            return UNKNOWN_USER
        return ACCEPT if attempt.public_key == USER_KEY.public_key else REFUSE


async def check(username: str, password: str) -> bool:
    """As a sound check does it: as long for whoever it is."""
    await trio.sleep(0.001)
    return (username, password) == (EXISTS, "canary")


async def change(username: str, old: str, new: str) -> bool:
    return await check(username, old)


async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
    (answer,) = await attempt.ask([Prompt("Code: ")], "Second step", "Look at your phone.")
    return (attempt.username, answer) == (EXISTS, "canary")


POLICY = any_of(Keys(), trio_ssh.Passwords(check, change), trio_ssh.KeyboardInteractiveServer(converse))


@attrs.frozen
class Rules:
    """Other rules for who exists and who does not, as OpenSSH's Match blocks make them: nothing of it may show."""

    async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
        permissions = trio_ssh.Permissions(terminal=False) if login.username == EXISTS else None
        return trio_ssh.LoginRules(authenticate=POLICY, banner="Authorised use only\n", permissions=permissions)


# -- what is asked: whole requests, and each with one fault --------------------------------------------------------------------------------


def requests(name: str, raw: RawPeer) -> list[bytes]:
    """Of every method; none would be granted, whoever asks. The names are of one length, so that a fault hits both at the same place."""
    return [
        encode(one)
        for one in (
            request("none", username=name),
            request("password", encode(PasswordFields(False, b"wrong")), name),
            request("password", encode(PasswordFields(True, b"wrong", string_field(b"new"))), name),
            question(OTHER.public_key, name),
            signed(raw, OTHER, username=name),
            signed(raw, OTHER, username=name, bound_to=HOST_KEY.public_key.blob),
            request("keyboard-interactive", KBDINT.method_fields, name),
            request("hostbased", b"junk", name),
        )
    ]


def faults(payload: bytes, every: int) -> Iterator[bytes]:
    """Cut, with more behind it, with bytes flipped, with numbers that lie where a number may stand; at each `every`-th byte."""
    yield payload
    for more in (b"\0", bytes(4), bytes(300)):
        yield payload + more
    for place in range(1, len(payload), every):
        yield payload[:place]
        for flip in (0x01, 0xFF):
            yield payload[:place] + bytes([payload[place] ^ flip]) + payload[place + 1 :]
        for number in (0, 0xFFFFFFFF):
            yield payload[:place] + number.to_bytes(4, "big") + payload[place + 4 :]


# -- what comes of it ----------------------------------------------------------------------------------------------------------------------


def heard_of(payload: bytes | None) -> tuple[int, bytes | str]:
    """The very bytes; of a DISCONNECT the reason and the text, without the numbers that it quotes from the request."""
    if payload is None:
        return -1, "the end"
    if payload[0] == M.DISCONNECT:
        message = decode(Disconnect, payload)
        return message.reason_code, re.sub(r"[0-9]+", "#", message.description)
    return payload[0], payload


async def transcript(policy: Any, name: str, number: int, every: int) -> list[tuple[int, tuple[int, bytes | str]]]:
    """Every answer to the `number`-th request with each fault in turn, on as many connections as it takes."""
    heard: list[tuple[int, tuple[int, bytes | str]]] = []
    todo: list[bytes] | None = None
    at = 0
    while todo is None or at < len(todo):
        async with at_login(policy, limits=MANY) as (raw, _):
            todo = list(faults(requests(name, raw)[number], every))
            while at < len(todo):
                at += 1
                started = trio.current_time()
                await raw.send(todo[at - 1])
                payload = await raw.receive()
                if payload is not None and payload[0] == M.USERAUTH_BANNER:
                    heard.append((at, heard_of(payload)))
                    payload = await raw.receive()
                if payload is not None and payload[0] == M.USERAUTH_FAILURE and at > 1:
                    assert trio.current_time() - started >= 0.005
                heard.append((at, heard_of(payload)))
                if payload is None or payload[0] == M.DISCONNECT:
                    break
    return heard


@pytest.mark.parametrize("policy", [POLICY, Rules()], ids=["one policy", "rules by login"])
@pytest.mark.parametrize("number", range(8))
async def test_b09_g2_the_same_bytes_for_who_exists_and_who_does_not(autojump_clock, number, policy):
    exists = await transcript(policy, EXISTS, number, 13)
    does_not = await transcript(policy, DOES_NOT, number, 13)
    assert exists == does_not
    numbers = {number for _, (number, _) in exists}
    assert numbers <= {2, 7, 15, M.USERAUTH_BANNER, M.USERAUTH_FAILURE, 60}
    assert {2, M.USERAUTH_FAILURE} <= numbers or {2, 60} <= numbers


def outcome(name: str, payload: bytes) -> tuple[str, object]:
    """What the machine alone makes of one request, the name left out."""
    machine = ServerAuthentication(SESSION_ID, ("publickey", "password", "keyboard-interactive"), host_key_blob=HOST_KEY.public_key.blob)
    try:
        event = machine.read(payload)
        assert isinstance(event, Requested)
        found = machine.examine(event)
    except RemoteProtocolError as error:
        assert machine.username in (None, name)
        return type(error).__name__, (error.reason, re.sub(r"[0-9]+", "#", str(error)))
    return type(found).__name__, getattr(found, "why", getattr(found, "proven", ""))


async def test_b09_g2_every_fault_at_every_byte(autojump_clock):
    """The machine knows nobody: what it makes of a request has nothing to do with the name in it."""
    checked = 0
    async with at_login(POLICY) as (raw, _):
        for one, other in zip(requests(EXISTS, raw), requests(DOES_NOT, raw), strict=True):
            for mine, theirs in zip(faults(one, 1), faults(other, 1), strict=True):
                named, unnamed = outcome(EXISTS, mine), outcome(DOES_NOT, theirs)
                assert named[0] == unnamed[0]
                if mine == one or mine_differs_at(mine, one) > 9:  # else the name itself is hit, and may be told of
                    assert named == unnamed
                checked += 1
    assert checked > 4000


def mine_differs_at(payload: bytes, whole: bytes) -> int:
    """The first byte that is not what it was."""
    return next((place for place, (a, b) in enumerate(zip(payload, whole, strict=False)) if a != b), min(len(payload), len(whole)))


async def test_b09_nothing_is_looked_up_for_a_request_that_is_not_whole(autojump_clock):
    """Neither the rules nor a policy are asked, and no banner is shown."""
    asked: list[str] = []

    @attrs.frozen
    class Noting:
        async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
            asked.append(login.username)
            return await Rules().rules_for(login)

    for number in range(1, 7):
        async with at_login(Noting(), limits=MANY) as (raw, _):
            whole = requests(EXISTS, raw)[number]
            await raw.send(whole[:-1])
            await raw.expect_disconnect(2)
        assert asked == []
