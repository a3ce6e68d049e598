"""Hardening §3, aspect 4: whatever one peer says, the other connections of the listener and what runs on them go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.test_sm_key_exchange import message
from tests.raw_peer import PASSWORDS, RawPeer, password_request, raw_client
from tests.server.test_serve import MemoryListener, serve_on
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelData, ChannelOpen, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, Ping, ServiceRequest, Unimplemented

Misdeed = Callable[[RawPeer], Awaitable[object]]


async def says_nothing(raw: RawPeer) -> None:
    await wait_all_tasks_blocked()


async def is_no_ssh(raw: RawPeer) -> None:
    await raw.send_bytes(b"GET / HTTP/1.1\r\n\r\n")


async def announces_too_much(raw: RawPeer) -> None:
    await raw.identify()
    await raw.send_bytes(b"\x7f\xff\xff\xfc" + bytes(60_000))


async def authenticates_in_clear(raw: RawPeer) -> None:
    await raw.identify()
    await raw.send(message(50))


async def sends_bad_share(raw: RawPeer) -> None:
    await raw.identify()
    await raw.send_kexinit()
    await raw.send(message(30))


async def opens_a_channel_too_soon(raw: RawPeer) -> None:
    await raw.handshake()
    await raw.send(ServiceRequest("ssh-userauth"), ChannelOpen("session", 0, 1000, 1000))


async def guesses_passwords(raw: RawPeer) -> None:
    await raw.handshake()
    await raw.send(ServiceRequest("ssh-userauth"), *[password_request("wrong")] * 10)


async def floods_with_pings(raw: RawPeer) -> None:
    await raw.handshake()
    await raw.send(*[Ping(bytes(100))] * 1100)


async def damages_a_packet(raw: RawPeer) -> None:
    await raw.log_in()
    raw.sealer.seal(encode(Ping(b"x")))
    await raw.send_bytes(bytes(raw.sealer.take_batch())[:-1] + b"\0")


async def breaks_a_window(raw: RawPeer) -> None:
    await raw.log_in()
    channel = await raw.open_session("sleep")
    await raw.send(*[ChannelData(channel, bytes(30_000))] * 100)


async def goes_on_in_its_rekey(raw: RawPeer) -> None:
    await raw.log_in()
    await raw.send_kexinit()
    await raw.send(GlobalRequest("x", True))


async def vanishes(raw: RawPeer) -> None:
    await raw.log_in()
    await raw.open_session("source 100000")


MISDEEDS: list[Misdeed] = [
    *(says_nothing, is_no_ssh, announces_too_much, authenticates_in_clear, sends_bad_share, opens_a_channel_too_soon),
    *(guesses_passwords, floods_with_pings, damages_a_packet, breaks_a_window, goes_on_in_its_rekey, vanishes),
]


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.__name__)
async def test_tri_24_one_connection_fails_and_the_others_go_on(autojump_clock, misdeed):
    """Ten of the same kind, between two logins of a good client, with another one at work all the time."""
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_on(listener, authenticate=PASSWORDS, task_status=task_status))
        credentials = [trio_ssh.Password("canary")]
        async with pairs.connecting(await listener.connect(), credentials=credentials) as other, other.open_process("echo") as process:
            for _ in range(10):
                raw = RawPeer(await listener.connect(), Role.CLIENT)
                await misdeed(raw)
                await wait_all_tasks_blocked()
                await raw.stream.aclose()
                await process.stdin.send_all(b"still here?")
                assert await process.stdout.receive_some() == b"still here?"
            await pairs.check_works(other)
            await process.stdin.aclose()
            assert await process.wait() == 0
        async with pairs.connecting(await listener.connect(), credentials=credentials) as client:
            await pairs.check_works(client)
        nursery.cancel_scope.cancel()


async def test_sm_158_sm_160_sm_162_what_is_ignored_or_refused_harms_no_channel(autojump_clock):
    """Unknown numbers, UNIMPLEMENTED, requests that nobody knows: the channels of the same connection go on."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("echo")
        for odd in (b"\xc8odd", Unimplemented(2**32 - 1), GlobalRequest("odd@test", True), Ignore(b""), b"\xc1\0\0\0\0"):
            await raw.send(odd, ChannelData(channel, b"x"))
            await raw.wait_for(M.CHANNEL_DATA)
        await raw.stream.aclose()
