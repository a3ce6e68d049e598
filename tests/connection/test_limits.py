"""Each bound of `Limits` that a connection or a session has, set small and met: what comes then is the answer that the table promises
(hardening §6.1), and whatever is not concerned goes on."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORD, PASSWORDS, RawPeer, password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    ChannelClose,
    ChannelData,
    ChannelEof,
    ChannelExtendedData,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelWindowAdjust,
    Env,
    Exec,
    GlobalRequest,
    PtyReq,
    Signal,
    Subsystem,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, ExtInfo, Ignore, KexInit, Ping, ServiceAccept, ServiceRequest, Unimplemented, write_extensions
from trio_ssh.wire.userauth import UserauthBanner, UserauthFailure, UserauthRequest, UserauthSuccess


def raw_client() -> tuple[RawPeer, trio.abc.Stream]:
    client_stream, server_stream = memory_stream_pair()
    return RawPeer(client_stream, Role.CLIENT), server_stream


def raw_server() -> tuple[RawPeer, trio.abc.Stream]:
    client_stream, server_stream = memory_stream_pair()
    return RawPeer(server_stream, Role.SERVER), client_stream


# -- time ------------------------------------------------------------------------------------------------------------------------------


async def test_identification_seconds(autojump_clock):
    """SM-017: nothing at all comes."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, limits=trio_ssh.Limits(identification_seconds=7)) as ends:
        assert (await raw.drain_bytes()).startswith(b"SSH-2.0-")
        assert trio.current_time() == pytest.approx(7, abs=1)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_identification_seconds_of_a_client(autojump_clock):
    raw, stream = raw_server()
    with pytest.raises(trio_ssh.RemoteProtocolError, match="identify itself within 7 s"):
        async with pairs.connecting(stream, limits=trio_ssh.Limits(identification_seconds=7)):
            pytest.fail("connected")
    assert trio.current_time() == pytest.approx(7, abs=1.1)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
async def test_identification_is_given_its_time_in_all_not_for_each_byte(autojump_clock, role):
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
async def test_kex_seconds(autojump_clock, sends_kexinit):
    """RES-03: the peer stops in the middle of the first exchange."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, limits=trio_ssh.Limits(kex_seconds=5)) as ends:
        await raw.identify()
        if sends_kexinit:
            await raw.send_kexinit()
        await raw.expect_disconnect(3)
        assert trio.current_time() == pytest.approx(5, abs=1)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_kex_seconds_of_a_client(autojump_clock):
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
    async with pairs.served(stream=server_stream, limits=trio_ssh.Limits(kex_seconds=2000, login_seconds=2000)):
        async with pairs.connecting(client_stream, limits=limits, host_keys=Slow()) as client:
            assert trio.current_time() == pytest.approx(1000, abs=1)
            await pairs.check_works(client)


@pytest.mark.parametrize("stage", ["before the service request", "after it", "after a refusal"])
async def test_login_seconds(autojump_clock, stage):
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


async def test_login_seconds_and_a_policy_that_takes_longer(autojump_clock):
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


async def test_rekey_answer_seconds(autojump_clock):
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


async def test_rekey_inbound_bytes(autojump_clock):
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


async def test_rekey_inbound_bytes_behind_a_rekey_that_begins_with_the_login(autojump_clock):
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


async def test_keepalive_with_a_dead_peer(autojump_clock):
    """FLT-01: the connection is given up at interval x (count + 1), and everybody who waits is told."""
    limits = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=3)
    wire = pairs.Wire()
    async with pairs.connected(streams=pairs.misbehaving(server=wire), client_limits=limits, leaves_channels=True) as ends:
        async with ends.client.open_process("sleep") as process:
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
    for who in ("client_limits", "server_limits"):
        async with pairs.connected(**{who: trio_ssh.Limits(keepalive_seconds=1, keepalive_misses=1)}) as ends:
            await trio.sleep(500)
            await pairs.check_works(ends.client)


async def test_keepalive_with_a_slow_but_healthy_peer(autojump_clock):
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


async def test_keepalive_answers_stay_in_order_with_other_replies(autojump_clock):
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
async def test_close_seconds(autojump_clock, how):
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


async def test_close_seconds_when_cancelled(autojump_clock):
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


async def test_channel_linger_seconds(autojump_clock):
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


# -- authentication --------------------------------------------------------------------------------------------------------------------


async def test_auth_failures(autojump_clock):
    """SM-097."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_failures=3)) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        for _ in range(2):
            await raw.send(password_request("wrong"))
            await raw.wait_for(M.USERAUTH_FAILURE)
        await raw.send(password_request("wrong"))
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_auth_requests(autojump_clock):
    """SM-097, RES-22: questions about keys cost nothing but count here."""
    raw, stream = raw_client()
    limits = trio_ssh.Limits(auth_requests=10)
    async with pairs.served(stream=stream, limits=limits):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        other = trio_ssh.PrivateKey.generate().public_key
        fields = bytes([0]) + b"".join(len(x).to_bytes(4, "big") + x for x in (b"ssh-ed25519", other.blob))
        for _ in range(10):
            await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
            await raw.expect(M.USERAUTH_FAILURE)
        await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
        await raw.expect_disconnect(2)


async def test_auth_requests_of_a_client(autojump_clock):
    """B20: a server that always wants one more try."""
    raw, stream = raw_server()

    async def never_satisfied():
        await raw.handshake()
        await raw.wait_for(M.SERVICE_REQUEST)
        await raw.send(ServiceAccept("ssh-userauth"))
        while await raw.receive() is not None:
            await raw.send(UserauthFailure(("password",), True))

    async def ask():
        return "guess"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tolerate_end, never_satisfied)
        with pytest.raises((trio_ssh.RemoteProtocolError, trio_ssh.AuthenticationFailed)):
            async with pairs.connecting(stream, credentials=[trio_ssh.Password(ask, tries=100)], limits=trio_ssh.Limits(auth_requests=5)):
                pytest.fail("let in")
    assert raw.numbers.count(M.USERAUTH_REQUEST) == 5


async def tolerate_end(function):
    try:
        await function()
    except (trio.BrokenResourceError, AssertionError):
        pass


async def test_auth_messages_waiting(autojump_clock):
    async def slow(attempt):
        await trio.sleep(10)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=slow, limits=trio_ssh.Limits(auth_messages_waiting=3)) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), *[password_request("x")] * 6)
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_pipelined_requests_are_decided_one_after_another(autojump_clock):
    """B05, TRI-16: in order, and nothing behind the success is asked about."""
    asked = []

    async def policy(attempt):
        asked.append(attempt.password)
        await trio.sleep(1)
        return trio_ssh.ACCEPT if attempt.password == "right" else trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), *map(password_request, ["a", "b", "right", "c", "d"]))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        assert [(await raw.receive() or b"?")[0] for _ in range(3)] == [M.USERAUTH_FAILURE, M.USERAUTH_FAILURE, M.USERAUTH_SUCCESS]
        await raw.send(Ping(b"?"))
        await raw.expect(M.PONG)
        assert asked == ["a", "b", "right"]
        await raw.stream.aclose()


async def test_connection_messages_before_success_are_never_queued(autojump_clock):
    """SM-105."""
    opened = []

    async def policy(attempt):
        await trio.sleep(1)
        return trio_ssh.ACCEPT

    async def handler(session):
        opened.append(session)

    raw, stream = raw_client()
    async with pairs.served(handler, stream=stream, authenticate=policy):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("x"), ChannelOpen("session", 0, 1000, 1000))
        await raw.expect_disconnect(2)
    assert opened == []


async def test_auth_requests_after_success(autojump_clock):
    """SM-104: dropped without an answer, up to a point."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_requests_after_success=4)):
        await raw.log_in()
        await raw.send(*[password_request("x")] * 4, Ping(b"?"))
        await raw.expect(M.PONG)
        await raw.send(password_request("x"))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("noise", [Ignore(b""), Debug(False, ""), Unimplemented(0), Ping(b"")], ids=lambda m: type(m).__name__)
async def test_preauth_noise_packets(autojump_clock, noise):
    """RES-15, A10."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(preauth_noise_packets=20)):
        await raw.handshake()
        await raw.send(*[noise] * 10, ServiceRequest("ssh-userauth"), *[noise] * 10)
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        await raw.send(noise)
        await raw.expect_disconnect(2)


async def test_preauth_noise_of_a_server(autojump_clock):
    raw, stream = raw_server()

    async def noisy():
        await raw.handshake()
        await raw.send(*[Ignore(b"")] * 21)
        await raw.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tolerate_end, noisy)
        with pytest.raises(trio_ssh.RemoteProtocolError, match="without meaning"):
            async with pairs.connecting(stream, limits=trio_ssh.Limits(preauth_noise_packets=20)):
                pytest.fail("let in")


@pytest.mark.parametrize(("password", "fits"), [("x" * 10, True), ("x" * 11, False)])
async def test_password_bytes(autojump_clock, password, fits):
    asked = []

    async def policy(attempt):
        asked.append(attempt.password)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy, limits=trio_ssh.Limits(password_bytes=10)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request(password))
        await raw.wait_for(M.USERAUTH_FAILURE)
        assert asked == ([password] if fits else [])
        await raw.stream.aclose()


@pytest.mark.parametrize(("name", "fits"), [("ä" * 5, True), ("ä" * 6, False)])
async def test_username_bytes(autojump_clock, name, fits):
    asked = []

    async def policy(attempt):
        asked.append(attempt.username)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy, limits=trio_ssh.Limits(username_bytes=10)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("x", name))
        await raw.wait_for(M.USERAUTH_FAILURE)
        assert asked == ([name] if fits else [])
        await raw.stream.aclose()


async def test_auth_failure_seconds(autojump_clock):
    """B09: a refusal takes its time, whatever it is for; an answer to a yes does not."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_failure_seconds=2)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        for attempt in (password_request("wrong"), UserauthRequest("ada", "ssh-connection", "nonsense"), password_request("x" * 2000)):
            started = trio.current_time()
            await raw.send(attempt)
            await raw.wait_for(M.USERAUTH_FAILURE)
            assert trio.current_time() - started == pytest.approx(2, abs=0.1)
        started = trio.current_time()
        await raw.send(password_request(PASSWORD))
        await raw.wait_for(M.USERAUTH_SUCCESS)
        assert trio.current_time() - started < 1
        await raw.stream.aclose()


async def test_banners_and_banner_bytes(autojump_clock):
    """SM-108."""
    shown: list[str] = []
    for count, fits in ((3, True), (4, False)):
        shown.clear()
        raw, stream = raw_server()

        async def banners(raw=raw, count=count):
            await raw.handshake()
            await raw.expect(M.SERVICE_REQUEST)
            await raw.send(ServiceAccept("ssh-userauth"))
            await raw.send(*[UserauthBanner("x" * 100)] * count)
            await raw.expect(M.USERAUTH_REQUEST)
            await raw.send(UserauthSuccess(), UserauthBanner("late: dropped"))
            await raw.drain()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tolerate_end, banners)
            limits = trio_ssh.Limits(banners=3, banner_bytes=50)
            connecting = pairs.connecting(stream, limits=limits, banner=shown.append)
            if fits:
                async with connecting:
                    assert shown == ["x" * 50] * 3
            else:
                with pytest.raises(trio_ssh.RemoteProtocolError, match="banners"):
                    async with connecting:
                        pytest.fail("let in")


async def test_ext_info_entries(autojump_clock):
    """SM-086."""
    for count, fits in ((5, True), (6, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(ext_info_entries=5)):
            await raw.handshake()
            await raw.send(ExtInfo(write_extensions({f"x{i}": b"" for i in range(count)})), ServiceRequest("ssh-userauth"))
            if fits:
                await raw.wait_for(M.SERVICE_ACCEPT)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)


# -- packets and lines -----------------------------------------------------------------------------------------------------------------


async def test_packet_bytes_before_and_after_authentication(autojump_clock):
    """SM-021: one byte more than is taken is the end, at once; behind the login more is taken."""
    limits = trio_ssh.Limits(packet_bytes_preauth=10_000, packet_bytes=20_000)
    for preauth, size, fits in ((True, 9_000, True), (True, 10_100, False), (False, 19_000, True), (False, 20_100, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
            await (raw.handshake() if preauth else raw.log_in())
            await raw.send(Ignore(bytes(size)))
            if fits:
                await raw.send(ServiceRequest("ssh-userauth") if preauth else Ping(b""))
                await raw.wait_for(M.SERVICE_ACCEPT if preauth else M.PONG)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)
                assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_identification_lines(autojump_clock):
    """SM-010, SM-015."""
    limits = trio_ssh.Limits(identification_line_bytes=20, identification_pre_lines=2, identification_pre_bytes=100)
    for sent, fits in (
        (b"SSH-2.0-" + b"x" * 10 + b"\r\n", True),
        (b"SSH-2.0-" + b"x" * 11 + b"\r\n", False),
        (b"one\r\ntwo\r\nSSH-2.0-x\r\n", True),
        (b"one\r\ntwo\r\nthree\r\nSSH-2.0-x\r\n", False),
        (b"x" * 99 + b"\nSSH-2.0-x\r\n", True),
        (b"x" * 100 + b"\nSSH-2.0-x\r\n", False),
        (b"x" * 101, False),
    ):
        raw, stream = raw_server()

        async def serve(raw=raw, sent=sent):
            raw.line = sent.strip().splitlines()[-1]
            await raw.send_bytes(sent[: -len(raw.line) - 2])
            await raw.log_in()
            await raw.drain()

        async with trio.open_nursery() as nursery:
            connecting = pairs.connecting(stream, limits=limits)
            nursery.start_soon(tolerate_end, serve)
            if fits:
                async with connecting as client:
                    assert client.server_version == raw.line.decode()
            else:
                with pytest.raises(trio_ssh.RemoteProtocolError):
                    async with connecting:
                        pytest.fail("connected")


async def test_kexinit_names_and_list_bytes(autojump_clock):
    """SM-044."""
    limits = trio_ssh.Limits(kexinit_names=20, kexinit_list_bytes=300)
    for kex, fits in (
        (("curve25519-sha256", *(f"x{i}" for i in range(17))), True),  # and two markers
        (("curve25519-sha256", *(f"x{i}" for i in range(18))), False),
        (("curve25519-sha256", *("x" * 60,) * 3), True),
        (("curve25519-sha256", *("x" * 60,) * 4), False),
    ):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits):
            await raw.identify()
            ours = decode(KexInit, raw.negotiator.our_kexinit(bytes(16), first=True))
            ours = attrs.evolve(ours, kex_algorithms=(*kex, "ext-info-c", "kex-strict-c-v00@openssh.com"))
            await raw.send(ours)
            theirs = await raw.expect(M.KEXINIT)
            if fits:
                await raw.exchange_keys(ours=encode(ours), theirs=theirs)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)


# -- channels --------------------------------------------------------------------------------------------------------------------------


async def test_sessions(autojump_clock):
    """SM-122: one too many is refused, and one that is closed makes room."""
    async with pairs.connected(server_limits=trio_ssh.Limits(sessions=2)) as ends:
        client = ends.client
        async with client.open_process("sleep"):
            async with client.open_process("sleep"):
                with pytest.raises(trio_ssh.ChannelOpenFailure) as caught:
                    await client.run_process("echo")
                assert caught.value.reason == 4
            await pairs.check_works(client)
        await pairs.check_works(client)


async def test_sessions_that_ask_for_nothing_count(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(sessions=2)):
        await raw.log_in()
        for number in range(2):
            await raw.open_session(number=number)
        await raw.send(ChannelOpen("session", 2, 1000, 1000))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == 4
        await raw.stream.aclose()


async def test_channels(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channels=3)):
        await raw.log_in()
        for number in range(3):
            await raw.open_session(number=number)
        await raw.send(ChannelOpen("session", 3, 1000, 1000))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == 4
        await raw.send(ChannelClose(1))
        await raw.expect(M.CHANNEL_CLOSE)
        assert await raw.open_session(number=1) == 1
        await raw.stream.aclose()


async def test_channels_of_a_client(autojump_clock):
    async with pairs.connected(client_limits=trio_ssh.Limits(channels=1)) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="our own limit"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)


async def test_a_thousand_channels_fit(autojump_clock):
    """ASR-06, RES-10: as many as `channels` says, and the windows granted stay within their total."""
    limits = trio_ssh.Limits(sessions=1024)
    async with pairs.muxes(server_limits=limits) as ends:
        for _ in range(1024):
            ours, theirs = await ends.channel()
        for side in (ends.client, ends.server):
            assert sum(channel.receive_window for channel in side.statistics().channels) <= limits.window_total_bytes
        await ours.send_all(b"x" * 100_000 if ours.outlet.window.credit > 100_000 else b"x")
        assert await theirs.receive_some(1) == b"x"
        with pytest.raises(trio_ssh.ChannelOpenFailure):
            await ends.channel()


async def test_window_total_bytes(autojump_clock):
    """Granted windows never exceed the total, and what is given back can be granted again."""
    limits = trio_ssh.Limits(window_bytes=1000, window_total_bytes=3500, channel_packet_bytes=1000, channels=3)
    async with pairs.muxes(client_limits=limits) as ends:
        for _ in range(5):
            channels = [await ends.channel() for _ in range(3)]
            assert sum(channel.receive_window for channel in ends.client.statistics().channels) <= 3500
            for ours, _ in channels:
                await ours.aclose()


async def test_window_total_bytes_that_leave_no_room(autojump_clock):
    limits = trio_ssh.Limits(window_bytes=1000, window_total_bytes=1500, channel_packet_bytes=1000, channels=10)
    async with pairs.connected(client_limits=limits) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="windows"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)
    async with pairs.connected(server_limits=limits) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="windows"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)


@pytest.mark.parametrize("extended", [False, True])
async def test_window_bytes(autojump_clock, extended):
    """SM-135, SM-140: the window may be used to the last byte and not further; stderr shares it."""
    for over in (0, 1):
        raw, stream = raw_client()
        async with pairs.served(lambda session: trio.sleep_forever(), stream=stream, authenticate=PASSWORDS, limits=WINDOW) as ends:
            await raw.log_in()
            channel = await raw.open_session("x")
            await raw.send(ChannelData(channel, bytes(600)))
            rest = bytes(400 + over)
            if extended:
                # The server keeps no stderr: it gives that window back, but not before it was within it.
                await raw.send(ChannelExtendedData(channel, 1, rest))
            else:
                await raw.send(ChannelData(channel, rest))
            if over:
                await raw.expect_disconnect(2)
            else:
                await raw.send(Ping(b""))
                await raw.wait_for(M.PONG)
                await raw.stream.aclose()
        assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError if over else trio_ssh.ConnectionLost)


WINDOW = trio_ssh.Limits(window_bytes=1000, channel_packet_bytes=1000)


async def test_channel_packet_bytes(autojump_clock):
    """SM-136."""
    for size, fits in ((500, True), (501, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channel_packet_bytes=500)):
            await raw.log_in()
            channel = await raw.open_session("echo")
            await raw.send(ChannelData(channel, bytes(size)))
            if fits:
                await raw.expect(M.CHANNEL_DATA)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)


@pytest.mark.parametrize(("theirs", "ours", "expected"), [(100, 1000, 100), (1000, 100, 100), (1, 1000, 1)])
async def test_channel_packet_bytes_out(autojump_clock, theirs, ours, expected):
    """RES-19: neither what the peer takes nor what we want to send is exceeded."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channel_packet_bytes_out=ours)):
        await raw.log_in()
        await raw.open_session("source 1000", packet=theirs)
        sizes, received = set(), 0
        while received < 1000:
            data = decode(ChannelData, await raw.expect(M.CHANNEL_DATA)).data
            sizes.add(len(data))
            received += len(data)
        assert max(sizes) == expected
        await raw.stream.aclose()


async def test_a_peer_that_grants_one_byte_at_a_time(autojump_clock):
    """RES-18."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("source 300", window=0)
        received = b""
        while len(received) < 300:
            await raw.send(ChannelWindowAdjust(channel, 1))
            received += decode(ChannelData, await raw.expect(M.CHANNEL_DATA)).data
        assert received == pairs.pattern(300)
        await raw.stream.aclose()


async def test_a_window_past_its_bound(autojump_clock):
    """SM-141."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("echo", window=2**32 - 1)
        await raw.send(ChannelWindowAdjust(channel, 0), Ping(b""))
        await raw.expect(M.PONG)
        await raw.send(ChannelWindowAdjust(channel, 1))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("question", [Ping(bytes(1000)), GlobalRequest("x" * 20, True), b"\xfa"], ids=["ping", "global request", "unknown"])
async def test_reply_queue_bytes(autojump_clock, question):
    """RES-12, RES-13, TRI-13: a peer that asks and does not read is cut off, and nobody waits for it."""
    wire = pairs.Wire(stuck=True)
    server_stream, client_stream = pairs.misbehaving(wire)
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(reply_queue_bytes=10_000)) as ends:
        await raw.log_in()
        wire.stall_at = wire.count
        for _ in range(500):
            await raw.send(question)
        await ends.server_done.wait()
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)
    assert "does not read them" in str(ends.server_cause)


async def test_reply_queue_bytes_of_a_peer_that_reads(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(reply_queue_bytes=10_000)):
        await raw.log_in()
        for _ in range(500):
            await raw.send(Ping(bytes(1000)))
            await raw.expect(M.PONG)
        await raw.stream.aclose()


async def test_opens_without_reading_the_answers(autojump_clock):
    """RES-12: opening is answered as well, and the answers count."""
    wire = pairs.Wire(stuck=True)
    server_stream, client_stream = pairs.misbehaving(wire)
    raw = RawPeer(client_stream, Role.CLIENT)
    limits = trio_ssh.Limits(reply_queue_bytes=2000, sessions=1000)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        wire.stall_at = wire.count
        for number in range(1000):
            await raw.send(ChannelOpen("session", number, 1000, 1000))
        await ends.server_done.wait()
        assert sum(isinstance(event, trio_ssh.ChannelOpened) for event in ends.server_events) < 100
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_rekey_out_bytes(autojump_clock):
    """What we want to say during a rekey that the peer does not answer is bounded: whoever says it waits, or the peer is cut off."""
    raw, stream = raw_client()
    limits = trio_ssh.Limits(rekey_out_bytes=1000, reply_queue_bytes=2000, rekey_answer_seconds=50)
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        channel = await raw.open_session("sleep")
        await raw.send(*[ChannelRequest(channel, "nonsense", True)] * 10)
        await raw.send_kexinit()
        # Behind our KEXINIT nothing but key exchange may come from us; what lies before it is answered only behind the exchange.
        await wait_all_tasks_blocked()
        assert raw.numbers.count(M.CHANNEL_FAILURE) == 0
        await raw.drain()
        assert trio.current_time() <= 51
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


# -- sessions --------------------------------------------------------------------------------------------------------------------------


async def answers(raw: RawPeer, channel: int, *requests: tuple[str, object]) -> list[int]:
    """What is said to each request."""
    found = []
    for name, fields in requests:
        await raw.send(ChannelRequest(channel, name, True, fields if isinstance(fields, bytes) else encode(fields)))
        payload = await raw.receive()
        assert payload is not None
        found.append(payload[0])
    return found


OK, NO = M.CHANNEL_SUCCESS, M.CHANNEL_FAILURE


async def test_env_vars(autojump_clock):
    """SM-152."""
    seen = []

    async def handler(session):
        seen.append(session.environ)

    raw, stream = raw_client()
    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(env_vars=2)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("env", Env(b"LC_ONE", b"1")),
            ("env", Env(b"PATH", b"/tmp")),
            ("env", Env(b"LC_=X", b"/tmp")),
            ("env", Env(b"LC_NUL", b"a\0b")),
            ("env", Env(b"LC_TWO", b"\xff")),
            ("env", Env(b"LC_THREE", b"3")),
            ("exec", Exec(b"x")),
        ]
        assert await answers(raw, channel, *requests) == [OK, NO, NO, NO, OK, NO, OK]
        await raw.wait_for(M.CHANNEL_CLOSE)
        await raw.stream.aclose()
    assert seen == [{"LC_ONE": "1", "LC_TWO": "\udcff"}]


async def test_pty_modes_bytes(autojump_clock):
    """SM-151."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(pty_modes_bytes=10)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, bytes(11))),
            ("pty-req", PtyReq("x" * 100_000, 80, 24, 0, 0, b"")),
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, bytes(10))),
            ("pty-req", PtyReq("xterm", 80, 24, 0, 0, b"")),
        ]
        # 100,000 bytes of TERM fit into a packet; they do not fit into a terminal's name.
        assert await answers(raw, channel, *requests) == [NO, NO, OK, NO]
        await raw.stream.aclose()


async def test_exec_bytes(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(exec_bytes=10)):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [("exec", Exec(b"x" * 11)), ("exec", Exec(b"a\0b")), ("exec", Exec(b"sleep 1234")), ("exec", Exec(b"x")), ("shell", b"")]
        assert await answers(raw, channel, *requests) == [NO, NO, OK, NO, NO]
        await raw.stream.aclose()


async def test_signals_that_nobody_reads(autojump_clock):
    """They are not queued without bound; and before a program runs there is nothing to signal (SM-153)."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session()
        assert await answers(raw, channel, ("signal", Signal("INT")), ("exec", Exec(b"sleep"))) == [NO, OK]
        found = await answers(raw, channel, *[("signal", Signal("INT"))] * 100, ("signal", Signal("NONSENSE")))
        assert found.count(OK) == 16
        assert found[-1] == NO
        await raw.stream.aclose()


async def test_requests_that_are_no_requests_of_a_session(autojump_clock):
    """SM-133, SM-150, SM-154, SM-157."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session()
        requests = [
            ("nonsense", b"whatever"),
            ("keepalive@openssh.com", b""),
            ("exit-status", bytes(4)),
            ("auth-agent-req@openssh.com", b""),
            ("x11-req", bytes(20)),
            ("exec", Exec(b"sleep")),
            ("exec", Exec(b"sleep")),
            ("subsystem", Subsystem("sftp")),
            ("env", Env(b"LC_LATE", b"")),
        ]
        assert await answers(raw, channel, *requests) == [NO, NO, NO, NO, NO, OK, NO, NO, NO]
        await raw.send(ChannelEof(channel), ChannelEof(channel), Ping(b""))
        await raw.expect(M.PONG)
        await raw.stream.aclose()
