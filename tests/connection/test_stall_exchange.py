"""Stall invariants 4 and 7: what may be said and must be heard in an exchange of keys, and one that never ends.

The essay is in test_stall_invariants.py.
"""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import KEX_ONLY, agree, between_kexinit_and_newkeys, expect_lost, grant_session, send_share, until_seen
from tests.connection.stalling import same_schedule as same_schedule
from tests.raw_peer import PASSWORDS, RawPeer, raw_client, raw_server
from trio_ssh.protocol.role import Role
from trio_ssh.wire.connection import (
    ChannelData,
    ChannelEof,
    ChannelOpen,
    ChannelRequest,
    ChannelWindowAdjust,
    GlobalRequest,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, Ping

# -- 4: what may be said, and what must be heard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("whose", ["peer", "ours"])
async def test_stall_04_pain_01_sm_066_sm_067_a_server_that_has_everything_to_say(autojump_clock, whose, seed):
    """Data, stderr, window adjusts, confirmations, closes, replies and pongs are all due in the midst of the exchange.

    All that causes them is sent behind our KEXINIT and before the peer's, and is taken (SM-067).
    """
    raw, stream = raw_client()

    async def handler(session: trio_ssh.ServerSession) -> int:
        async def send(stream: trio.abc.SendStream) -> None:
            while True:
                await stream.send_all(bytes(500))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, session)
            nursery.start_soon(send, session.stderr)
            async for _ in session:
                pass
            nursery.cancel_scope.cancel()
        return 7

    limits = trio_ssh.Limits(window_bytes=1000, rekey_bytes=20_000 if whose == "ours" else None)
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=limits):
        trio._core._run._r.seed(seed)
        await raw.log_in()
        channel = await raw.open_session("x", window=0)
        raw.numbers.clear()
        await raw.send(ChannelWindowAdjust(channel, 30_000))
        theirs = await raw.wait_for(M.KEXINIT) if whose == "ours" else b""
        causes = [
            ChannelData(channel, bytes(900)),
            GlobalRequest("keepalive@openssh.com", True),
            Ping(b"?"),
            ChannelRequest(channel, "nonsense", True),
            ChannelOpen("session", 1, 0, 1000),
            ChannelEof(channel),
        ]
        ours = raw.negotiator.our_kexinit(bytes(16), first=False)
        await raw.send(*causes, ours)
        await wait_all_tasks_blocked()
        await raw.exchange_keys(ours=ours, theirs=theirs)
        await until_seen(raw, M.CHANNEL_CLOSE)
        await raw.stream.aclose()
    assert set(itertools.chain(*between_kexinit_and_newkeys(raw.numbers))) <= KEX_ONLY
    due = {M.REQUEST_FAILURE, M.PONG, M.CHANNEL_FAILURE, M.CHANNEL_OPEN_CONFIRMATION, M.CHANNEL_WINDOW_ADJUST}
    assert {*due, M.CHANNEL_DATA, M.CHANNEL_EXTENDED_DATA, M.CHANNEL_REQUEST, M.CHANNEL_EOF} <= set(raw.numbers)
    if whose == "ours":
        assert raw.numbers.index(M.NEWKEYS) < min(map(raw.numbers.index, due))


@pytest.mark.parametrize("whose", ["peer", "ours"])
async def test_stall_04_pain_01_sm_066_sm_067_a_client_that_has_everything_to_say(autojump_clock, whose):
    """The application writes, opens, closes, reads and asks while nothing may leave; behind the exchange it all does, in that order."""
    raw, stream = raw_server()

    async def talk(client: trio_ssh.Client) -> None:
        async with (
            client.open_process("one") as one,
            client.open_process("two") as two,
            client.open_process("three") as three,
            trio.open_nursery() as nursery,
        ):
            ready.set()
            await said.wait()
            nursery.start_soon(one.stdin.send_all, b"data behind the exchange")
            await wait_all_tasks_blocked()
            assert await two.stdout.receive_some() == bytes(1900)
            nursery.start_soon(client.run_process, "four")
            await wait_all_tasks_blocked()
            three._channel.close_nowait()
            nursery.start_soon(client.ping)
            await wait_all_tasks_blocked()
            written.set()
            await trio.sleep_forever()

    ready, said, written = trio.Event(), trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        opened: list[tuple[int, int]] = []

        async def grant() -> None:
            await raw.log_in()
            for _ in range(3):
                opened.append(await grant_session(raw))

        nursery.start_soon(grant)
        async with pairs.connecting(stream, limits=trio_ssh.Limits(window_bytes=2000)) as client:
            nursery.start_soon(talk, client)
            await ready.wait()
            raw.numbers.clear()
            if whose == "ours":
                nursery.start_soon(client.rekey)
                theirs = await raw.expect(M.KEXINIT)
                # Under way before the peer's KEXINIT: taken, and answered behind the exchange only.
                await raw.send(ChannelData(opened[1][0], bytes(1900)), ChannelRequest(opened[0][0], "nonsense", True))
                ours = b""
            else:
                theirs = b""
                await raw.send(ChannelData(opened[1][0], bytes(1900)), ChannelRequest(opened[0][0], "nonsense", True))
                await raw.expect(M.CHANNEL_FAILURE)
                ours = await raw.send_kexinit()
            await wait_all_tasks_blocked()
            said.set()
            await written.wait()
            if whose == "ours":
                ours = await raw.send_kexinit()
            await raw.exchange_keys(ours=ours, theirs=theirs)
            assert set(itertools.chain(*between_kexinit_and_newkeys(raw.numbers))) <= KEX_ONLY
            del raw.numbers[: raw.numbers.index(M.NEWKEYS) + 1]
            await raw.wait_for(M.CHANNEL_DATA)
            held = [M.CHANNEL_WINDOW_ADJUST, M.CHANNEL_OPEN, M.CHANNEL_CLOSE, M.GLOBAL_REQUEST, M.CHANNEL_DATA]
            assert raw.numbers == [M.CHANNEL_FAILURE, *held] if whose == "ours" else held
            nursery.cancel_scope.cancel()


# -- 7: a peer that never finishes -----------------------------------------------------------------------------------------------------

UNFINISHED = [
    ("never answers", "ours"),  # a rekey of the peer's own begins with its KEXINIT
    *itertools.product(["stops behind KEXINIT", "stops behind its share", "never says NEWKEYS"], ["ours", "peer"]),
]


PATIENCE = 12
"""Virtual seconds: the deadline of 9, a little for what the peer says meanwhile, and one for taking leave."""


async def begin_rekey(raw: RawPeer, step: str, theirs: bytes) -> None:
    """The raw peer's part of a rekey, up to that step; `theirs` is our KEXINIT if that came first."""
    if step == "never answers":
        return
    ours = await raw.send_kexinit()
    theirs = theirs or await raw.wait_for(M.KEXINIT)
    if step == "stops behind KEXINIT":
        return
    if raw.role is Role.SERVER:
        replies, _ = await agree(raw, ours, theirs)
        await raw.send(*replies)
    elif step == "never says NEWKEYS":
        await agree(raw, ours, theirs)
    else:
        await send_share(raw, ours, theirs)
    if step == "never says NEWKEYS":
        await raw.expect(M.NEWKEYS)


async def chatter(raw: RawPeer, message: object) -> None:
    """Something legal each second, until the other side has had enough; what it says is read all the while."""
    async with trio.open_nursery() as nursery:

        async def speak() -> None:
            try:
                while True:
                    await raw.send(message)
                    await trio.sleep(1)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        nursery.start_soon(speak)
        await raw.drain_bytes()  # unopened: behind the other side's NEWKEYS it is under keys that this one never took
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("noise", ["silent", "chatting"])
@pytest.mark.parametrize(("step", "whose"), UNFINISHED)
async def test_stall_07_res_21_flt_11_a29_a_client_that_never_finishes(autojump_clock, step, whose, noise):
    raw, stream = raw_client()
    woken: list[float] = []

    async def handler(session: trio_ssh.ServerSession) -> int:
        async with trio.open_nursery() as nursery:

            async def waits(function, *arguments):
                await expect_lost("finish a key exchange within 9 s", function, *arguments)
                woken.append(trio.current_time())

            with trio.CancelScope(shield=True):  # the session's scope is cancelled with the connection: all must wake by themselves
                async with trio.open_nursery() as inner:
                    inner.start_soon(waits, session.send_all, bytes(1000))
                    inner.start_soon(waits, session.stderr.send_all, bytes(1000))
                    inner.start_soon(waits, session.receive_some)
            nursery.cancel_scope.cancel()
        return 0

    limits = trio_ssh.Limits(rekey_answer_seconds=9, rekey_bytes=2000 if whose == "ours" else None)
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        if whose == "ours":
            await raw.exchange_keys()  # so that the login does not count against the budget
        # What was allowed before is sent under the fresh keys as well, whether or not the peer uses its own; then credit is waited for.
        await raw.open_session("x", window=20_000)
        theirs = await raw.wait_for(M.KEXINIT) if whose == "ours" else b""
        started = trio.current_time()
        await begin_rekey(raw, step, theirs)
        await (chatter(raw, Ignore(b"wait")) if noise == "chatting" else ends.server_done.wait())
        assert trio.current_time() - started <= PATIENCE
    assert len(woken) == 3
    assert max(woken) - started <= PATIENCE
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)
    assert ends.server_cause.reason == 3


@pytest.mark.parametrize("noise", ["silent", "chatting"])
@pytest.mark.parametrize(("step", "whose"), UNFINISHED)
async def test_stall_07_res_21_flt_11_a29_a_server_that_never_finishes(autojump_clock, step, whose, noise):
    """Every call that waits is told, the one for fresh keys as well. Data is legal only from a peer that has not answered yet."""
    raw, stream = raw_server()
    woken: list[str] = []

    async def serve() -> None:
        await raw.log_in()
        number, _ = await grant_session(raw)
        theirs = await raw.wait_for(M.KEXINIT) if whose == "ours" else b""
        await begin_rekey(raw, step, theirs)
        if noise == "silent":
            await raw.drain_bytes()
        else:
            await chatter(raw, ChannelData(number, b"x") if step == "never answers" else Ignore(b"wait"))

    async def waits(function, *arguments):
        await expect_lost("finish a key exchange within 9 s", function, *arguments)
        woken.append(function.__name__)

    limits = trio_ssh.Limits(rekey_answer_seconds=9)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with pairs.connecting(stream, limits=limits) as client, client.open_process("x") as process:
            assert process.stderr is not None
            started = trio.current_time()
            with trio.fail_after(PATIENCE + 1):
                async with trio.open_nursery() as waiting:
                    if whose == "ours":
                        waiting.start_soon(waits, client.rekey)
                    else:
                        await wait_all_tasks_blocked()
                    waiting.start_soon(waits, client.ping)
                    waiting.start_soon(waits, client.run_process, "x")
                    waiting.start_soon(waits, process.stdin.send_all, bytes(100_000))
                    waiting.start_soon(waits, process.stdout.receive_some)
                    waiting.start_soon(waits, process.stderr.receive_some)
                    waiting.start_soon(waits, process.wait)
                    waiting.start_soon(waits, client.wait_closed)
            assert trio.current_time() - started <= PATIENCE
        assert len(woken) == 7 + (whose == "ours")


async def test_stall_07_res_21_a_server_that_sends_without_end_instead_of_answering(autojump_clock):
    """Data that the application reads, so that no window stops it: the cap does, before the deadline."""
    raw, stream = raw_server()
    limits = trio_ssh.Limits(rekey_inbound_bytes=100_000)

    async def serve() -> None:
        await raw.log_in()
        channel, _ = await grant_session(raw)
        await raw.wait_for(M.KEXINIT)
        with pytest.raises(trio.BrokenResourceError):
            for _ in range(200):
                await raw.send(ChannelData(channel, bytes(1000)))
                await wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with pairs.connecting(stream, limits=limits) as client, client.open_process("x") as process:
            async with trio.open_nursery() as waiting:
                waiting.start_soon(expect_lost, "100000 bytes without answering our rekey", client.rekey)
                waiting.start_soon(expect_lost, "100000 bytes without answering our rekey", process.stdout.receive_some)
            assert trio.current_time() < 1
