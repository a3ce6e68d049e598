"""Authentication under hostile peers, on whole connections, in both roles (SM-089 to SM-110, B)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.connection.logins import HOSTBOUND, KBDINT, asked_by_client, at_login, failure, question, request, signed
from tests.pairs import HOST_KEY, USER_KEY
from tests.raw_peer import PASSWORDS, password_request, raw_server
from trio_ssh import ACCEPT, REFUSE, AuthAttempted, Prompt, all_of, any_of
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceAccept
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    PasswordFields,
    PublicKeyFields,
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthInfoResponse,
    UserauthPasswdChangereq,
    UserauthRequest,
    UserauthSuccess,
    string_field,
    write_prompts,
    write_responses,
)

KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
OTHER_KEY = trio_ssh.PrivateKey.generate()


@attrs.define(eq=False)
class Asking:
    """Asks `prompts` in `rounds` rounds; lets nobody in but who answers "yes" to everything."""

    prompts: int = 1
    rounds: int = 1
    cancelled: int = 0
    done: int = 0

    methods = ("keyboard-interactive",)

    async def __call__(self, attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        try:
            for _ in range(self.rounds):
                answers = await attempt.ask([Prompt(f"Question {number}?") for number in range(self.prompts)])
                if set(answers) - {"yes"}:
                    return REFUSE
        except trio.Cancelled:
            self.cancelled += 1
            raise
        self.done += 1
        return ACCEPT


def changed(one: UserauthRequest, **fields: object) -> UserauthRequest:
    """The same but for these fields."""
    same = {name: getattr(one, name) for name in ("user_name", "service_name", "method_name", "method_fields")}
    return UserauthRequest(**{**same, **fields})


def answers(*texts: str) -> UserauthInfoResponse:
    return UserauthInfoResponse(write_responses(texts))


# -- servers: requests ---------------------------------------------------------------------------------------------------------------------


async def test_sm_089_b11_methods_that_are_not_there(autojump_clock):
    chance = random.Random(1)
    names = ["gssapi-with-mic", "hostbased", "gssapi-keyex", "keyboard-interactive", "external-keyx", "publickey", HOSTBOUND]
    names += ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz-@.", k=chance.randint(1, 60))) for _ in range(100)]
    limits = trio_ssh.Limits(auth_failures=1000, auth_requests=1000)
    async with at_login(PASSWORDS, limits=limits) as (raw, _):
        for name in names:
            known = {"keyboard-interactive": encode(KeyboardInteractiveFields("", ""))}
            fields = known.get(name, encode(PublicKeyFields(False, "ssh-ed25519", USER_KEY.public_key.blob)))
            if name == HOSTBOUND:
                fields += string_field(HOST_KEY.public_key.blob)
            await raw.send(request(name, fields))
            assert (await failure(raw)) == UserauthFailure(("password",), False)


async def test_sm_099_none_behind_a_partial_success_counts(autojump_clock):
    async with at_login(all_of(KEYS, PASSWORDS), limits=trio_ssh.Limits(auth_failures=2)) as (raw, ends):
        await raw.send(signed(raw, USER_KEY))
        assert await failure(raw) == UserauthFailure(("password",), True)
        await raw.send(request("none"))
        assert await failure(raw) == UserauthFailure(("password",), False)
        await raw.send(request("none"))
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_sm_100_answers_that_nobody_asked_for(autojump_clock):
    async with at_login(Asking()) as (raw, _):
        await raw.send(answers("yes"))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("given", [(), ("yes",), ("yes", "yes", "yes")])
async def test_sm_101_b08_more_or_fewer_answers_than_questions(autojump_clock, given):
    """RFC 4256 §3.4 demands a FAILURE; the policy is cancelled and cannot grant anything."""
    policy = Asking(prompts=2)
    async with at_login(policy) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(answers(*given))
        assert await failure(raw) == UserauthFailure(("keyboard-interactive",), False)
        assert (policy.cancelled, policy.done) == (1, 0)
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(answers("yes", "yes"))
        await raw.expect(M.USERAUTH_SUCCESS)


@pytest.mark.parametrize("count", [17, 2**28, 2**32 - 1])
async def test_b08_absurd_numbers_of_answers(autojump_clock, count):
    policy = Asking()
    async with at_login(policy) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(UserauthInfoResponse(count.to_bytes(4, "big")))
        await raw.expect_disconnect(2)
    assert (policy.cancelled, policy.done) == (1, 0)


async def test_sm_102_answers_behind_another_request(autojump_clock):
    policy = any_of(Asking(), PASSWORDS)
    async with at_login(policy) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(password_request("wrong"), answers("yes"))
        await raw.expect(M.USERAUTH_FAILURE)
        await raw.expect_disconnect(2)


async def test_b05_a_request_supersedes_the_questions_that_are_out(autojump_clock):
    asking = Asking(rounds=2)
    async with at_login(any_of(asking, PASSWORDS)) as (raw, ends):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(answers("yes"))
        await raw.expect(60)
        await raw.send(KBDINT)  # begins anew: what was answered before does not count any more
        await raw.expect(60)
        await raw.send(answers("yes"))
        await raw.expect(60)
        await raw.send(answers("no"))
        await failure(raw)
        assert (asking.cancelled, asking.done) == (1, 0)
    assert [event.outcome for event in ends.server_events if isinstance(event, AuthAttempted)] == ["refused", "refused"]


async def test_b05_a_policy_that_shields_itself_is_told_that_the_attempt_is_over(autojump_clock):
    """It cannot be cancelled, and must not wait for answers that never come; what it says then counts for nothing."""
    told = []

    async def stubborn(attempt):
        with trio.CancelScope(shield=True):
            try:
                await attempt.ask([Prompt("Question?")])
            except trio_ssh.LocalProtocolError as error:
                told.append(str(error))
        return True

    async with at_login(any_of(trio_ssh.KeyboardInteractiveServer(stubborn), PASSWORDS)) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(password_request("wrong"))
        await failure(raw)
        await raw.send(password_request("canary"))
        await raw.expect(M.USERAUTH_SUCCESS)
    assert len(told) == 1


async def test_b07_superseding_attempts_count(autojump_clock):
    """CVE-2015-5600's way around the counter: every attempt that was begun is one."""
    async with at_login(Asking(), limits=trio_ssh.Limits(auth_failures=3)) as (raw, _):
        for _ in range(3):
            await raw.send(KBDINT)
            await raw.expect(60)
        await raw.send(KBDINT)
        await raw.expect_disconnect(2)


async def test_b07_duplicate_devices_are_one_attempt(autojump_clock):
    asking = Asking()
    async with at_login(asking, limits=trio_ssh.Limits(auth_failures=2)) as (raw, _):
        await raw.send(request("keyboard-interactive", encode(KeyboardInteractiveFields("", ",".join(["pam"] * 1000)))))
        await raw.expect(60)
        await raw.send(answers("no"))
        await failure(raw)
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(answers("no"))
        await raw.expect_disconnect(2)


async def test_b07_b20_partial_successes_do_not_go_on_for_ever(autojump_clock):
    """Right answers are requests too."""
    factors = [trio_ssh.AuthorizedKeys.of([trio_ssh.PrivateKey.generate().public_key]) for _ in range(2)]
    async with at_login(all_of(PASSWORDS, *factors), limits=trio_ssh.Limits(auth_requests=4)) as (raw, _):
        await raw.send(password_request("canary"))
        assert (await failure(raw)).partial_success
        for _ in range(3):
            await raw.send(question(OTHER_KEY.public_key))
            assert not (await failure(raw)).partial_success
        await raw.send(question(OTHER_KEY.public_key))
        await raw.expect_disconnect(2)


async def test_kbdint_prompts_and_kbdint_rounds_of_a_server(autojump_clock):
    """Our own policy is held to the limits that a peer may count on: going over them is its mistake, and a refusal."""
    for policy, limits in ((Asking(prompts=2), trio_ssh.Limits(kbdint_prompts=1)), (Asking(rounds=2), trio_ssh.Limits(kbdint_rounds=1))):
        async with at_login(policy, limits=limits) as (raw, _):
            await raw.send(KBDINT)
            if policy.rounds == 2:
                await raw.expect(60)
                await raw.send(answers("yes"))
            await failure(raw)
        assert policy.done == 0


async def test_b03_another_user_behind_a_partial_success(autojump_clock):
    async with at_login(all_of(KEYS, PASSWORDS)) as (raw, _):
        await raw.send(signed(raw, USER_KEY))
        assert (await failure(raw)).partial_success
        await raw.send(password_request("canary", "bob"))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("order", [("ask A", "ask B", "sign A"), ("ask A", "sign B"), ("sign B",), ("ask B", "sign A")])
async def test_b04_only_the_key_that_signed_is_proven(autojump_clock, order):
    """A is let in; B may be asked about, and never is proven unless it signs."""
    learnt = []

    async def policy(attempt):
        learnt.append((attempt.public_key, attempt.proven))
        return ACCEPT

    keys = {"A": USER_KEY, "B": OTHER_KEY}
    async with at_login(policy) as (raw, _):
        for step in order:
            act, _, name = step.partition(" ")
            await raw.send(question(keys[name].public_key) if act == "ask" else signed(raw, keys[name]))
            await raw.expect(60 if act == "ask" else M.USERAUTH_SUCCESS)
    assert learnt == [(keys[step[-1]].public_key, step.startswith("sign")) for step in order]
    assert [key for key, proven in learnt if proven] == [keys[order[-1][-1]].public_key]


async def test_b06_the_same_key_is_no_second_factor(autojump_clock):
    """Neither to sign with nor to ask about; a refusal of a signature counts, one of a question does not."""
    both = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key, OTHER_KEY.public_key])
    async with at_login(all_of(both, both), limits=trio_ssh.Limits(auth_failures=2)) as (raw, _):
        await raw.send(signed(raw, USER_KEY))
        assert (await failure(raw)).partial_success
        for again in (question(USER_KEY.public_key), question(USER_KEY.public_key), signed(raw, USER_KEY)):
            await raw.send(again)
            assert await failure(raw) == UserauthFailure(("publickey",), False)
        await raw.send(signed(raw, OTHER_KEY))
        await raw.expect(M.USERAUTH_SUCCESS)


async def test_b19_a_question_about_a_key_changes_nothing(autojump_clock):
    async with at_login(any_of(KEYS, PASSWORDS)) as (raw, _):
        await raw.send(question(USER_KEY.public_key))
        await raw.expect(60)
        await raw.send(password_request(""))
        await failure(raw)
        await raw.send(password_request("wrong"))
        await failure(raw)


async def test_b05_results_come_in_order(autojump_clock):
    """A slow right one with a fast wrong one behind it, and the other way about; sixteen deep."""

    async def policy(attempt):
        await trio.sleep(5 if attempt.password.startswith("slow") else 0)
        return ACCEPT if attempt.password.endswith("good") else REFUSE

    async with at_login(policy) as (raw, _):
        await raw.send(password_request("slow bad"), request("none"), password_request("slow good"), password_request("bad"))
        numbers = [(await raw.receive() or b"?")[0] for _ in range(3)]
        assert numbers == [M.USERAUTH_FAILURE, M.USERAUTH_FAILURE, M.USERAUTH_SUCCESS]
    async with at_login(policy, limits=trio_ssh.Limits(auth_failures=20)) as (raw, _):
        await raw.send(*[password_request("bad")] * 15, password_request("slow good"))
        numbers = [(await raw.receive() or b"?")[0] for _ in range(16)]
        assert numbers == [M.USERAUTH_FAILURE] * 15 + [M.USERAUTH_SUCCESS]


async def test_sm_105_channels_before_the_success_in_mid_questions(autojump_clock):
    async with at_login(Asking()) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(ChannelOpen("session", 0, 1000, 1000))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("number", [51, 52, 53, 60, 6])
async def test_b01_sm_103_a_servers_messages_in_mid_questions(autojump_clock, number):
    async with at_login(Asking()) as (raw, ends):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(bytes([number]) + bytes(20))
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_b16_sm_110_the_deadline_ends_questions_and_grants_nothing(autojump_clock):
    policy = Asking()
    async with at_login(policy, limits=trio_ssh.Limits(login_seconds=3)) as (raw, ends):
        await raw.send(KBDINT)
        await raw.expect(60)
        await trio.sleep(4)
        assert M.USERAUTH_SUCCESS not in [payload[0] for payload in await raw.drain()]
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)
    assert (policy.cancelled, policy.done) == (1, 0)


@pytest.mark.parametrize("late", [0.5, 1.5, 2.5])
async def test_b16_tri_17_a_policy_that_cannot_be_interrupted_grants_nothing_behind_the_deadline(autojump_clock, late):
    async def stubborn(attempt):
        with trio.CancelScope(shield=True):
            await trio.sleep(late)
        return ACCEPT

    async with at_login(stubborn, limits=trio_ssh.Limits(login_seconds=1)) as (raw, _):
        await raw.send(password_request("x"))
        numbers = [payload[0] for payload in await raw.drain()] if late > 1 else [(await raw.receive() or b"?")[0]]
        assert (M.USERAUTH_SUCCESS in numbers) == (late < 1)


async def test_b10_b23_new_passwords_that_never_reach_a_policy(autojump_clock):
    calls = []

    async def change(username, old, new):
        calls.append((old, new))
        return True

    async def check(username, password):
        return await change(username, password, None)

    async with at_login(trio_ssh.Passwords(check, change), limits=trio_ssh.Limits(auth_failures=20)) as (raw, _):
        for old, new in ((b"x" * 2000, b"y"), (b"x", b"y" * 2000), (b"x" * 50_000, b"y"), (b"", b"y"), (b"x", b""), (b"\xff", b"y")):
            await raw.send(request("password", encode(PasswordFields(True, old, string_field(new)))))
            await failure(raw)
        assert calls == []
        await raw.send(request("password", encode(PasswordFields(True, b"a\0b", string_field(b"c\0d")))))
        await raw.expect(M.USERAUTH_SUCCESS)
    assert calls == [("a\0b", "c\0d")]


async def test_b23_empty_passwords_only_where_the_rules_take_them(autojump_clock):
    @attrs.frozen
    class Rules:
        takes: bool

        async def rules_for(self, login):
            return trio_ssh.LoginRules(authenticate=trio_ssh.Passwords(is_empty), empty_passwords=self.takes)

    async def is_empty(username, password):
        return password == ""

    for takes in (False, True):
        async with at_login(Rules(takes)) as (raw, _):
            await raw.send(password_request(""))
            await raw.expect(M.USERAUTH_SUCCESS if takes else M.USERAUTH_FAILURE)


# -- servers: equal answers ----------------------------------------------------------------------------------------------------------------


async def check_slowly(username: str, password: str) -> bool:
    """As a sound check does it: as long for a name that does not exist."""
    await trio.sleep(0.1)
    return (username, password) == ("ada", "canary")


@attrs.frozen
class OnlyAda:
    """Keys of one user."""

    methods = ("publickey",)

    async def __call__(self, attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        if attempt.username != "ada":
            return trio_ssh.UNKNOWN_USER
        return ACCEPT if attempt.public_key == USER_KEY.public_key else REFUSE


async def transcript(raw: RawPeer, requests: Sequence[UserauthRequest]) -> tuple[list[bytes], list[float]]:
    payloads, times = [], []
    for one in requests:
        started = trio.current_time()
        await raw.send(one)
        payloads.append(await raw.receive() or b"")
        times.append(trio.current_time() - started)
    return payloads, times


def wrong_requests(name: str, raw: RawPeer) -> list[UserauthRequest]:
    return [
        request("none", username=name),
        password_request("wrong", name),
        changed(question(OTHER_KEY.public_key), user_name=name),
        changed(signed(raw, OTHER_KEY), user_name=name),
        request("hostbased", b"junk", name),
        changed(KBDINT, user_name=name),
        request("publickey", encode(PublicKeyFields(False, "ssh-ed25519", b"junk")), name),
        request("password", encode(PasswordFields(True, b"old", string_field(b"new"))), name),
    ]


async def test_b09_the_answers_do_not_tell_who_exists(autojump_clock):
    """Every method, wrong for a user that exists and for one that does not: the same bytes, and times that are steps of the same kind."""
    seen: dict[str, list[bytes]] = {}
    for name in ("ada", "nobody"):
        policy = any_of(OnlyAda(), trio_ssh.Passwords(check_slowly))
        async with at_login(policy, limits=trio_ssh.Limits(auth_failures=20)) as (raw, _):
            seen[name], times = await transcript(raw, wrong_requests(name, raw))
            # All but the very first `none` take the floor at least.
            assert min(times[1:]) >= 0.005
    assert seen["ada"] == seen["nobody"]


async def test_b09_the_time_of_a_refusal_depends_on_the_name_only(autojump_clock):
    """What takes a policy longer, within one step, does not show."""
    took: dict[str, set[float]] = {}
    for name in ("ada", "nobody"):
        for seconds in (0.0, 0.001, 0.003, 0.005):

            async def check(username, password, seconds=seconds):
                await trio.sleep(seconds)
                return False

            async with at_login(trio_ssh.Passwords(check)) as (raw, _):
                _, times = await transcript(raw, [password_request("wrong", name)])
                took.setdefault(name, set()).add(round(times[0], 6))
    assert all(len(times) == 1 for times in took.values()), took
    assert all(0.005 <= time <= 0.01 for times in took.values() for time in times)


async def test_b09_rules_by_login_are_asked_behind_a_whole_request_only(autojump_clock):
    asked = []

    @attrs.frozen
    class Rules:
        async def rules_for(self, login):
            asked.append(login.username)
            return trio_ssh.LoginRules(authenticate=PASSWORDS)

    async with at_login(Rules()) as (raw, _):
        await raw.send(request("password", b"\0\0\0\0\xffcut"))
        await raw.expect_disconnect(2)
    assert asked == []
    async with at_login(Rules()) as (raw, _):
        for _ in range(3):
            await raw.send(password_request("wrong"))
            await failure(raw)
    assert asked == ["ada"]


async def test_rules_that_cannot_be_made_end_the_connection_and_let_nobody_in(autojump_clock, caplog):
    @attrs.frozen
    class Rules:
        async def rules_for(self, login):
            raise ValueError("a mistake of the policy's")

    async with at_login(Rules()) as (raw, ends):
        await raw.send(password_request("canary"))
        assert M.USERAUTH_SUCCESS not in [payload[0] for payload in await raw.drain()]
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)
    assert "a mistake of the policy's" in caplog.text


# -- servers: host-bound requests ----------------------------------------------------------------------------------------------------------


async def test_b22_a_request_that_is_bound_to_this_server(autojump_clock):
    async with at_login(KEYS) as (raw, _):
        await raw.send(signed(raw, USER_KEY, bound_to=HOST_KEY.public_key.blob))
        await raw.expect(M.USERAUTH_SUCCESS)


async def test_b22_a_request_that_is_bound_to_another_server(autojump_clock):
    async with at_login(KEYS) as (raw, _):
        await raw.send(signed(raw, USER_KEY, bound_to=OTHER_KEY.public_key.blob))
        await raw.expect_disconnect(2)


async def test_b22_a_signature_for_the_one_method_is_none_for_the_other(autojump_clock):
    async with at_login(KEYS) as (raw, _):
        bound = signed(raw, USER_KEY, bound_to=HOST_KEY.public_key.blob)
        unbound = signed(raw, USER_KEY)
        signature = unbound.method_fields[-(4 + 83) :]
        begun = encode(PublicKeyFields(True, "ssh-ed25519", USER_KEY.public_key.blob, string_field(HOST_KEY.public_key.blob)))
        await raw.send(changed(bound, method_fields=begun + signature))
        await failure(raw)
        await raw.send(changed(unbound, method_fields=unbound.method_fields[: -len(signature)] + bound.method_fields[-(4 + 83) :]))
        await failure(raw)


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_sm_092_sm_094_host_bound_requests_cut_and_with_trailing_bytes(autojump_clock, cut):
    async with at_login(KEYS) as (raw, _):
        whole = signed(raw, USER_KEY, bound_to=HOST_KEY.public_key.blob)
        await raw.send(changed(whole, method_fields=whole.method_fields[:-cut]))
        await raw.expect_disconnect(2)
    async with at_login(KEYS) as (raw, _):
        whole = signed(raw, USER_KEY, bound_to=HOST_KEY.public_key.blob)
        await raw.send(changed(whole, method_fields=whole.method_fields + bytes(cut)))
        await raw.expect_disconnect(2)


# -- clients -------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def refusing_none(credentials, **options) -> AsyncIterator[tuple[RawPeer, list[BaseException]]]:
    """A raw server that has answered the client's first request, `none`, with the methods of a person, and has the next one."""
    async with asked_by_client(credentials, **options) as (raw, errors):
        first = decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST))
        assert first.method_name == "none"
        await raw.send(UserauthFailure(("keyboard-interactive", "password"), False))
        await raw.wait_for(M.USERAUTH_REQUEST)
        yield raw, errors


def asking(count: int, *, claimed: int | None = None) -> UserauthInfoRequest:
    prompts = write_prompts(tuple((f"{number}?", False) for number in range(count)))
    return UserauthInfoRequest("", "", "", prompts if claimed is None else claimed.to_bytes(4, "big") + prompts[4:])


@attrs.define(eq=False)
class Patient:
    """Answers everything."""

    rounds: int = 0
    secret: str = "canary"

    async def answer(self, asked: trio_ssh.Asked) -> list[str]:
        self.rounds += 1
        return [self.secret] * len(asked.prompts)


async def test_b21_kbdint_rounds_without_end(autojump_clock):
    person = Patient()
    async with refusing_none([trio_ssh.KeyboardInteractive(person.answer)]) as (raw, errors):
        for _ in range(16):
            await raw.send(asking(1))
            await raw.expect(M.USERAUTH_INFO_RESPONSE)
        await raw.send(asking(1))
        await raw.expect_disconnect(14)
    assert person.rounds == 16
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError)


@pytest.mark.parametrize("claimed", [17, 2**20, 2**32 - 1])
async def test_b08_absurd_numbers_of_prompts(autojump_clock, claimed):
    person = Patient()
    async with refusing_none([trio_ssh.KeyboardInteractive(person.answer)]) as (raw, _):
        await raw.send(asking(1, claimed=claimed))
        await raw.expect_disconnect(2)
    assert person.rounds == 0


async def test_kbdint_prompts_and_kbdint_rounds_of_a_client(autojump_clock):
    prompts, rounds = trio_ssh.Limits(kbdint_prompts=1), trio_ssh.Limits(kbdint_rounds=1)
    for limits, messages, reason in ((prompts, [asking(2)], 2), (rounds, [asking(1), asking(1)], 14)):
        async with refusing_none([trio_ssh.KeyboardInteractive(Patient().answer)], limits=limits) as (raw, _):
            for message in messages:
                await raw.send(message)
            if limits is rounds:
                await raw.expect(M.USERAUTH_INFO_RESPONSE)
            await raw.expect_disconnect(reason)


async def test_b02_a_success_that_does_not_wait_for_our_answers(autojump_clock):
    """The answer would tell a secret to whoever did not want it for anything."""
    person = Patient()
    async with refusing_none([trio_ssh.KeyboardInteractive(person.answer)]) as (raw, errors):
        await raw.send(asking(1), UserauthSuccess())
        await raw.expect_disconnect(2)
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError)
    assert M.USERAUTH_INFO_RESPONSE not in raw.numbers


async def test_b21_a_password_is_not_given_to_questions(autojump_clock):
    """A server that asks for the password by keyboard-interactive gets none: nobody is there to answer."""

    async def password():
        return "canary"

    raw, stream = raw_server()
    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_fails_to_log_in, stream, [trio_ssh.Password(password)])
            await raw.handshake()
            await raw.wait_for(M.SERVICE_REQUEST)
            await raw.send(ServiceAccept("ssh-userauth"))
            await raw.wait_for(M.USERAUTH_REQUEST)
            await raw.send(UserauthFailure(("keyboard-interactive",), False))
            await raw.expect_disconnect(14)
            await raw.stream.aclose()


async def _fails_to_log_in(stream: trio.abc.Stream, credentials: Sequence[trio_ssh.Credential]) -> None:
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with pairs.connecting(stream, credentials=credentials):
            pytest.fail("let in")


async def test_b21_a_password_that_is_to_be_changed_again_and_again(autojump_clock):
    async def choose(prompt):
        return "another"

    raw, stream = raw_server()
    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_gives_up, stream, trio_ssh.Password("canary", change=choose))
            await raw.handshake()
            await raw.wait_for(M.SERVICE_REQUEST)
            await raw.send(ServiceAccept("ssh-userauth"))
            await raw.wait_for(M.USERAUTH_REQUEST)
            await raw.send(UserauthFailure(("password",), False))
            for _ in range(63):
                await raw.wait_for(M.USERAUTH_REQUEST)
                await raw.send(UserauthPasswdChangereq("New password: "))
            await raw.expect_disconnect(14)
            await raw.stream.aclose()
    assert raw.numbers.count(M.USERAUTH_REQUEST) == 64


async def _gives_up(stream: trio.abc.Stream, credential: trio_ssh.Password) -> None:
    with pytest.raises(trio_ssh.RemoteProtocolError):
        async with pairs.connecting(stream, credentials=[credential]):
            pytest.fail("let in")


async def test_sm_107_methods_with_junk_names_are_skipped(autojump_clock):
    async with refusing_none([trio_ssh.KeyboardInteractive(Patient().answer), trio_ssh.Password("canary")]) as (raw, _):
        await raw.send(UserauthFailure(("gssapi-with-mic", "x" * 64, "password", "frobnicate@example.com"), False))
        following = decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST))
        assert following.method_name == "password"


async def test_sm_108_a_banner_in_mid_questions(autojump_clock):
    shown: list[str] = []
    async with refusing_none([trio_ssh.KeyboardInteractive(Patient().answer)], banner=shown.append) as (raw, _):
        await raw.send(UserauthBanner("Mind the gap"), asking(1))
        await raw.expect(M.USERAUTH_INFO_RESPONSE)
    assert shown == ["Mind the gap"]
