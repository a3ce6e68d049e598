"""Packets that no honest peer sends, with valid tags: hardening SM-019 to SM-026 and A18, A21, under each kind of cipher."""

from __future__ import annotations

import struct

import pytest

from tests.protocol.ends import REPRESENTATIVE_MODES, buffer_bytes, keys_for, never, open_all, sealer_and_opener
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.opener import Opener

each_kind_of_mode = pytest.mark.parametrize("mode", REPRESENTATIVE_MODES, ids="/".join)

PREAUTH, POSTAUTH = 64 * 1024, 256 * 1024


def opener_for(mode: tuple[str, str], packet_bytes_max: int = POSTAUTH) -> Opener:
    opener = Opener(packet_bytes_max, never)
    opener.switch_keys(keys_for(mode)[1], UNLIMITED, never, reset_sequence=True)
    return opener


def sealed(mode: tuple[str, str], length: int, body: bytes) -> bytes:
    """A first packet whose packet_length says `length`, whatever stands behind it, sealed like any other."""
    key = keys_for(mode)[0]
    wire = bytearray(struct.pack(">I", length) + body + bytes(key.tag_bytes))
    key.seal(memoryview(wire), 0, 4 + len(body), 0)
    return bytes(wire)


def body_of(length: int, padding_length: int) -> bytes:
    """padding_length, then message number 2 and whatever."""
    return (bytes([padding_length, 2]) + bytes(length))[:length]


def refusal_of(opener: Opener, wire: bytes) -> int | None:
    """The reason of the refusal."""
    with pytest.raises(RemoteProtocolError) as refusal:
        open_all(opener, wire)
    return refusal.value.reason


def is_aligned(mode: tuple[str, str], length: int) -> bool:
    key = keys_for(mode)[0]
    return (length + (4 if key.length_is_aligned else 0)) % key.alignment == 0


@each_kind_of_mode
@pytest.mark.parametrize("length", [0, 1, 4])
def test_sm_019_too_short(mode, length):
    assert refusal_of(opener_for(mode), sealed(mode, length, body_of(28, 4))) == 2


@each_kind_of_mode
def test_sm_020_026_no_payload(mode):
    length = next(length for length in range(12, 64) if is_aligned(mode, length))
    assert refusal_of(opener_for(mode), sealed(mode, length, body_of(length, length - 1))) == 2
    assert refusal_of(opener_for(mode), sealed(mode, 5, body_of(28, 4))) == 2


@each_kind_of_mode
@pytest.mark.parametrize(
    ("most", "length"), [(PREAUTH, 0x10001), (POSTAUTH, 0x40001), (PREAUTH, 0x7FFFFFFF), (POSTAUTH, 0xFFFFFFFF), (POSTAUTH, 0x7FFFFFFC)]
)
def test_sm_021_a18_too_long_is_refused_at_once(mode, most, length):
    """As soon as the length can be read: nothing more is waited for, or kept."""
    head = sealed(mode, length, body_of(28, 4))[: keys_for(mode)[1].head_bytes]
    opener = opener_for(mode, most)
    for byte in head[:-1]:
        open_all(opener, bytes([byte]))
    assert refusal_of(opener, head[-1:]) == 2
    assert opener.pending <= len(head)
    assert buffer_bytes(opener.space()) <= 1024


@each_kind_of_mode
@pytest.mark.parametrize("most", [PREAUTH, POSTAUTH])
def test_sm_021_the_longest_that_is_taken(mode, most):
    length = next(length for length in range(most, 0, -1) if is_aligned(mode, length))
    longest = sealed(mode, length, body_of(length, 4))
    assert [len(payload) for payload in open_all(opener_for(mode, most), longest)] == [length - 5]
    longer = next(length for length in range(most + 1, 2 * most) if is_aligned(mode, length))
    assert refusal_of(opener_for(mode, most), sealed(mode, longer, body_of(longer, 4))) == 2


@each_kind_of_mode
def test_sm_022_not_a_multiple_of_the_block(mode):
    for length in range(5, 128):
        if not is_aligned(mode, length):
            assert refusal_of(opener_for(mode), sealed(mode, length, body_of(144, 6))) == 2


@each_kind_of_mode
@pytest.mark.parametrize("padding_length", [0, 1, 2, 3])
def test_sm_023_too_little_padding(mode, padding_length):
    length = next(length for length in range(16, 64) if is_aligned(mode, length))
    assert refusal_of(opener_for(mode), sealed(mode, length, body_of(length, padding_length))) == 2


@each_kind_of_mode
def test_sm_025_much_padding(mode):
    length = next(length for length in range(257, 300) if is_aligned(mode, length))
    assert open_all(opener_for(mode), sealed(mode, length, body_of(length, 255))) == [body_of(length, 255)[1 : length - 255]]


@each_kind_of_mode
def test_sm_024_a21_every_length_and_padding(mode):
    """Legal: a block's multiple, four bytes of padding or more, one byte of payload or more. All else is refused, never misread."""
    for length in range(65):
        if not is_aligned(mode, length):
            assert refusal_of(opener_for(mode), sealed(mode, length, body_of(80, 4))) == 2
            continue
        for padding_length in [*range(length + 3), 128, 254, 255]:
            wire = sealed(mode, length, body_of(length, padding_length))
            payload_bytes = length - 1 - padding_length
            if padding_length >= 4 and payload_bytes >= 1 and length >= 5:
                assert open_all(opener_for(mode), wire) == [body_of(length, 0)[1 : 1 + payload_bytes]]
            else:
                assert refusal_of(opener_for(mode), wire) in (2, None)


@each_kind_of_mode
def test_what_came_before_a_bad_packet_is_delivered(mode):
    sealer, opener = sealer_and_opener(mode)
    sealer.seal(b"\x02good")
    received: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(bytes(view[start:end]))
        return False

    wire = bytes(sealer.take_batch()) + bytes([255]) * 64
    opener.space()[: len(wire)] = wire
    opener.received(len(wire))
    with pytest.raises(RemoteProtocolError):
        opener.open_batch(sink)
    assert received == [b"\x02good"]
