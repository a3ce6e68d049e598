"""Sealer and opener as a pair, under every cipher and MAC: whatever the sizes, the pieces and the key changes, what goes in comes out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.ends import (
    MODES,
    PATTERN,
    REPRESENTATIVE_MODES,
    keys_for,
    never,
    new_sealer,
    nothing,
    open_all,
    payload_of,
    pieces,
    put,
    sealer_and_opener,
)
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.opener import PACKETS_PER_BATCH, Opener
from trio_ssh.protocol.sealer import Sealer
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelData, ChannelExtendedData

every_mode = pytest.mark.parametrize("mode", MODES, ids="/".join)
each_kind_of_mode = pytest.mark.parametrize("mode", REPRESENTATIVE_MODES, ids="/".join)


@every_mode
def test_random_sizes_in_random_pieces(mode):
    @settings(max_examples=12)
    @given(st.lists(st.integers(1, 40_000), max_size=6), st.lists(st.integers(1, 20_000), max_size=12))
    def check(sizes, cuts):
        sealer, opener = sealer_and_opener(mode)
        sent = [payload_of(size, number) for number, size in enumerate(sizes)]
        for payload in sent:
            sealer.seal(payload)
        batch = sealer.take_batch()
        assert [payload for piece in pieces(batch, cuts) for payload in open_all(opener, piece)] == sent
        assert (sealer.sequence_number, opener.sequence_number) == (len(sent), len(sent))
        assert (sealer.packets_sealed, sealer.bytes_sealed) == (opener.packets_opened, opener.bytes_opened) == (len(sent), len(batch))
        assert (sealer.pending, opener.pending) == (0, 0)

    check()


@every_mode
def test_sm_030_one_byte_at_a_time(mode):
    sealer, opener = sealer_and_opener(mode)
    sent = [payload_of(size) for size in (1, 2, 5, 11, 12, 13, 100, 1200)]
    for payload in sent:
        sealer.seal(payload)
    assert [payload for byte in pieces(sealer.take_batch(), [1] * 5000) for payload in open_all(opener, byte)] == sent


@each_kind_of_mode
def test_sm_030_many_packets_in_one_segment(mode):
    """They are opened in batches, so that others get their turn (TRI-20)."""
    sealer, opener = sealer_and_opener(mode)
    count = 3000
    for number in range(count):
        sealer.seal(struct.pack(">BI", 94, number))
    batches: list[int] = []
    seen: list[int] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        seen.append(struct.unpack(">BI", view[start:end])[1])
        return False

    data = bytes(sealer.take_batch())
    while data:
        data = put(opener, data)
        more = True
        while more:
            before = len(seen)
            more = opener.open_batch(sink)
            batches.append(len(seen) - before)
            assert batches[-1] == PACKETS_PER_BATCH if more else batches[-1] <= PACKETS_PER_BATCH
    assert seen == list(range(count))
    assert max(batches) == PACKETS_PER_BATCH == 64


@each_kind_of_mode
def test_channel_data_is_sealed_as_its_message_would_be(mode):
    sealer, opener = sealer_and_opener(mode)
    data = memoryview(PATTERN)
    expected = []
    for channel, offset, size in ((0, 0, 0), (2**32 - 1, 3, 1), (7, 100, 32768), (8, 5, 255)):
        sealer.seal_channel_data(channel, data, offset, size)
        sealer.seal_extended_data(channel, 1, data, offset, size)
        content = bytes(data[offset : offset + size])
        expected += [encode(ChannelData(channel, content)), encode(ChannelExtendedData(channel, 1, content))]
    assert open_all(opener, bytes(sealer.take_batch())) == expected


@every_mode
def test_padding_rules(mode):
    """RFC 4253 §6: at least four bytes, the whole a multiple of the block; as short as these two allow, and of random bytes."""
    sealing, opening = keys_for(mode)
    paddings = set()
    for size in [*range(1, 70), 255, 1000]:
        sealer = new_sealer(seed=size)
        sealer.switch_keys(sealing, UNLIMITED, never, reset_sequence=False)
        sealer.sequence_number = size
        sealer.seal(payload_of(size))
        wire = bytearray(sealer.take_batch())
        view = memoryview(wire)
        length = opening.packet_length(view, 0, size)
        opening.open(view, 0, length, size)
        assert len(wire) == 4 + length + opening.tag_bytes
        padding_length = wire[4]
        assert wire[5 : 5 + size] == payload_of(size)
        assert length == 1 + size + padding_length
        assert 4 <= padding_length < 4 + sealing.alignment
        assert (length + (4 if sealing.length_is_aligned else 0)) % sealing.alignment == 0
        assert sealing.alignment >= 8
        paddings.add(bytes(wire[5 + size : 5 + size + 4]))
    assert len(paddings) == 71


def test_padding_is_never_used_twice():
    """Bytes come from the pool once each, across its refills."""
    drawn: list[bytes] = []

    def draw(size: int) -> bytes:
        drawn.append(b"".join(struct.pack(">Q", len(drawn) * 2000 + n) for n in range(size // 8)))
        return drawn[-1]

    sealer = Sealer(draw, never)
    seen = set()
    for _ in range(2000):
        sealer.seal(payload_of(3))  # 8 bytes of padding each, if the pool's bytes stay in step
        padding = bytes(sealer.take_batch()[8:])
        assert len(padding) == 8
        seen.add(padding)
    assert len(drawn) < 100  # a pool, because each draw is dear
    assert len(seen) == 2000


# Key changes ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [True, False], ids=["strict", "not strict"])
def test_a23_every_pair_of_modes_with_packets_around_the_change(reset):
    for old in REPRESENTATIVE_MODES:
        for new in REPRESENTATIVE_MODES:
            change_over(old, new, reset, reset)


def change_over(old: tuple[str, str], new: tuple[str, str], reset_sealer: bool, reset_opener: bool) -> Opener:
    """Old packets, NEWKEYS and new packets in one segment: the opener halts behind NEWKEYS, wherever the bytes were cut."""
    sealer, opener = sealer_and_opener(old)
    sealing, opening = keys_for(new)
    for payload in (b"\x5ebefore", b"\x15"):
        sealer.seal(payload)
    sealer.switch_keys(sealing, UNLIMITED, nothing, reset_sequence=reset_sealer)
    for payload in (b"\x5eafter", b"\x5eand more"):
        sealer.seal(payload)
    assert sealer.sequence_number == (2 if reset_sealer else 4)
    received: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(bytes(view[start:end]))
        return view[start] == 0x15

    put(opener, bytes(sealer.take_batch()))
    assert opener.open_batch(sink)
    assert received == [b"\x5ebefore", b"\x15"]
    assert opener.sequence_number == 2
    assert opener.pending > 0
    opener.switch_keys(opening, UNLIMITED, nothing, reset_sequence=reset_opener)
    assert opener.bytes_under_key == 0
    assert not opener.open_batch(sink)
    assert received[2:] == [b"\x5eafter", b"\x5eand more"]
    assert opener.sequence_number == sealer.sequence_number
    assert opener.bytes_under_key == sealer.bytes_under_key > 0
    assert opener.bytes_opened == sealer.bytes_sealed > sealer.bytes_under_key
    return opener


@pytest.mark.parametrize("mode", [mode for mode in REPRESENTATIVE_MODES[1:] if "gcm" not in mode[0]], ids="/".join)
@pytest.mark.parametrize("reset_sealer", [True, False])
def test_a02_both_ends_count_anew_or_neither(mode, reset_sealer):
    """What makes strict kex matter: a packet taken out before the change is noticed behind it."""
    with pytest.raises(RemoteProtocolError):
        change_over(REPRESENTATIVE_MODES[0], mode, reset_sealer, not reset_sealer)


@each_kind_of_mode
def test_the_change_comes_out_right_wherever_the_bytes_are_cut(mode):
    sealing, opening = keys_for(mode)
    sealer = new_sealer()
    sealer.seal(b"\x15")
    sealer.switch_keys(sealing, UNLIMITED, never, reset_sequence=True)
    sealer.seal(b"\x5eafter")
    wire = bytes(sealer.take_batch())
    for cut in range(1, len(wire)):
        _, opening = keys_for(mode)
        opener = Opener(65536, never)
        received: list[bytes] = []

        def sink(view: memoryview, start: int, end: int, received: list[bytes] = received) -> bool:
            received.append(bytes(view[start:end]))
            return view[start] == 0x15

        for piece in (wire[:cut], wire[cut:]):
            assert put(opener, piece) == b""
            while opener.open_batch(sink):
                opener.switch_keys(opening, UNLIMITED, never, reset_sequence=True)
        assert received == [b"\x15", b"\x5eafter"]


def test_a_sink_that_halts_gets_the_rest_later():
    sealer, opener = sealer_and_opener(MODES[1])
    for number in range(10):
        sealer.seal(bytes([100 + number]))
    put(opener, bytes(sealer.take_batch()))
    received: list[int] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(view[start])
        return len(received) % 3 == 0

    assert [opener.open_batch(sink) for _ in range(4)] == [True, True, True, False]
    assert received == list(range(100, 110))


def test_the_sink_sees_the_sequence_number_behind_its_packet():
    sealer, opener = sealer_and_opener(MODES[1])
    numbers: list[int] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        numbers.append(opener.sequence_number)
        return False

    for _ in range(3):
        sealer.seal(b"\x02")
    put(opener, bytes(sealer.take_batch()))
    opener.open_batch(sink)
    assert numbers == [1, 2, 3]


def test_a_sink_that_raises_leaves_the_packets_behind_it():
    sealer, opener = sealer_and_opener(MODES[1])
    sealer.seal(b"\x01")
    sealer.seal(b"\x02")
    put(opener, bytes(sealer.take_batch()))

    def sink(view: memoryview, start: int, end: int) -> bool:
        raise RemoteProtocolError("no")

    with pytest.raises(RemoteProtocolError):
        opener.open_batch(sink)
    assert opener.sequence_number == 1
    assert open_all(opener, b"") == []
    assert opener.pending > 0


@pytest.mark.parametrize("mode", REPRESENTATIVE_MODES, ids="/".join)
def test_sequence_numbers_wrap(mode):
    """After 2^32 packets without strict kex; the budget forbids it under one key, the arithmetic must still hold."""
    sealer, opener = sealer_and_opener(mode)
    sealer.sequence_number = opener.sequence_number = 2**32 - 2
    for _ in range(4):
        sealer.seal(b"\x02x")
    assert open_all(opener, bytes(sealer.take_batch())) == [b"\x02x"] * 4
    assert sealer.sequence_number == opener.sequence_number == 2
