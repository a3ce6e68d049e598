"""Deadlines that expire at any step of a login or a dial: closed, and nothing is granted behind them (hardening B16, TRI-17, SM-110)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.logins import KBDINT, at_login
from tests.pairs import USER_KEY
from tests.raw_peer import password_request
from trio_ssh import ACCEPT, AuthAttempted, Prompt, all_of
from trio_ssh.testing.schedule import seed_schedule
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.userauth import UserauthInfoResponse, write_responses

LOGIN_SECONDS = 30.0
STEPS_MAX = 3000


@attrs.define(eq=False, slots=False)
class JumpAtStep(trio.abc.Instrument):
    """At the n-th turn of any task the clock jumps: every deadline on the way has passed at that very step."""

    clock: trio.testing.MockClock
    left: int
    seconds: float = 10 * LOGIN_SECONDS
    jumped_at: float | None = None

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.clock.jump(self.seconds)
            self.jumped_at = trio.current_time()


# -- a server ------------------------------------------------------------------------------------------------------------------------------


async def check(username: str, password: str) -> bool:
    for _ in range(3):
        await trio.lowlevel.checkpoint()
    return password == "engine"


async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
    (one,) = await attempt.ask([Prompt("One: ")])
    await trio.lowlevel.checkpoint()
    (two,) = await attempt.ask([Prompt("Two: ")])
    return (one, two) == ("1", "2")


async def answer(asked: trio_ssh.Asked) -> list[str]:
    return ["1" if asked.prompts[0].text == "One: " else "2"]


KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
LOGINS: dict[str, tuple[Any, Callable[[], list[Any]]]] = {
    "publickey": (KEYS, lambda: [trio_ssh.PrivateKeyCredential(USER_KEY)]),
    "password": (trio_ssh.Passwords(check), lambda: [trio_ssh.Password("engine")]),
    "keyboard-interactive": (trio_ssh.KeyboardInteractiveServer(converse), lambda: [trio_ssh.KeyboardInteractive(answer)]),
    "all three": (
        all_of(KEYS, trio_ssh.Passwords(check), trio_ssh.KeyboardInteractiveServer(converse)),
        lambda: [trio_ssh.PrivateKeyCredential(USER_KEY), trio_ssh.Password("engine"), trio_ssh.KeyboardInteractive(answer)],
    ),
}


@attrs.define(eq=False)
class Watched:
    """A login under way; `granted` are the times of what the server granted."""

    granted: list[float] = attrs.field(factory=list)
    sessions: int = 0
    server_error: BaseException | None = None

    def observe(self, event: trio_ssh.Event) -> None:
        if isinstance(event, AuthAttempted) and event.outcome == "granted":
            self.granted.append(trio.current_time())

    async def handle(self, session: trio_ssh.ServerSession) -> int:
        self.sessions += 1
        return 0

    async def serve(self, stream: trio.abc.Stream, policy: Any) -> None:
        try:
            await trio_ssh.serve_stream(
                self.handle,
                stream,
                host_keys=[pairs.HOST_KEY],
                authenticate=policy,
                limits=trio_ssh.Limits(login_seconds=LOGIN_SECONDS),
                algorithms=pairs.QUICK,
                observer=self.observe,
            )
        except trio_ssh.SSHError as error:
            self.server_error = error

    async def log_in(self, stream: trio.abc.Stream, credentials: list[Any]) -> None:
        try:
            async with pairs.connecting(stream, credentials=credentials) as client:
                await client.run_process("x")
        except (trio_ssh.SSHError, trio.BrokenResourceError):
            return


@pytest.mark.parametrize("name", LOGINS)
async def test_b16_tri_17_the_deadline_of_a_login_at_each_step(autojump_clock, name):
    """Granted before it expired, or not at all: then no session is served, the stream is closed, and that is why."""
    policy, credentials = LOGINS[name]
    late = 0
    for step in range(1, STEPS_MAX):
        seed_schedule(step)
        watched = Watched()
        client_stream, server_stream = pairs.misbehaving()
        jump = JumpAtStep(autojump_clock, step)
        with trio.fail_after(1000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watched.serve, server_stream, policy)
                await wait_all_tasks_blocked()
                trio.lowlevel.add_instrument(jump)
                nursery.start_soon(watched.log_in, client_stream, credentials())
            trio.lowlevel.remove_instrument(jump)
        assert (client_stream.closed, server_stream.closed) == (True, True)
        if jump.jumped_at is not None and not [at for at in watched.granted if at < jump.jumped_at]:
            late += 1
            assert watched.granted == []
            assert watched.sessions == 0
            assert isinstance(watched.server_error, trio_ssh.ConnectionLost | trio_ssh.RemoteProtocolError), watched.server_error
        if jump.jumped_at is None:
            assert watched.sessions == 1
            break
    assert late > 20


async def test_b16_a_hash_that_ends_late_in_a_thread_has_no_effect(autojump_clock):
    """The thread cannot be stopped; what it says is dropped, and the connection has gone at its time."""
    begun, go_on = threading.Event(), threading.Event()
    said: list[bool] = []

    def hash_slowly() -> bool:
        begun.set()
        go_on.wait(30)
        said.append(True)
        return True

    async def slow(username: str, password: str) -> bool:
        return await trio.to_thread.run_sync(hash_slowly, abandon_on_cancel=True)

    async with at_login(trio_ssh.Passwords(slow), limits=trio_ssh.Limits(login_seconds=LOGIN_SECONDS)) as (raw, ends):
        await raw.send(password_request("engine"))
        while not begun.is_set():
            await trio.lowlevel.checkpoint()
        autojump_clock.jump(2 * LOGIN_SECONDS)
        numbers = [payload[0] for payload in await raw.drain()]
        assert M.USERAUTH_SUCCESS not in numbers
        go_on.set()
        while not said:
            await trio.lowlevel.checkpoint()
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)
    assert not [event for event in ends.server_events if isinstance(event, AuthAttempted) and event.outcome == "granted"]


async def test_b16_a_hash_that_is_waited_for_and_ends_late_grants_nothing(autojump_clock):
    """A policy that waits for its thread in any case holds the end up, and still lets nobody in."""
    begun, go_on = threading.Event(), threading.Event()
    decided: list[trio_ssh.Verdict] = []

    def hash_slowly() -> bool:
        begun.set()
        return go_on.wait(30)

    async def slow(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        with trio.CancelScope(shield=True):
            decided.append(ACCEPT if await trio.to_thread.run_sync(hash_slowly) else trio_ssh.REFUSE)
        return decided[0]

    async with at_login(slow, limits=trio_ssh.Limits(login_seconds=LOGIN_SECONDS)) as (raw, ends):
        await raw.send(password_request("engine"))
        while not begun.is_set():
            await trio.lowlevel.checkpoint()
        autojump_clock.jump(2 * LOGIN_SECONDS)
        go_on.set()
        while not decided:
            await trio.lowlevel.checkpoint()
        assert M.USERAUTH_SUCCESS not in [payload[0] for payload in await raw.drain()]
    assert decided == [ACCEPT]
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)


async def test_b16_a_policy_that_does_not_give_way_grants_nothing_behind_the_deadline(autojump_clock):
    """It holds the whole loop up, as a costly hash without a thread does: nobody has looked at the deadline when it says yes."""

    async def blocking(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        autojump_clock.jump(2 * LOGIN_SECONDS)
        return ACCEPT

    async with at_login(blocking, limits=trio_ssh.Limits(login_seconds=LOGIN_SECONDS)) as (raw, ends):
        await raw.send(password_request("engine"))
        assert M.USERAUTH_SUCCESS not in [payload[0] for payload in await raw.drain()]
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)


@pytest.mark.parametrize("rounds_answered", [0, 1])
async def test_b16_the_deadline_while_questions_are_out(autojump_clock, rounds_answered):
    """The policy that waits for answers is cancelled; those that come late are not read."""
    cancelled = []

    async def patient(attempt: trio_ssh.AuthAttempt) -> bool:
        try:
            return await converse(attempt)
        except trio.Cancelled:
            cancelled.append(True)
            raise

    policy = trio_ssh.KeyboardInteractiveServer(patient)
    async with at_login(policy, limits=trio_ssh.Limits(login_seconds=LOGIN_SECONDS)) as (raw, ends):
        await raw.send(KBDINT)
        await raw.expect(60)
        for number in range(rounds_answered):
            await raw.send(UserauthInfoResponse(write_responses((str(number + 1),))))
            await raw.expect(60)
        autojump_clock.jump(LOGIN_SECONDS)
        assert M.USERAUTH_SUCCESS not in [payload[0] for payload in await raw.drain()]
    assert cancelled == [True]
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)


# -- a client: its deadline is the caller's cancel scope -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["publickey", "all three"])
async def test_b16_the_deadline_of_a_dial_at_each_step(autojump_clock, name):
    """`connect` under a deadline: too late is too late at whichever step, nobody gets a client, both streams are closed."""
    policy, credentials = LOGINS[name]
    late = 0
    for step in range(1, STEPS_MAX):
        seed_schedule(step)
        client_stream, server_stream = pairs.misbehaving()
        jump = JumpAtStep(autojump_clock, step, seconds=25)
        entered: list[float] = []
        async with pairs.served(stream=server_stream, authenticate=policy, limits=trio_ssh.Limits(login_seconds=1000)):
            with trio.fail_after(2000):
                trio.lowlevel.add_instrument(jump)
                with trio.move_on_after(20) as deadline:
                    async with pairs.connecting(client_stream, credentials=credentials()):
                        entered.append(trio.current_time())
                trio.lowlevel.remove_instrument(jump)
        assert (client_stream.closed, server_stream.closed) == (True, True)
        if jump.jumped_at is None:
            assert (len(entered), deadline.cancelled_caught) == (1, False)
            break
        if not entered:
            late += 1
            assert deadline.cancelled_caught
        else:
            assert entered[0] <= jump.jumped_at
    assert late > 20
