"""Strangers by the hundred at one server, on virtual time: who gets in, who is put out and when, and who does not notice
(hardening RES-01 to RES-04, A13, B17)."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import RawPeer, password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.transport import ServiceRequest

NEVER = 10_000.0
"""Virtual seconds: a test that gets there hangs."""


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """`connect` gives the client's end of a new connection from wherever it is told."""

    def __init__(self) -> None:
        self._streams_in, self._streams = trio.open_memory_channel[trio.abc.Stream](0)

    async def connect(self, address: str = "192.0.2.1", **attributes: object) -> trio.abc.Stream:
        """`attributes` are given to the server's end."""
        ours, theirs = memory_stream_pair()
        vars(theirs).update(attributes, peer_address=ipaddress.ip_address(address))
        await self._streams_in.send(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._streams.receive()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def serve_on(listener: Listener, task_status=trio.TASK_STATUS_IGNORED, **options) -> None:
    options.setdefault("authenticate", trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]))
    await trio_ssh.serve_listeners(
        pairs.commands, [listener], host_keys=[pairs.HOST_KEY], algorithms=pairs.QUICK, task_status=task_status, **options
    )


@attrs.define(eq=False)
class Stage:
    """A server, and a nursery for strangers who are gone with it."""

    listener: Listener
    nursery: trio.Nursery
    ended_at: list[float] = attrs.field(factory=list)
    """When strangers saw the end of their connections."""

    async def good_client(self, address: str = "198.51.100.1") -> None:
        """One that logs in, runs something and leaves; fails the test where it cannot."""
        async with pairs.connecting(await self.listener.connect(address)) as client:
            await pairs.check_works(client)

    async def silent(self, address: str = "192.0.2.1") -> None:
        """A stranger who says nothing."""
        await self.stranger(address, say_nothing)

    async def stranger(self, address: str, act: Callable) -> None:
        """``await act(peer)``, then wait for the end."""
        stream = await self.listener.connect(address)

        async def run() -> None:
            peer = RawPeer(stream, Role.CLIENT)
            try:
                await act(peer)
                await peer.drain_bytes()
            except (trio.BrokenResourceError, AssertionError):
                pass  # put out before it had said all
            self.ended_at.append(trio.current_time())

        self.nursery.start_soon(run)


@asynccontextmanager
async def stage(limits: trio_ssh.Limits | None = None, **options) -> AsyncIterator[Stage]:
    listener = Listener()
    pairs.same_schedule_each_time()
    with trio.fail_after(NEVER):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_on, listener, limits=limits, **options))
            yield Stage(listener, nursery)
            nursery.cancel_scope.cancel()


async def say_nothing(peer: RawPeer) -> None:
    await trio.lowlevel.checkpoint()


def addresses(count: int, first: str) -> list[str]:
    start = ipaddress.ip_address(first)
    return [str(start + i) for i in range(count)]


# -- silent strangers --------------------------------------------------------------------------------------------------------------------


async def test_res_01_b17_a_flood_of_silent_connections_from_one_source(autojump_clock):
    async with stage() as here:
        async with pairs.connecting(await here.listener.connect("198.51.100.9")) as established:
            for _ in range(500):
                await here.silent()
            await wait_all_tasks_blocked()
            assert len(here.ended_at) == 490  # ten are in
            assert set(here.ended_at) == {0.0}
            with trio.fail_after(2):
                await here.good_client()
            await pairs.check_works(established)
            await trio.sleep(12)
            assert len(here.ended_at) == 500
            assert max(here.ended_at) <= 11  # the last of the ten had to wait its turn
            await pairs.check_works(established)
            await here.good_client("192.0.2.1")


async def test_res_01_b17_a_flood_of_silent_connections_from_everywhere(autojump_clock):
    """From the tenth on strangers are dropped at random, and past the bound always; the places are free again behind the deadline."""
    async with stage(trio_ssh.Limits(unauthenticated_connections=20)) as here:
        for address in addresses(1000, "203.0.113.0"):
            await here.silent(address)
        await wait_all_tasks_blocked()
        assert 980 <= len(here.ended_at) < 990
        await trio.sleep(10.5)
        assert len(here.ended_at) == 1000
        await here.good_client()


async def test_b17_places_are_free_again_when_strangers_leave(autojump_clock):
    async with stage(trio_ssh.Limits(unauthenticated_connections=2, unauthenticated_drop_begin=2)) as here:
        streams = [await here.listener.connect(address) for address in addresses(2, "203.0.113.0")]
        await wait_all_tasks_blocked()
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client()
        for stream in streams:
            await stream.aclose()
        await wait_all_tasks_blocked()
        await here.good_client()


async def test_b17_who_has_logged_in_holds_no_place(autojump_clock):
    async with stage(trio_ssh.Limits(unauthenticated_connections=1, unauthenticated_drop_begin=1)) as here:
        async with pairs.connecting(await here.listener.connect()), pairs.connecting(await here.listener.connect()):
            await here.good_client()


# -- slow strangers ----------------------------------------------------------------------------------------------------------------------


async def drip(peer: RawPeer, data: bytes) -> None:
    """A byte a second, until the other side closes."""

    async def send() -> None:
        for i in range(len(data)):
            await peer.send_bytes(data[i : i + 1])
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await peer.drain_bytes()
        nursery.cancel_scope.cancel()


async def drip_identification(peer: RawPeer) -> None:
    await drip(peer, b"SSH-2.0-" + b"x" * 240 + b"\r\n")


async def drip_kexinit(peer: RawPeer) -> None:
    await peer.identify()
    peer.sealer.seal(peer.negotiator.our_kexinit(bytes(16), first=True))
    await drip(peer, bytes(peer.sealer.take_batch()))


async def drip_request(peer: RawPeer) -> None:
    await stop_behind_service_accept(peer)
    peer.sealer.seal(b"\x32" + bytes(1000))
    await drip(peer, bytes(peer.sealer.take_batch()))


async def stop_behind_kexinit(peer: RawPeer) -> None:
    await peer.identify()
    await peer.send_kexinit()


async def stop_behind_service_accept(peer: RawPeer) -> None:
    await peer.handshake()
    await peer.send(ServiceRequest("ssh-userauth"))
    await peer.wait_for(6)


async def stop_behind_a_refused_password(peer: RawPeer) -> None:
    await stop_behind_service_accept(peer)
    await peer.send(password_request("wrong"))
    await peer.wait_for(51)


@pytest.mark.parametrize(
    ("act", "deadline"),
    [
        pytest.param(drip_identification, 10, id="res_02-identification"),
        pytest.param(drip_kexinit, 20, id="res_02-kexinit"),
        pytest.param(drip_request, 60, id="res_02-request"),
        pytest.param(stop_behind_kexinit, 20, id="res_03-kexinit"),
        pytest.param(stop_behind_service_accept, 60, id="res_03-service_accept"),
        pytest.param(stop_behind_a_refused_password, 60, id="res_03-refused_password"),
    ],
)
async def test_b17_slow_strangers_are_put_out_at_a_total_deadline(autojump_clock, act, deadline):
    """A byte now and then does not put the deadline off; with all places taken nobody else gets in, and behind it everybody does."""
    limits = trio_ssh.Limits(unauthenticated_connections=10, unauthenticated_drop_begin=10, handshakes_per_source_per_second=None)
    async with stage(limits) as here:
        for _ in range(10):
            await here.stranger("192.0.2.1", act)
        await trio.sleep(deadline - 0.5)
        assert here.ended_at == []
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client()
        await trio.sleep(1)
        assert len(here.ended_at) == 10
        await here.good_client()


# -- one source against all others -------------------------------------------------------------------------------------------------------


async def test_res_04_a_flood_from_one_network_of_64_bits_does_not_touch_others(autojump_clock):
    """Even where every newcomer is dropped from the tenth connection on."""
    async with stage(trio_ssh.Limits(unauthenticated_drop_percent=100)) as here:
        for address in addresses(300, "2001:db8::1"):
            await here.silent(address)
        await wait_all_tasks_blocked()
        assert len(here.ended_at) == 290
        for address in ("2001:db8:0:1::1", "198.51.100.1", "::ffff:198.51.100.2"):
            started = trio.current_time()
            await here.good_client(address)
            assert trio.current_time() == started  # not a moment's wait
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("2001:db8::ffff")


async def test_res_04_unauthenticated_per_source_at_one(autojump_clock):
    async with stage(trio_ssh.Limits(unauthenticated_per_source=1)) as here:
        await here.silent("192.0.2.1")
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await here.good_client("192.0.2.2")


async def test_a13_sixteen_attackers_get_at_most_twenty_handshakes_a_second(autojump_clock):
    identified: list[float] = []

    async def attack(here: Stage) -> None:
        while True:
            stream = await here.listener.connect()
            try:
                data = await stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if data.startswith(b"SSH-2.0-"):
                identified.append(trio.current_time())
            else:
                await trio.sleep(0.05)  # refused: at the machine's speed virtual time would stand still
            await stream.aclose()

    async with stage() as here:
        for _ in range(16):
            here.nursery.start_soon(attack, here)
        await trio.sleep(1.5)
        assert len(identified) <= 30  # what ssh-audit's test of the rate measures
        await here.good_client()
        await trio.sleep(2.5)
        assert len(identified) >= 60
        assert max(sum(start <= time < start + 1 - 1e-9 for time in identified) for start in identified) <= 20


async def test_a13_who_comes_too_fast_is_slowed_down_and_not_refused(autojump_clock):
    async with stage(trio_ssh.Limits(handshakes_per_source_per_second=1)) as here:
        for turn in range(5):
            await here.good_client("192.0.2.1")
            assert trio.current_time() == turn
        started = trio.current_time()
        await here.good_client("192.0.2.2")
        assert trio.current_time() == started


async def test_a_server_that_ends_while_somebody_waits_for_a_turn(autojump_clock):
    async with stage(trio_ssh.Limits(handshakes_per_source_per_second=1)) as here:
        for _ in range(3):
            await here.silent()


# -- penalties ---------------------------------------------------------------------------------------------------------------------------

PENALTIES = trio_ssh.Limits(source_penalties=trio_ssh.SourcePenalties())


async def fail_to_log_in(here: Stage, address: str) -> None:
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with pairs.connecting(
            await here.listener.connect(address), credentials=[trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate())]
        ):
            pytest.fail("let in")
    await wait_all_tasks_blocked()


async def test_res_04_a_source_that_fails_to_log_in_again_and_again_is_refused_for_a_while(autojump_clock):
    seen: list[trio_ssh.Event] = []
    async with stage(PENALTIES, observer=seen.append) as here:
        for _ in range(4):
            await fail_to_log_in(here, "192.0.2.1")
        assert sum(isinstance(event, trio_ssh.AuthAttempted) and event.outcome == "refused" for event in seen) == 4
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await here.good_client("192.0.2.2")
        await trio.sleep(20)
        await here.good_client("192.0.2.1")


async def test_nobody_is_penalised_unless_asked_for(autojump_clock):
    assert trio_ssh.Limits().source_penalties is None
    async with stage() as here:
        for _ in range(10):
            await fail_to_log_in(here, "192.0.2.1")
        await here.good_client("192.0.2.1")


async def test_good_clients_have_no_penalties(autojump_clock):
    async with stage(trio_ssh.Limits(source_penalties=trio_ssh.SourcePenalties(min_seconds=0))) as here:
        for _ in range(10):
            await here.good_client()


@pytest.mark.parametrize(
    ("act", "seconds", "refused_for"),
    [
        pytest.param(lambda peer: peer.identify(), 0.0, 1, id="no_auth"),
        pytest.param(stop_behind_kexinit, 20.0, 10, id="grace_exceeded-kex"),
        pytest.param(stop_behind_service_accept, 60.0, 10, id="grace_exceeded-login"),
        pytest.param(stop_behind_a_refused_password, 0.0, 5, id="auth_failure"),
    ],
)
async def test_res_04_what_each_misdeed_costs(autojump_clock, act, seconds, refused_for):
    async with stage(trio_ssh.Limits(source_penalties=trio_ssh.SourcePenalties(min_seconds=0))) as here:
        stream = await here.listener.connect("192.0.2.1")
        peer = RawPeer(stream, Role.CLIENT)
        await act(peer)
        await trio.sleep(seconds)
        await stream.aclose()
        await wait_all_tasks_blocked()
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await trio.sleep(refused_for - 0.01)
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await trio.sleep(0.01)
        await here.good_client("192.0.2.1")


@pytest.mark.parametrize(("verdict", "refused_for"), [(trio_ssh.UNKNOWN_USER, 5), (trio_ssh.NOT_WELCOME, 10)], ids=["unknown", "unwelcome"])
async def test_res_04_what_a_policy_may_say(autojump_clock, verdict, refused_for):
    answers = [verdict, trio_ssh.REFUSE]

    async def decide(attempt):
        return answers.pop(0) if answers else trio_ssh.ACCEPT

    limits = trio_ssh.Limits(source_penalties=trio_ssh.SourcePenalties(min_seconds=0, auth_failure_seconds=1))
    async with stage(limits, authenticate=decide) as here:
        await fail_to_log_in(here, "192.0.2.1")
        await trio.sleep(refused_for - 0.01)
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await trio.sleep(0.01)
        await fail_to_log_in(here, "192.0.2.1")
        await trio.sleep(1)
        await here.good_client("192.0.2.1")


async def test_res_04_what_makes_us_fail_costs_most(autojump_clock, caplog):
    async def receive_some(max_bytes=None):
        raise ValueError("a mistake of ours")

    async with stage(PENALTIES) as here:
        await here.listener.connect("192.0.2.1", receive_some=receive_some)
        await wait_all_tasks_blocked()
        await trio.sleep(89.9)
        with pytest.raises(trio_ssh.ConnectionLost):
            await here.good_client("192.0.2.1")
        await trio.sleep(0.1)
        await here.good_client("192.0.2.1")
    assert "the connection failed" in caplog.text


async def test_res_04_who_is_exempt_is_never_refused(autojump_clock):
    limits = trio_ssh.Limits(source_penalties=trio_ssh.SourcePenalties(exempt=["192.0.2.0/24"]))
    async with stage(limits) as here:
        for _ in range(10):
            await fail_to_log_in(here, "192.0.2.1")
        await here.good_client("192.0.2.1")
