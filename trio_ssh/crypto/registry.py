"""Algorithms of a user's own: checked, and put into the tables beside ours (RFC 4250 §4.6.1, RFC 4251 §6).

A name of one's own ends in ``@`` and a domain of one's own, so that it can never mean something else to a peer. What is registered can be
named in a list of algorithms from then on; it is in no default list. Register before the first connection is made, once in a process.
"""

from __future__ import annotations

import re
from collections.abc import Container

from ..errors import LocalProtocolError, printable
from ..wire.primitives import NAME_BYTES_MAX
from .compression import COMPRESSIONS, CompressionRecipe
from .kex import KEX, KexRecipe
from .suites import AEAD_CIPHERS, CIPHERS, MACS, AEADRecipe, CipherRecipe, MACRecipe

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_PRIVATE_NAME = re.compile(rf"[!-+\--?A-~]+@{_LABEL}(\.{_LABEL})+")
_MARKERS = ("ext-info-", "kex-strict-")  # they stand among the key exchange methods and are none


def check_private_name(kind: str, name: str, *taken: Container[str]) -> None:
    """Raise `LocalProtocolError` unless `name` is one that a user may give to an algorithm. `taken` are containers of those in use."""
    if len(name) > NAME_BYTES_MAX or not _PRIVATE_NAME.fullmatch(name):
        raise LocalProtocolError(
            f"{printable(name, 100)!r} cannot be the name of a {kind}: it must be name@domain with a domain of yours, "
            f"of at most {NAME_BYTES_MAX} printable ASCII characters without commas (RFC 4250 §4.6.1)"
        )
    if any(name in names for names in taken) or name.startswith(_MARKERS):
        raise LocalProtocolError(f"there is a {kind} {name} already: choose another name")


def register_kex(recipe: KexRecipe) -> None:
    """Make a key exchange method of your own known. Raises `LocalProtocolError` for a bad name or one in use."""
    check_private_name("key exchange method", recipe.name, KEX)
    KEX[recipe.name] = recipe


def register_cipher(recipe: AEADRecipe | CipherRecipe) -> None:
    """Make a cipher of your own known. Raises `LocalProtocolError` for a bad name, one in use, or sizes that cannot be."""
    check_private_name("cipher", recipe.name, AEAD_CIPHERS, CIPHERS)
    _check_size(recipe.name, "byte_ceiling", recipe.byte_ceiling, 1)
    if isinstance(recipe, AEADRecipe):
        AEAD_CIPHERS[recipe.name] = recipe
        return
    if recipe.block_bytes not in (1, 2, 4, 8, 16, 32, 64):
        raise LocalProtocolError(f"{recipe.name}: block_bytes must be a power of two up to 64, not {recipe.block_bytes}")
    CIPHERS[recipe.name] = recipe


def register_mac(recipe: MACRecipe) -> None:
    """Make a MAC of your own known. Raises `LocalProtocolError` for a bad name, one in use, or a tag of fewer than 8 bytes."""
    check_private_name("MAC", recipe.name, MACS)
    _check_size(recipe.name, "tag_bytes", recipe.tag_bytes, 8)
    MACS[recipe.name] = recipe


def register_compression(recipe: CompressionRecipe) -> None:
    """Make a compression method of your own known. Raises `LocalProtocolError` for a bad name, one in use, or half a recipe."""
    check_private_name("compression method", recipe.name, COMPRESSIONS)
    if recipe.compressor is None or recipe.decompressor is None:
        raise LocalProtocolError(f"{recipe.name}: a compression method needs a compressor and a decompressor")
    COMPRESSIONS[recipe.name] = recipe


def _check_size(name: str, field: str, value: int, least: int) -> None:
    if value < least:
        raise LocalProtocolError(f"{name}: {field} must be at least {least}, not {value}")
