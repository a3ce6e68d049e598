"""Generator G4, logins with several factors: either side cancelled at each step, and policies and people who are, too.

Whatever the step: both streams are closed, every policy and every question has ended, nobody hangs, and nobody is in who has not proven
everything (hardening FLT-15, FLT-16, TRI-23, B16).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.faults.cancelling import STEPS_MAX, cancel_at, schedule
from trio_ssh import AuthAttempted, Prompt, all_of

RESTLESS = trio_ssh.Limits(rekey_packets=3, window_bytes=700, channel_packet_bytes=300)
LIMITS = pytest.mark.parametrize("limits", [trio_ssh.Limits(), RESTLESS], ids=["calm", "restless"])


@attrs.define(eq=False)
class Login:
    """Two factors, each with waits of its own: two rounds of questions, a password that must be changed. Counts who is still at it."""

    begun: int = 0
    ended: int = 0
    proven: list[str] = attrs.field(factory=list)
    granted: list[tuple[str, ...]] = attrs.field(factory=list)

    async def converse(self, attempt: trio_ssh.AuthAttempt) -> bool:
        self.begun += 1
        try:
            (one,) = await attempt.ask([Prompt("One: ")])
            await trio.lowlevel.checkpoint()
            two, three = await attempt.ask([Prompt("Two: "), Prompt("Three: ", echo=True)])
            if (one, two, three) == ("1", "2", "3"):
                self.proven.append("keyboard-interactive")
                return True
            return False
        finally:
            self.ended += 1

    async def check(self, username: str, password: str) -> trio_ssh.Verdict:
        return trio_ssh.Verdict(accepted=False, change_password="New: " if password == "old" else "")

    async def change(self, username: str, old: str, new: str) -> bool:
        self.begun += 1
        try:
            await trio.lowlevel.checkpoint()
            if (old, new) == ("old", "new"):
                self.proven.append("password")
                return True
            return False
        finally:
            self.ended += 1

    @property
    def policy(self) -> Any:
        return all_of(trio_ssh.KeyboardInteractiveServer(self.converse), trio_ssh.Passwords(self.check, self.change))

    async def answer(self, asked: trio_ssh.Asked) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return [prompt.text[:3].replace("One", "1").replace("Two", "2").replace("Thr", "3") for prompt in asked.prompts]

    async def choose(self, prompt: str) -> str:
        await trio.lowlevel.checkpoint()
        return "new"

    @property
    def credentials(self) -> list[Any]:
        return [trio_ssh.KeyboardInteractive(self.answer), trio_ssh.Password("old", change=self.choose)]

    def observe(self, event: trio_ssh.Event) -> None:
        if isinstance(event, AuthAttempted) and event.outcome == "granted":
            self.granted.append(tuple(self.proven))

    async def handle(self, session: trio_ssh.ServerSession) -> int:
        assert self.granted
        return await pairs.commands(session)

    async def serve(self, stream: trio.abc.Stream, limits: trio_ssh.Limits) -> None:
        await trio_ssh.serve_stream(
            self.handle,
            stream,
            host_keys=[pairs.HOST_KEY],
            authenticate=self.policy,
            limits=limits,
            algorithms=pairs.QUICK,
            observer=self.observe,
        )

    async def log_in(self, stream: trio.abc.Stream, limits: trio_ssh.Limits) -> None:
        async with pairs.connecting(stream, limits=limits, credentials=self.credentials) as client:
            await pairs.check_works(client)

    def check_all_over(self) -> None:
        assert self.begun == self.ended, "a policy is still at it"
        for proven in self.granted:
            assert proven == ("keyboard-interactive", "password")


async def until_gone(act: Any, *arguments: Any) -> None:
    """The other side, which is told of the end by a typed error or by none."""
    try:
        await act(*arguments)
    except (trio_ssh.SSHError, trio_ssh.ProcessFailed, trio.BrokenResourceError):
        return


@LIMITS
@pytest.mark.parametrize("side", ["client", "server"])
async def test_g4_flt_15_flt_16_a_login_with_two_factors(autojump_clock, side, limits):
    complete, login = 0, Login()
    for step in range(1, STEPS_MAX):
        login = Login()
        streams = pairs.misbehaving()
        ours, theirs = (login.log_in, login.serve) if side == "client" else (login.serve, login.log_in)
        our_stream, their_stream = streams if side == "client" else streams[::-1]
        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                schedule(step)
                nursery.start_soon(until_gone, theirs, their_stream, limits)
                hit = await cancel_at(step, functools.partial(ours, our_stream, limits))
                assert our_stream.closed, f"step {step}: the {side}'s stream was left open"
            assert [stream.closed for stream in streams] == [True, True]
        login.check_all_over()
        complete += bool(login.granted)
        if not hit:
            break
    assert login.granted
    assert 0 < complete < step - 20


@pytest.mark.parametrize("where", ["the policy's first round", "the policy's second round", "the person's answer"])
async def test_g4_flt_15_tri_15_questions_that_are_given_up(autojump_clock, where):
    """Cancelled by the policy, or by the person, at each step: the attempt fails or the login ends; nothing is granted, nobody hangs."""
    for step in range(1, STEPS_MAX):
        hit = False
        granted: list[str] = []

        async def converse(attempt: trio_ssh.AuthAttempt, step: int = step) -> bool:
            nonlocal hit
            if where == "the policy's second round":
                await attempt.ask([Prompt("One: ")])
            if where == "the person's answer":
                return await attempt.ask([Prompt("One: ")]) == ("1",)
            hit = await cancel_at(step, lambda: attempt.ask([Prompt("One: ")]))
            return not hit

        async def answer(asked: trio_ssh.Asked, step: int = step) -> list[str] | None:
            nonlocal hit
            if where != "the person's answer":
                return ["1"]
            hit = await cancel_at(step, trio.lowlevel.checkpoint)
            return None if hit else ["1"]

        def observe(event: trio_ssh.Event, granted: list[str] = granted) -> None:
            if isinstance(event, AuthAttempted) and event.outcome == "granted":
                granted.append(event.method)

        streams = pairs.misbehaving()

        async def serve(stream: trio.abc.Stream = streams[1], converse: Any = converse, observe: Any = observe) -> None:
            policy = trio_ssh.KeyboardInteractiveServer(converse)
            await trio_ssh.serve_stream(
                pairs.commands, stream, host_keys=[pairs.HOST_KEY], authenticate=policy, algorithms=pairs.QUICK, observer=observe
            )

        async def log_in(stream: trio.abc.Stream = streams[0], answer: Any = answer) -> None:
            async with pairs.connecting(stream, credentials=[trio_ssh.KeyboardInteractive(answer)]) as client:
                await pairs.check_works(client)

        with trio.fail_after(200):
            async with trio.open_nursery() as nursery:
                schedule(step)
                nursery.start_soon(until_gone, serve)
                nursery.start_soon(until_gone, log_in)
            await wait_all_tasks_blocked()
        assert [stream.closed for stream in streams] == [True, True]
        assert bool(granted) == (not hit), f"step {step}"
        if not hit:
            return
    pytest.fail("it never came through")
