"""The key exchange methods by name: their hash and the two sides' maths. Messages and signatures are not made here."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TypeAlias

import attrs
from cryptography.hazmat.primitives.asymmetric import ec

from .dh_primes import GROUP14_PRIME, GROUP15_PRIME, GROUP16_PRIME, GROUP17_PRIME, GROUP18_PRIME
from .kex_dh import start_dh
from .kex_ecdh import start_nist, start_x448, start_x25519
from .kex_hybrid import MLKEM768_NISTP256, MLKEM768_X25519, MLKEM1024_NISTP384
from .kex_share import ClientShare, RespondFunction, StartFunction, responder, with_mpint_secret

__all__ = ["KEX", "ClientShare", "GroupExchangeRecipe", "KexRecipe", "digest", "symmetric_kex"]


@attrs.frozen
class KexRecipe:
    """One key exchange method.

    `start_client()` makes the client's share; `respond(client_public)` gives the server's public value and K, or raises
    `KeyExchangeError`. K is encoded as both the exchange hash and key derivation want it. `hash_name` is one for `digest` and
    `derive_keys`. `slow` means several milliseconds of arithmetic: run it in a thread.
    """

    name: str
    hash_name: str
    start_client: StartFunction
    respond: RespondFunction
    slow: bool = False


@attrs.frozen
class GroupExchangeRecipe:
    """A method whose group the server chooses (RFC 4419): `group_exchange.group_recipe` makes it a `KexRecipe` once the group is known."""

    name: str
    hash_name: str


AnyKexRecipe: TypeAlias = KexRecipe | GroupExchangeRecipe


def digest(hash_name: str, data: bytes) -> bytes:
    """The hash of a key exchange method over `data`: ``sha256``, ``sha384``, ``sha512``, or ``sha1`` of the old ones."""
    return hashlib.new(hash_name, data).digest()


def symmetric_kex(name: str, hash_name: str, start: StartFunction, slow: bool = False) -> KexRecipe:
    """A method whose sides do the same and whose K is an mpint, from shares with a raw big-endian secret (RFC 4253 §8, RFC 5656 §4)."""
    encoded = with_mpint_secret(start)
    return KexRecipe(name, hash_name, encoded, responder(encoded), slow)


def _fixed_group(number: int, hash_name: str, prime: int, slow: bool = True) -> KexRecipe:
    return symmetric_kex(f"diffie-hellman-group{number}-{hash_name}", hash_name, partial(start_dh, prime), slow)


_RECIPES: tuple[AnyKexRecipe, ...] = (
    KexRecipe("mlkem768x25519-sha256", "sha256", MLKEM768_X25519.start_client, MLKEM768_X25519.respond),
    KexRecipe("mlkem768nistp256-sha256", "sha256", MLKEM768_NISTP256.start_client, MLKEM768_NISTP256.respond),
    KexRecipe("mlkem1024nistp384-sha384", "sha384", MLKEM1024_NISTP384.start_client, MLKEM1024_NISTP384.respond),
    symmetric_kex("curve25519-sha256", "sha256", start_x25519),
    symmetric_kex("curve25519-sha256@libssh.org", "sha256", start_x25519),  # its name before RFC 8731
    symmetric_kex("ecdh-sha2-nistp256", "sha256", partial(start_nist, ec.SECP256R1())),
    symmetric_kex("ecdh-sha2-nistp384", "sha384", partial(start_nist, ec.SECP384R1())),
    symmetric_kex("ecdh-sha2-nistp521", "sha512", partial(start_nist, ec.SECP521R1())),
    GroupExchangeRecipe("diffie-hellman-group-exchange-sha256", "sha256"),
    _fixed_group(16, "sha512", GROUP16_PRIME),
    _fixed_group(18, "sha512", GROUP18_PRIME),
    _fixed_group(14, "sha256", GROUP14_PRIME, slow=False),
    # What follows is in no default list.
    symmetric_kex("curve448-sha512", "sha512", start_x448),
    _fixed_group(15, "sha512", GROUP15_PRIME),
    _fixed_group(17, "sha512", GROUP17_PRIME),
    _fixed_group(14, "sha1", GROUP14_PRIME, slow=False),
    GroupExchangeRecipe("diffie-hellman-group-exchange-sha1", "sha1"),
)

KEX: dict[str, AnyKexRecipe] = {recipe.name: recipe for recipe in _RECIPES}
"""Name -> recipe; `register_kex` adds to it."""
