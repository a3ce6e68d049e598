"""Which ciphers and MACs there are, in which order they are offered, and how their keys are made (RFC 4253 §6.3, §6.4, §7.2).

A new algorithm is one row in one of the tables below, and its place in a default order if it has one. The tables grow when a user
registers an algorithm of his own (`trio_ssh.algorithms`), so what is supported is asked for by functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import attrs
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from cryptography.hazmat.primitives.hmac import HMAC

from .aead import CHACHA_KEY_BYTES, GCM_IV_BYTES, AEADCipher, AESGCMOpeningKey, AESGCMSealingKey, ChaChaOpeningKey, ChaChaSealingKey
from .compression import COMPRESSIONS
from .ctr_hmac import (
    ChainedStream,
    CipherStream,
    EncryptAndMacOpeningKey,
    EncryptAndMacSealingKey,
    EncryptThenMacOpeningKey,
    EncryptThenMacSealingKey,
    KeyedMAC,
)
from .kex import KEX
from .packet_key import OpeningKey, SealingKey

Derive: TypeAlias = Callable[[bytes, int], bytes]
"""``derive(letter, size)``: `size` bytes of the key material that RFC 4253 §7.2 names by `letter` (b"A" to b"F")."""

BLOCK_CEILING = 1 << 32  # blocks of 16 bytes, RFC 4344 §3.2
AES_CEILING_BYTES = 16 * BLOCK_CEILING
GIGABYTE_CEILING = 1 << 30  # RFC 4253 §9: for chacha20-poly1305 as OpenSSH has it, and for blocks of 8 bytes

CHACHA20_POLY1305 = "chacha20-poly1305@openssh.com"


@attrs.frozen
class AEADRecipe:
    """A cipher that authenticates by itself. `sealing_key` and `opening_key` take key and IV of the sizes given.

    `byte_ceiling` is how much may go under one key before it is changed.
    """

    name: str
    key_bytes: int
    iv_bytes: int
    byte_ceiling: int
    sealing_key: Callable[[bytes, bytes], SealingKey]
    opening_key: Callable[[bytes, bytes], OpeningKey]


@attrs.frozen
class CipherRecipe:
    """A cipher that needs a MAC beside it. `encryptor` and `decryptor` take key and IV of the sizes given.

    `is_chained` says that an attacker who swaps blocks of ciphertext swaps what they decrypt to, as with CBC: the errors that a peer can
    see are then kept from telling him what that was (`OpeningKey.hides_errors`).
    """

    name: str
    key_bytes: int
    iv_bytes: int
    block_bytes: int
    byte_ceiling: int
    encryptor: Callable[[bytes, bytes], CipherStream]
    decryptor: Callable[[bytes, bytes], CipherStream]
    is_chained: bool = False


@attrs.frozen
class MACRecipe:
    """A MAC: `keyed(key)` has its key of `key_bytes` set, to be copied for each packet.

    `covers_ciphertext` is what ``-etm`` stands for: the tag is made of the encrypted packet, and checked before anything is decrypted.
    """

    name: str
    key_bytes: int
    tag_bytes: int
    covers_ciphertext: bool
    keyed: Callable[[bytes], KeyedMAC]


def counter_nonce_aead(name: str, key_bytes: int, cipher: Callable[[bytes], AEADCipher], byte_ceiling: int) -> AEADRecipe:
    """An AEAD of `cryptography` as RFC 5647 uses AES-GCM: the length in clear, a nonce of 4 fixed bytes and a counter of packets.

    `cipher` takes the key, its nonces have 12 bytes and its tags 16: ``AESGCM``, ``AESGCMSIV``, ``AESOCB3``, ``ChaCha20Poly1305``.
    """
    sealing_key, opening_key = partial(AESGCMSealingKey, cipher=cipher), partial(AESGCMOpeningKey, cipher=cipher)
    return AEADRecipe(name, key_bytes, GCM_IV_BYTES, byte_ceiling, sealing_key, opening_key)


def hmac_recipe(name: str, algorithm: hashes.HashAlgorithm, covers_ciphertext: bool) -> MACRecipe:
    """An HMAC over a hash of `cryptography`: its key is as long as its tag (RFC 6668 §2)."""
    size = algorithm.digest_size
    return MACRecipe(name, size, size, covers_ciphertext, lambda key: HMAC(key, algorithm))


def _aes_ctr(key: bytes, iv: bytes) -> CipherStream:
    return Cipher(AES(key), CTR(iv)).encryptor()  # decrypting is the same in counter mode


def _aes_ctr_recipe(key_bytes: int) -> CipherRecipe:
    return CipherRecipe(f"aes{8 * key_bytes}-ctr", key_bytes, 16, 16, AES_CEILING_BYTES, _aes_ctr, _aes_ctr)


def _aes_cbc_recipe(key_bytes: int) -> CipherRecipe:
    return CipherRecipe(
        f"aes{8 * key_bytes}-cbc",
        key_bytes,
        16,
        16,
        AES_CEILING_BYTES,
        lambda key, iv: ChainedStream(Cipher(AES(key), CBC(iv)).encryptor()),
        lambda key, iv: ChainedStream(Cipher(AES(key), CBC(iv)).decryptor()),
        is_chained=True,
    )


_TRIPLE_DES_CBC = CipherRecipe(
    "3des-cbc",
    24,
    8,
    8,
    GIGABYTE_CEILING,
    lambda key, iv: ChainedStream(Cipher(TripleDES(key), CBC(iv)).encryptor()),
    lambda key, iv: ChainedStream(Cipher(TripleDES(key), CBC(iv)).decryptor()),
    is_chained=True,
)

_AEAD_RECIPES = (
    # AES-GCM by its classes themselves: a `partial` would change nothing here but what a stack trace says.
    AEADRecipe("aes128-gcm@openssh.com", 16, GCM_IV_BYTES, AES_CEILING_BYTES, AESGCMSealingKey, AESGCMOpeningKey),
    AEADRecipe("aes256-gcm@openssh.com", 32, GCM_IV_BYTES, AES_CEILING_BYTES, AESGCMSealingKey, AESGCMOpeningKey),
    AEADRecipe(CHACHA20_POLY1305, CHACHA_KEY_BYTES, 0, GIGABYTE_CEILING, ChaChaSealingKey, ChaChaOpeningKey),
)
AEAD_CIPHERS: dict[str, AEADRecipe] = {recipe.name: recipe for recipe in _AEAD_RECIPES}
"""Name -> recipe; `register_cipher` adds to it."""

_CIPHER_RECIPES = (*map(_aes_ctr_recipe, (16, 24, 32)), *map(_aes_cbc_recipe, (16, 24, 32)), _TRIPLE_DES_CBC)
CIPHERS: dict[str, CipherRecipe] = {recipe.name: recipe for recipe in _CIPHER_RECIPES}
"""Name -> recipe; `register_cipher` adds to it."""

_MAC_RECIPES = (
    hmac_recipe("hmac-sha2-256-etm@openssh.com", hashes.SHA256(), covers_ciphertext=True),
    hmac_recipe("hmac-sha2-512-etm@openssh.com", hashes.SHA512(), covers_ciphertext=True),
    hmac_recipe("hmac-sha2-256", hashes.SHA256(), covers_ciphertext=False),
    hmac_recipe("hmac-sha2-512", hashes.SHA512(), covers_ciphertext=False),
    hmac_recipe("hmac-sha1-etm@openssh.com", hashes.SHA1(), covers_ciphertext=True),
    hmac_recipe("hmac-sha1", hashes.SHA1(), covers_ciphertext=False),
)
MACS: dict[str, MACRecipe] = {recipe.name: recipe for recipe in _MAC_RECIPES}
"""Name -> recipe; `register_mac` adds to it."""

DEFAULT_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    CHACHA20_POLY1305,
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
"""For a processor that knows AES; see `processor.default_ciphers`."""
DEFAULT_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
DEFAULT_COMPRESSION = ("none", "zlib@openssh.com")
"""A client of ours does not ask for compression (its first choice wins); a server of ours grants the delayed kind to one that does."""
DEFAULT_KEX = (
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)
CLIENT_ONLY_KEX = ("diffie-hellman-group-exchange-sha256",)
"""Those of the default that a server does not offer by default."""


def supported_ciphers() -> tuple[str, ...]:
    """All ciphers there are, legacy and registered ones included: what may be named, not what is offered."""
    return (*AEAD_CIPHERS, *CIPHERS)


def supported_macs() -> tuple[str, ...]:
    """All MACs there are; see `supported_ciphers`."""
    return tuple(MACS)


def supported_kex() -> tuple[str, ...]:
    """All key exchange methods there are; see `supported_ciphers`."""
    return tuple(KEX)


def supported_compression() -> tuple[str, ...]:
    """All compression methods there are; see `supported_ciphers`."""
    return tuple(COMPRESSIONS)


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
    stream = recipe.encryptor(derive(key_letter, recipe.key_bytes), derive(iv_letter, recipe.iv_bytes))
    key_class = EncryptThenMacSealingKey if mac_recipe.covers_ciphertext else EncryptAndMacSealingKey
    keyed = mac_recipe.keyed(derive(mac_letter, mac_recipe.key_bytes))
    return key_class(stream, recipe.block_bytes, keyed, mac_recipe.tag_bytes)


def make_opening_key(cipher: str, mac: str, derive: Derive, client_to_server: bool) -> OpeningKey:
    """The key to receive with; arguments as for `make_sealing_key`. `client_to_server` is the direction of the packets."""
    iv_letter, key_letter, mac_letter = _letters(client_to_server)
    if aead := AEAD_CIPHERS.get(cipher):
        return aead.opening_key(derive(key_letter, aead.key_bytes), derive(iv_letter, aead.iv_bytes))
    recipe, mac_recipe = CIPHERS[cipher], MACS[mac]
    stream = recipe.decryptor(derive(key_letter, recipe.key_bytes), derive(iv_letter, recipe.iv_bytes))
    keyed = mac_recipe.keyed(derive(mac_letter, mac_recipe.key_bytes))
    if mac_recipe.covers_ciphertext:
        return EncryptThenMacOpeningKey(stream, recipe.block_bytes, keyed, mac_recipe.tag_bytes)
    return EncryptAndMacOpeningKey(stream, recipe.block_bytes, keyed, mac_recipe.tag_bytes, hides_errors=recipe.is_chained)


def _letters(client_to_server: bool) -> tuple[bytes, bytes, bytes]:
    """Of the IV, the cipher key and the MAC key (RFC 4253 §7.2)."""
    return (b"A", b"C", b"E") if client_to_server else (b"B", b"D", b"F")


def is_aead(cipher: str) -> bool:
    """Whether `cipher` authenticates by itself, so that no MAC is negotiated with it."""
    return cipher in AEAD_CIPHERS


def cipher_byte_ceiling(cipher: str) -> int:
    """How many bytes may go under one key of `cipher`: 64 GiB for AES, 1 GiB for chacha20-poly1305 and 3des.

    RFC 4344 §3.2, RFC 4253 §9.
    """
    return AEAD_CIPHERS[cipher].byte_ceiling if is_aead(cipher) else CIPHERS[cipher].byte_ceiling
