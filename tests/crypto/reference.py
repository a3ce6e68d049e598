"""ChaCha20, Poly1305 and AES-GCM written out from their definitions: slow, and independent of the code under test."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB


def _quarter_round(x: list[int], a: int, b: int, c: int, d: int) -> None:
    for target, other, source, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[target] = (x[target] + x[other]) & 0xFFFFFFFF
        mixed = x[source] ^ x[target]
        x[source] = ((mixed << shift) | (mixed >> (32 - shift))) & 0xFFFFFFFF


def chacha20_block(key: bytes, counter_and_nonce: bytes) -> bytes:
    """RFC 8439 §2.3; the last 16 bytes of the state as they come, so that either split into counter and nonce will do."""
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", counter_and_nonce)]
    x = list(start)
    for _ in range(10):
        for a in range(4):
            _quarter_round(x, a, a + 4, a + 8, a + 12)
        for a in range(4):
            _quarter_round(x, a, 4 + (a + 1) % 4, 8 + (a + 2) % 4, 12 + (a + 3) % 4)
    return struct.pack("<16I", *((word + first) & 0xFFFFFFFF for word, first in zip(x, start, strict=True)))


def poly1305(key: bytes, message: bytes) -> bytes:
    """RFC 8439 §2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")


def chacha20_poly1305_openssh(key: bytes, packet: bytes, sequence_number: int) -> bytes:
    """The wire form of a padded packet under chacha20-poly1305@openssh.com."""
    body_key, head_key = key[:32], key[32:]

    def stream(of_key: bytes, first_block: int, size: int) -> bytes:
        blocks = range(first_block, first_block + size // 64 + 1)
        return b"".join(chacha20_block(of_key, struct.pack("<Q", block) + struct.pack(">Q", sequence_number)) for block in blocks)[:size]

    sealed = xor(packet[:4], stream(head_key, 0, 4)) + xor(packet[4:], stream(body_key, 1, len(packet) - 4))
    return sealed + poly1305(stream(body_key, 0, 32), sealed)


def aes_gcm(key: bytes, nonce: bytes, plaintext: bytes, additional: bytes) -> bytes:
    """NIST SP 800-38D §7.1 for nonces of 12 bytes: ciphertext and tag."""
    block_cipher = Cipher(AES(key), ECB()).encryptor()  # one block at a time is what counter mode is made of
    hash_key = int.from_bytes(block_cipher.update(bytes(16)), "big")

    def stream(first_block: int, size: int) -> bytes:
        blocks = range(first_block, first_block + size // 16 + 1)
        return b"".join(block_cipher.update(nonce + struct.pack(">I", block)) for block in blocks)[:size]

    ciphertext = xor(plaintext, stream(2, len(plaintext)))
    hashed = b"".join(part + bytes(-len(part) % 16) for part in (additional, ciphertext))
    hashed += struct.pack(">QQ", 8 * len(additional), 8 * len(ciphertext))
    total = 0
    for at in range(0, len(hashed), 16):
        total = _gf_multiply(total ^ int.from_bytes(hashed[at : at + 16], "big"), hash_key)
    return ciphertext + xor(total.to_bytes(16, "big"), stream(1, 16))


def _gf_multiply(x: int, y: int) -> int:
    """SP 800-38D §6.3: bit 0 is the most significant one."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
