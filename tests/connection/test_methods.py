"""Every way to log in, with both ends ours: methods, partial success, chains, permissions, and what a client makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.pairs import HOST_KEY, USER_KEY, check_works
from trio_ssh import ACCEPT, REFUSE, Asked, AuthAttempted, Permissions, Prompt, Verdict, all_of, any_of
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.testing import open_connection_pair

OTHER_KEY = trio_ssh.PrivateKey.generate()
KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
OTHER_KEYS = trio_ssh.AuthorizedKeys.of([OTHER_KEY.public_key])


async def check_password(username: str, password: str) -> bool:
    return (username, password) == ("ada", "engine")


PASSWORDS = trio_ssh.Passwords(check_password)


async def ask_for_code(attempt: trio_ssh.AuthAttempt) -> bool:
    (code,) = await attempt.ask([Prompt("Code: ")], "Second step", "Look at your phone.")
    (again,) = await attempt.ask([Prompt("Once more: ", echo=True)])
    return (code, again) == ("1234", "5678")


CODES = trio_ssh.KeyboardInteractiveServer(ask_for_code)


@attrs.define(eq=False)
class Person:
    """Answers questions in turn, and remembers them."""

    answers: list[Sequence[str] | None]
    asked: list[Asked] = attrs.field(factory=list)

    async def answer(self, asked: Asked) -> Sequence[str] | None:
        self.asked.append(asked)
        return self.answers.pop(0)


def codes(*answers: Sequence[str] | None, tries: int = 1) -> trio_ssh.KeyboardInteractive:
    return trio_ssh.KeyboardInteractive(Person(list(answers or [["1234"], ["5678"]])).answer, tries)


def logging_in(authenticate, credentials, **options):
    return open_connection_pair(pairs.commands, authenticate=authenticate, credentials=credentials, **options)


def seen(events) -> list[tuple[str, str]]:
    return [(event.method, event.outcome) for event in events if isinstance(event, AuthAttempted)]


def key(private: trio_ssh.PrivateKey = USER_KEY) -> trio_ssh.PrivateKeyCredential:
    return trio_ssh.PrivateKeyCredential(private)


# -- single methods ------------------------------------------------------------------------------------------------------------------------


async def test_keyboard_interactive_in_two_rounds(autojump_clock):
    person = Person([["1234"], ["5678"]])
    async with logging_in(CODES, [trio_ssh.KeyboardInteractive(person.answer)]) as ends:
        await check_works(ends.client)
        assert ends.client.authenticated_by == ("keyboard-interactive",)
    assert person.asked == [
        Asked("Second step", "Look at your phone.", (Prompt("Code: "),)),
        Asked("", "", (Prompt("Once more: ", echo=True),)),
    ]
    assert seen(ends.server_events) == [("none", "refused"), ("keyboard-interactive", "granted")]


async def test_keyboard_interactive_is_begun_anew_as_often_as_asked_for(autojump_clock):
    answers = (["no"], ["no"], ["1234"], ["5678"])
    async with logging_in(CODES, [codes(*answers, tries=2)]) as ends:
        assert ends.client.authenticated_by == ("keyboard-interactive",)
    with pytest.raises(trio_ssh.AuthenticationFailed, match="keyboard-interactive"):
        async with logging_in(CODES, [codes(*answers, tries=1)]):
            pytest.fail("let in")


async def test_a_round_without_prompts_shows_its_text(autojump_clock):
    async def tell(attempt):
        assert await attempt.ask([], "Notice", "Nothing to answer") == ()
        return (await attempt.ask([Prompt("Name?")])) == ("ada",)

    person = Person([[], ["ada"]])
    async with logging_in(trio_ssh.KeyboardInteractiveServer(tell), [trio_ssh.KeyboardInteractive(person.answer)]):
        pass
    assert [asked.instruction for asked in person.asked] == ["Nothing to answer", ""]


async def test_a_person_who_gives_up_is_offered_the_next_way(autojump_clock):
    policy = any_of(CODES, PASSWORDS)
    async with logging_in(policy, [codes(None), trio_ssh.Password("engine")]) as ends:
        assert ends.client.authenticated_by == ("password",)
    # The server cancelled what waited for the answers; that was a failure.
    assert seen(ends.server_events) == [("none", "refused"), ("keyboard-interactive", "refused"), ("password", "granted")]


async def test_a_password_that_must_be_changed(autojump_clock):
    passwords = {"ada": "engine"}

    async def check(username, password):
        right = passwords.get(username) == password
        return Verdict(accepted=False, change_password="It has expired. New password: ") if right else False

    async def change(username, old, new):
        if passwords.get(username) != old:
            return False
        if len(new) < 8:
            return "Too short. New password: "
        passwords[username] = new
        return True

    prompts = []

    async def choose(prompt):
        prompts.append(prompt)
        return ["short", "long enough"][len(prompts) - 1]

    async with logging_in(trio_ssh.Passwords(check, change), [trio_ssh.Password("engine", change=choose)]) as ends:
        assert ends.client.authenticated_by == ("password",)
    assert passwords == {"ada": "long enough"}
    assert prompts == ["It has expired. New password: ", "Too short. New password: "]


async def test_b21_a_password_is_never_changed_without_somebody_who_wants_it(autojump_clock):
    async def check(username, password):
        return Verdict(accepted=False, change_password="New password: ")

    with pytest.raises(trio_ssh.AuthenticationFailed, match="wants it changed"):
        async with logging_in(trio_ssh.Passwords(check), [trio_ssh.Password("engine")]):
            pytest.fail("let in")


async def test_a_change_that_the_server_does_not_offer_is_refused(autojump_clock):
    async def check(username, password):
        return Verdict(accepted=False, change_password="New password: ")

    async def choose(prompt):
        return "new"

    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with logging_in(trio_ssh.Passwords(check), [trio_ssh.Password("engine", change=choose)]):
            pytest.fail("let in")


async def test_b02_none_is_visible_and_can_be_refused(autojump_clock):
    @attrs.frozen
    class Anybody:
        methods = ("none", "password")

        async def __call__(self, attempt):
            return ACCEPT if attempt.method == "none" else REFUSE

    async with logging_in(Anybody(), [trio_ssh.Password("x")]) as ends:
        assert ends.client.authenticated_by == ("none",)
    client, server = trio.testing.memory_stream_pair()
    async with pairs.served(stream=server, authenticate=Anybody()):
        with pytest.raises(trio_ssh.AuthenticationFailed, match="without any proof"):
            async with pairs.connecting(client, credentials=[trio_ssh.Password("x")], allow_none=False):
                pytest.fail("let in")


async def test_b02_questions_that_were_not_asked_prove_nothing(autojump_clock):
    """A server that lets in by keyboard-interactive without a question wanted no proof, and that is what is told."""

    async def wave_through(attempt):
        return True

    policy = trio_ssh.KeyboardInteractiveServer(wave_through)
    async with logging_in(policy, [codes(["never asked"])]) as ends:
        assert ends.client.authenticated_by == ("none",)
    client, server = trio.testing.memory_stream_pair()
    async with pairs.served(stream=server, authenticate=policy):
        with pytest.raises(trio_ssh.AuthenticationFailed, match="without any proof"):
            async with pairs.connecting(client, credentials=[codes(["never asked"])], allow_none=False):
                pytest.fail("let in")


async def test_the_banner_comes_before_anything_is_asked(autojump_clock):
    shown = []
    client, server = trio.testing.memory_stream_pair()

    async def password():
        shown.append("(asked)")
        return "engine"

    @attrs.frozen
    class Rules:
        async def rules_for(self, login):
            assert (login.username, login.peer, login.address) == ("ada", "", "")
            return trio_ssh.LoginRules(authenticate=PASSWORDS, banner="Welcome\n")

    async with pairs.served(stream=server, authenticate=Rules()):
        async with pairs.connecting(client, credentials=[trio_ssh.Password(password)], banner=shown.append) as connection:
            await check_works(connection)
    assert shown == ["Welcome\n", "(asked)"]


# -- several factors -----------------------------------------------------------------------------------------------------------------------


async def test_a_key_and_then_a_code(autojump_clock):
    async with logging_in(all_of(KEYS, CODES), [codes(), key()]) as ends:
        await check_works(ends.client)
        assert ends.client.authenticated_by == ("publickey", "keyboard-interactive")
    assert seen(ends.server_events)[1:] == [("publickey", "partial"), ("keyboard-interactive", "granted")]


async def test_the_order_of_a_chain_is_kept(autojump_clock):
    async with logging_in(all_of(CODES, KEYS), [key(), codes()]) as ends:
        assert ends.client.authenticated_by == ("keyboard-interactive", "publickey")


@pytest.mark.parametrize("first", ["password", "publickey"])
async def test_chains_in_any_order(autojump_clock, first):
    either_order = any_of(all_of(KEYS, PASSWORDS), all_of(PASSWORDS, KEYS))
    mine = [trio_ssh.Password("engine"), key()]
    async with logging_in(either_order, mine if first == "password" else mine[::-1]) as ends:
        assert ends.client.authenticated_by[0] == first
        assert len(ends.client.authenticated_by) == 2


async def test_one_factor_of_two_is_not_enough(autojump_clock):
    with pytest.raises(trio_ssh.AuthenticationFailed) as failure:
        async with logging_in(all_of(KEYS, PASSWORDS), [key()]):
            pytest.fail("let in")
    assert failure.value.partial_success
    assert failure.value.methods_left == ("password",)
    assert "wants a further method" in str(failure.value)


async def test_two_keys_are_two_factors_and_one_key_is_one(autojump_clock):
    both = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key, OTHER_KEY.public_key])
    async with logging_in(all_of(both, both), [key(), key(OTHER_KEY)]) as ends:
        assert ends.client.authenticated_by == ("publickey", "publickey")
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with logging_in(all_of(both, both), [key(), key()]):
            pytest.fail("let in")


async def test_a_key_that_was_refused_gets_another_chance_behind_a_partial_success(autojump_clock):
    async with logging_in(all_of(KEYS, OTHER_KEYS), [key(OTHER_KEY), key()]) as ends:
        assert ends.client.authenticated_by == ("publickey", "publickey")


async def test_a_policy_in_several_chains_is_asked_once(autojump_clock):
    calls = []

    async def check(username, password):
        calls.append(password)
        return True

    passwords = trio_ssh.Passwords(check)
    async with logging_in(any_of(all_of(passwords, KEYS), all_of(passwords, CODES)), [trio_ssh.Password("x"), codes()]) as ends:
        assert ends.client.authenticated_by == ("password", "keyboard-interactive")
    assert calls == ["x"]


def granting(policy, **permissions):
    """The same policy, with permissions."""

    @attrs.frozen
    class Granting:
        methods = policy.methods

        async def __call__(self, attempt):
            verdict = await policy(attempt)
            return attrs.evolve(verdict, permissions=Permissions(**permissions)) if verdict.accepted else verdict

    return Granting()


FACTORS: dict[str, tuple[trio_ssh.Authenticator, Callable[[], trio_ssh.Credential]]] = {
    "publickey": (KEYS, lambda: key()),
    "password": (PASSWORDS, lambda: trio_ssh.Password("engine")),
    "keyboard-interactive": (CODES, lambda: codes()),
}


@pytest.mark.parametrize("limited", ["first", "second"])
@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(FACTORS, 2)])
async def test_b06_b19_what_one_factor_forbids_no_other_allows(autojump_clock, first, second, limited):
    narrow = {"force_command": "exit 7", "terminal": False}
    first_policy, first_offer = FACTORS[first]
    second_policy, second_offer = FACTORS[second]
    if limited == "first":
        first_policy = granting(first_policy, **narrow)
    else:
        second_policy = granting(second_policy, **narrow)
    async with logging_in(all_of(first_policy, second_policy), [first_offer(), second_offer()]) as ends:
        result = await ends.client.run_process("exit 0", check=False)
        assert result.exit_status == 7
        with pytest.raises(trio_ssh.RequestDenied):
            async with ends.client.open_shell(trio_ssh.Terminal()):
                pytest.fail("got a terminal")


async def test_b06_forced_commands_that_differ_let_nobody_in(autojump_clock):
    policy = all_of(granting(KEYS, force_command="exit 1"), granting(PASSWORDS, force_command="exit 2"))
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with logging_in(policy, [key(), trio_ssh.Password("engine")]):
            pytest.fail("let in")


async def test_b05_the_limits_of_an_attempt_that_failed_are_not_those_of_the_next(autojump_clock):
    @attrs.frozen
    class Refusing:
        methods = ("publickey",)

        async def __call__(self, attempt):
            return Verdict(accepted=False, permissions=Permissions(force_command="exit 9"))

    async with logging_in(any_of(Refusing(), PASSWORDS), [key(), trio_ssh.Password("engine")]) as ends:
        assert (await ends.client.run_process("exit 0")).exit_status == 0


async def test_the_servers_rules_stand_above_the_factors(autojump_clock):
    @attrs.frozen
    class Rules:
        async def rules_for(self, login):
            mine = Permissions(force_command="exit 3", terminal=False)
            return trio_ssh.LoginRules(authenticate=granting(KEYS, force_command="exit 1"), permissions=mine, sessions=1)

    async with logging_in(Rules(), [key()]) as ends:
        assert (await ends.client.run_process("exit 0", check=False)).exit_status == 3
        async with ends.client.open_process("x") as first:
            with pytest.raises(trio_ssh.ChannelOpenFailure):
                async with ends.client.open_process("y"):
                    pytest.fail("a second session")
            await first.wait()


# -- the client's plan ---------------------------------------------------------------------------------------------------------------------


async def test_keys_leave_the_last_try_to_a_person(autojump_clock):
    """Six tries: five keys that will not do, then the password, though there are ten keys."""
    many = [key(trio_ssh.PrivateKey.generate()) for _ in range(10)]
    async with logging_in(any_of(KEYS, PASSWORDS), [*many, trio_ssh.Password("engine")]) as ends:
        assert ends.client.authenticated_by == ("password",)
    assert seen(ends.server_events).count(("publickey", "refused")) == 5


async def test_no_more_tries_than_the_server_takes(autojump_clock):
    many = [key(trio_ssh.PrivateKey.generate()) for _ in range(10)]
    limits = trio_ssh.Limits(auth_failures=3)
    with pytest.raises((trio_ssh.AuthenticationFailed, trio_ssh.Disconnected)):
        async with logging_in(KEYS, many, limits=limits) as ends:
            pytest.fail("let in")
    client, server = trio.testing.memory_stream_pair()
    async with pairs.served(stream=server, authenticate=KEYS) as ends:
        with pytest.raises(trio_ssh.AuthenticationFailed):
            async with pairs.connecting(client, credentials=many, limits=limits):
                pytest.fail("let in")
    assert seen(ends.server_events) == [("publickey", "refused")] * 3


async def test_methods_that_the_server_does_not_take_are_left_out(autojump_clock):
    async def never_asked():
        pytest.fail("asked for a password that nobody wants")

    async with logging_in(CODES, [trio_ssh.Password(never_asked), codes()]) as ends:
        assert ends.client.authenticated_by == ("keyboard-interactive",)


async def test_a_key_that_cannot_sign_now_is_passed_over(autojump_clock):
    @attrs.frozen
    class Locked:
        algorithms = ("ssh-ed25519",)
        key_blob = OTHER_KEY.public_key.blob
        ask_first = False

        async def sign(self, algorithm, data):
            raise trio_ssh.NotNow("nobody knows its passphrase")

    async with logging_in(KEYS, [Locked(), key()]) as ends:
        assert ends.client.authenticated_by == ("publickey",)
    with pytest.raises(trio_ssh.AuthenticationFailed, match="nobody knows its passphrase"):
        async with logging_in(KEYS, [Locked()]):
            pytest.fail("let in")


# -- host-bound requests, certificates -----------------------------------------------------------------------------------------------------


async def test_b22_requests_are_bound_to_the_server(autojump_clock):
    """What a dear key such as an agent's signs for a server that says it takes that names the server's host key."""
    signed = []

    @attrs.frozen
    class Watching:
        algorithms = ("ssh-ed25519",)
        key_blob = USER_KEY.public_key.blob
        ask_first = True

        async def sign(self, algorithm, data):
            signed.append(data)
            return USER_KEY.sign(algorithm, data)

    async with logging_in(KEYS, [Watching()]) as ends:
        await check_works(ends.client)
    (data,) = signed
    assert b"publickey-hostbound-v00@openssh.com" in data
    assert data.endswith(HOST_KEY.public_key.blob)


async def test_a_user_certificate_is_no_plain_key(autojump_clock):
    """A policy that knows plain keys only does not let the same key in by a certificate: its limits would not hold."""
    authority = trio_ssh.PrivateKey.generate()
    certificate = sign_certificate(authority, CertificateRequest(public_key=USER_KEY.public_key, principals=("ada",)))
    attempts = []

    async def note(attempt):
        attempts.append((attempt.public_key, attempt.certificate))
        return REFUSE

    credential = trio_ssh.CertificateCredential.of(trio_ssh.CertifiedKey(USER_KEY, certificate))
    for policy in (KEYS, note):
        with pytest.raises(trio_ssh.AuthenticationFailed):
            async with logging_in(policy, [credential]):
                pytest.fail("let in")
    assert attempts == [(None, certificate)]
