"""SM-066, SM-067, SM-070 to SM-076: rekeys said wrongly or out of turn, to both of our roles (A28, POL-02)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.test_sm_key_exchange import message
from tests.connection.victims import BOTH_ROLES, Victim, attacked, kexinit, start_server, transcript_of
from tests.raw_peer import password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelData, ChannelOpen, ChannelOpenConfirmation, ChannelSuccess, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, Ping, ServiceRequest


async def log_in(victim: Victim) -> None:
    """Up to where our side has nothing more to say."""
    await victim.raw.log_in()
    await wait_all_tasks_blocked()


LATE = [5, 6, 7, 50, 51, 52, 53, 60, 80, 81, 82, *range(90, 101), 101, 127, 128, 191, 194, 200, 255]
"""Legal nowhere in a rekey, though some are before it."""


@BOTH_ROLES
@pytest.mark.parametrize("number", LATE)
async def test_sm_066_sm_087_a28_behind_the_peers_own_kexinit(autojump_clock, role, number):
    """The first such message is the end, in each step of the exchange; nothing of it reaches a channel."""
    for step in ("kexinit", "share"):
        async with attacked(role) as victim:
            raw = victim.raw
            await log_in(victim)
            called = list(victim.called)
            ours = await raw.send_kexinit()
            if step == "kexinit":
                await raw.send(message(number), Ping(b"never read"))
                numbers = [payload[0] for payload in await raw.drain()]
                assert numbers in ([M.KEXINIT, M.DISCONNECT], [M.KEXINIT, 30, M.DISCONNECT])
                await victim.check_cause(trio_ssh.RemoteProtocolError)
            else:
                new = await raw.method(ours, await raw.wait_for(M.KEXINIT))
                await raw.send(message(number))
                await victim.read_newkeys(new)
                await victim.ends(2)
            assert victim.called == called


@BOTH_ROLES
async def test_sm_067_what_was_under_way_before_the_peers_kexinit(autojump_clock, role):
    """Our KEXINIT is out, since a budget is spent; the peer's data and questions come all the same, and are taken; answers wait."""
    received = bytearray()

    async def collect(session: trio_ssh.ServerSession) -> None:
        async for chunk in session:
            received.extend(chunk)

    async def body(client: trio_ssh.Client) -> None:
        async with client.open_process("x") as process:
            with contextlib.suppress(trio.BrokenResourceError):
                async for chunk in process.stdout:
                    received.extend(chunk)

    async with attacked(role, limits=trio_ssh.Limits(rekey_bytes=20_000), body=body, handler=collect) as victim:
        raw = victim.raw
        await raw.log_in()
        if role is Role.SERVER:
            channel = await raw.open_session("x")
        else:
            channel = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN)).sender_channel
            await raw.send(ChannelOpenConfirmation(channel, 0, 1 << 20, 32768))
            await raw.wait_for(M.CHANNEL_REQUEST)
            await raw.send(ChannelSuccess(channel))
        await raw.send(Ping(bytes(25_000)))
        theirs = await raw.wait_for(M.KEXINIT)
        raw.numbers.clear()
        await raw.send(*[ChannelData(channel, bytes([number]) * 10) for number in range(50)], GlobalRequest("y", True), Ping(b"under way"))
        await raw.exchange_keys(theirs=theirs)
        assert set(raw.numbers) <= {30, 31, M.NEWKEYS}
        assert [(await raw.receive() or b"?")[0] for _ in range(2)] == [M.REQUEST_FAILURE, M.PONG]
        assert received == b"".join(bytes([number]) * 10 for number in range(50))
        await raw.stream.aclose()


@pytest.mark.parametrize("accept", [True, False])
async def test_sm_070_another_host_key_in_a_rekey(autojump_clock, accept):
    """The policy is asked again: what it takes is taken, what it does not ends the connection with DISCONNECT 9."""
    asked = []
    other = trio_ssh.PrivateKey.generate()

    class Policy:
        async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
            asked.append(key)
            if not accept and key == other.public_key:
                raise trio_ssh.HostKeyChanged("another one", offered=key.fingerprint())

        async def key_types(self, host: str, port: int) -> Sequence[str]:
            return ()

    async with attacked(Role.CLIENT, host_keys=Policy()) as victim:
        raw = victim.raw
        await log_in(victim)
        for key in (pairs.HOST_KEY, other, other):
            ours = await raw.send_kexinit()
            theirs = await raw.wait_for(M.KEXINIT)
            negotiated = raw.negotiator.receive(theirs).negotiated
            reply, new = start_server(transcript_of(raw, ours, theirs), negotiated, key).receive(await raw.expect(30))
            await raw.send(reply)
            if key is other and not accept:
                await victim.ends(9, kind=trio_ssh.HostKeyChanged)
                break
            await raw.change_keys(new)
        # Asked about each key once: the same key again is no news.
        assert asked == [pairs.HOST_KEY.public_key, other.public_key]
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_071_a_rekey_that_offers_nothing_in_common(autojump_clock, role):
    for fields in (
        {"kex_algorithms": ("nobody",)},
        {"encryption_algorithms_client_to_server": ()},
        {"encryption_algorithms_client_to_server": ("none",), "encryption_algorithms_server_to_client": ("none",)},
        {"compression_algorithms_server_to_client": ("nobody",)},
    ):
        async with attacked(role) as victim:
            await log_in(victim)
            await victim.raw.send(kexinit(victim.raw, markers=False, **fields))
            payloads = await victim.raw.drain()
            assert [payload[0] for payload in payloads] in ([M.KEXINIT, M.DISCONNECT], [M.DISCONNECT])
            assert payloads[-1][1:5] == bytes([0, 0, 0, 3])
            await victim.check_cause(trio_ssh.NegotiationError)


@BOTH_ROLES
async def test_sm_071_a_rekey_that_offers_less(autojump_clock, role):
    """Another cipher that both have is taken, and nothing that we have not offered ever is."""
    strong = trio_ssh.Algorithms(kex=("curve25519-sha256",))
    weaker = attrs.evolve(strong, ciphers=("aes128-ctr",), macs=("hmac-sha2-256",))
    async with attacked(role, algorithms=strong, peer=strong) as victim:
        raw = victim.raw
        await log_in(victim)
        raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, ciphers=weaker.ciphers, macs=weaker.macs)
        await raw.exchange_keys()
        await raw.send(Ping(b"fits?"))
        await raw.wait_for(M.PONG)
        done = [event.negotiated for event in victim.events if isinstance(event, trio_ssh.KeyExchangeDone)]
        assert [negotiated.cipher_client_to_server for negotiated in done] == [strong.ciphers[0], "aes128-ctr"]
        await raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize(
    "number", [pytest.param(21, id="sm_072-newkeys"), *(pytest.param(n, id=f"sm_073-{n}") for n in (30, 31, 32, 33, 34))]
)
async def test_sm_072_sm_073_a11_without_an_exchange(autojump_clock, role, number):
    async with attacked(role) as victim:
        await log_in(victim)
        await victim.raw.send(message(number))
        await victim.ends(2)


async def test_sm_074_both_begin_at_once(autojump_clock):
    """Both KEXINITs are out before either is read: one exchange, and neither side sends a second KEXINIT."""
    async with attacked(Role.CLIENT, body=client_that_rekeys) as victim:
        raw = victim.raw
        await log_in(victim)
        raw.numbers.clear()
        await raw.exchange_keys(ours=await raw.send_kexinit())
        await raw.send(Ping(b"?"))
        await raw.wait_for(M.PONG)
        assert raw.numbers.count(M.KEXINIT) == 1
        await raw.stream.aclose()


async def client_that_rekeys(client: trio_ssh.Client) -> None:
    await client.rekey()
    await client.wait_closed()


@BOTH_ROLES
async def test_sm_074_our_budget_is_spent_as_the_peers_kexinit_arrives(autojump_clock, role):
    """The same with a rekey that our side begins because of what the peer sends in one segment with its own KEXINIT."""
    async with attacked(role, limits=trio_ssh.Limits(rekey_bytes=4000)) as victim:
        raw = victim.raw
        await log_in(victim)
        ours = kexinit(raw, markers=False)
        await raw.send(*[Ping(bytes(1000))] * 6, ours)
        await raw.exchange_keys(ours=encode(ours))
        await raw.send(Ping(b"?"))
        while (payload := await raw.wait_for(M.PONG)) != b"\xc1\0\0\0\x01?":
            assert payload
        assert raw.numbers.count(M.KEXINIT) == 2  # the first exchange's among them
        await raw.stream.aclose()


@BOTH_ROLES
async def test_sm_075_a11_kexinit_again(autojump_clock, role):
    """In the same segment, and behind the method's messages, where NEWKEYS is due."""
    async with attacked(role) as victim:
        await log_in(victim)
        await victim.raw.send_kexinit()
        await victim.raw.send_kexinit()
        numbers = [payload[0] for payload in await victim.raw.drain()]
        assert numbers in ([M.KEXINIT, M.DISCONNECT], [M.KEXINIT, 30, M.DISCONNECT])
        await victim.check_cause(trio_ssh.RemoteProtocolError)
    async with attacked(role) as victim:
        await log_in(victim)
        new = await victim.raw.method(await victim.raw.send_kexinit(), await victim.raw.wait_for(M.KEXINIT))
        await victim.raw.send_kexinit()
        await victim.read_newkeys(new)
        await victim.ends(2)


BEFORE_LOGIN = ["behind NEWKEYS", "behind the service", "in authentication"]


@BOTH_ROLES
@pytest.mark.parametrize("stage", BEFORE_LOGIN)
async def test_sm_076_pol_02_a_rekey_before_the_login(autojump_clock, role, stage):
    """Refused in S4, S5 and S6, and no KEXINIT of ours leaves."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.handshake()
        if stage != "behind NEWKEYS":
            if role is Role.SERVER:
                await raw.send(ServiceRequest("ssh-userauth"))
                await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
                if stage == "in authentication":
                    await raw.send(password_request("wrong"))
                    await raw.expect(M.USERAUTH_FAILURE)
            else:
                await victim.ask_for_service()
                if stage == "in authentication":
                    await raw.send(b"\x33\0\0\0\x08password\0")
        await wait_all_tasks_blocked()
        raw.numbers.clear()
        await raw.send_kexinit()
        payloads = await raw.drain()
        assert payloads[-1][:5] == bytes([M.DISCONNECT, 0, 0, 0, 2])
        assert M.KEXINIT not in raw.numbers
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert "logged in" not in victim.called
        assert not any(isinstance(event, trio_ssh.KeyExchangeDone) for event in victim.events[2:])


@BOTH_ROLES
async def test_pol_02_no_rekey_of_ours_before_the_login(autojump_clock, role):
    """With budgets that the handshake alone spends, and an hour that passes meanwhile: no KEXINIT leaves before SUCCESS, one behind it."""
    limits = trio_ssh.Limits(rekey_packets=1, rekey_bytes=16, rekey_seconds=1, login_seconds=1000)
    async with attacked(role, limits=limits) as victim:
        raw = victim.raw
        await victim.until_auth()
        await trio.sleep(50)
        assert raw.numbers.count(M.KEXINIT) == 1
        if role is Role.SERVER:
            await raw.send(password_request("wrong"))
            await raw.expect(M.USERAUTH_FAILURE)
            await raw.send(password_request("canary"))
            assert (await raw.receive() or b"?")[0] == M.USERAUTH_SUCCESS
        else:
            await raw.send(b"\x34")
        await raw.expect(M.KEXINIT)
        await raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize("goes_on", [False, True], ids=["silent", "sending"])
async def test_res_21_a29_a_rekey_of_ours_that_is_never_answered(autojump_clock, role, goes_on):
    """Silence ends it after 60 s, going on after 64 MiB (here 100,000 bytes): DISCONNECT 3. What we hold back meanwhile is bounded."""
    limits = trio_ssh.Limits(rekey_bytes=20_000, rekey_answer_seconds=60, rekey_inbound_bytes=100_000)
    async with attacked(role, limits=limits) as victim:
        raw = victim.raw
        await log_in(victim)
        await raw.send(Ping(bytes(25_000)))
        await raw.wait_for(M.KEXINIT)
        started = trio.current_time()
        sent = 0
        while goes_on and not victim.done.is_set():
            await raw.send(Ignore(bytes(1000)))
            await wait_all_tasks_blocked()
            sent += 1000
            assert sent <= 400_000
        payloads = await raw.drain()
        assert [payload[0] for payload in payloads] == [M.DISCONNECT]
        assert payloads[0][1:5] == bytes([0, 0, 0, 3])
        waited = trio.current_time() - started
        assert waited <= 1 if goes_on else 60 <= waited <= 65  # our own 25 KiB may take their time on a slow link
        await victim.check_cause(trio_ssh.KeyExchangeError if goes_on else trio_ssh.RemoteProtocolError)
        assert sent >= 90_000 * goes_on


@BOTH_ROLES
async def test_res_02_a_kexinit_byte_by_byte_meets_the_deadline_of_the_whole(autojump_clock, role):
    """One byte a second: each is in time, all of them are not."""
    async with attacked(role, limits=trio_ssh.Limits(kex_seconds=20)) as victim:
        raw = victim.raw
        await raw.identify()
        started = trio.current_time()
        raw.sealer.seal(encode(raw.kexinit()))
        for byte in bytes(raw.sealer.take_batch()):
            if victim.done.is_set():
                break
            await raw.send_bytes(bytes([byte]))
            await trio.sleep(1)
        assert trio.current_time() - started == pytest.approx(20, abs=2.1)
        await victim.ends(3, M.KEXINIT)
        assert victim.called == []
