"""Key types of a user's own: a recipe of functions over bytes, and the two halves of a key that is made by one.

The public key's blob is the string `name` and whatever the recipe says behind it. A private key file in OpenSSH's format has, behind the
name, two strings: the public half and the private one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from cryptography.exceptions import InvalidSignature

from ..errors import DecodeError


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen
class KeyTypeRecipe:
    """One key type, for host keys and user keys.

    `name` is the type, the first string of its blobs, `algorithms` the names of the signature algorithms that its keys can be used with,
    best first; mostly the one is the name of the other. A public half is what stands in the blob behind the name; a private half is bytes
    of any form. Each comes from `generate` or from a peer or file, so that what reads a public half or a signature must take any bytes.

    - `bits(public)` checks a public half strictly and gives the key's size; `ValueError` or `DecodeError` for a key that is not sound.
    - `generate()` gives a fresh private half, `public_of(private)` the public half of one.
    - `sign(private, algorithm, data)` gives the bare signature, without the blob around it.
    - `verify(public, algorithm, signature, data)`: does a bare signature hold? If not, or for anything that is malformed, it is False, or
      raises `ValueError` or the `InvalidSignature` of `cryptography`.
    """

    name: str
    algorithms: tuple[str, ...] = attrs.field(converter=_names)
    bits: Callable[[bytes], int]
    generate: Callable[[], bytes]
    public_of: Callable[[bytes], bytes]
    sign: Callable[[bytes, str, bytes], bytes]
    verify: Callable[[bytes, str, bytes, bytes], bool]


OWN_KEY_TYPES: dict[str, KeyTypeRecipe] = {}
"""Name -> recipe; `register_key_type` adds to it."""


@attrs.frozen
class OwnPublicKey:
    """The public half of a key of a user's own type."""

    recipe: KeyTypeRecipe
    public: bytes

    @property
    def key_size(self) -> int:
        """In bits. Raises `DecodeError` if the key is malformed."""
        try:
            return self.recipe.bits(self.public)
        except ValueError as error:
            raise DecodeError(f"the {self.recipe.name} public key is malformed: {error}") from None

    def holds(self, algorithm: str, signature: bytes, data: bytes) -> bool:
        """Does the bare signature hold for `data`?"""
        try:
            return self.recipe.verify(self.public, algorithm, signature, data)
        except (ValueError, InvalidSignature):
            return False


@attrs.frozen
class OwnPrivateKey:
    """The private half of one."""

    recipe: KeyTypeRecipe
    private: bytes = attrs.field(repr=False)

    def public_key(self) -> OwnPublicKey:
        """Its public half. Raises `DecodeError` if the private one is malformed."""
        try:
            return OwnPublicKey(self.recipe, self.recipe.public_of(self.private))
        except ValueError as error:
            raise DecodeError(f"the {self.recipe.name} private key is malformed: {error}") from None


def generate_own(name: str) -> OwnPrivateKey | None:
    """A fresh key of the type `name`, if there is one registered."""
    recipe = OWN_KEY_TYPES.get(name)
    return None if recipe is None else OwnPrivateKey(recipe, recipe.generate())
