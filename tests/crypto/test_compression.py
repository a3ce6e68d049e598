"""Compression: packets come through one by one, and no packet inflates to more than it may (hardening A20, SM-031, RES-08)."""

from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.crypto.compression import COMPRESSIONS, ZlibCompressor, ZlibDecompressor
from trio_ssh.errors import CompressionError, RemoteProtocolError

PACKET_BYTES_MAX = 256 * 1024


def test_rows():
    assert list(COMPRESSIONS) == ["none", "zlib@openssh.com", "zlib"]
    for name, recipe in COMPRESSIONS.items():
        assert recipe.name == name
        assert recipe.delayed is (name == "zlib@openssh.com")
        assert (recipe.compressor is None) is (recipe.decompressor is None) is (name == "none")


def test_the_error_is_the_peers_and_carries_its_reason():
    error = CompressionError("text")
    assert isinstance(error, RemoteProtocolError)
    assert error.reason == 6


def test_each_packet_can_be_inflated_as_soon_as_it_is_there():
    compressor, decompressor = ZlibCompressor(), ZlibDecompressor()
    for payload in (b"\x5e", b"a" * 1000, os.urandom(1000), bytes(PACKET_BYTES_MAX), b"b", b"a" * 1000):
        packed = compressor.compress(payload)
        assert decompressor.decompress(memoryview(packed), PACKET_BYTES_MAX) == payload


def test_what_was_said_before_makes_packets_smaller():
    compressor = ZlibCompressor()
    payload = os.urandom(500)
    assert len(compressor.compress(payload)) > 500
    assert len(compressor.compress(memoryview(payload))) < 30


def test_any_flush_that_completes_the_packet_is_taken():
    # RFC 4253 §6.2 wants a partial flush; a sync flush or a full one gives the reader as much.
    for flush in (zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH):
        stream, decompressor = zlib.compressobj(9), ZlibDecompressor()
        for payload in (b"one", b"two" * 100):
            assert decompressor.decompress(stream.compress(payload) + stream.flush(flush), 1000) == payload


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
def test_any_run_of_packets_comes_through(payloads):
    compressor, decompressor = ZlibCompressor(), ZlibDecompressor()
    for payload in payloads:
        assert decompressor.decompress(compressor.compress(payload), 300) == payload


@pytest.mark.parametrize("size", [1, 2, 255, 4096, PACKET_BYTES_MAX])
def test_a20_the_bound_is_exact(size):
    packed = ZlibCompressor().compress(b"x" * size)
    assert ZlibDecompressor().decompress(packed, size) == b"x" * size
    with pytest.raises(CompressionError, match=f"more than {size - 1} bytes"):
        ZlibDecompressor().decompress(packed, size - 1)


def test_sm_031_a20_res_08_a_bomb_is_refused_without_being_made():
    bomb = zlib.compress(bytes(64 << 20), 9)[:65536]  # 65 KB that would be 64 MiB
    decompressor = ZlibDecompressor()
    tracemalloc.start()
    try:
        with pytest.raises(CompressionError, match="inflates to more than"):
            decompressor.decompress(bomb, PACKET_BYTES_MAX)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The result and, for the moment of zlib's last step, the buffers it was collected in; and the input that was left over.
    assert peak < 3 * PACKET_BYTES_MAX + len(bomb)


def test_res_08_a20_the_first_of_a_thousand_bombs_is_refused():
    stream = zlib.compressobj(9)
    bomb = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_PARTIAL_FLUSH)
    decompressor, taken = ZlibDecompressor(), 0
    with pytest.raises(CompressionError):
        for _ in range(1000):
            decompressor.decompress(bomb, PACKET_BYTES_MAX)
            taken += 1
    assert taken == 0


def test_a20_a_packet_that_inflates_to_nothing_is_refused():
    stream = zlib.compressobj()
    start = stream.compress(b"start") + stream.flush(zlib.Z_PARTIAL_FLUSH)
    nothing = stream.flush(zlib.Z_SYNC_FLUSH)
    for packed in (nothing, b"", start[:2]):
        decompressor = ZlibDecompressor()
        if packed == nothing:
            decompressor.decompress(start, 100)
        with pytest.raises(CompressionError, match="to nothing"):
            decompressor.decompress(packed, 100)


def test_sm_031_a_stream_that_ends_is_refused():
    for packed in (zlib.compress(b"all of it"), zlib.compress(b"all of it") + b"and more"):
        with pytest.raises(CompressionError, match="has ended its compressed stream"):
            ZlibDecompressor().decompress(packed, 100)


def test_sm_031_bytes_that_are_no_zlib_stream_are_refused():
    good = ZlibCompressor().compress(b"payload " * 20)
    for packed in (b"\0" * 20, os.urandom(3) + b"\xff" * 50, b"\x5e\0\0\0\1" + bytes(20), bytes([good[0] ^ 0x0F]) + good[1:]):
        with pytest.raises(CompressionError):
            ZlibDecompressor().decompress(packed, 1000)


@given(st.binary(max_size=400), st.integers(1, 1000))
def test_sm_031_any_bytes_give_a_packet_within_the_bound_or_a_compression_error(packed, bytes_max):
    decompressor = ZlibDecompressor()
    for _ in range(2):
        try:
            payload = decompressor.decompress(packed, bytes_max)
        except CompressionError:
            return
        assert 0 < len(payload) <= bytes_max


@given(st.integers(0, 200), st.integers(1, 255))
def test_sm_031_a_damaged_packet_gives_no_other_error(position, flip):
    damaged = bytearray(ZlibCompressor().compress(b"some payload, some payload, and some more of it " * 4))
    damaged[position % len(damaged)] ^= flip
    try:
        ZlibDecompressor().decompress(bytes(damaged), 1000)
    except CompressionError:
        pass
