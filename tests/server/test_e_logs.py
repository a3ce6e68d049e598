"""What the log holds: no secret at any level, in either role, and not more lines than so many a second (hardening E15)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.logins import at_login
from tests.raw_peer import password_request
from tests.server.test_serve import MemoryListener, serve_on
from trio_ssh import Prompt, all_of
from trio_ssh.protocol.role import Role
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceRequest
from trio_ssh.wire.userauth import PasswordFields, UserauthRequest, string_field

CANARIES = ("canary-password", "canary-old", "canary-new", "canary-answer", "canary-passphrase", "canary-wrong")
LINES_PER_SECOND = 100


@attrs.define(eq=False)
class EverythingSaid(logging.Handler):
    """All that anybody logs, as it would be written, and when; beside it what is shown to observers and raised."""

    texts: list[str] = attrs.field(factory=list)
    seconds: Counter[int] = attrs.field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        super().__init__(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(record.args), repr(record.__dict__)]
        self.seconds[int(trio.current_time()) if trio.lowlevel.in_trio_run() else 0] += 1

    def note(self, thing: object) -> None:
        self.texts += [repr(thing), str(thing)]

    def check(self) -> None:
        for text in self.texts:
            assert not [secret for secret in CANARIES if secret in text], text


@contextmanager
def everything_said() -> Iterator[EverythingSaid]:
    """At the finest level of all loggers."""
    root, handler = logging.getLogger(), EverythingSaid()
    library = logging.getLogger("trio_ssh")
    levels = root.level, library.level
    root.addHandler(handler)
    root.setLevel(1)
    library.setLevel(1)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        library.setLevel(levels[1])


# -- secrets -------------------------------------------------------------------------------------------------------------------------------


async def check(username: str, password: str) -> trio_ssh.Verdict:
    if password == "canary-old":
        return trio_ssh.Verdict(accepted=False, change_password="New: ")
    return trio_ssh.Verdict(accepted=password == "canary-password")


async def change(username: str, old: str, new: str) -> bool:
    return (old, new) == ("canary-old", "canary-new")


async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
    return await attempt.ask([Prompt("Code: ")]) == ("canary-answer",)


async def fail(username: str, password: str) -> bool:
    raise ValueError("the database of passwords is away")


async def answer(asked: trio_ssh.Asked) -> Sequence[str]:
    return ["canary-answer"]


async def answer_wrongly(asked: trio_ssh.Asked) -> Sequence[str]:
    return ["canary-wrong"]


async def choose(prompt: str) -> str:
    return "canary-new"


QUESTIONS = trio_ssh.KeyboardInteractiveServer(converse)
LOGINS: dict[str, tuple[Any, list[Any]]] = {
    "a password": (trio_ssh.Passwords(check), [trio_ssh.Password("canary-password")]),
    "a wrong password": (trio_ssh.Passwords(check), [trio_ssh.Password("canary-wrong")]),
    "a password that is changed": (trio_ssh.Passwords(check, change), [trio_ssh.Password("canary-old", change=choose)]),
    "a password that nobody changes": (trio_ssh.Passwords(check), [trio_ssh.Password("canary-old", change=choose)]),
    "answers": (QUESTIONS, [trio_ssh.KeyboardInteractive(answer)]),
    "wrong answers": (QUESTIONS, [trio_ssh.KeyboardInteractive(answer_wrongly)]),
    "both": (all_of(trio_ssh.Passwords(check), QUESTIONS), [trio_ssh.Password("canary-password"), trio_ssh.KeyboardInteractive(answer)]),
    "a policy that fails": (trio_ssh.Passwords(fail), [trio_ssh.Password("canary-password")]),
}


@pytest.mark.parametrize("name", LOGINS)
async def test_e15_no_secret_is_said_at_any_level(autojump_clock, name):
    """Neither in what both ends log, nor in events, errors and what shows them: `repr` of credentials, attempts and offers."""
    policy, credentials = LOGINS[name]
    with everything_said() as said:

        @attrs.frozen
        class Noting:
            methods = policy.methods if not hasattr(policy, "chains") else ()

            async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
                said.note(login)
                rules = trio_ssh.LoginRules(authenticate=policy)
                said.note(rules)
                return rules

        client_stream, server_stream = memory_stream_pair()
        async with pairs.served(stream=server_stream, authenticate=Noting()) as ends:
            try:
                async with pairs.connecting(client_stream, credentials=credentials, observer=said.note) as client:
                    await pairs.check_works(client)
                    said.note(client)
            except trio_ssh.SSHError as error:
                said.note(error)
        for event in ends.server_events:
            said.note(event)
        said.note(ends.server_error)
        for credential in credentials:
            said.note(credential)
        said.check()
        assert len(said.texts) > 10


async def test_e15_attempts_do_not_show_their_secrets(autojump_clock):
    """What a policy may log of an attempt by hand, and what a client may of an offer."""
    shown: list[str] = []

    async def policy(attempt):
        shown.extend((repr(attempt), str(attempt)))
        return trio_ssh.REFUSE

    async with at_login(policy) as (raw, _):
        await raw.send(password_request("canary-password"))
        await raw.expect(M.USERAUTH_FAILURE)
        fields = encode(PasswordFields(True, b"canary-old", string_field(b"canary-new")))
        await raw.send(UserauthRequest("ada", "ssh-connection", "password", fields))
        await raw.expect(M.USERAUTH_FAILURE)
    assert len(shown) == 4
    assert not [text for text in shown if "canary" in text]


async def test_e15_keys_and_passphrases_are_not_shown(tmp_path):
    key = trio_ssh.PrivateKey.generate()
    path = tmp_path / "key"
    path.write_bytes(key.to_openssh("canary-passphrase", rounds=1))
    path.chmod(0o600)
    with everything_said() as said:

        async def passphrase(path: str) -> str:
            return "canary-passphrase"

        credential = trio_ssh.PrivateKeyFile(path, passphrase)
        policy = trio_ssh.AuthorizedKeys.of([key.public_key])
        async with trio_ssh.testing.open_connection_pair(pairs.commands, authenticate=policy, credentials=[credential]) as ends:
            await pairs.check_works(ends.client)
        for thing in (key, credential, trio_ssh.PrivateKeyCredential(key)):
            said.note(thing)
        for wrong in ("canary-wrong", None):
            with pytest.raises(trio_ssh.KeyFileError) as refusal:
                trio_ssh.PrivateKey.from_bytes(path.read_bytes(), wrong)
            said.note(refusal.value)
        said.check()
    secret = key.to_openssh().decode().splitlines()[2:-1]
    assert not [line for line in secret if any(line in text for text in said.texts)]


# -- floods --------------------------------------------------------------------------------------------------------------------------------

MANY = trio_ssh.Limits(
    unauthenticated_connections=2000,
    unauthenticated_drop_begin=2000,
    unauthenticated_per_source=None,
    handshakes_per_source_per_second=None,
)


async def attempts_until_the_end(listener: MemoryListener) -> None:
    """One connection that says wrong passwords for as long as it is let."""
    raw = RawPeer(await listener.connect(), Role.CLIENT)
    await raw.handshake()
    await raw.send(ServiceRequest("ssh-userauth"))
    try:
        for _ in range(6):
            await raw.send(password_request("canary-wrong"))
    except trio.BrokenResourceError:
        pass
    await raw.drain()


@pytest.mark.parametrize("name", ["a wrong password", "a policy that fails"])
async def test_e15_a_flood_of_logins_that_fail(autojump_clock, name):
    """150 connections, 900 attempts, all at once; in no second are there more lines than allowed, and no secret is in one."""
    listener = MemoryListener()
    policy, _ = LOGINS[name]
    with everything_said() as said:
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve_on(listener, authenticate=policy, limits=MANY, task_status=task_status))
            async with trio.open_nursery() as strangers:
                for _ in range(150):
                    strangers.start_soon(attempts_until_the_end, listener)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        said.check()
    assert said.seconds
    assert max(said.seconds.values()) <= LINES_PER_SECOND + 1
