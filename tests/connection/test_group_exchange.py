"""Group exchange (RFC 4419): its two more messages, the hash they enter, and groups and requests that will not do."""

from __future__ import annotations

import hashlib
import os
import struct

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer, raw_client
from trio_ssh.crypto.dh_primes import GROUP14_PRIME, GROUP16_PRIME
from trio_ssh.crypto.group_exchange import Group
from trio_ssh.errors import KeyExchangeError
from trio_ssh.protocol.key_exchange import (
    ExpectNewKeys,
    Transcript,
    inbound_numbers,
    is_slow,
    start_group_client,
    start_group_server,
)
from trio_ssh.protocol.negotiation import Negotiated
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.primitives import mpint_bytes
from trio_ssh.wire.transport import KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest

GEX = "diffie-hellman-group-exchange-sha256"
ONLY_GEX = trio_ssh.Algorithms(kex=(GEX,))
TRANSCRIPT = Transcript(client_line=b"SSH-2.0-c", server_line=b"SSH-2.0-s", client_kexinit=b"\x14client", server_kexinit=b"\x14server")
MODULI = trio_ssh.Moduli.built_in()


def negotiated(kex: str = GEX) -> Negotiated:
    return Negotiated(
        kex=kex,
        host_key="ssh-ed25519",
        cipher_client_to_server="aes128-ctr",
        cipher_server_to_client="aes128-ctr",
        mac_client_to_server="hmac-sha2-256",
        mac_server_to_client="hmac-sha2-256",
        compression_client_to_server="none",
        compression_server_to_client="none",
        strict_kex=True,
        ext_info=True,
    )


def exchange(kex: str = GEX, moduli: trio_ssh.Moduli = MODULI) -> tuple[list[bytes], ExpectNewKeys, ExpectNewKeys]:
    """The four messages, and both ends' results."""
    request, client = start_group_client(TRANSCRIPT, negotiated(kex))
    group, server = start_group_server(TRANSCRIPT, negotiated(kex), pairs.HOST_KEY, moduli, os.urandom).receive(request)
    init, client_then = client.receive(group)
    reply, of_server = server.receive(init)
    return [request, group, init, reply], client_then.receive(reply).trusted(), of_server


@pytest.mark.parametrize("kex", [GEX, "diffie-hellman-group-exchange-sha1"])
def test_a17_both_ends_agree(kex):
    messages, of_client, of_server = exchange(kex)
    assert [message[0] for message in messages] == [34, 31, 32, 33]
    assert (of_client.secret, of_client.exchange_hash) == (of_server.secret, of_server.exchange_hash)
    assert of_client.host_key == pairs.HOST_KEY.public_key
    assert (inbound_numbers(kex, Role.SERVER), inbound_numbers(kex, Role.CLIENT)) == ((34, 32), (31, 33))
    assert is_slow(kex)


def test_the_exchange_hash_is_that_of_rfc_4419():
    """§3, put together by hand: the sizes asked for and the group stand before the shares."""

    def s(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + content

    messages, result, _ = exchange()
    request, group = decode(KexDhGexRequest, messages[0]), decode(KexDhGexGroup, messages[1])
    init, reply = decode(KexDhGexInit, messages[2]), decode(KexDhGexReply, messages[3])
    t = TRANSCRIPT
    text = b"".join(map(s, (t.client_line, t.server_line, t.client_kexinit, t.server_kexinit, reply.host_key)))
    text += struct.pack(">III", request.bits_min, request.bits_wanted, request.bits_max)
    text += s(mpint_bytes(group.prime)) + s(mpint_bytes(group.generator))
    text += s(init.client_public) + s(reply.server_public) + result.secret
    assert hashlib.sha256(text).digest() == result.exchange_hash


@pytest.mark.parametrize(
    "sizes",
    [(1024, 1024, 1024), (8192, 4096, 2048), (0, 0, 0), (2048, 1024, 8192), (2**32 - 1,) * 3, (2048, 9000, 10_000), (2049, 2050, 2051)],
    ids=str,
)
def test_sm_068_a17_requests_that_will_not_do(sizes):
    server = start_group_server(TRANSCRIPT, negotiated(), pairs.HOST_KEY, MODULI, os.urandom)
    with pytest.raises(KeyExchangeError) as refusal:
        server.receive(encode(KexDhGexRequest(*sizes)))
    assert refusal.value.reason == 3


GROUPS_THAT_WILL_NOT_DO = [
    (2**1023 + 1, 2),
    (2**16383 + 1, 2),
    (GROUP14_PRIME + 1, 2),
    (GROUP14_PRIME + 2, 2),
    (GROUP14_PRIME, 1),
    (GROUP14_PRIME, 0),
    (GROUP14_PRIME, GROUP14_PRIME - 1),
    (GROUP14_PRIME, -2),
    (-GROUP14_PRIME, 2),
    (0, 0),
]


@pytest.mark.parametrize(("prime", "generator"), GROUPS_THAT_WILL_NOT_DO, ids=range(len(GROUPS_THAT_WILL_NOT_DO)))
def test_sm_068_a17_groups_that_will_not_do(prime, generator):
    _, client = start_group_client(TRANSCRIPT, negotiated())
    with pytest.raises(KeyExchangeError) as refusal:
        client.receive(encode(KexDhGexGroup(prime, generator)))
    assert refusal.value.reason == 3


async def test_a_connection_and_its_rekeys():
    """With the real clock: the arithmetic runs in a thread."""
    async with pairs.connected(client_algorithms=ONLY_GEX, server_algorithms=ONLY_GEX) as ends:
        assert ends.client.negotiated.kex == GEX
        await pairs.check_works(ends.client)
        await ends.client.rekey()
        await pairs.check_works(ends.client)


def asking_for_a_group() -> tuple[RawPeer, trio.abc.Stream]:
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, kex=(GEX,))
    return raw, stream


async def test_the_servers_moduli_are_what_it_chooses_from():
    algorithms = trio_ssh.Algorithms(kex=(GEX,), moduli=trio_ssh.Moduli((Group(GROUP16_PRIME, 2),)))
    raw, stream = asking_for_a_group()
    async with pairs.served(stream=stream, algorithms=algorithms, authenticate=PASSWORDS):
        await raw.identify()
        await raw.send_kexinit()
        await raw.wait_for(20)
        await raw.send(KexDhGexRequest(2048, 2048, 8192))
        assert decode(KexDhGexGroup, await raw.expect(31)).prime == GROUP16_PRIME
        await raw.stream.aclose()


async def started(raw: RawPeer) -> None:
    await raw.identify()
    await raw.send_kexinit()
    await raw.wait_for(20)


@pytest.mark.parametrize("number", [30, 32, 33, 31, 21, 20])
async def test_sm_068_a04_another_message_where_the_request_is_due(autojump_clock, number):
    """Also REQUEST_OLD (30), which RFC 4419 §5 lets a server refuse."""
    raw, stream = asking_for_a_group()
    async with pairs.served(stream=stream, algorithms=ONLY_GEX, authenticate=PASSWORDS):
        await started(raw)
        await raw.send(bytes([number]) + struct.pack(">I", 2048))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("number", [34, 30, 31, 33, 21])
async def test_sm_068_a04_another_message_where_the_init_is_due(autojump_clock, number):
    raw, stream = asking_for_a_group()
    async with pairs.served(stream=stream, algorithms=ONLY_GEX, authenticate=PASSWORDS):
        await started(raw)
        await raw.send(KexDhGexRequest(2048, 2048, 8192))
        await raw.expect(31)
        payload = encode(KexDhGexRequest(2048, 2048, 8192)) if number == 34 else bytes([number]) + bytes(4)
        await raw.send(payload)
        await raw.expect_disconnect(2)


async def test_it_is_the_clients_choice_only():
    """The defaults: a server does not offer it, a client does, behind all others."""
    assert GEX not in trio_ssh.Algorithms().kex_for(Role.SERVER)
    assert not any(name.startswith("diffie-hellman") for name in trio_ssh.Algorithms().kex_for(Role.SERVER))
    assert GEX in trio_ssh.Algorithms().kex_for(Role.CLIENT)
