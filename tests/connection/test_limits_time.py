"""Each bound of `Limits` on time, set small and met, for silent, slow and dead peers (hardening §6.1; FLT-01 to FLT-04, TRI-09, TRI-17)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer, password_request, raw_client, raw_server
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    ChannelData,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelRequest,
    Exec,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, ServiceRequest


async def test_sm_017_res_01_identification_seconds(autojump_clock):
    """SM-017: nothing at all comes."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, limits=trio_ssh.Limits(identification_seconds=7)) as ends:
        assert (await raw.drain_bytes()).startswith(b"SSH-2.0-")
        assert trio.current_time() == pytest.approx(7, abs=1)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_sm_017_identification_seconds_of_a_client(autojump_clock):
    _, stream = raw_server()
    with pytest.raises(trio_ssh.RemoteProtocolError, match="identify itself within 7 s"):
        async with pairs.connecting(stream, limits=trio_ssh.Limits(identification_seconds=7)):
            pytest.fail("connected")
    assert trio.current_time() == pytest.approx(7, abs=1.1)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
async def test_res_02_identification_is_given_its_time_in_all_not_for_each_byte(autojump_clock, role):
    """RES-02: one byte a second."""

    async def drip(raw: RawPeer) -> None:
        for byte in b"SSH-2.0-" + bytes(200).replace(b"\0", b"x"):
            try:
                await raw.send_bytes(bytes([byte]))
            except trio.BrokenResourceError:
                return
            await trio.sleep(1)

    limits = trio_ssh.Limits(identification_seconds=20)
    async with trio.open_nursery() as nursery:
        if role is Role.SERVER:
            raw, stream = raw_client()
            nursery.start_soon(drip, raw)
            async with pairs.served(stream=stream, limits=limits) as ends:
                await raw.drain_bytes()
            assert isinstance(ends.server_error, trio_ssh.SSHError)
        else:
            raw, stream = raw_server()
            nursery.start_soon(drip, raw)
            with pytest.raises(trio_ssh.RemoteProtocolError):
                async with pairs.connecting(stream, limits=limits):
                    pytest.fail("connected")
        assert 19 <= trio.current_time() <= 22


@pytest.mark.parametrize("sends_kexinit", [False, True])
async def test_res_03_kex_seconds(autojump_clock, sends_kexinit):
    """RES-03: the peer stops in the middle of the first exchange."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, limits=trio_ssh.Limits(kex_seconds=5)) as ends:
        await raw.identify()
        if sends_kexinit:
            await raw.send_kexinit()
        await raw.expect_disconnect(3)
        assert trio.current_time() == pytest.approx(5, abs=1)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_res_03_kex_seconds_of_a_client(autojump_clock):
    raw, stream = raw_server()
    await raw.send_bytes(b"SSH-2.0-raw\r\n")
    with pytest.raises(trio_ssh.RemoteProtocolError, match="within 5 s"):
        async with pairs.connecting(stream, limits=trio_ssh.Limits(kex_seconds=5)):
            pytest.fail("connected")


async def test_a_slow_host_key_policy_does_not_cost_the_server_its_time(autojump_clock):
    class Slow:
        async def check(self, host, port, key):
            await trio.sleep(1000)

        async def key_types(self, host, port):
            return ()

    client_stream, server_stream = memory_stream_pair()
    limits = trio_ssh.Limits(kex_seconds=5, login_seconds=2000)
    async with (
        pairs.served(stream=server_stream, limits=trio_ssh.Limits(kex_seconds=2000, login_seconds=2000)),
        pairs.connecting(client_stream, limits=limits, host_keys=Slow()) as client,
    ):
        assert trio.current_time() == pytest.approx(1000, abs=1)
        await pairs.check_works(client)


@pytest.mark.parametrize("stage", ["before the service request", "after it", "after a refusal"])
async def test_sm_110_res_03_login_seconds(autojump_clock, stage):
    """SM-110: in all, whatever the client does meanwhile."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(login_seconds=30)) as ends:
        await trio.sleep(5)
        await raw.handshake()
        if stage != "before the service request":
            await raw.send(ServiceRequest("ssh-userauth"))
        if stage == "after a refusal":
            await trio.sleep(10)
            await raw.send(password_request("wrong"))
        await raw.drain()
        assert trio.current_time() == pytest.approx(30, abs=1)
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)
    assert "log in within 30 s" in str(ends.server_error)


async def test_tri_17_login_seconds_and_a_policy_that_takes_longer(autojump_clock):
    """TRI-17: what is decided behind the deadline lets nobody in."""

    async def slow(attempt):
        with trio.CancelScope(shield=True):
            await trio.sleep(40)
        return trio_ssh.ACCEPT

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=slow, limits=trio_ssh.Limits(login_seconds=30)) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("x"))
        await raw.drain()
        assert M.USERAUTH_SUCCESS not in raw.numbers
    assert isinstance(ends.server_error, trio_ssh.ConnectionLost)


async def test_res_21_a29_rekey_answer_seconds(autojump_clock):
    """RES-21: the peer never answers our KEXINIT and reads nothing; whoever sends is told."""
    raw, stream = raw_client()
    ended = []

    async def handler(session):
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await session.send_all(bytes(1000))
        ended.append(trio.current_time())

    limits = trio_ssh.Limits(rekey_answer_seconds=9, rekey_bytes=1000)
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        await raw.send(ChannelOpen("session", 0, 2**31, 32768))
        await raw.send(ChannelRequest(0, "exec", True, encode(Exec(b"x"))))
        await ends.server_done.wait()
        assert trio.current_time() == pytest.approx(9, abs=1.1)
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_res_21_a29_rekey_inbound_bytes(autojump_clock):
    """RES-21: the peer goes on sending instead of answering our KEXINIT."""
    raw, stream = raw_client()
    received = []

    async def handler(session):
        async for chunk in session:
            received.append(len(chunk))

    limits = trio_ssh.Limits(rekey_inbound_bytes=100_000, rekey_bytes=5000)
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        channel = await raw.open_session("x")
        sent = 0
        while not ends.server_events or not isinstance(ends.server_events[-1], trio_ssh.ConnectionEnded):
            await raw.send(ChannelData(channel, bytes(1000)))
            sent += 1000
            await wait_all_tasks_blocked()
            assert sent < 200_000
        await raw.expect_disconnect(3)
        assert sent > 90_000
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_res_21_rekey_inbound_bytes_behind_a_rekey_that_begins_with_the_login(autojump_clock):
    """The same for a client whose budget is spent by the login itself."""
    raw, stream = raw_server()
    limits = trio_ssh.Limits(rekey_inbound_bytes=50_000, rekey_bytes=16)

    async def flood():
        await raw.log_in()
        for _ in range(200):
            await raw.send(Ignore(bytes(1000)))
            await wait_all_tasks_blocked()
            if stopped.is_set():
                return
        pytest.fail("200,000 bytes were taken")

    for seed in range(5):  # whichever of the client's tasks comes first
        raw, stream = raw_server()
        stopped = trio.Event()
        trio._core._run._r.seed(seed)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            with pytest.raises(trio_ssh.ConnectionLost, match="50000 bytes"):
                async with pairs.connecting(stream, limits=limits) as client:
                    await client.wait_closed()
            stopped.set()


async def test_flt_01_pain_05_keepalive_with_a_dead_peer(autojump_clock):
    """FLT-01: the connection is given up at interval x (count + 1), and everybody who waits is told."""
    limits = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=3)
    wire = pairs.Wire()
    async with (
        pairs.connected(streams=pairs.misbehaving(server=wire), client_limits=limits, leaves_channels=True) as ends,
        ends.client.open_process("sleep") as process,
    ):
        wire.stall_at = wire.count
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_lost, process.wait)
            nursery.start_soon(expect_lost, ends.client.ping)
            nursery.start_soon(expect_lost, ends.client.rekey)
            nursery.start_soon(expect_lost, ends.client.run_process, "echo")
            nursery.start_soon(expect_lost, ends.client.wait_closed)
        assert 40 <= trio.current_time() - started <= 51


async def expect_lost(function, *arguments):
    with pytest.raises(trio_ssh.ConnectionLost, match="keepalive"):
        await function(*arguments)


async def test_keepalive_with_a_peer_that_is_silent_but_there(autojump_clock):
    restless = trio_ssh.Limits(keepalive_seconds=1, keepalive_misses=1)
    for client_limits, server_limits in ((restless, None), (None, restless)):
        async with pairs.connected(client_limits=client_limits, server_limits=server_limits) as ends:
            await trio.sleep(500)
            await pairs.check_works(ends.client)


async def test_flt_04_pain_05_keepalive_with_a_slow_but_healthy_peer(autojump_clock):
    """FLT-04: a packet of 30 KiB at 1 KiB a second takes half a minute, and all the while bytes arrive."""

    class Slow(pairs.MisbehavingStream):
        async def receive_some(self, max_bytes=None):
            data = await super().receive_some(1024)
            await trio.sleep(len(data) / 1024)
            return data

    client_stream, server_stream = memory_stream_pair()
    slow = Slow(client_stream, pairs.Wire(), pairs.Wire(), trio.Event())
    limits = trio_ssh.Limits(keepalive_seconds=2, keepalive_misses=2, identification_seconds=100, kex_seconds=100)
    async with pairs.connected(streams=(slow, server_stream), client_limits=limits) as ends:
        assert len((await ends.client.run_process("source 90000")).stdout) == 90_000


async def test_tri_15_c01_keepalive_answers_stay_in_order_with_other_replies(autojump_clock):
    """C01, TRI-15: questions of the keepalive and pings that are cancelled take their own answers along."""
    limits = trio_ssh.Limits(keepalive_seconds=1, keepalive_misses=5)
    async with pairs.connected(client_limits=limits) as ends:
        for _ in range(20):
            with trio.CancelScope() as scope:
                scope.cancel()
                await ends.client.ping()
            await trio.sleep(0.7)
            await ends.client.ping()
        await pairs.check_works(ends.client)


@pytest.mark.parametrize("how", ["silent", "stuck"])
async def test_tri_09_asr_09_close_seconds(autojump_clock, how):
    """TRI-09, ASR-09: leaving takes five seconds at most, whatever the peer does, with open channels and data to send."""
    wire = pairs.Wire(stuck=how == "stuck")
    client_stream, server_stream = pairs.misbehaving(wire)
    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            async with pairs.served(stream=server_stream) as ends:
                async with pairs.connecting(client_stream) as client:
                    process = await nursery.start(hold_open, client)
                    wire.stall_at = wire.count
                    nursery.start_soon(swallow, process.stdin.send_all, bytes(3_000_000))
                    await wait_all_tasks_blocked()
                    started = trio.current_time()
                assert trio.current_time() - started <= 5
                ends.server_scope.cancel()
            nursery.cancel_scope.cancel()


async def hold_open(client, *, task_status):
    async with client.open_process("sleep") as process:
        task_status.started(process)
        await trio.sleep_forever()


async def swallow(function, *arguments):
    with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError, trio_ssh.SSHError)):
        await function(*arguments)


async def test_tri_09_asr_09_close_seconds_when_cancelled(autojump_clock):
    """The body is cancelled, the peer is dead: out within five seconds."""
    wire = pairs.Wire(stuck=True)
    client_stream, server_stream = pairs.misbehaving(wire)
    async with pairs.served(stream=server_stream) as ends:
        with trio.move_on_after(100) as scope:
            async with pairs.connecting(client_stream) as client, client.open_process("sleep") as process:
                wire.stall_at = wire.count
                await process.stdin.send_all(bytes(10_000_000))
        assert scope.cancelled_caught
        assert trio.current_time() <= 105
        ends.server_scope.cancel()


async def test_sm_149_channel_linger_seconds(autojump_clock):
    """SM-149: the peer never answers our CLOSE. The id stays taken, and is never used again."""
    raw, stream = raw_server()
    limits = trio_ssh.Limits(channel_linger_seconds=3)
    numbers = []

    async def never_closes():
        await raw.log_in()
        for theirs in range(3):
            opened = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
            numbers.append(opened.sender_channel)
            await raw.send(ChannelOpenConfirmation(opened.sender_channel, theirs, 1 << 20, 32768))
            request = decode(ChannelRequest, await raw.wait_for(M.CHANNEL_REQUEST))
            assert request.recipient_channel == theirs
            await raw.send(bytes([M.CHANNEL_SUCCESS]) + opened.sender_channel.to_bytes(4, "big"))
            await raw.wait_for(M.CHANNEL_CLOSE)
        await raw.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(never_closes)
        async with pairs.connecting(stream, limits=limits) as client:
            for _ in range(3):
                started = trio.current_time()
                async with client.open_process("x"):
                    pass
                assert trio.current_time() - started == pytest.approx(3, abs=0.1)
            assert len(client.statistics().channels) == 3
    assert len(set(numbers)) == 3
