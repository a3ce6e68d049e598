"""ASR-13: the layer below fails. The n-th call of one of its functions raises what it should not, for every n, on either end.

What must hold: the connection ends, and every wait on it with it; nothing wrong was delivered; whoever used the end that failed gets one of
our exceptions, with the failure as its cause.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

import trio_ssh
from tests import pairs
from tests.crypto import own
from tests.fuzz import failing
from tests.fuzz.failing import ERRORS, PLACES, Plan
from trio_ssh.protocol.role import Role

DATA = pairs.pattern(5_000)
CALLS_MAX = 100
NEVER = 10_000.0
"""Virtual seconds: who is not done by then hangs."""


@pytest.fixture(autouse=True)
def registered(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL)
    with own.tables_put_back():
        failing.register()
        yield


@attrs.define(eq=False)
class Scene:
    """A client that runs two commands with a rekey between them, and a server. `client_error` and `server_error`: how they ended."""

    host_key: trio_ssh.PrivateKey = attrs.field(factory=failing.new_key)
    user_key: trio_ssh.PrivateKey = attrs.field(factory=failing.new_key)
    algorithms: trio_ssh.Algorithms = attrs.field(factory=failing.algorithms_that_fail)
    streams: tuple[trio.abc.Stream, trio.abc.Stream] = attrs.field(factory=memory_stream_pair)
    client_error: BaseException | None = None
    server_error: BaseException | None = None
    events: list[trio_ssh.Event] = attrs.field(factory=list)
    """Of the server."""
    used: bool = False
    """The client has done all it wanted."""
    hung: bool = False

    async def play(self, role: Role, plan: Plan) -> None:
        """`role` is that of the end that fails."""
        trio.lowlevel.spawn_system_task(self.watch)
        async with trio.open_nursery() as nursery:
            for one, act in ((Role.SERVER, self.serve), (Role.CLIENT, self.connect)):
                if one is role:
                    with failing.armed(plan):
                        nursery.start_soon(act)
                else:
                    nursery.start_soon(act)

    async def watch(self) -> None:
        """A hang behind a shield would stop the run of all tests: note it, and break it up."""
        await trio.sleep(NEVER)
        self.hung = True
        for scope in gc.get_objects():
            if isinstance(scope, trio.CancelScope) and scope.shield:
                scope.shield = False
                scope.cancel()

    async def serve(self) -> None:
        try:
            await trio_ssh.serve_stream(
                pairs.commands,
                self.streams[1],
                host_keys=[self.host_key],
                authenticate=trio_ssh.AuthorizedKeys.of([self.user_key.public_key]),
                algorithms=self.algorithms,
                observer=self.events.append,
            )
        except Exception as error:
            self.server_error = error
        # Behind a login a server's connection ends for its observer; nothing is raised then.
        causes = [event.cause for event in self.events if isinstance(event, trio_ssh.ConnectionEnded)]
        self.server_error = self.server_error or causes[0]

    async def connect(self) -> None:
        try:
            async with trio_ssh.connect(
                "server.test",
                stream=self.streams[0],
                username="ada",
                credentials=[trio_ssh.PrivateKeyCredential(self.user_key)],
                host_keys=trio_ssh.PinnedKeys([self.host_key.public_key]),
                algorithms=self.algorithms,
            ) as client:
                await self.use(client)
        except Exception as error:
            self.client_error = error

    async def use(self, client: trio_ssh.Client) -> None:
        for _ in range(2):
            result = await client.run_process("echo", input=DATA)
            assert result.stdout == DATA, "something else was delivered than what was sent"
            await client.rekey()
        self.used = True


def cause_of(error: BaseException | None) -> list[BaseException]:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    return chain


def complaint(role: Role, plan: Plan, scene: Scene) -> str | None:
    error = scene.client_error if role is Role.CLIENT else scene.server_error
    name = f"{plan.where} {plan.at} of our {role.name.lower()} raised {plan.error.__name__}"
    if scene.hung:
        return f"{name}: it hung"
    if scene.used and (error is None or isinstance(error, trio_ssh.ConnectionLost)):
        return None  # it was on its way out, and is out
    if error is None or isinstance(error, trio_ssh.Disconnected):
        return f"{name}: the connection went on"
    if not isinstance(error, trio_ssh.SSHError):
        return f"{name}: what came out is {error!r}"
    if plan.where in ("verify", "read key") and plan.error is ValueError:
        return None  # which its recipe may raise: it means that the key or signature is bad
    if not any(isinstance(one, plan.error) for one in cause_of(error)):
        return f"{name}: what came out does not say why: {error!r}"
    return None


@pytest.mark.parametrize("where", PLACES, ids=[where.replace(" ", "_") for where in PLACES])
@pytest.mark.parametrize("role", list(Role), ids=[role.name.lower() for role in Role])
def test_asr_13_a_failing_layer_below_ends_the_connection(role, where):
    complaints = []
    for at in range(1, CALLS_MAX):
        plan, scene = Plan(where, at, ERRORS[at % len(ERRORS)]), Scene()
        trio.run(scene.play, role, plan, clock=MockClock(autojump_threshold=0))
        if not plan.fired:
            break
        complaints.append(complaint(role, plan, scene))
    else:
        pytest.fail(f"{where} is called more than {CALLS_MAX} times: make the scene smaller")
    assert complaints, f"{where} is never called"
    if any(complaints):
        pytest.fail("\n".join(filter(None, complaints)), pytrace=False)
