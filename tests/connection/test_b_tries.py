"""Tries without end, on either side of a login: every request counts, and a client stops, too (hardening B07, B20)."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
import trio

import trio_ssh
from tests.connection.logins import KBDINT, asked_by_client, at_login, failure, question, request, signed
from tests.pairs import USER_KEY
from tests.raw_peer import PASSWORD, PASSWORDS, password_request
from trio_ssh import ACCEPT, REFUSE, Prompt, all_of, any_of
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.userauth import PasswordFields, UserauthFailure, UserauthInfoRequest, UserauthInfoResponse, string_field, write_responses

KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
OTHER = trio_ssh.PrivateKey.generate()


@attrs.define(eq=False)
class Counting:
    """A policy that refuses, and counts by method what it was asked."""

    asked: Counter[str] = attrs.field(factory=Counter)

    methods = ("publickey", "password", "keyboard-interactive")

    async def __call__(self, attempt):
        self.asked[attempt.method] += 1
        if attempt.method == "keyboard-interactive":
            await attempt.ask([Prompt("?")])
        return REFUSE


async def flood(raw: RawPeer, payload: object, count: int) -> None:
    """All at once where the other end takes it; it may end the connection before."""
    try:
        for _ in range(0, count, 8):
            await raw.send(*[payload] * 8)
            await trio.lowlevel.checkpoint()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def answers_until_the_end(raw: RawPeer) -> Counter[int]:
    return Counter(payload[0] for payload in await raw.drain())


@pytest.mark.parametrize("welcome", [False, True], ids=["refused", "welcome"])
async def test_b07_ten_thousand_questions_about_keys(autojump_clock, welcome):
    """64 are answered, whatever the answer; the policy has been asked no more often."""
    asked = 0

    async def policy(attempt):
        nonlocal asked
        asked += 1
        return ACCEPT if welcome else REFUSE

    async with at_login(policy) as (raw, ends):
        answered = 0
        while answered < 10_000:
            await raw.send(question(OTHER.public_key))
            payload = await raw.receive()
            if payload is None or payload[0] == M.DISCONNECT:
                break
            assert payload[0] == (60 if welcome else M.USERAUTH_FAILURE)
            answered += 1
    assert (answered, asked) == (64, 64)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_b07_ten_thousand_questions_sent_ahead(autojump_clock):
    policy = Counting()
    async with at_login(policy) as (raw, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, raw, question(OTHER.public_key), 10_000)
            counts = await answers_until_the_end(raw)
            nursery.cancel_scope.cancel()
    assert counts[M.USERAUTH_SUCCESS] == 0
    assert counts[M.USERAUTH_FAILURE] <= 64
    assert policy.asked["publickey"] <= 64


FAILING = {
    "password": password_request("wrong"),
    "change": request("password", encode(PasswordFields(True, b"wrong", string_field(b"new")))),
    "none": request("none"),
    "gssapi": request("gssapi-with-mic", b"\0\0\0\1"),
    "hostbased": request("hostbased", b"junk"),
    "unheard-of": request("unheard-of@example.com"),
    "junk key": request("publickey", b"\1" + string_field(b"ssh-ed25519") + string_field(b"junk") + string_field(b"x")),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=list(FAILING))
async def test_b07_six_failures_of_any_method(autojump_clock, failing):
    """Five FAILUREs, then DISCONNECT 2; `none` as the very first is not counted, and so there are six."""
    async with at_login(any_of(KEYS, PASSWORDS)) as (raw, _):
        for _ in range(6 if failing.method_name == "none" else 5):
            await raw.send(failing)
            await failure(raw)
        await raw.send(failing)
        await raw.expect_disconnect(2)


async def test_b07_failures_of_different_methods_add_up(autojump_clock):
    async with at_login(Counting()) as (raw, _):
        for one in (password_request("a"), signed(raw, OTHER), request("hostbased"), password_request("b")):
            await raw.send(one)
            await failure(raw)
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(UserauthInfoResponse(write_responses(("no",))))
        await failure(raw)
        await raw.send(password_request("c"))
        await raw.expect_disconnect(2)


async def test_b07_a_partial_success_does_not_give_the_tries_back(autojump_clock):
    async with at_login(all_of(KEYS, PASSWORDS)) as (raw, _):
        for _ in range(3):
            await raw.send(signed(raw, OTHER))
            await failure(raw)
        await raw.send(signed(raw, USER_KEY))
        assert (await failure(raw)).partial_success
        for _ in range(2):
            await raw.send(password_request("wrong"))
            assert not (await failure(raw)).partial_success
        await raw.send(password_request("wrong"))
        await raw.expect_disconnect(2)


async def test_b07_a_partial_success_again_and_again(autojump_clock):
    """The factor that has passed is none any more: it fails, and counts."""
    async with at_login(all_of(KEYS, PASSWORDS)) as (raw, _):
        await raw.send(signed(raw, USER_KEY))
        assert (await failure(raw)).partial_success
        for _ in range(5):
            await raw.send(signed(raw, USER_KEY))
            assert await failure(raw) == UserauthFailure(("password",), False)
        await raw.send(signed(raw, USER_KEY))
        await raw.expect_disconnect(2)


async def test_b07_right_in_the_last_try(autojump_clock):
    async with at_login(PASSWORDS) as (raw, _):
        for _ in range(5):
            await raw.send(password_request("wrong"))
            await failure(raw)
        await raw.send(password_request(PASSWORD))
        await raw.expect(M.USERAUTH_SUCCESS)


# -- a server that is never content --------------------------------------------------------------------------------------------------------


async def guess() -> str:
    return "guess"


async def answer(asked: trio_ssh.Asked) -> list[str]:
    return ["x"] * len(asked.prompts)


CREDENTIALS = {
    "passwords": lambda: [trio_ssh.Password(guess, tries=2000)],
    "questions": lambda: [trio_ssh.KeyboardInteractive(answer, 2000)],
    "keys": lambda: [trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate()) for _ in range(100)],
    "everything": lambda: [
        *[trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate()) for _ in range(50)],
        trio_ssh.Password(guess, tries=50),
        trio_ssh.KeyboardInteractive(answer, 50),
    ],
}
METHODS = ("publickey", "password", "keyboard-interactive")


@pytest.mark.parametrize("partial", [True, False], ids=["partial success", "failure"])
@pytest.mark.parametrize("make", CREDENTIALS.values(), ids=list(CREDENTIALS))
async def test_b20_a_server_that_is_never_content(autojump_clock, make, partial):
    """A thousand times the same list: at most 64 requests, then DISCONNECT 14 and one typed error."""
    async with asked_by_client(make()) as (raw, errors):
        payload: bytes | None = None
        for _ in range(1000):
            payload = await raw.receive()
            if payload is None or payload[0] == M.DISCONNECT:
                break
            if payload[0] == M.USERAUTH_REQUEST:
                await raw.send(UserauthFailure(METHODS, partial))
        assert payload is not None
        assert (payload[0], payload[4]) == (M.DISCONNECT, 14)
    requests = raw.numbers.count(M.USERAUTH_REQUEST)
    assert 1 < requests <= 64
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError | trio_ssh.AuthenticationFailed)
    if partial:
        # A server that says "right so far" has not counted failures; ours to stop.
        assert raw.numbers.count(M.USERAUTH_REQUEST) > 6


async def test_b20_failures_and_partial_successes_in_turn(autojump_clock):
    async with asked_by_client([trio_ssh.Password(guess, tries=2000)]) as (raw, errors):
        count = 0
        while (payload := await raw.receive()) is not None and payload[0] != M.DISCONNECT:
            if payload[0] == M.USERAUTH_REQUEST:
                count += 1
                await raw.send(UserauthFailure(("password",), count % 2 == 0))
    assert count <= 64
    assert errors


async def test_b20_empty_rounds_of_questions_are_rounds(autojump_clock):
    """Rounds without a prompt: nobody notices them, so they must be counted all the same."""
    async with asked_by_client([trio_ssh.KeyboardInteractive(answer)]) as (raw, _):
        await raw.wait_for(M.USERAUTH_REQUEST)
        await raw.send(UserauthFailure(("keyboard-interactive",), False))
        await raw.wait_for(M.USERAUTH_REQUEST)
        for _ in range(16):
            await raw.send(UserauthInfoRequest("", "", "", bytes(4)))
            await raw.expect(M.USERAUTH_INFO_RESPONSE)
        await raw.send(UserauthInfoRequest("", "", "", bytes(4)))
        await raw.expect_disconnect(14)
