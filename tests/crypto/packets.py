"""Packets for the tests of this room: built, sealed and opened in the middle of a larger buffer, as the sealer and the opener do it."""

from __future__ import annotations

import struct
from functools import partial

from trio_ssh.crypto.packet_key import OpeningKey, SealingKey
from trio_ssh.crypto.suites import derive_keys, is_aead, make_opening_key, make_sealing_key, supported_ciphers, supported_macs

MARGIN = 7  # bytes of something else before and behind each packet: odd, so that nothing is aligned by chance
FILLER = 0xA5

MACS = supported_macs()
COMBINATIONS = [(cipher, mac) for cipher in supported_ciphers() for mac in (MACS[:1] if is_aead(cipher) else MACS)]

derive = partial(derive_keys, "sha256", b"\0\0\0\x03key", b"exchange hash of this connection", b"session id, 32 bytes, of its own")


def key_pair(cipher: str, mac: str, client_to_server: bool = True) -> tuple[SealingKey, OpeningKey]:
    return make_sealing_key(cipher, mac, derive, client_to_server), make_opening_key(cipher, mac, derive, client_to_server)


def padded_packet(key: SealingKey | OpeningKey, payload: bytes, extra_blocks: int = 0) -> bytes:
    """packet_length, padding_length, payload, padding: as RFC 4253 §6 asks of a packet under `key`."""
    counted = 5 + len(payload) if key.length_is_aligned else 1 + len(payload)
    padding = key.alignment - counted % key.alignment
    if padding < 4:
        padding += key.alignment
    padding += extra_blocks * key.alignment
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(range(padding))


def seal(key: SealingKey, packet: bytes, sequence_number: int) -> bytes:
    """The wire form of a padded packet, tag included."""
    end = MARGIN + len(packet)
    buffer = bytearray(bytes([FILLER]) * MARGIN + packet + bytes([FILLER]) * (key.tag_bytes + MARGIN))
    with memoryview(buffer) as view:
        key.seal(view, MARGIN, end, sequence_number)
    assert buffer[:MARGIN] == buffer[end + key.tag_bytes :] == bytes([FILLER]) * MARGIN
    return bytes(buffer[MARGIN : end + key.tag_bytes])


def open_packet(key: OpeningKey, wire: bytes, sequence_number: int, packet_length: int | None = None) -> bytes:
    """What stands behind packet_length, in clear. A `packet_length` that is given is believed instead of the one read."""
    buffer = bytearray(bytes([FILLER]) * MARGIN + wire + bytes([FILLER]) * MARGIN)
    with memoryview(buffer) as view:
        read_length = key.packet_length(view, MARGIN, sequence_number)
        length = read_length if packet_length is None else packet_length
        key.open(view, MARGIN, length, sequence_number)
    assert buffer[:MARGIN] == bytes([FILLER]) * MARGIN
    assert buffer[MARGIN + 4 + length + key.tag_bytes :][-MARGIN:] == bytes([FILLER]) * MARGIN
    return bytes(buffer[MARGIN + 4 : MARGIN + 4 + length])


def flip(wire: bytes, bit: int) -> bytes:
    damaged = bytearray(wire)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)
