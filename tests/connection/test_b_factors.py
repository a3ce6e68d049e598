"""Several factors: what one limits no other widens, what was only asked about is none, and whose certificate it is (hardening B06, B19)."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.connection.logins import KBDINT, at_login, failure, question, request, signed
from tests.pairs import USER_KEY
from tests.raw_peer import password_request
from trio_ssh import Permissions, Prompt, Terminal, all_of, any_of
from trio_ssh.connection.collapse import single_cause
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.userauth import (
    PasswordFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthFailure,
    UserauthInfoResponse,
    string_field,
    write_responses,
)

AUTHORITY = trio_ssh.PrivateKey.generate()
SECOND_KEY = trio_ssh.PrivateKey.generate()
FORCED = "the forced command"


async def check(username: str, password: str) -> bool:
    return (username, password) == ("ada", "engine")


async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
    return await attempt.ask([Prompt("Code: ")]) == ("1234",)


async def answer(asked: trio_ssh.Asked) -> Sequence[str]:
    return ["1234"] * len(asked.prompts)


CERTIFICATES = trio_ssh.TrustedUserCA(AUTHORITY.public_key)
KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
SECONDS: dict[str, tuple[Any, Any]] = {
    "password": (trio_ssh.Passwords(check), trio_ssh.Password("engine")),
    "keyboard-interactive": (trio_ssh.KeyboardInteractiveServer(converse), trio_ssh.KeyboardInteractive(answer)),
    "another key": (trio_ssh.AuthorizedKeys.of([SECOND_KEY.public_key]), trio_ssh.PrivateKeyCredential(SECOND_KEY)),
}


def certificate(**options: str | bytes) -> trio_ssh.CertificateCredential:
    """Of our user key, for ada, with these critical options (a ``_`` for each hyphen) and everything permitted beside them."""
    made = trio_ssh.sign_certificate(
        AUTHORITY,
        trio_ssh.CertificateRequest(
            public_key=USER_KEY.public_key,
            principals=("ada",),
            critical_options={name.replace("_", "-"): value for name, value in options.items()},
            extensions={"permit-pty": b"", "permit-port-forwarding": b"", "permit-agent-forwarding": b"", "permit-X11-forwarding": b""},
        ),
    )
    return trio_ssh.CertificateCredential.of(trio_ssh.CertifiedKey(USER_KEY, made))


@attrs.define(eq=False)
class Seen:
    commands: list[tuple[str | None, str | None]] = attrs.field(factory=list)

    async def __call__(self, session: trio_ssh.ServerSession) -> int:
        self.commands.append((session.command, session.original_command))
        return 0


@asynccontextmanager
async def logged_in(policy: Any, credentials: list[Any], handler: trio_ssh.Handler) -> AsyncIterator[trio_ssh.Client]:
    """Over a socket of this machine: there the client has an address, 127.0.0.1."""
    with single_cause():
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            host, port = listener.socket.getsockname()
            nursery.start_soon(_serve, listener, handler, policy)
            pinned = trio_ssh.PinnedKeys([pairs.HOST_KEY.public_key])
            dialling = trio_ssh.connect(host, port, username="ada", credentials=credentials, host_keys=pinned, algorithms=pairs.QUICK)
            try:
                with trio.fail_after(60):
                    async with dialling as client:
                        yield client
            finally:
                nursery.cancel_scope.cancel()


async def _serve(listener: trio.SocketListener, handler: trio_ssh.Handler, policy: Any) -> None:
    async with listener:
        stream = await listener.accept()
        try:
            await trio_ssh.serve_stream(handler, stream, host_keys=[pairs.HOST_KEY], authenticate=policy, algorithms=pairs.QUICK)
        except trio_ssh.SSHError:
            return


HERE = {"source_address": "10.0.0.0/8,127.0.0.1/32"}
REFUSED: dict[str, dict[str, str | bytes]] = {
    "another source": {"source_address": "192.0.2.0/24"},
    "another source of the same family": {"source_address": "127.0.0.2"},
    "a source of the other family": {"source_address": "::1/128"},
    "no source": {"source_address": ""},
    "an unknown option": {**HERE, "unheard-of@example.com": b""},
    "an unknown option of ours to be": {**HERE, "force_commands": "x"},
}


@pytest.mark.parametrize("certificate_first", [True, False], ids=["certificate first", "certificate second"])
@pytest.mark.parametrize("second", SECONDS)
async def test_b06_both_options_of_a_certificate_and_each_other_factor(second, certificate_first):
    """The command is forced and nobody gets in from elsewhere, in either order, whatever the other factor is."""
    policy, credential = SECONDS[second]
    both = all_of(CERTIFICATES, policy) if certificate_first else all_of(policy, CERTIFICATES)
    seen = Seen()
    mine = [certificate(force_command=FORCED, **HERE), credential]
    async with logged_in(both, mine, seen) as client:
        await client.run_process("wanted")
        async with client.open_shell(Terminal()) as process:
            await process.wait()
        async with client.open_subsystem("sftp") as process:
            await process.wait()
    assert seen.commands == [(FORCED, "wanted"), (FORCED, None), (FORCED, "sftp")]


@pytest.mark.parametrize("options", REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("second", SECONDS)
async def test_b06_a_certificate_that_does_not_hold_beside_each_other_factor(second, options):
    policy, credential = SECONDS[second]
    seen = Seen()
    for both in (all_of(CERTIFICATES, policy), all_of(policy, CERTIFICATES)):
        with pytest.raises(trio_ssh.AuthenticationFailed) as refusal:
            async with logged_in(both, [certificate(force_command=FORCED, **options), credential], seen):
                pytest.fail("let in")
        assert "publickey" in refusal.value.methods_left
    assert seen.commands == []


async def test_b06_the_other_factor_alone_has_no_limits():
    """Where it alone is enough, what the certificate that was refused would have limited is forgotten."""
    seen = Seen()
    policy = any_of(CERTIFICATES, trio_ssh.Passwords(check))
    async with logged_in(policy, [certificate(force_command=FORCED, source_address=""), trio_ssh.Password("engine")], seen) as client:
        assert client.authenticated_by == ("password",)
        await client.run_process("wanted")
    assert seen.commands == [("wanted", "wanted")]


# -- what was only asked about -------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Rules:
    """Empty passwords are looked at, too."""

    policy: Any

    async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
        return trio_ssh.LoginRules(authenticate=self.policy, empty_passwords=True)


@pytest.mark.parametrize("rules", [False, True], ids=["empty passwords refused", "empty passwords looked at"])
async def test_b19_a_question_about_a_key_and_then_an_empty_password(autojump_clock, rules):
    policy = any_of(KEYS, trio_ssh.Passwords(check))
    async with at_login(Rules(policy) if rules else policy) as (raw, _):
        await raw.send(question(USER_KEY.public_key))
        await raw.expect(60)
        await raw.send(request("password", encode(PasswordFields(False, b""))))
        assert await failure(raw) == UserauthFailure(("publickey", "password"), False)
        await raw.send(request("none"))
        assert not (await failure(raw)).partial_success


async def test_b19_a_question_is_no_factor(autojump_clock):
    """A key that would do, asked about, and everything else right: the key's factor is still wanted."""
    async with at_login(all_of(KEYS, trio_ssh.Passwords(check))) as (raw, _):
        await raw.send(question(USER_KEY.public_key))
        await raw.expect(60)
        await raw.send(password_request("engine"))
        assert await failure(raw) == UserauthFailure(("publickey",), False)
        await raw.send(signed(raw, USER_KEY))
        assert await failure(raw) == UserauthFailure(("password",), True)
        await raw.send(question(USER_KEY.public_key))
        assert not (await failure(raw)).partial_success
        await raw.send(password_request("engine"))
        await raw.expect(M.USERAUTH_SUCCESS)


@pytest.mark.parametrize("by_certificate", [False, True], ids=["the key again", "the key by a certificate"])
async def test_b19_one_key_is_one_factor(autojump_clock, by_certificate):
    """Though two policies, one after the other, would each take it: what has been a factor is refused, and that counts."""
    offered = certificate()
    second = any_of(KEYS, CERTIFICATES)
    async with at_login(all_of(KEYS, second), limits=trio_ssh.Limits(auth_failures=2)) as (raw, _):
        await raw.send(signed(raw, USER_KEY))
        assert await failure(raw) == UserauthFailure(("publickey",), True)
        for last in (False, True):
            if by_certificate:
                begun = encode(PublicKeyFields(True, "ssh-ed25519-cert-v01@openssh.com", offered.key_blob))
                data = encode(SignedPublicKeyRequest(raw.session_id, encode(request("publickey", begun))))
                await raw.send(request("publickey", begun + string_field(USER_KEY.sign("ssh-ed25519", data))))
            else:
                await raw.send(signed(raw, USER_KEY))
            if last:
                await raw.expect_disconnect(2)
            else:
                assert await failure(raw) == UserauthFailure(("publickey",), False)


async def test_b19_a_round_of_questions_that_was_left_is_no_factor(autojump_clock):
    """The right answer to the first of two rounds, then another method: what was begun does not count."""

    async def twice(attempt: trio_ssh.AuthAttempt) -> bool:
        return await attempt.ask([Prompt("1?")]) == ("1",) and await attempt.ask([Prompt("2?")]) == ("2",)

    policy = all_of(trio_ssh.KeyboardInteractiveServer(twice), trio_ssh.Passwords(check))
    async with at_login(any_of(policy, all_of(KEYS, trio_ssh.Passwords(check)))) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(UserauthInfoResponse(write_responses(("1",))))
        await raw.expect(60)
        await raw.send(password_request("engine"))
        assert await failure(raw) == UserauthFailure(("keyboard-interactive", "publickey"), False)


LIMITS = (Permissions(), Permissions(force_command=FORCED), Permissions(terminal=False, port_forwarding=False))
METHODS = ("publickey", "password", "keyboard-interactive")


def factor(method: str, limits: Permissions, key: trio_ssh.PrivateKey = USER_KEY) -> Any:
    """Takes the one right proof of that method, and limits whoever has given it."""
    policies: dict[str, Any] = {
        "publickey": trio_ssh.AuthorizedKeys.of([key.public_key]),
        "password": trio_ssh.Passwords(check),
        "keyboard-interactive": trio_ssh.KeyboardInteractiveServer(converse),
    }
    policy: Any = policies[method]

    @attrs.frozen
    class Limited:
        methods = policy.methods

        async def __call__(self, attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
            verdict = await policy(attempt)
            return attrs.evolve(verdict, permissions=limits) if verdict.accepted else verdict

    return Limited()


@pytest.mark.parametrize(("first", "second"), list(itertools.product(METHODS, METHODS)))
async def test_b19_each_pair_of_methods_with_each_pair_of_limits(autojump_clock, first, second):
    """Two orders, three methods, three methods, and the limits of either: what holds is what both allow."""
    for of_first, of_second in itertools.product(LIMITS, LIMITS):
        seen = Seen()
        policy = all_of(factor(first, of_first), factor(second, of_second, SECOND_KEY if first == second else USER_KEY))
        mine: list[Any] = [trio_ssh.PrivateKeyCredential(USER_KEY), trio_ssh.PrivateKeyCredential(SECOND_KEY)]
        mine += [trio_ssh.Password("engine")] * 2 + [trio_ssh.KeyboardInteractive(answer)] * 2
        async with trio_ssh.testing.open_connection_pair(seen, authenticate=policy, credentials=mine) as ends:
            assert ends.client.authenticated_by == (first, second)
            await ends.client.run_process("wanted")
            if of_first.terminal and of_second.terminal:
                await ends.client.run_process("wanted", terminal=Terminal())
            else:
                with pytest.raises(trio_ssh.RequestDenied):
                    await ends.client.run_process("wanted", terminal=Terminal())
        is_forced = FORCED in (of_first.force_command, of_second.force_command)
        assert {command for command, _ in seen.commands} == {FORCED if is_forced else "wanted"}
