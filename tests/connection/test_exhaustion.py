"""Peers that want much of everything: hardening RES-05 to RES-32 and TRI-20, scaled down, with counts and bytes instead of seconds."""

from __future__ import annotations

import itertools

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.memory import traced
from tests.connection.victims import BOTH_ROLES, attacked
from tests.raw_peer import PASSWORDS, RawPeer
from tests.server.test_serve import MemoryListener, serve_on
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.negotiation import negotiate
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode, field_names
from trio_ssh.wire.connection import ChannelData, ChannelOpen, ChannelOpenConfirmation, ChannelRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, KexInit, Ping, ServiceRequest
from trio_ssh.wire.userauth import UserauthRequest

# -- work ------------------------------------------------------------------------------------------------------------------------------


class Counted(str):
    """A name that counts how often it is compared and hashed."""

    __slots__ = ()
    looked_at = 0

    def __eq__(self, other: object) -> bool:
        Counted.looked_at += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Counted.looked_at += 1
        return str.__hash__(self)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
def test_res_06_the_largest_kexinits_cost_work_in_proportion_to_their_names(role):
    """1,024 names in each of ten lists on both sides, only the last of each in common: each is looked at a few times, not a thousand."""
    names = 1024
    real = pairs.QUICK.kexinit(role, bytes(16), first=True)
    lists = [name for name in field_names(KexInit) if isinstance(getattr(real, name), tuple)]
    assert len(lists) == 10

    def large(side: str) -> KexInit:
        fields = {name: (*(Counted(f"{side}{n}") for n in range(names - 1)), Counted((getattr(real, name) or ("x",))[0])) for name in lists}
        return attrs.evolve(real, **fields)  # type: ignore[misc]  # mypy does not know what @message makes

    mine, theirs = large("mine"), large("theirs")
    Counted.looked_at = 0
    negotiated = negotiate(role, mine, theirs, None, pairs.QUICK)
    assert negotiated.kex == "curve25519-sha256"
    assert Counted.looked_at < 5 * 2 * 10 * names


async def test_res_06_a_kexinit_of_60_kib_on_the_wire(autojump_clock):
    for role in Role:
        async with attacked(role) as victim:
            raw = victim.raw
            real = raw.kexinit()
            padded = {
                name: (*(f"{'x' * 54}{n}" for n in range(95)), *value)
                for name, value in ((name, getattr(real, name)) for name in field_names(KexInit))
                if isinstance(value, tuple) and value
            }
            ours_now = attrs.evolve(real, **padded)  # type: ignore[misc]  # mypy does not know what @message makes
            assert 40_000 < len(encode(ours_now)) < 61_440
            await raw.identify()
            await raw.send(ours_now)
            await raw.exchange_keys(ours=encode(ours_now))
            await victim.ask_for_service()
            await raw.stream.aclose()


# -- memory ----------------------------------------------------------------------------------------------------------------------------


OVER = {"one byte": 1001, "a tenth": 1100, "ten times": 10_000}


@pytest.mark.parametrize("channels", [1, 100])
@pytest.mark.parametrize("size", OVER.values(), ids=list(OVER))
@BOTH_ROLES
async def test_res_09_more_than_the_window(autojump_clock, role, size, channels):
    """DISCONNECT 2 at the first packet too many; what lies there is no more than the windows granted."""

    async def read_nothing(session: trio_ssh.ServerSession) -> None:
        await trio.sleep_forever()

    async def open_many(client: trio_ssh.Client) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(channels):
                nursery.start_soon(hold, client)

    async def hold(client: trio_ssh.Client) -> None:
        try:
            async with client.open_process("x"):
                await client.wait_closed()
        except trio_ssh.ConnectionLost:
            pass

    limits = trio_ssh.Limits(window_bytes=1000, channel_packet_bytes=500, sessions=200)
    async with attacked(role, limits=limits, handler=read_nothing, body=open_many) as victim:
        raw = victim.raw
        await raw.log_in()
        numbers = []
        if role is Role.SERVER:
            for number in range(channels):
                numbers.append(await raw.open_session("x", number=number))
        else:
            for number in range(channels):
                opened = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN)).sender_channel
                await raw.send(ChannelOpenConfirmation(opened, number, 1000, 1000))
                numbers.append(opened)
        await wait_all_tasks_blocked()
        for number in numbers:
            await raw.send(*[ChannelData(number, bytes(500))] * 2)
        await raw.send(Ping(b"all within"))
        await raw.wait_for(M.PONG)
        await raw.send(*[ChannelData(numbers[-1], bytes(min(500, size - 1000)))] * max(1, (size - 1000) // 500))
        payloads = await raw.drain()
        assert [payload[0] for payload in payloads] == [M.DISCONNECT]
        assert payloads[0][1:5] == bytes([0, 0, 0, 2])
        with trio.fail_after(5):
            await victim.done.wait()
        assert isinstance(victim.cause, trio_ssh.RemoteProtocolError)


async def test_res_11_a_peer_that_stops_reading_while_100_channels_send(autojump_clock):
    """Every writer waits; what is sealed for them is the outbox, and no more than a quantum each beside it."""
    wire = pairs.Wire(stuck=True)
    limits = trio_ssh.Limits()
    async with pairs.muxes(streams=pairs.misbehaving(wire), client_limits=limits, server_limits=trio_ssh.Limits(sessions=100)) as ends:
        channels = [(await ends.channel())[0] for _ in range(100)]
        wire.stall_at = wire.count
        chunk = bytes(1 << 20)
        async with traced() as found, trio.open_nursery() as nursery:
            for channel in channels:
                nursery.start_soon(channel.send_all, chunk)
            for _ in range(20):
                await wait_all_tasks_blocked()
            waiting = ends.client.statistics().bytes_waiting
            assert 0 < waiting <= limits.out_buffer_bytes + limits.send_quantum_bytes + limits.channel_packet_bytes
            assert ends.client.parts.transport.contended
            nursery.cancel_scope.cancel()
        assert found[1] < 8 << 20
        for side in (ends.client, ends.server):  # the server cannot learn of the client's end
            side.end(None)


async def test_res_16_tri_20_noise_of_32_kib_without_end_leaves_others_their_turn(autojump_clock):
    """Between any 64 packets of the flood everybody who can run has run: another connection's pings come back at once."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_on(listener, authenticate=PASSWORDS, task_status=task_status))
        attacker = RawPeer(await listener.connect(), Role.CLIENT)
        await attacker.log_in()
        good = RawPeer(await listener.connect(), Role.CLIENT)
        await good.log_in()
        batch = bytes(await sealed(attacker, [encode(Ignore(bytes(32_000)))] * 16))
        flooded = 0
        stop = False

        async def flood() -> None:
            nonlocal flooded
            while not stop:
                await attacker.stream.send_all(batch if flooded == 0 else await sealed(attacker, [encode(Ignore(bytes(32_000)))] * 16))
                flooded += 16
                await trio.lowlevel.checkpoint()

        nursery.start_soon(flood)
        longest = 0
        for number in range(30):
            before = flooded
            await good.send(Ping(bytes([number])))
            await good.wait_for(M.PONG)
            longest = max(longest, flooded - before)
        stop = True
        assert longest <= 20 * 16
        nursery.cancel_scope.cancel()


async def sealed(raw: RawPeer, payloads: list[bytes]) -> bytes:
    for payload in payloads:
        raw.sealer.seal(payload)
    return bytes(raw.sealer.take_batch())


async def test_tri_20_ten_thousand_packets_in_one_read_are_taken_64_at_a_time(autojump_clock):
    """A task that only checkpoints sees the count of packets grow by 64 a turn at most."""
    async with pairs.muxes() as ends:
        opener = ends.server.parts.opener
        await wait_all_tasks_blocked()
        seen: list[int] = [opener.packets_opened]
        for _ in range(10_000):
            ends.client.parts.transport.send_nowait(encode(Ignore(b"x")))
        while seen[-1] < seen[0] + 10_000:
            await trio.lowlevel.checkpoint()
            seen.append(opener.packets_opened)
        # The end of one turn of trio's and the beginning of the next.
        assert max(b - a for a, b in itertools.pairwise(seen)) <= 2 * 64


@BOTH_ROLES
async def test_res_14_c01_answers_that_nobody_asked_for(autojump_clock, role):
    """10,000, scaled down from a million: dropped, nothing kept, and a real question gets its own answer behind them."""

    async def ask(client: trio_ssh.Client) -> None:
        await go.wait()
        await client.ping()
        answered.set()
        await client.wait_closed()

    TAP.set(None)
    go, answered = trio.Event(), trio.Event()
    async with attacked(role, body=ask) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        unasked = [bytes([M.REQUEST_SUCCESS]) + b"x", bytes([M.REQUEST_FAILURE]), b"\x63\0\0\0\0", b"\x64\0\0\0\x09"] * 250
        await raw.send(*unasked)
        await wait_all_tasks_blocked()
        async with traced() as found:
            for _ in range(9):
                await raw.send(*unasked)
                victim.forget_wires()
                await wait_all_tasks_blocked()
        assert found[0] < 100_000
        go.set()
        if role is Role.CLIENT:
            await raw.wait_for(M.GLOBAL_REQUEST)
            await wait_all_tasks_blocked()
            assert not answered.is_set()
            await raw.send(bytes([M.REQUEST_FAILURE]))
            await answered.wait()
        await raw.send(Ping(b"?"))
        await raw.wait_for(M.PONG)
        await raw.stream.aclose()


async def test_res_13_channel_requests_without_reading_the_answers(autojump_clock):
    """At 100,000 bytes of answers, scaled down from a mebibyte."""
    TAP.set(None)
    wire = pairs.Wire(stuck=True)
    server_stream, client_stream = pairs.misbehaving(wire)
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(reply_queue_bytes=100_000)) as ends:
        await raw.log_in()
        channel = await raw.open_session("sleep")
        wire.stall_at = wire.count
        request = encode(ChannelRequest(channel, "nobody-knows@test", True))
        sent = 0
        async with traced() as found:
            while not ends.server_done.is_set() and sent < 50_000:
                await raw.send(*[request] * 1000)
                client_stream._wire.recorded.clear()
                sent += 1000
                await trio.sleep(0.1)
        assert sent < 20_000
        assert found[1] < 2 << 20
    assert "does not read them" in str(ends.server_cause)


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(UserauthRequest("ada", "ssh-connection", "publickey", b"\1\0\0\0\1x\0\x10\0\0" + bytes(1 << 20)), id="a key of 1 MiB"),
        pytest.param(UserauthRequest("ada", "ssh-connection", "x" * 65536), id="a method name of 64 KiB"),
        pytest.param(UserauthRequest("x" * 65536, "ssh-connection", "none"), id="a user name of 64 KiB"),
    ],
)
async def test_res_22_authentication_requests_too_large_for_a_packet(autojump_clock, what):
    """The packet's length is refused before any of it is kept."""
    async with attacked(Role.SERVER) as victim:
        await victim.raw.handshake()
        await victim.raw.expect(M.EXT_INFO)
        await victim.raw.send(ServiceRequest("ssh-userauth"))
        await victim.raw.expect(M.SERVICE_ACCEPT)
        await victim.raw.send(what)
        await victim.ends(2)
        assert victim.called == []


async def test_res_22_the_65th_request_of_any_kind(autojump_clock):
    """64 are answered, by refusals that are no failures; then DISCONNECT 2."""
    async with attacked(Role.SERVER) as victim:
        raw = victim.raw
        await victim.until_auth()
        key = trio_ssh.PrivateKey.generate().public_key
        fields = bytes([0]) + b"".join(len(x).to_bytes(4, "big") + x for x in (b"ssh-ed25519", key.blob))
        for _ in range(64):
            await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
            await raw.expect(M.USERAUTH_FAILURE)
        await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
        await victim.ends(2)
        assert victim.called == ["authenticate publickey"] * 64
