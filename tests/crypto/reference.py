"""ChaCha20, Poly1305, AES-GCM and ML-KEM's keys, written out from their definitions: slow, and independent of the code under test."""

from __future__ import annotations

import hashlib
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


_Q = 3329
_ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), _Q) for i in range(128)]  # FIPS 203, appendix A


def ml_kem_public_key(d: bytes, k: int) -> bytes:
    """FIPS 203, algorithm 13 (K-PKE.KeyGen): the encapsulation key for the seed `d`; `k` is 3 for ML-KEM-768, 4 for ML-KEM-1024."""
    seeds = hashlib.sha3_512(d + bytes([k])).digest()
    rho, sigma = seeds[:32], seeds[32:]
    s = [_ntt(_noise(sigma, n)) for n in range(k)]
    e = [_ntt(_noise(sigma, k + n)) for n in range(k)]
    rows = []
    for i in range(k):
        t = e[i]
        for j in range(k):
            t = [(a + b) % _Q for a, b in zip(t, _multiply_ntts(_sample_ntt(rho + bytes([j, i])), s[j]), strict=True)]
        rows.append(sum(value << (12 * at) for at, value in enumerate(t)).to_bytes(384, "little"))
    return b"".join(rows) + rho


def _sample_ntt(seed: bytes) -> list[int]:
    """Algorithm 7."""
    stream = hashlib.shake_128(seed).digest(3 * 512)
    numbers: list[int] = []
    for at in range(0, len(stream), 3):
        low, middle, high = stream[at : at + 3]
        numbers += [d for d in (low + 256 * (middle % 16), middle // 16 + 16 * high) if d < _Q]
    return numbers[:256]


def _noise(seed: bytes, n: int) -> list[int]:
    """Algorithm 8 for eta 2, which both parameter sets have for eta_1."""
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    quarters = [(bits >> (4 * i)) & 15 for i in range(256)]
    return [((x & 1) + (x >> 1 & 1) - (x >> 2 & 1) - (x >> 3)) % _Q for x in quarters]


def _ntt(f: list[int]) -> list[int]:
    """Algorithm 9."""
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[i]
            i += 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % _Q
                f[j + length], f[j] = (f[j] - t) % _Q, (f[j] + t) % _Q
        length //= 2
    return f


def _multiply_ntts(f: list[int], g: list[int]) -> list[int]:
    """Algorithms 11 and 12."""
    product: list[int] = []
    for i in range(128):
        gamma = _ZETAS[64 + i // 2] * (1 if i % 2 == 0 else -1)
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        product += [(a * c + b * d * gamma) % _Q, (a * d + b * c) % _Q]
    return product
