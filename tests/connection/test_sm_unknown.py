"""SM-158 to SM-164: numbers nobody has assigned, UNIMPLEMENTED, PING and DISCONNECT, in every phase of both of our roles."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests.connection.test_sm_service import behind_newkeys, next_of_ours
from tests.connection.victims import BOTH_ROLES, Victim, attacked, kexinit
from tests.raw_peer import PASSWORD, password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, Ignore, Ping, Pong, ServiceRequest, Unimplemented

UNASSIGNED = [*range(8, 20), *range(54, 60), *range(83, 90), *range(101, 128), *range(128, 192), *range(194, 256)]


async def to_stage(victim: Victim, stage: str) -> None:
    """`victim` waits for the next packet in that stage of its life."""
    raw = victim.raw
    if stage in ("line", "first packet", "in kex"):
        await raw.identify()
        if stage == "in kex":
            await raw.send_kexinit()
            await raw.expect(M.KEXINIT)
    elif stage == "behind newkeys":
        await behind_newkeys(victim)
    elif stage == "authentication":
        await behind_newkeys(victim)
        await next_of_ours(victim)
    else:
        await raw.log_in()
        if stage in ("rekey", "rekey newkeys"):
            await wait_all_tasks_blocked()
            ours = await raw.send_kexinit()
            theirs = await raw.wait_for(M.KEXINIT)
            if stage == "rekey newkeys":
                await victim.read_newkeys(await raw.method(ours, theirs))
    await wait_all_tasks_blocked()


STAGES = ["first packet", "in kex", "behind newkeys", "authentication", "connected", "rekey", "rekey newkeys"]


@BOTH_ROLES
async def test_sm_158_unassigned_numbers_behind_the_login(autojump_clock, role):
    """Each is answered by UNIMPLEMENTED with its own packet's number, across a rekey that starts the numbers anew."""
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        for _ in range(2):
            for number in UNASSIGNED:
                for body in (b"", b"\0", bytes(100)):
                    sequence_number = raw.sealer.sequence_number
                    await raw.send(bytes([number]) + body)
                    assert await raw.expect(M.UNIMPLEMENTED) == encode(Unimplemented(sequence_number))
            await raw.exchange_keys()
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_158_the_numbers_are_right_when_many_come_at_once(autojump_clock, role):
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        first = raw.sealer.sequence_number
        await raw.send(*[b"\xc8", encode(Ignore(b""))] * 300)
        for n in range(300):
            assert await raw.expect(M.UNIMPLEMENTED) == encode(Unimplemented(first + 2 * n))
        await raw.stream.aclose()


async def test_sm_158_ping_that_was_not_advertised(autojump_clock):
    """To a client that takes no EXT_INFO our server has not said that it knows PING: it is a number like any other."""
    async with attacked(Role.SERVER) as victim:
        raw = victim.raw
        await raw.identify()
        ours = kexinit(raw, kex_algorithms=("curve25519-sha256", "kex-strict-c-v00@openssh.com"))
        await raw.send(ours)
        await raw.exchange_keys(ours=encode(ours))
        await raw.send(ServiceRequest("ssh-userauth"), password_request(PASSWORD))
        await raw.wait_for(M.USERAUTH_SUCCESS)
        for message in (Ping(b"?"), Pong(b"?")):
            number = raw.sealer.sequence_number
            await raw.send(message)
            assert await raw.receive() == encode(Unimplemented(number))
        await raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize("stage", STAGES[:4])
@pytest.mark.parametrize("number", [8, 19, 54, 59, 83, 89, 101, 127, 128, 191, 194, 255])
async def test_sm_159_unassigned_numbers_before_the_login(autojump_clock, role, stage, number):
    async with attacked(role) as victim:
        await to_stage(victim, stage)
        called = list(victim.called)
        await victim.raw.send(bytes([number]) + b"whatever")
        payloads = await victim.raw.drain()
        assert payloads[-1][:5] == bytes([M.DISCONNECT, 0, 0, 0, 2])
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert victim.called == called


@BOTH_ROLES
async def test_sm_160_unimplemented_for_what_we_never_sent(autojump_clock, role):
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        await raw.send(Unimplemented(0), Unimplemented(2**32 - 1), Unimplemented(12345), Ping(b"?"))
        assert (await raw.receive() or b"?")[0] == M.PONG
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_160_unimplemented_for_our_rekey_kexinit(autojump_clock, role):
    """A peer that does not know how to rekey is given its time, then DISCONNECT 3."""
    limits = trio_ssh.Limits(rekey_bytes=5000, rekey_answer_seconds=60)
    async with attacked(role, limits=limits) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        await raw.send(Ping(bytes(6000)))
        await raw.wait_for(M.KEXINIT)
        started = trio.current_time()
        await raw.send(Unimplemented(raw.opener.sequence_number - 1))
        payloads = await raw.drain()
        assert [payload[0] for payload in payloads] == [M.DISCONNECT]
        assert payloads[0][1:5] == bytes([0, 0, 0, 3])
        assert 60 <= trio.current_time() - started <= 65  # what had come buys a little time for a slow link
        await victim.check_cause(trio_ssh.RemoteProtocolError)


@BOTH_ROLES
async def test_sm_161_ping_behind_the_login(autojump_clock, role):
    """Of nothing, of anything, and of 32 KiB: the same comes back, in order."""
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        for data in (b"", b"\0\xff\x1b", bytes(32 * 1024)):
            await raw.send(Ping(data))
            assert await raw.expect(M.PONG) == encode(Pong(data))
        await raw.send(*[Ping(bytes([n])) for n in range(100)])
        assert [await raw.expect(M.PONG) for _ in range(100)] == [encode(Pong(bytes([n]))) for n in range(100)]
        await raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize("stage", ["behind newkeys", "authentication"])
async def test_sm_161_a10_ping_before_the_login(autojump_clock, role, stage):
    """Ignored, and the login goes on."""
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, stage)
        await raw.send(*[Ping(b"?")] * 20)
        await wait_all_tasks_blocked()
        if stage == "behind newkeys":
            await next_of_ours(victim)
        assert M.PONG not in raw.numbers
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_161_sm_162_a10_ping_and_pong_in_a_rekey(autojump_clock, role):
    """Ignored at both steps: no PONG then, and none behind it."""
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        ours = await raw.send_kexinit()
        await raw.send(Ping(b"1"), Pong(b"1"))
        theirs = await raw.wait_for(M.KEXINIT)
        new = await raw.method(ours, theirs)
        await raw.send(Ping(b"2"), Pong(b"2"))
        await raw.change_keys(new)
        await raw.send(Ping(b"3"))
        assert await raw.receive() == encode(Pong(b"3"))
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_162_pong_that_nobody_asked_for(autojump_clock, role):
    async with attacked(role) as victim:
        raw = victim.raw
        await to_stage(victim, "connected")
        await raw.send(*[Pong(b"unasked")] * 1000, b"\xc1", Ping(b"?"))
        assert await raw.receive() == encode(Pong(b"?"))
        await raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize("stage", STAGES)
async def test_sm_163_disconnect_at_any_time(autojump_clock, role, stage):
    """A typed end with the peer's reason, its text escaped; nothing is said in return."""
    for reason, text in ((11, "bye"), (2**32 - 1, "\x1b[31m\u202ered\r\n"), (0, "")):
        async with attacked(role) as victim:
            await to_stage(victim, stage)
            called = list(victim.called)
            await victim.raw.send(Disconnect(reason, text, "en"))
            await victim.ends(None, *pending(victim, stage), kind=trio_ssh.Disconnected)
            assert isinstance(victim.cause, trio_ssh.Disconnected)
            assert victim.cause.reason == reason
            assert "\x1b" not in str(victim.cause) + victim.cause.description
            assert "\u202e" not in str(victim.cause) + victim.cause.description
            assert victim.called == called


def pending(victim: Victim, stage: str) -> list[int]:
    """What our side had sent before, and the test has not read."""
    if stage == "first packet":
        return [M.KEXINIT]
    if stage == "in kex":
        return [30] if victim.role is Role.CLIENT else []
    if stage == "rekey":
        return [30] if victim.role is Role.CLIENT else []
    return []


@BOTH_ROLES
async def test_sm_163_a_disconnect_of_256_kib(autojump_clock, role):
    """Its text is cut to what fits into a line of a log."""
    async with attacked(role) as victim:
        await to_stage(victim, "connected")
        await victim.raw.send(Disconnect(2, "x" * (256 * 1024 - 100)))
        await victim.ends(None, kind=trio_ssh.Disconnected)
        assert len(str(victim.cause)) < 1200


@BOTH_ROLES
@pytest.mark.parametrize(
    "payload", [b"\x01", b"\x01\0\0", b"\x01\0\0\0\2", b"\x01\0\0\0\2\0\0\0\x09cut", b"\x01\0\0\0\2\0\0\0\2\xff\xfe\0\0\0\0"], ids=repr
)
async def test_sm_163_c19_disconnect_that_is_malformed(autojump_clock, role, payload):
    """It ends the connection all the same, with one typed error and no second one."""
    async with attacked(role) as victim:
        await to_stage(victim, "connected")
        await victim.raw.send(payload)
        await victim.raw.drain()
        await victim.done.wait()
        assert isinstance(victim.cause, (trio_ssh.Disconnected, trio_ssh.RemoteProtocolError))


@BOTH_ROLES
@pytest.mark.parametrize("stage", STAGES)
async def test_sm_164_what_follows_disconnect_is_not_read(autojump_clock, role, stage):
    """Not even where it would be an error, or would be answered."""
    async with attacked(role) as victim:
        await to_stage(victim, stage)
        await victim.raw.send(Disconnect(11, "bye"), Ping(b"?"), b"\x00", b"\xff", Disconnect(2, "again"))
        await victim.ends(None, *pending(victim, stage), kind=trio_ssh.Disconnected, match="bye")
