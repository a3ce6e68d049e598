"""Packets that were touched on the way: nothing of them is delivered, what came before is (hardening SM-028, SM-029, SM-077)."""

from __future__ import annotations

import pytest

from tests.protocol.ends import (
    MODES,
    NO_CIPHER,
    REPRESENTATIVE_MODES,
    keys_for,
    never,
    put,
    sealer_and_opener,
)
from trio_ssh.errors import IntegrityError, RemoteProtocolError
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.opener import Opener


def opened_before_refusal(opener: Opener, wire: bytes) -> tuple[list[bytes], int | None]:
    """What came out, and the reason of the refusal; None: it waits for more."""
    received: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(bytes(view[start:end]))
        return False

    try:
        while wire:
            wire = put(opener, wire)
            while opener.open_batch(sink):
                pass
    except RemoteProtocolError as error:
        return received, error.reason
    return received, None


SEALED_MODES = REPRESENTATIVE_MODES[1:]


@pytest.mark.parametrize("mode", SEALED_MODES, ids="/".join)
def test_sm_028_every_flipped_bit_of_the_last_packet(mode):
    """Nothing of it is delivered, what came before is. A flipped length may look like a packet that is not all there yet."""
    first_sealer, _ = sealer_and_opener(mode)
    first_sealer.seal(b"\x5efirst")
    first = bytes(first_sealer.take_batch())
    first_sealer.seal(b"\x5esecond, longer")
    second = bytes(first_sealer.take_batch())
    for bit in range(8 * len(second)):
        damaged = bytearray(second)
        damaged[bit // 8] ^= 1 << bit % 8
        _, opener = sealer_and_opener(mode)
        received, reason = opened_before_refusal(opener, first + bytes(damaged))
        assert received == [b"\x5efirst"]
        assert reason == 5 if bit >= 32 and "etm" in mode[1] + mode[0] else reason in (2, 5, None)
        assert reason is not None or bit < 32


@pytest.mark.parametrize("mode", SEALED_MODES, ids="/".join)
def test_sm_028_sm_029_replayed_deleted_swapped_cut(mode):
    sealer, _ = sealer_and_opener(mode)
    wires = []
    for number in range(4):
        sealer.seal(bytes([0x5E, number]) * 9)
        wires.append(bytes(sealer.take_batch()))
    for order, delivered in (([0, 0], 1), ([0, 1, 0], 2), ([1, 0], 0), ([0, 2], 1), ([0, 2, 1], 1), ([3], 0), ([0, 1, 2, 3], 4)):
        _, opener = sealer_and_opener(mode)
        received, reason = opened_before_refusal(opener, b"".join(wires[number] for number in order) + bytes(64) * (delivered < 4))
        assert received == [bytes([0x5E, number]) * 9 for number in range(delivered)]
        assert reason is not None if delivered < 4 else reason is None
    for end in range(len(wires[0])):
        _, opener = sealer_and_opener(mode)
        assert opened_before_refusal(opener, wires[0][:end]) == ([], None)
        assert opener.pending == end


@pytest.mark.parametrize("mode", SEALED_MODES, ids="/".join)
def test_sm_077_old_keys_behind_newkeys(mode):
    sealer, opener = sealer_and_opener(REPRESENTATIVE_MODES[0])
    sealer.seal(b"\x15")
    sealer.seal(b"\x5e" + b"in clear, behind NEWKEYS" * 9)
    put(opener, bytes(sealer.take_batch()))
    assert opener.open_batch(lambda view, start, end: True)
    opener.switch_keys(keys_for(mode)[1], UNLIMITED, never, reset_sequence=True)
    with pytest.raises(RemoteProtocolError):
        opener.open_batch(lambda view, start, end: pytest.fail("delivered"))


SEALED_IN_EVERY_WAY = [mode for mode in MODES if mode != NO_CIPHER]
THREE = [b"\x5efirst", b"\x5esecond, longer than the one before it by some blocks", b"\x5elast"]


@pytest.mark.parametrize("mode", SEALED_IN_EVERY_WAY, ids="/".join)
def test_sm_028_a22_every_byte_of_three_packets_and_every_bit_of_a_tag(mode):
    """What stood before the damaged packet comes out, and nothing else; a damaged length may be waited for, all else is told."""
    sealer, opener = sealer_and_opener(mode)
    wires = []
    for payload in THREE:
        sealer.seal(payload)
        wires.append(bytes(sealer.take_batch()))
    stream, first, second = b"".join(wires), len(wires[0]), len(wires[0] + wires[1])
    assert opened_before_refusal(opener, stream) == (THREE, None)
    tag_bytes = keys_for(mode)[1].tag_bytes
    flips = [(place, 0x80 >> place % 8) for place in range(len(stream))]
    flips += [(second - 1 - place, 1 << bit) for place in range(tag_bytes) for bit in range(8)]
    for place, bit in flips:
        damaged = bytearray(stream)
        damaged[place] ^= bit
        _, opener = sealer_and_opener(mode)
        received, reason = opened_before_refusal(opener, bytes(damaged))
        assert received == THREE[: (place >= first) + (place >= second)]
        start = second if place >= second else first if place >= first else 0
        in_length = place < start + (16 if keys_for(mode)[1].head_bytes > 4 else 4)
        assert reason == 5 or (in_length and reason in (2, None)) or (keys_for(mode)[1].hides_errors and reason is None)


def test_integrity_errors_have_their_reason():
    assert IntegrityError().reason == 5
