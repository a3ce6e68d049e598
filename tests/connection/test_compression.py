"""Compression (RFC 4253 §6.2): none, at once, or behind the login; what a bomb and its like come to."""

from __future__ import annotations

import os
import zlib

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, raw_client
from trio_ssh.crypto.compression import COMPRESSIONS
from trio_ssh.crypto.packet_key import NoOpeningKey, NoSealingKey
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.opener import Opener
from trio_ssh.protocol.sealer import Sealer
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import Ignore, ServiceRequest

METHODS = ("zlib@openssh.com", "zlib")


def only(method: str, cipher: str = "aes128-gcm@openssh.com") -> trio_ssh.Algorithms:
    return attrs.evolve(pairs.QUICK, compression=(method,), ciphers=(cipher,))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_a_connection_and_its_rekeys(autojump_clock, method, cipher):
    """Compressible and incompressible data, both ways, through rekeys that each begin a fresh stream."""
    algorithms = only(method, cipher)
    async with pairs.connected(client_algorithms=algorithms, server_algorithms=algorithms) as ends:
        assert ends.client.negotiated.compression == (method, method)
        for data in (b"the same again " * 20_000, pairs.pattern(300_000)):
            before = ends.client.statistics()
            assert (await ends.client.run_process("echo", input=data)).stdout == data
            after = ends.client.statistics()
            for moved in (after.bytes_sent - before.bytes_sent, after.bytes_received - before.bytes_received):
                assert moved < len(data) / 20 if data[:4] == b"the " else moved > len(data)
            await ends.client.rekey()
        await pairs.check_works(ends.client)


@pytest.mark.parametrize("method", METHODS)
async def test_rekeys_under_load(autojump_clock, method):
    algorithms, limits = only(method), trio_ssh.Limits(rekey_bytes=5000)
    async with pairs.connected(client_algorithms=algorithms, server_algorithms=algorithms, limits=limits) as ends:
        data = pairs.pattern(200_000)
        assert (await ends.client.run_process("echo", input=data)).stdout == data
        assert len(ends.rekeys()) > 5


async def test_each_direction_has_its_own(autojump_clock):
    """What the client prefers among what the server has; stderr goes the same way."""
    client = attrs.evolve(pairs.QUICK, compression=("zlib", "none"))
    for server, expected in ((("none", "zlib"), "zlib"), (("none",), "none")):
        algorithms = attrs.evolve(pairs.QUICK, compression=server)
        async with pairs.connected(client_algorithms=client, server_algorithms=algorithms) as ends:
            assert ends.client.negotiated.compression == (expected, expected)
            result = await ends.client.run_process("stderr 100000")
            assert result.stderr == pairs.pattern(100_000)


async def test_off_unless_the_client_wants_it(autojump_clock):
    async with pairs.connected(client_algorithms=trio_ssh.Algorithms(), server_algorithms=trio_ssh.Algorithms()) as ends:
        assert ends.client.negotiated.compression == ("none", "none")
    assert trio_ssh.Algorithms().compression == ("none", "zlib@openssh.com")


class Handmade:
    """A peer's compressor that a test tells what to send."""

    def __init__(self) -> None:
        self.next: bytes | None = None
        self._stream = zlib.compressobj()

    def compress(self, payload: bytes | memoryview) -> bytes:
        if self.next is not None:
            return self.next
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)

    def bomb(self, size: int) -> bytes:
        return self._stream.compress(b"\x02" + bytes(size)) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)

    def finish(self, payload: bytes) -> bytes:
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_FINISH)

    def nothing(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)


BAD = {
    "a bomb of 16 MiB": lambda c: c.bomb(1 << 24),
    "one byte too many": lambda c: c.bomb(256 * 1024),
    "not zlib at all": lambda c: b"\xff" * 40,
    "not compressed": lambda c: encode(Ignore(b"in clear")),
    "nothing": lambda c: c.nothing(),
    "a preset dictionary": lambda c: b"\x78\xbb\x00\x00\x00\x01\x00",
}


@pytest.mark.parametrize("bad", BAD)
async def test_sm_031_a20_res_08_what_cannot_be_inflated(autojump_clock, bad):
    """DISCONNECT 6 for the first of them, and nothing of it is delivered."""
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, compression=("zlib@openssh.com",))
    compressor = Handmade()
    async with pairs.served(stream=stream, algorithms=only("zlib@openssh.com"), authenticate=PASSWORDS) as ends:
        await raw.log_in()
        raw.sealer.compress_with(compressor)
        await raw.send(Ignore(b"fine"))
        await trio.testing.wait_all_tasks_blocked()
        assert not ends.server_done.is_set()
        compressor.next = BAD[bad](compressor)
        await raw.send(Ignore(b"x"))
        raw.opener.decompress_with(_Inflate())
        await raw.expect_disconnect(6)
    assert isinstance(ends.server_cause, trio_ssh.CompressionError)


async def test_sm_031_a_packet_behind_the_end_of_the_stream(autojump_clock):
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, compression=("zlib@openssh.com",))
    compressor = Handmade()
    async with pairs.served(stream=stream, algorithms=only("zlib@openssh.com"), authenticate=PASSWORDS):
        await raw.log_in()
        raw.sealer.compress_with(compressor)
        compressor.next = compressor.finish(encode(Ignore(b"the last one")))
        await raw.send(Ignore(b"x"))
        compressor.next = encode(Ignore(b"one more"))
        await raw.send(Ignore(b"x"))
        raw.opener.decompress_with(_Inflate())
        await raw.expect_disconnect(6)


async def test_sm_031_compressed_where_none_was_negotiated(autojump_clock):
    """Its first byte is a message number like any other: 120 is one that nobody knows."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        await raw.send(zlib.compress(encode(Ignore(b"x"))))
        assert (await raw.receive() or b"")[0] == 3
        await raw.stream.aclose()


async def test_delayed_means_delayed(autojump_clock):
    """Before SUCCESS both sides send as they are; a packet that is compressed too soon is not understood."""
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, compression=("zlib@openssh.com",))
    async with pairs.served(stream=stream, algorithms=only("zlib@openssh.com"), authenticate=PASSWORDS):
        await raw.handshake()
        raw.sealer.compress_with(Handmade())
        await raw.send(ServiceRequest("ssh-userauth"))
        await raw.expect_disconnect(2)


class _Inflate:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    def decompress(self, payload: bytes | memoryview, bytes_max: int) -> bytes:
        return self._stream.decompress(payload)


async def test_res_08_many_small_bombs_are_the_first_one(autojump_clock):
    """A thousand packets that each inflate to just what is allowed pass, one at a time: nothing is kept of them."""
    raw, stream = raw_client()
    raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms, compression=("zlib@openssh.com",))
    compressor = Handmade()
    payload = encode(Ignore(bytes(200 * 1024)))
    async with pairs.served(stream=stream, algorithms=only("zlib@openssh.com"), authenticate=PASSWORDS) as ends:
        await raw.log_in()
        raw.sealer.compress_with(compressor)
        for _ in range(100):
            raw.sealer.seal(payload)
        await raw.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert not ends.server_done.is_set()
        await raw.stream.aclose()


def test_both_halves_are_made_anew_with_the_keys():
    """RFC 4253 §6.2: initialized after each key exchange."""
    recipe = COMPRESSIONS["zlib"]
    assert recipe.compressor is not None
    assert recipe.decompressor is not None
    sealer, opener = Sealer(os.urandom, lambda: None), Opener(1 << 18, lambda: None)
    seen: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        seen.append(bytes(view[start:end]))
        return False

    for _ in range(3):
        sealer.switch_keys(NoSealingKey(), UNLIMITED, lambda: None, reset_sequence=True, compressor=recipe.compressor())
        opener.switch_keys(NoOpeningKey(), UNLIMITED, lambda: None, reset_sequence=True, decompressor=recipe.decompressor())
        for text in (b"\x02one", b"\x02two"):
            sealer.seal(text)
        batch = sealer.take_batch()
        opener.space()[: len(batch)] = batch
        opener.received(len(batch))
        opener.open_batch(sink)
    assert seen == [b"\x02one", b"\x02two"] * 3
