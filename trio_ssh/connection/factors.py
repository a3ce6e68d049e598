"""How far one login has come when several factors are wanted (RFC 4252 §5.1, partial success).

A policy is a list of chains, each a way in (`Combination`). What is passed counts in every chain that awaits it, so that a policy which
stands in several is asked once; what one factor allows narrows the whole login, whichever chain is completed at the end (hardening B06).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from ..keys.permissions import Permissions
from ..protocol.auth_attempt import AuthAttempt
from .authenticator import Authenticator, is_combination


@attrs.define(eq=False)
class Factors:
    """The chains of one login, and where it stands in each."""

    chains: tuple[tuple[Authenticator, ...], ...]
    methods_passed: tuple[str, ...] = ()
    permissions: Permissions = attrs.field(factory=Permissions)
    _places: list[int] = attrs.field(init=False)
    _keys_used: set[bytes] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._places = [0] * len(self.chains)

    @classmethod
    def of(cls, policy: Authenticator) -> Factors:
        return cls(chains_of(policy))

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be gone on with."""
        return tuple(dict.fromkeys(method for policy in self._awaited() for method in policy.methods))

    def policies_for(self, method: str) -> tuple[Authenticator, ...]:
        """Those whose turn it is, each once."""
        found: list[Authenticator] = []
        for policy in self._awaited():
            if method in policy.methods and not any(policy is one for one in found):
                found.append(policy)
        return tuple(found)

    def _awaited(self) -> Iterator[Authenticator]:
        for chain, place in zip(self.chains, self._places, strict=True):
            if place < len(chain):
                yield chain[place]

    def is_used_up(self, attempt: AuthAttempt) -> bool:
        """Has this key been a factor of this login already? The same key twice is one factor."""
        return key_of(attempt) in self._keys_used

    def passed(self, policy: Authenticator, attempt: AuthAttempt, permissions: Permissions) -> bool:
        """`policy` has accepted. True when that completes a chain. Raises `PermissionConflict`, and then nothing has changed."""
        self.permissions = self.permissions.narrowed_by(permissions)
        self.methods_passed += (attempt.method,)
        if key := key_of(attempt):
            self._keys_used.add(key)
        for number, (chain, place) in enumerate(zip(self.chains, self._places, strict=True)):
            if place < len(chain) and chain[place] is policy:
                self._places[number] += 1
        return any(place == len(chain) for chain, place in zip(self.chains, self._places, strict=True))


def key_of(attempt: AuthAttempt) -> bytes:
    """The key of an attempt, with or without a certificate; b"" without a key."""
    key = attempt.public_key if attempt.certificate is None else attempt.certificate.public_key
    return b"" if key is None else key.blob


def chains_of(policy: Authenticator) -> tuple[tuple[Authenticator, ...], ...]:
    """A plain policy is one chain of one."""
    if is_combination(policy):
        return tuple(tuple(chain) for chain in policy.chains)
    return ((policy,),)


def either(chains: Sequence[tuple[tuple[Authenticator, ...], ...]]) -> tuple[tuple[Authenticator, ...], ...]:
    """The ways in where each of several policies is one."""
    return tuple(chain for ways in chains for chain in ways)


def one_after_another(chains: Sequence[tuple[tuple[Authenticator, ...], ...]]) -> tuple[tuple[Authenticator, ...], ...]:
    """The ways in where several policies must accept in turn."""
    found: tuple[tuple[Authenticator, ...], ...] = ((),)
    for ways in chains:
        found = tuple((*begun, *way) for begun in found for way in ways)
    return found
