"""Algorithms of your own: SSH allows almost any, and here is how to bring one for each kind.

A recipe says how an algorithm works, a ``register_`` function makes it known under its name. From then on the name can stand in
`trio_ssh.Algorithms` and in the lists of configuration files; it is in no default list, so that nothing changes for who does not name it.
A name of one's own is ``name@domain`` with a domain that belongs to you (RFC 4250 §4.6.1). Register when your program starts, before the
first connection; a name that is in use is refused with `trio_ssh.LocalProtocolError`.

- key exchange: `KexRecipe`, with shares that are `ClientShare`; `symmetric_kex`, `mpint_secret` and `string_secret` help to make one;
- host and user key types: `KeyTypeRecipe`;
- ciphers that authenticate by themselves: `AEADRecipe`, of a `SealingKey` and an `OpeningKey`; `counter_nonce_aead` makes one of what
  `cryptography` calls an AEAD;
- ciphers with a MAC beside them: `CipherRecipe`, of two `CipherStream`; `ChainedStream` is for CBC;
- MACs: `MACRecipe`, of a `KeyedMAC`; `hmac_recipe` makes one of a hash;
- compression: `CompressionRecipe`, of a `Compressor` and a `Decompressor`.

What these functions get from the network has not been checked by anybody else. They must raise only what their recipe says: an error of
another kind ends the connection as a fault of ours, not of the peer. Cryptography of one's own is easily wrong in ways that no test finds:
take a primitive that others have reviewed.
"""

from __future__ import annotations

from .crypto.aead import AEADCipher
from .crypto.compression import CompressionRecipe, Compressor, Decompressor
from .crypto.ctr_hmac import ChainedStream, CipherStream, KeyedMAC
from .crypto.kex import KexRecipe, symmetric_kex
from .crypto.kex_share import ClientShare, mpint_secret, string_secret
from .crypto.packet_key import OpeningKey, SealingKey
from .crypto.registry import register_cipher, register_compression, register_kex, register_mac
from .crypto.suites import AEADRecipe, CipherRecipe, MACRecipe, counter_nonce_aead, hmac_recipe
from .keys.own_types import KeyTypeRecipe
from .keys.signature import register_key_type

__all__ = [
    "AEADCipher",
    "AEADRecipe",
    "ChainedStream",
    "CipherRecipe",
    "CipherStream",
    "ClientShare",
    "CompressionRecipe",
    "Compressor",
    "Decompressor",
    "KexRecipe",
    "KeyTypeRecipe",
    "KeyedMAC",
    "MACRecipe",
    "OpeningKey",
    "SealingKey",
    "counter_nonce_aead",
    "hmac_recipe",
    "mpint_secret",
    "register_cipher",
    "register_compression",
    "register_kex",
    "register_key_type",
    "register_mac",
    "string_secret",
    "symmetric_kex",
]
