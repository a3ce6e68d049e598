"""A01 and RES-20: what CBC would give away, and rekeys behind each packet."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests.connection.victims import BOTH_ROLES, attacked
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ignore, Ping

CBC = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")
DISCARDED = 256 * 1024
"""Bytes that are read before anything is said."""


def cbc(cipher: str, mac: str = "hmac-sha2-256") -> trio_ssh.Algorithms:
    return trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,), macs=(mac,))


def test_a01_no_cbc_is_offered_unless_it_is_named():
    assert not set(trio_ssh.Algorithms().ciphers) & set(CBC)
    assert set(CBC) <= set(trio_ssh.Algorithms.everything().ciphers)
    assert cbc("aes128-cbc").ciphers == ("aes128-cbc",)


CHUNK = 8192


@BOTH_ROLES
@pytest.mark.parametrize("cipher", ["aes128-cbc", "3des-cbc"])
async def test_a01_a_flipped_byte_gives_one_error_after_one_number_of_bytes(autojump_clock, role, cipher):
    """Wherever it is, in the length, in the padding's length, in the payload or in the tag: the same reason and text, at the same byte,
    which is 256 KiB further on. When the connection ends tells nothing about what was decrypted."""
    outcomes = set()
    size = 0
    for position in (0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 40, 63, 64, 79, 80, 90, 111):
        async with attacked(role, algorithms=cbc(cipher), peer=cbc(cipher)) as victim:
            raw = victim.raw
            await raw.log_in()
            await wait_all_tasks_blocked()
            raw.sealer.seal(encode(Ping(bytes(70))))
            packet = bytearray(raw.sealer.take_batch())
            size = len(packet)
            if position >= size:
                continue
            packet[position] ^= 0x01
            await raw.send_bytes(bytes(packet))
            sent = len(packet)
            while not victim.done.is_set() and sent < 4 * DISCARDED:
                await raw.send_bytes(bytes(CHUNK))
                sent += CHUNK
                await wait_all_tasks_blocked()
            payloads = await raw.drain()
            assert [payload[0] for payload in payloads] == [M.DISCONNECT]
            await victim.check_cause(trio_ssh.RemoteProtocolError)
            outcomes.add((payloads[0], str(victim.cause), sent - size))
    assert size >= 100
    assert len(outcomes) == 1
    assert outcomes.pop()[2] >= DISCARDED


@BOTH_ROLES
@pytest.mark.parametrize("cipher", CBC)
async def test_a01_cbc_works_where_it_is_chosen(autojump_clock, role, cipher):
    async with attacked(role, algorithms=cbc(cipher), peer=cbc(cipher)) as victim:
        raw = victim.raw
        await raw.log_in()
        for _ in range(3):
            await raw.send(Ping(bytes(1000)))
            await raw.wait_for(M.PONG)
            await raw.exchange_keys()
        await raw.stream.aclose()


# -- rekey storms ----------------------------------------------------------------------------------------------------------------------


@BOTH_ROLES
async def test_res_20_rekeys_with_nothing_between(autojump_clock, role):
    """Five within a second are taken; the sixth KEXINIT gets DISCONNECT 2."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        await raw.exchange_keys()  # behind the packets of the login
        for _ in range(5):
            await raw.exchange_keys()
            await wait_all_tasks_blocked()
        await raw.send_kexinit()
        await victim.ends(2)
        done = [event for event in victim.events if isinstance(event, trio_ssh.KeyExchangeDone)]
        assert len(done) == 7


@BOTH_ROLES
async def test_res_20_the_limit_is_met_when_it_is_small(autojump_clock, role):
    async with attacked(role, limits=trio_ssh.Limits(rekeys_per_second=1)) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        for _ in range(2):
            await raw.exchange_keys()
            await wait_all_tasks_blocked()
        await raw.send_kexinit()
        await victim.ends(2)


@BOTH_ROLES
async def test_res_20_rekeys_with_something_between_are_legal(autojump_clock, role):
    """Behind every packet, as some do whose limit is 16 bytes; and for nothing, as long as it is no more than five in any second."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        for _ in range(40):
            await raw.send(Ping(b"x"))
            await raw.exchange_keys()
        await raw.send(Ignore(b""))
        for _ in range(40):
            await raw.exchange_keys()
            await wait_all_tasks_blocked()
            await trio.sleep(0.21)
        await raw.send(Ping(b"?"))
        await raw.wait_for(M.PONG)
        await raw.stream.aclose()
