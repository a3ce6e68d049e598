"""Packets that no honest peer sends, with valid tags: hardening SM-019 to SM-026 and A18, A21, under each kind of cipher."""

from __future__ import annotations

import struct

import pytest

from tests.protocol.ends import MODES, REPRESENTATIVE_MODES, buffer_bytes, keys_for, never, open_all, sealer_and_opener
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.opener import Opener


def one_mode_for_each_cipher() -> list[tuple[str, str]]:
    kinds: dict[tuple[str, bool], tuple[str, str]] = {}
    for cipher, mac in MODES:
        kinds.setdefault((cipher, "etm" in mac), (cipher, mac))
    return list(kinds.values())


each_kind_of_mode = pytest.mark.parametrize("mode", REPRESENTATIVE_MODES, ids="/".join)

EVERY_CIPHER = one_mode_for_each_cipher()
"""And both orders of encrypting and authenticating, for those that need a MAC."""

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


def whole_blocks(mode: tuple[str, str]) -> int:
    """The size of a body that every cipher can encrypt."""
    return 92 if keys_for(mode)[0].length_is_aligned else 96


@each_kind_of_mode
@pytest.mark.parametrize("length", [0, 1, 4])
def test_sm_019_too_short(mode, length):
    assert refusal_of(opener_for(mode), sealed(mode, length, body_of(28, 4))) == 2


@each_kind_of_mode
def test_sm_020_sm_026_no_payload(mode):
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


@pytest.mark.parametrize("mode", EVERY_CIPHER, ids="/".join)
def test_sm_019_sm_020_sm_022_sm_023_sm_024_sm_026_a21_every_length_and_padding(mode):
    """Legal: a block's multiple, four bytes of padding or more, one byte of payload or more. All else is refused, never misread.

    Where the length alone is refused, nothing is decrypted, and a few paddings stand for all.
    """
    for length in range(65):
        for padding_length in range(256) if is_aligned(mode, length) else (0, 3, 4, length, 128, 255):
            wire = sealed(mode, length, body_of(length if is_aligned(mode, length) else whole_blocks(mode), padding_length))
            payload_bytes = length - 1 - padding_length
            if is_aligned(mode, length) and padding_length >= 4 and payload_bytes >= 1:
                assert open_all(opener_for(mode), wire) == [body_of(length, 0)[1 : 1 + payload_bytes]]
            else:
                check_refused(mode, length, wire)


def check_refused(mode: tuple[str, str], length: int, wire: bytes) -> None:
    """At once, but where a CBC cipher's errors are kept from the peer: there nothing is delivered, and nothing told yet."""
    opener = opener_for(mode)
    if keys_for(mode)[1].hides_errors and not (is_aligned(mode, length) and length >= 5):
        assert open_all(opener, wire) == []
    else:
        assert refusal_of(opener, wire) == 2


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
