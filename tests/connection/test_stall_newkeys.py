"""Stall invariants 9 and 10: where the bytes around NEWKEYS are cut, and what may lie between them.

The essay is in test_stall_invariants.py.
"""

from __future__ import annotations

import contextlib

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import agree, grant_session, send_split, splits_of, with_fresh_keys
from tests.connection.stalling import same_schedule as same_schedule
from tests.raw_peer import PASSWORD, PASSWORDS, RawPeer, password_request, raw_client, raw_server
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelData
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, Ping, Pong, ServiceAccept, ServiceRequest, Unimplemented
from trio_ssh.wire.userauth import UserauthSuccess

EXT_INFO = bytes([M.EXT_INFO, 0, 0, 0, 1, 0, 0, 0, 15]) + b"server-sig-algs" + bytes([0, 0, 0, 11]) + b"ssh-ed25519"
ROLES = pytest.mark.parametrize("role", list(Role), ids=lambda role: f"a_{role.name.lower()}_of_ours")


def first_exchanges(events: list[trio_ssh.Event]) -> int:
    return sum(isinstance(event, trio_ssh.KeyExchangeDone) and event.cause is trio_ssh.RekeyCause.FIRST for event in events)


class SlowToTrust:
    """A host key policy that asks somebody: meanwhile NEWKEYS and what follows it have come."""

    async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
        await trio.sleep(10)

    async def key_types(self, host: str, port: int) -> tuple[str, ...]:
        return ()


# -- 9 ---------------------------------------------------------------------------------------------------------------------------------


async def test_stall_09_a_servers_first_newkeys_cut_anywhere(autojump_clock):
    """REPLY, NEWKEYS, EXT_INFO and noise under the fresh keys, while the client's policy still makes up its mind: one exchange, no more."""

    async def serve(raw: RawPeer, split: tuple[int, ...]) -> None:
        await raw.identify()
        ours, theirs = await raw.send_kexinit(), await raw.expect(M.KEXINIT)
        replies, new = await agree(raw, ours, theirs)
        data = with_fresh_keys(raw, new, replies, [EXT_INFO, Ignore(b"x"), Debug(False, "y")])
        sizes.add(len(data))
        await send_split(raw, data, *split)
        await raw.take_newkeys(new)
        await raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
        await raw.send(ServiceAccept("ssh-userauth"))
        await raw.expect(M.USERAUTH_REQUEST)
        await raw.send(UserauthSuccess())

    async def once(split: tuple[int, ...]) -> None:
        raw, stream = raw_server()
        events: list[trio_ssh.Event] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, raw, split)
            async with pairs.connecting(stream, host_keys=SlowToTrust(), observer=events.append):
                assert first_exchanges(events) == raw.numbers.count(M.KEXINIT) == raw.numbers.count(M.NEWKEYS) == 1

    sizes: set[int] = set()
    await once(())
    for split in splits_of(min(sizes)):
        await once(split)
    assert len(sizes) == 1


async def test_stall_09_a_clients_first_newkeys_cut_anywhere(autojump_clock):
    """NEWKEYS with the whole login behind it."""

    async def once(split: tuple[int, ...]) -> None:
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS) as ends:
            await raw.identify()
            ours, theirs = await raw.send_kexinit(), await raw.expect(M.KEXINIT)
            _, new = await agree(raw, ours, theirs)
            data = with_fresh_keys(raw, new, [], [ServiceRequest("ssh-userauth"), password_request(PASSWORD), Ignore(b"x")])
            sizes.add(len(data))
            await send_split(raw, data, *split)
            await raw.take_newkeys(new)
            await raw.expect(M.USERAUTH_SUCCESS, skip=[M.EXT_INFO, M.SERVICE_ACCEPT])
            assert first_exchanges(ends.server_events) == raw.numbers.count(M.KEXINIT) == raw.numbers.count(M.NEWKEYS) == 1
            await raw.stream.aclose()

    sizes: set[int] = set()
    await once(())
    for split in splits_of(min(sizes)):
        await once(split)
    assert len(sizes) == 1


async def logged_in(role: Role, talk, received: bytearray) -> None:
    """`talk(raw, number)` with our `role` at the other end of a channel; what it sends there is collected."""
    raw, stream = raw_client() if role is Role.SERVER else raw_server()

    async def take(source: trio.abc.ReceiveStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async for chunk in source:
                received.extend(chunk)

    if role is Role.SERVER:

        async def handler(session: trio_ssh.ServerSession) -> None:
            await take(session)

        async with pairs.served(handler, stream=stream, authenticate=PASSWORDS):
            await raw.log_in()
            await talk(raw, await raw.open_session("x"))
            await raw.stream.aclose()
        return

    async def serve() -> None:
        await raw.log_in()
        number, _ = await grant_session(raw)
        await talk(raw, number)
        done.set()

    done = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with pairs.connecting(stream) as client, client.open_process("x") as process:
            nursery.start_soon(take, process.stdout)
            await done.wait()
            await raw.stream.aclose()
            with pytest.raises(trio_ssh.ConnectionLost):
                await client.wait_closed()
            nursery.cancel_scope.cancel()


@ROLES
async def test_stall_09_sm_077_newkeys_of_a_rekey_cut_anywhere(autojump_clock, role):
    """With data under the old keys before it and under the fresh ones behind it: all of it arrives, once, in order."""
    received, sent = bytearray(), bytearray()

    async def change_keys(raw: RawPeer, number: int, split: tuple[int, ...]) -> int:
        before, behind = pairs.pattern(30, f"before {len(sent)}"), pairs.pattern(40, f"behind {len(sent)}")
        sent.extend(before + behind)
        ours = raw.negotiator.our_kexinit(bytes(16), first=False)
        await raw.send(ChannelData(number, before), ours)
        replies, new = await agree(raw, ours, await raw.wait_for(M.KEXINIT))
        data = with_fresh_keys(raw, new, replies, [ChannelData(number, behind)])
        await send_split(raw, data, *split)
        await raw.take_newkeys(new)
        return len(data)

    async def talk(raw: RawPeer, number: int) -> None:
        size = await change_keys(raw, number, ())
        for split in splits_of(size):
            assert await change_keys(raw, number, split) == size
        await wait_all_tasks_blocked()
        assert raw.numbers.count(M.KEXINIT) == raw.numbers.count(M.NEWKEYS) == size + 3
        assert received == sent

    await logged_in(role, talk, received)


# -- 10 --------------------------------------------------------------------------------------------------------------------------------

NOISE = [Ignore(b""), Ignore(bytes(3000)), Debug(True, "\x1b[2J", "en"), Unimplemented(0), Unimplemented(2**32 - 1), Ping(b"?"), Pong(b"!")]


@ROLES
async def test_stall_10_sm_161_sm_162_noise_at_every_step_of_a_rekey(autojump_clock, role):
    """Legal between KEXINIT and NEWKEYS of a rekey, whoever began it, and answered by nothing."""
    received = bytearray()

    async def talk(raw: RawPeer, number: int) -> None:
        raw.numbers.clear()
        for _ in range(3):
            ours = await raw.send_kexinit()
            await raw.send(*NOISE)
            theirs = await raw.expect(M.KEXINIT)
            await raw.send(*NOISE)
            replies, new = await agree(raw, ours, theirs)
            await raw.send(*NOISE, *replies, *NOISE)
            await raw.send_bytes(with_fresh_keys(raw, new, NOISE, [*NOISE, ChannelData(number, b"fine")]))
            await raw.take_newkeys(new)
            assert await raw.receive() == encode(Pong(b"?"))  # to the one behind NEWKEYS
        await wait_all_tasks_blocked()
        assert received == b"fine" * 3
        assert set(raw.numbers) == {M.KEXINIT, M.NEWKEYS, 30 if role is Role.CLIENT else 31, M.PONG}

    await logged_in(role, talk, received)


@pytest.mark.parametrize("step", ["behind KEXINIT", "before NEWKEYS", "behind NEWKEYS", "behind the login"])
@ROLES
async def test_stall_10_sm_087_ext_info_in_a_rekey_or_behind_the_login(autojump_clock, role, step):
    """It has its two places, before and in the login (RFC 8308 §2.4); elsewhere it ends the connection."""

    async def talk(raw: RawPeer, number: int) -> None:
        ours = b"" if step == "behind the login" else await raw.send_kexinit()
        if step in ("behind the login", "behind KEXINIT"):
            await raw.send(EXT_INFO)
            await raw.expect_disconnect(2)
            return
        replies, new = await agree(raw, ours, await raw.expect(M.KEXINIT))
        if step == "before NEWKEYS":
            await raw.send(*replies, EXT_INFO)
            await raw.drain_bytes()  # unopened: it is under fresh keys already, which this side never took
        else:
            await raw.send_bytes(with_fresh_keys(raw, new, replies, [EXT_INFO]))
            await raw.take_newkeys(new)
            await raw.expect_disconnect(2)

    await logged_in(role, talk, bytearray())


@ROLES
async def test_stall_10_sm_160_the_peer_does_not_know_our_kexinit(autojump_clock, role):
    """UNIMPLEMENTED for it is no answer: the rekey's deadline passes."""

    async def talk(raw: RawPeer, number: int) -> None:
        started = trio.current_time()
        if role is Role.SERVER:
            await raw.send(*[ChannelData(number, bytes(1000))] * 3)
        await raw.wait_for(M.KEXINIT)
        await raw.send(Unimplemented(raw.opener.sequence_number - 1))
        await raw.expect_disconnect(3)
        assert 9 <= trio.current_time() - started <= 20

    raw, stream = raw_client() if role is Role.SERVER else raw_server()
    limits = trio_ssh.Limits(rekey_answer_seconds=9, rekey_bytes=2000 if role is Role.SERVER else None)
    if role is Role.SERVER:
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits):
            await raw.log_in()
            await raw.exchange_keys()
            await talk(raw, await raw.open_session("hash"))
        return

    async def serve() -> None:
        await raw.log_in()
        await talk(raw, 0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with pairs.connecting(stream, limits=limits) as client:
            with pytest.raises(trio_ssh.ConnectionLost, match="finish a key exchange"):
                await client.rekey()
