"""Sealing and opening under every cipher and MAC: what goes in comes out, and what was touched on the way does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.packets import COMBINATIONS, derive, flip, key_pair, open_packet, padded_packet, seal
from trio_ssh.crypto.packet_key import NoOpeningKey, NoSealingKey
from trio_ssh.crypto.suites import AEAD_CIPHERS, make_opening_key, make_sealing_key
from trio_ssh.errors import IntegrityError

every_combination = pytest.mark.parametrize(("cipher", "mac"), COMBINATIONS)


@every_combination
def test_packets_of_many_lengths_come_through(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    for count, size in enumerate([*range(130), 255, 256, 257, 1000, 4096, 32768, 35000, 256 * 1024]):
        packet = padded_packet(sealing, bytes(i & 255 for i in range(size)), extra_blocks=count % 3)
        wire = seal(sealing, packet, count)
        assert len(wire) == len(packet) + sealing.tag_bytes
        assert open_packet(opening, wire, count) == packet[4:]


@every_combination
def test_sealed_packets_do_not_show_what_is_in_them(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"a secret that must not leave" * 4)
    first, second = seal(sealing, packet, 0), seal(sealing, packet, 1)
    assert b"secret" not in first + second
    assert first[4:] != second[4:]


@every_combination
def test_a_long_run_of_packets_keeps_in_step(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"payload")
    first = 2**32 - 1000
    seen = set()
    for count in range(2000):
        sequence_number = (first + count) % 2**32
        wire = seal(sealing, packet, sequence_number)
        seen.add(wire[4:])
        assert open_packet(opening, wire, sequence_number) == packet[4:]
    assert len(seen) == 2000


@every_combination
def test_every_flipped_bit_is_found(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"some payload")
    wire = seal(sealing, packet, 3)
    for bit in range(8 * len(wire)):
        _, opening = key_pair(cipher, mac)
        with pytest.raises(IntegrityError):
            open_packet(opening, flip(wire, bit), 3, packet_length=len(packet) - 4)


@every_combination
def test_every_changed_byte_of_three_packets_is_found(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packets = [padded_packet(sealing, bytes([i]) * (5 + 20 * i)) for i in range(3)]
    wires = [seal(sealing, packet, i) for i, packet in enumerate(packets)]
    for at, wire in enumerate(wires):
        for position in range(len(wire)):
            _, opening = key_pair(cipher, mac)
            for before in range(at):
                assert open_packet(opening, wires[before], before) == packets[before][4:]
            damaged = bytearray(wire)
            damaged[position] = (damaged[position] + 1) % 256
            with pytest.raises(IntegrityError):
                open_packet(opening, bytes(damaged), at, packet_length=len(packets[at]) - 4)


@every_combination
def test_a_length_that_was_tampered_with_raises_nothing_but_integrity_errors(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"x" * 100)
    wire = seal(sealing, packet, 0)
    for length in range(len(packet) + 8):
        if length != len(packet) - 4:
            _, opening = key_pair(cipher, mac)
            with pytest.raises(IntegrityError):
                open_packet(opening, wire + bytes(16), 0, packet_length=length)


@every_combination
def test_a_replayed_packet_is_found(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    wire = seal(sealing, padded_packet(sealing, b"once"), 0)
    open_packet(opening, wire, 0)
    with pytest.raises(IntegrityError):
        open_packet(opening, wire, 1, packet_length=len(wire) - 4 - opening.tag_bytes)


@every_combination
def test_a_deleted_packet_is_found(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    seal(sealing, padded_packet(sealing, b"taken out"), 0)
    wire = seal(sealing, padded_packet(sealing, b"next"), 1)
    with pytest.raises(IntegrityError):
        open_packet(opening, wire, 0, packet_length=len(wire) - 4 - opening.tag_bytes)


@pytest.mark.parametrize(("cipher", "mac"), [row for row in COMBINATIONS if "gcm" not in row[0]])
def test_the_sequence_number_is_authenticated(cipher, mac):
    for other in (0, 6, 8, 7 + 2**16, 7 + 2**31):
        sealing, opening = key_pair(cipher, mac)
        wire = seal(sealing, padded_packet(sealing, b"number 7"), 7)
        with pytest.raises(IntegrityError):
            open_packet(opening, wire, other, packet_length=len(wire) - 4 - opening.tag_bytes)


@every_combination
def test_a_packet_sent_back_to_its_sender_is_refused(cipher, mac):
    sealing = make_sealing_key(cipher, mac, derive, client_to_server=True)
    opening = make_opening_key(cipher, mac, derive, client_to_server=False)
    wire = seal(sealing, padded_packet(sealing, b"boomerang"), 0)
    with pytest.raises(IntegrityError):
        open_packet(opening, wire, 0, packet_length=len(wire) - 4 - opening.tag_bytes)


@every_combination
def test_a_tag_of_zeros_or_of_another_packet_is_refused(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"one")
    wire, tag_bytes = seal(sealing, packet, 0), sealing.tag_bytes
    other = seal(sealing, packet, 1)
    for tag in (bytes(tag_bytes), b"\xff" * tag_bytes, other[-tag_bytes:]):
        _, opening = key_pair(cipher, mac)
        with pytest.raises(IntegrityError):
            open_packet(opening, wire[:-tag_bytes] + tag, 0)


def is_in_clear(cipher: str, mac: str) -> bool:
    """The length does not lie in a cipher block with what follows it."""
    return cipher in AEAD_CIPHERS or "etm" in mac


def is_chained(cipher: str) -> bool:
    return cipher.endswith("-cbc")


@pytest.mark.parametrize(("cipher", "mac"), [row for row in COMBINATIONS if is_in_clear(*row) and not is_chained(row[0])])
def test_packets_of_any_length_can_be_opened_where_the_length_is_not_encrypted_with_them(cipher, mac):
    # A21: what the lengths mean is the opener's affair, and it must get to see them.
    sealing, opening = key_pair(cipher, mac)
    for length in range(65):
        packet = struct.pack(">I", length) + bytes(range(length))
        assert open_packet(opening, seal(sealing, packet, length), length) == packet[4:]


@pytest.mark.parametrize(("cipher", "mac"), [row for row in COMBINATIONS if not is_in_clear(*row) and not is_chained(row[0])])
def test_packets_of_any_length_can_be_opened_from_one_cipher_block_on(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    for length in range(12, 65):
        packet = struct.pack(">I", length) + bytes(range(length))
        assert open_packet(opening, seal(sealing, packet, length), length) == packet[4:]


@pytest.mark.parametrize(("cipher", "mac"), [row for row in COMBINATIONS if is_chained(row[0])])
def test_a_packet_that_is_no_whole_number_of_blocks_is_refused_under_cbc(cipher, mac):
    sealing, _ = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"x" * 100)
    wire = seal(sealing, packet, 0)
    for length in range(sealing.alignment, len(packet)):
        if length != len(packet) - 4:
            _, opening = key_pair(cipher, mac)
            with pytest.raises(IntegrityError):
                open_packet(opening, wire + bytes(16), 0, packet_length=length)


@pytest.mark.parametrize(("cipher", "mac"), [row for row in COMBINATIONS if is_chained(row[0])])
def test_cbc_runs_on_from_packet_to_packet(cipher, mac):
    # RFC 4253 §6.3: the IV of a packet is the last block of the one before, so a packet cannot be opened without it.
    sealing, opening = key_pair(cipher, mac)
    first, second = (seal(sealing, padded_packet(sealing, b"the same"), number) for number in (0, 1))
    assert first[4 : -sealing.tag_bytes] != second[4 : -sealing.tag_bytes]
    if opening.length_is_aligned:
        with pytest.raises(IntegrityError):
            open_packet(opening, second, 1, packet_length=len(second) - 4 - opening.tag_bytes)


@every_combination
def test_a01_only_cbc_with_the_mac_in_clear_hides_errors(cipher, mac):
    _, opening = key_pair(cipher, mac)
    assert opening.hides_errors is (is_chained(cipher) and "etm" not in mac)
    assert NoOpeningKey().hides_errors is False


TAG_BYTES = {"hmac-sha2-512": 64, "hmac-sha2-256": 32, "hmac-sha1": 20}
ALIGNMENT = {"chacha20-poly1305@openssh.com": 8, "3des-cbc": 8}


@every_combination
def test_shape(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    alignment = ALIGNMENT.get(cipher, 16)
    assert sealing.alignment == opening.alignment == alignment
    assert sealing.length_is_aligned is opening.length_is_aligned is not is_in_clear(cipher, mac)
    assert opening.head_bytes == (4 if is_in_clear(cipher, mac) else alignment)
    expected_tag = 16 if cipher in AEAD_CIPHERS else TAG_BYTES[mac.removesuffix("-etm@openssh.com")]
    assert sealing.tag_bytes == opening.tag_bytes == expected_tag


@every_combination
def test_packet_length_is_read_before_the_rest_has_come(cipher, mac):
    sealing, opening = key_pair(cipher, mac)
    packet = padded_packet(sealing, b"early")
    wire = seal(sealing, packet, 5)
    buffer = bytearray(wire[: opening.head_bytes])
    assert opening.packet_length(memoryview(buffer), 0, 5) == len(packet) - 4
    if not opening.length_is_aligned:
        assert buffer == wire[: opening.head_bytes]
    buffer += wire[opening.head_bytes :]
    opening.open(memoryview(buffer), 0, len(packet) - 4, 5)
    assert buffer[4 : len(packet)] == packet[4:]


@every_combination
def test_keys_do_not_show_themselves(cipher, mac):
    for key in key_pair(cipher, mac):
        assert "object at 0x" in repr(key)


def test_without_a_key_packets_pass_as_they_are():
    sealing, opening = NoSealingKey(), NoOpeningKey()
    packet = padded_packet(sealing, b"version exchange is over")
    assert len(packet) % 8 == 0
    assert seal(sealing, packet, 0) == packet
    assert open_packet(opening, packet, 0) == packet[4:]
    assert (sealing.alignment, sealing.tag_bytes, sealing.length_is_aligned) == (8, 0, True)
    assert (opening.alignment, opening.tag_bytes, opening.length_is_aligned, opening.head_bytes) == (8, 0, True, 4)


@given(
    combination=st.sampled_from(COMBINATIONS),
    payloads=st.lists(st.tuples(st.binary(max_size=600), st.integers(0, 5)), min_size=1, max_size=6),
    sequence_number=st.integers(0, 2**32 - 1),
)
def test_any_run_of_packets_comes_through(combination, payloads, sequence_number):
    sealing, opening = key_pair(*combination)
    for offset, (payload, extra_blocks) in enumerate(payloads):
        packet = padded_packet(sealing, payload, extra_blocks)
        number = (sequence_number + offset) % 2**32
        opened = open_packet(opening, seal(sealing, packet, number), number)
        assert opened == packet[4:]
        assert opened[1 : 1 + len(payload)] == payload


@settings(max_examples=300)
@given(
    combination=st.sampled_from(COMBINATIONS),
    wire=st.binary(min_size=16, max_size=300),
    packet_length=st.integers(0, 200),
    sequence_number=st.integers(0, 2**32 - 1),
)
def test_noise_raises_nothing_but_integrity_errors(combination, wire, packet_length, sequence_number):
    _, opening = key_pair(*combination)
    wire += bytes(4 + packet_length + opening.tag_bytes)  # the whole packet and its tag are there: the opener sees to that
    with pytest.raises(IntegrityError):
        open_packet(opening, wire, sequence_number, packet_length)
