"""The key exchange methods by name: their hash and the two sides' maths. Messages and signatures are not made here."""

from __future__ import annotations

import hashlib
from functools import partial

import attrs
from cryptography.hazmat.primitives.asymmetric import ec

from .kex_dh import GROUP14_PRIME, GROUP16_PRIME, start_dh
from .kex_ecdh import start_nist, start_x25519
from .kex_hybrid import respond_mlkem768_x25519, start_mlkem768_x25519
from .kex_share import ClientShare, RespondFunction, StartFunction, responder, with_mpint_secret

__all__ = ["KEX", "ClientShare", "KexRecipe", "digest"]


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


def digest(hash_name: str, data: bytes) -> bytes:
    """The hash of a key exchange method over `data`: ``sha256``, ``sha384`` or ``sha512``."""
    return hashlib.new(hash_name, data).digest()


def _diffie_hellman(name: str, hash_name: str, start: StartFunction, slow: bool = False) -> KexRecipe:
    """A method whose sides do the same and whose K is an mpint."""
    encoded = with_mpint_secret(start)
    return KexRecipe(name, hash_name, encoded, responder(encoded), slow)


_RECIPES = (
    KexRecipe("mlkem768x25519-sha256", "sha256", start_mlkem768_x25519, respond_mlkem768_x25519),
    _diffie_hellman("curve25519-sha256", "sha256", start_x25519),
    _diffie_hellman("curve25519-sha256@libssh.org", "sha256", start_x25519),  # its name before RFC 8731
    _diffie_hellman("ecdh-sha2-nistp256", "sha256", partial(start_nist, ec.SECP256R1())),
    _diffie_hellman("ecdh-sha2-nistp384", "sha384", partial(start_nist, ec.SECP384R1())),
    _diffie_hellman("ecdh-sha2-nistp521", "sha512", partial(start_nist, ec.SECP521R1())),
    _diffie_hellman("diffie-hellman-group14-sha256", "sha256", partial(start_dh, GROUP14_PRIME)),
    _diffie_hellman("diffie-hellman-group16-sha512", "sha512", partial(start_dh, GROUP16_PRIME), slow=True),
)

KEX: dict[str, KexRecipe] = {recipe.name: recipe for recipe in _RECIPES}
