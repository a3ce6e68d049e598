"""Which ciphers and MACs there are, in which order they are offered, and how their keys are made (RFC 4253 §6.3, §6.4, §7.2).

A new algorithm is one row in one of the tables below, and its place in a default order if it has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hmac import HMAC

from .aead import CHACHA_KEY_BYTES, GCM_IV_BYTES, AESGCMOpeningKey, AESGCMSealingKey, ChaChaOpeningKey, ChaChaSealingKey
from .ctr_hmac import EncryptAndMacOpeningKey, EncryptAndMacSealingKey, EncryptThenMacOpeningKey, EncryptThenMacSealingKey
from .kex import KEX
from .packet_key import OpeningKey, SealingKey

Derive = Callable[[bytes, int], bytes]
"""``derive(letter, size)``: `size` bytes of the key material that RFC 4253 §7.2 names by `letter` (b"A" to b"F")."""

AES_CEILING_BYTES = 16 << 32  # 2^32 blocks of 16 bytes, RFC 4344 §3.2
CHACHA_CEILING_BYTES = 1 << 30  # RFC 4253 §9's gigabyte, as OpenSSH has it


@attrs.frozen
class AEADRecipe:
    """A cipher that authenticates by itself. `sealing_key` and `opening_key` take key and IV of the sizes given."""

    key_bytes: int
    iv_bytes: int
    byte_ceiling: int
    sealing_key: Callable[[bytes, bytes], SealingKey]
    opening_key: Callable[[bytes, bytes], OpeningKey]


@attrs.frozen
class CipherRecipe:
    """A cipher that needs a MAC beside it. `encryptor` and `decryptor` take key and IV of the sizes given."""

    key_bytes: int
    iv_bytes: int
    block_bytes: int
    byte_ceiling: int
    encryptor: Callable[[bytes, bytes], CipherContext]
    decryptor: Callable[[bytes, bytes], CipherContext]


@attrs.frozen
class MACRecipe:
    """An HMAC: its key is as long as its tag (RFC 6668 §2). `covers_ciphertext` is what ``-etm`` stands for."""

    algorithm: hashes.HashAlgorithm
    covers_ciphertext: bool

    def keyed(self, derive: Derive, letter: bytes) -> HMAC:
        """The HMAC with its key set, to be copied for each packet."""
        return HMAC(derive(letter, self.algorithm.digest_size), self.algorithm)


def _aes_ctr(key: bytes, iv: bytes) -> CipherContext:
    return Cipher(AES(key), CTR(iv)).encryptor()  # decrypting is the same in counter mode


def _aes_gcm_recipe(key_bytes: int) -> AEADRecipe:
    return AEADRecipe(key_bytes, GCM_IV_BYTES, AES_CEILING_BYTES, AESGCMSealingKey, AESGCMOpeningKey)


def _aes_ctr_recipe(key_bytes: int) -> CipherRecipe:
    return CipherRecipe(key_bytes, 16, 16, AES_CEILING_BYTES, _aes_ctr, _aes_ctr)


AEAD_CIPHERS: dict[str, AEADRecipe] = {
    "aes128-gcm@openssh.com": _aes_gcm_recipe(16),
    "aes256-gcm@openssh.com": _aes_gcm_recipe(32),
    "chacha20-poly1305@openssh.com": AEADRecipe(CHACHA_KEY_BYTES, 0, CHACHA_CEILING_BYTES, ChaChaSealingKey, ChaChaOpeningKey),
}

CIPHERS: dict[str, CipherRecipe] = {
    "aes128-ctr": _aes_ctr_recipe(16),
    "aes192-ctr": _aes_ctr_recipe(24),
    "aes256-ctr": _aes_ctr_recipe(32),
}

MACS: dict[str, MACRecipe] = {
    "hmac-sha2-256-etm@openssh.com": MACRecipe(hashes.SHA256(), covers_ciphertext=True),
    "hmac-sha2-512-etm@openssh.com": MACRecipe(hashes.SHA512(), covers_ciphertext=True),
    "hmac-sha2-256": MACRecipe(hashes.SHA256(), covers_ciphertext=False),
    "hmac-sha2-512": MACRecipe(hashes.SHA512(), covers_ciphertext=False),
}

SUPPORTED_CIPHERS = (*AEAD_CIPHERS, *CIPHERS)
SUPPORTED_MACS = tuple(MACS)
SUPPORTED_KEX = tuple(KEX)

DEFAULT_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
DEFAULT_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
DEFAULT_KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)


def derive_keys(hash_name: str, secret: bytes, exchange_hash: bytes, session_id: bytes, letter: bytes, size: int) -> bytes:
    """`size` bytes of key material for `letter`, b"A" to b"F" (RFC 4253 §7.2).

    `secret` is K as the key exchange encodes it, with its length; `session_id` is the exchange hash of the connection's first key
    exchange for ever. With `functools.partial` over the first four arguments this is the `derive` of `make_sealing_key`.
    """
    shared = hashlib.new(hash_name, secret + exchange_hash)
    step = shared.copy()
    step.update(letter + session_id)
    material = step.digest()
    while len(material) < size:
        step = shared.copy()
        step.update(material)
        material += step.digest()
    return material[:size]


def make_sealing_key(cipher: str, mac: str, derive: Derive, client_to_server: bool) -> SealingKey:
    """The key to send with. `mac` is ignored for an AEAD cipher; names not in the tables raise KeyError."""
    iv_letter, key_letter, mac_letter = _letters(client_to_server)
    if aead := AEAD_CIPHERS.get(cipher):
        return aead.sealing_key(derive(key_letter, aead.key_bytes), derive(iv_letter, aead.iv_bytes))
    recipe, mac_recipe = CIPHERS[cipher], MACS[mac]
    context = recipe.encryptor(derive(key_letter, recipe.key_bytes), derive(iv_letter, recipe.iv_bytes))
    key_class = EncryptThenMacSealingKey if mac_recipe.covers_ciphertext else EncryptAndMacSealingKey
    return key_class(context, recipe.block_bytes, mac_recipe.keyed(derive, mac_letter))


def make_opening_key(cipher: str, mac: str, derive: Derive, client_to_server: bool) -> OpeningKey:
    """The key to receive with; arguments as for `make_sealing_key`. `client_to_server` is the direction of the packets."""
    iv_letter, key_letter, mac_letter = _letters(client_to_server)
    if aead := AEAD_CIPHERS.get(cipher):
        return aead.opening_key(derive(key_letter, aead.key_bytes), derive(iv_letter, aead.iv_bytes))
    recipe, mac_recipe = CIPHERS[cipher], MACS[mac]
    context = recipe.decryptor(derive(key_letter, recipe.key_bytes), derive(iv_letter, recipe.iv_bytes))
    key_class = EncryptThenMacOpeningKey if mac_recipe.covers_ciphertext else EncryptAndMacOpeningKey
    return key_class(context, recipe.block_bytes, mac_recipe.keyed(derive, mac_letter))


def _letters(client_to_server: bool) -> tuple[bytes, bytes, bytes]:
    """Of the IV, the cipher key and the MAC key (RFC 4253 §7.2)."""
    return (b"A", b"C", b"E") if client_to_server else (b"B", b"D", b"F")


def is_aead(cipher: str) -> bool:
    """Whether `cipher` authenticates by itself, so that no MAC is negotiated with it."""
    return cipher in AEAD_CIPHERS


def cipher_byte_ceiling(cipher: str) -> int:
    """How many bytes may go under one key of `cipher`: 64 GiB for AES, 1 GiB for chacha20-poly1305 (RFC 4344 §3.2, RFC 4253 §9)."""
    return AEAD_CIPHERS[cipher].byte_ceiling if is_aead(cipher) else CIPHERS[cipher].byte_ceiling
