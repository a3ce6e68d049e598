"""A10, A11, A12, A23 and POL-01, POL-06, POL-07: floods and changes of keys, and the rules by which keys are changed."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.test_sm_service import behind_newkeys, next_of_ours
from tests.connection.victims import BOTH_ROLES, attacked, exchange_without_strict, kexinit
from trio_ssh.protocol.key_budget import budget_for
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelData, ChannelWindowAdjust, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, KexInit, Ping, Pong

# -- floods ----------------------------------------------------------------------------------------------------------------------------


@BOTH_ROLES
@pytest.mark.parametrize("stage", ["behind NEWKEYS", "in authentication"])
async def test_a10_res_15_pings_without_end_before_the_login(autojump_clock, role, stage):
    """No answer to any of them, DISCONNECT 2 at the 1,025th packet without meaning, and nothing kept."""
    async with attacked(role) as victim:
        raw = victim.raw
        await behind_newkeys(victim)
        if stage == "in authentication":
            await next_of_ours(victim)
        ping = encode(Ping(bytes(100)))
        tracemalloc.start()
        try:
            await raw.send(*[ping] * 1024)
            await wait_all_tasks_blocked()
            assert not victim.done.is_set()
            victim.forget_wires()
            assert tracemalloc.get_traced_memory()[0] < 1 << 20
        finally:
            tracemalloc.stop()
        await raw.send(*[ping] * 100)
        await victim.ends(2)
        assert M.PONG not in raw.numbers
        assert "logged in" not in victim.called


@BOTH_ROLES
async def test_a10_res_15_pings_without_end_in_a_rekey(autojump_clock, role):
    """Nothing is queued for behind it."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        ours = await raw.send_kexinit()
        theirs = await raw.wait_for(M.KEXINIT)
        for _ in range(20):
            await raw.send(*[Ping(bytes(1000))] * 100)
            await wait_all_tasks_blocked()
        await raw.exchange_keys(ours=ours, theirs=theirs)
        await raw.send(Ping(b"last"))
        assert await raw.receive() == encode(Pong(b"last"))
        await raw.stream.aclose()


@BOTH_ROLES
async def test_a11_rekeys_with_a_wrong_guess_again_and_again(autojump_clock, role):
    """300, scaled down from 10,000: each junk packet is skipped, and nothing of an exchange is left behind."""
    peer = trio_ssh.Algorithms(kex=("ecdh-sha2-nistp256", "curve25519-sha256"))
    junk = b"\x1ejunk" if role is Role.SERVER else b"\x1fjunk"
    async with attacked(role, peer=peer) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        sizes = []
        for number in range(300):
            if number == 100:
                tracemalloc.start()
            ours = encode(kexinit(raw, markers=False, first_kex_packet_follows=True))
            await raw.send(ours, junk)
            await raw.exchange_keys(ours=ours)
            await raw.send(Ping(b"?"))
            await raw.wait_for(M.PONG)
            await trio.sleep(1)
            victim.forget_wires()
            victim.events.clear()
            raw.payloads.clear()
            raw.numbers.clear()
            if number in (150, 299):
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert sizes[1] - sizes[0] < 100_000  # trio keeps deadlines that are past for a while
        victim.events.clear()
        await raw.stream.aclose()


@BOTH_ROLES
async def test_a27_sequence_numbers_about_to_wrap_in_the_first_exchange(autojump_clock, role):
    """Not strict, so that noise is legal there: the last packet before the wrap is the end, DISCONNECT 2."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.identify()
        await raw.expect(M.KEXINIT)
        await raw.send(Ignore(b""))
        await wait_all_tasks_blocked()
        assert victim.opener is not None
        victim.opener.packets_opened = victim.opener.sequence_number = 2**32 - 1
        await raw.send(Ignore(b""), Ignore(b""))
        await victim.ends(2)
        assert victim.called == []


# -- changes ---------------------------------------------------------------------------------------------------------------------------


@BOTH_ROLES
async def test_a12_the_session_id_stays_when_the_hash_changes(autojump_clock, role):
    """From SHA-256 to SHA-512 and back: keys are derived from the first hash for ever, or nothing would open."""
    kex = ("curve25519-sha256", "ecdh-sha2-nistp521", "ecdh-sha2-nistp384")
    algorithms = trio_ssh.Algorithms(kex=kex)
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        raw = victim.raw
        await raw.log_in()
        first = raw.session_id
        assert len(first) == 32
        for name in (*kex[1:], kex[0], kex[1]):
            raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, kex=(name,))
            await raw.exchange_keys()
            assert raw.negotiated.kex == name
            assert raw.session_id == first
            await raw.send(Ping(b"opens?"))
            await raw.wait_for(M.PONG)
        await raw.stream.aclose()


CIPHERS = trio_ssh.Algorithms().ciphers
ALL_CIPHERS = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=CIPHERS, macs=("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512"))


def every_ordered_pair(names: tuple[str, ...]) -> list[str]:
    """A walk that goes from each name to each other one, and to itself."""
    steps = {(a, b) for a in names for b in names}
    walk = [names[0]]
    while steps:
        here = walk[-1]
        following = sorted(b for a, b in steps if a == here)
        walk.append(following[-1] if following else sorted(steps)[0][0])
        steps.discard((here, walk[-1]))
    return walk


@BOTH_ROLES
async def test_a23_rekeys_from_each_cipher_to_each_with_data_under_way(autojump_clock, role):
    """Pings and questions before the peer's KEXINIT and behind its NEWKEYS, with the answers out when keys change: all come, in order."""
    walk = every_ordered_pair(CIPHERS)
    assert {(a, b) for a, b in itertools.pairwise(walk)} == {(a, b) for a in CIPHERS for b in CIPHERS}
    first = attrs.evolve(ALL_CIPHERS, ciphers=(walk[0],))
    async with attacked(role, algorithms=ALL_CIPHERS, peer=first) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        for number, name in enumerate(walk[1:]):
            raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, ciphers=(name,))
            ours = raw.negotiator.our_kexinit(bytes(16), first=False)
            before, behind = number.to_bytes(4, "big") * 500, number.to_bytes(4, "big")
            await raw.send(Ping(before), GlobalRequest("x", True), ours)
            raw.payloads.clear()
            await raw.exchange_keys(ours=ours)
            assert raw.negotiated.cipher_client_to_server == raw.negotiated.cipher_server_to_client == name
            await raw.send(Ping(behind))
            while raw.payloads[-1] != encode(Pong(behind)):
                assert await raw.receive() is not None
            answers = [payload for payload in raw.payloads if payload[0] in (M.PONG, M.REQUEST_FAILURE)]
            assert answers == [encode(Pong(before)), bytes([M.REQUEST_FAILURE]), encode(Pong(behind))]
            await trio.sleep(1)
        await raw.stream.aclose()


async def test_a23_a_stream_goes_on_while_ciphers_change(autojump_clock):
    """A server of ours sends a megabyte in the midst of it: no byte is lost."""
    walk = every_ordered_pair(CIPHERS)
    async with attacked(Role.SERVER, algorithms=ALL_CIPHERS, peer=attrs.evolve(ALL_CIPHERS, ciphers=(walk[0],))) as victim:
        raw = victim.raw
        await raw.log_in()
        await raw.open_session("source 1000000", window=20_000)
        data = bytearray()
        for name in walk[1:]:
            raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, ciphers=(name,))
            await raw.send(ChannelWindowAdjust(0, 30_000))
            await raw.exchange_keys()
        while M.CHANNEL_EOF not in raw.numbers:
            await raw.send(ChannelWindowAdjust(0, 100_000))
            await wait_all_tasks_blocked()
            while raw.opener.open_batch(raw._sink):
                pass
            assert await raw.receive() is not None
        data += b"".join(decode(ChannelData, payload).data for payload in raw.payloads if payload[0] == M.CHANNEL_DATA)
        assert data == pairs.pattern(1_000_000)
        await raw.stream.aclose()


# -- policies --------------------------------------------------------------------------------------------------------------------------

STRICT = {Role.CLIENT: "kex-strict-c-v00@openssh.com", Role.SERVER: "kex-strict-s-v00@openssh.com"}


@BOTH_ROLES
@pytest.mark.parametrize("marker", ["present", "absent", "of the wrong role"])
@pytest.mark.parametrize("demanded", [False, True], ids=["taken", "demanded"])
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_pol_01_a_peer_without_strict_key_exchange(autojump_clock, role, marker, demanded, cipher):
    """Exactly one event with what was negotiated, or none; where it is demanded, DISCONNECT 3, with nobody asked and no service said."""
    peer = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,), macs=("hmac-sha2-256-etm@openssh.com",))
    async with attacked(role, algorithms=attrs.evolve(peer, require_strict_kex=demanded), peer=peer) as victim:
        raw = victim.raw
        markers = {"present": (STRICT[role.peer],), "absent": (), "of the wrong role": (STRICT[role],)}[marker]
        ours = kexinit(raw, kex_algorithms=("curve25519-sha256", *markers))
        await raw.identify()
        if demanded and marker != "present":
            await raw.send(ours)
            await victim.ends(3, M.KEXINIT, kind=trio_ssh.KeyExchangeError)
            assert victim.called == []
            return
        if marker == "present":
            await raw.send(ours)
            await raw.exchange_keys(ours=encode(ours))
        else:
            await exchange_without_strict(raw, ours)
        await victim.ask_for_service()
        told = [event.negotiated for event in victim.events if isinstance(event, trio_ssh.PeerLacksStrictKex)]
        done = [event.negotiated for event in victim.events if isinstance(event, trio_ssh.KeyExchangeDone)]
        assert told == ([] if marker == "present" else done)
        assert [negotiated.strict_kex for negotiated in done] == [marker == "present"]
        assert done[0].cipher_client_to_server == cipher
        assert done[0].mac_client_to_server == ("hmac-sha2-256-etm@openssh.com" if cipher == "aes128-ctr" else "")
        await raw.stream.aclose()


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes256-ctr", "chacha20-poly1305@openssh.com"])
@pytest.mark.parametrize("threshold", ["bytes", "packets"])
@pytest.mark.parametrize("direction", ["sent", "received"])
@BOTH_ROLES
async def test_pol_06_each_threshold_alone(autojump_clock, role, cipher, threshold, direction):
    """With the counters set just below it: one more packet, and there is an exchange for that cause; its keys begin to count anew."""
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,))
    budget = budget_for(cipher, trio_ssh.Limits())
    expected = {"aes128-gcm@openssh.com": 1 << 36, "aes256-ctr": 1 << 36, "chacha20-poly1305@openssh.com": 1 << 30}[cipher]
    assert (budget.soft_bytes, budget.soft_packets) == (expected, 2**31)
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        sealer, opener = victim.sealer, victim.opener
        assert sealer is not None
        assert opener is not None
        if threshold == "bytes":
            (sealer if direction == "sent" else opener).bytes_under_key = budget.soft_bytes - 1
        elif direction == "sent":
            sealer._packets_at_switch = sealer.packets_sealed - budget.soft_packets
        else:
            opener._packets_at_switch = opener.packets_opened - budget.soft_packets
        await raw.send(Ping(b"one more"))
        theirs = await raw.wait_for(M.KEXINIT)
        await raw.exchange_keys(theirs=theirs)
        await raw.send(Ping(b"behind"))
        while raw.payloads[-1] != encode(Pong(b"behind")):
            assert await raw.receive() is not None
        causes = [event.cause for event in victim.events if isinstance(event, trio_ssh.KeyExchangeDone)]
        assert causes == [trio_ssh.RekeyCause.FIRST, trio_ssh.RekeyCause.SENT if direction == "sent" else trio_ssh.RekeyCause.RECEIVED]
        assert sealer.bytes_under_key + opener.bytes_under_key < 10_000
        assert raw.numbers.count(M.KEXINIT) == 2
        await raw.stream.aclose()


async def test_pol_06_an_hour(autojump_clock):
    """Alone, and counted anew from each exchange."""
    hourly, never = trio_ssh.Limits(rekey_seconds=3600), trio_ssh.Limits(rekey_seconds=10**9)
    async with pairs.connected(client_limits=hourly, server_limits=never) as ends:
        await trio.sleep(3500)
        await ends.client.rekey()
        await trio.sleep(3500)
        assert ends.rekeys() == [trio_ssh.RekeyCause.USER]
        await trio.sleep(200)
        assert ends.rekeys() == [trio_ssh.RekeyCause.USER, trio_ssh.RekeyCause.TIME]


async def test_pol_07_keepalive_is_off_by_default(autojump_clock):
    """24 hours of nothing to say: no packet at all, but those of the hourly rekeys where there are any."""
    for seconds, rekeys in ((10**9, 0), (3600, 24)):
        async with pairs.connected(limits=trio_ssh.Limits(rekey_seconds=seconds), never=200_000) as ends:
            before = ends.client.statistics()
            await trio.sleep(24 * 3600 + 60)
            after = ends.client.statistics()
            assert len(after.rekeys) == rekeys
            # An exchange is KEXINIT, the share and NEWKEYS, each way.
            assert after.packets_sent - before.packets_sent == after.packets_received - before.packets_received == 3 * rekeys
    assert trio_ssh.Limits().keepalive_seconds is None


async def test_our_kexinit_is_fresh_each_time(autojump_clock):
    """Its cookie is: RFC 4253 §7.1."""
    async with attacked(Role.SERVER) as victim:
        raw = victim.raw
        await raw.log_in()
        cookies = {decode(KexInit, payload).cookie for payload in raw.payloads if payload[0] == M.KEXINIT}
        for _ in range(5):
            await raw.exchange_keys()
            await raw.send(Ping(b"?"))
            await raw.wait_for(M.PONG)
            cookies |= {decode(KexInit, payload).cookie for payload in raw.payloads if payload[0] == M.KEXINIT}
        assert len(cookies) == 6
        await raw.stream.aclose()
