"""Ready-made authentication policies for servers. A server has no default: it must say whom it lets in.

A policy is an object with `methods` and an async call that gives a `Verdict`, or a plain async function of an attempt, which is asked about
public keys and passwords alike: to offer one method only, write a class with `methods`. An exception in a policy is a refusal. `any_of`
combines policies: the first that accepts counts.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import attrs
import trio

from ..connection.authentication import ACCEPT, REFUSE, Authenticator, Verdict
from ..errors import KeyFileError
from ..keys.authorized_keys import ParsedAuthorizedKeys, read_authorized_keys
from ..keys.files import FileMark, file_mark
from ..keys.key import PublicKey
from ..protocol.auth_server import AuthAttempt

METHODS = ("publickey", "password")

Decide = Callable[[AuthAttempt], Awaitable[Verdict]]
CheckPassword = Callable[[str, str], Awaitable[bool]]


@attrs.define(eq=False)
class AuthorizedKeys:
    """Whoever holds one of these keys, under any user name. A file is read again whenever it has changed.

    Lines with options are refused with a log record: their limits are not enforced yet, and a key must not be let in without its limits.
    """

    keys: frozenset[PublicKey] = frozenset()
    path: str | None = None
    _mark: FileMark | None = attrs.field(default=None, init=False)

    methods = ("publickey",)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> AuthorizedKeys:
        """Raises `KeyFileError` for a file that cannot be read."""
        policy = cls(frozenset(), os.fspath(path))
        policy._take(read_authorized_keys(path))
        return policy

    @classmethod
    def of(cls, keys: Sequence[PublicKey]) -> AuthorizedKeys:
        """These keys, without a file."""
        return cls(frozenset(keys))

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        await self._refresh()
        return ACCEPT if attempt.public_key is not None and attempt.public_key in self.keys else REFUSE

    async def _refresh(self) -> None:
        if self.path is None:
            return
        mark = file_mark(self.path)
        if mark is None:
            raise KeyFileError(f"{self.path} is gone: nobody is let in by it", path=self.path)
        if mark != self._mark:
            self._take(await trio.to_thread.run_sync(read_authorized_keys, self.path))
            self._mark = mark

    def _take(self, parsed: ParsedAuthorizedKeys) -> None:
        self.keys = frozenset(entry.key for entry in parsed.entries)


@attrs.frozen
class Passwords:
    """``await check(username, password)`` says True for the right password, and must take as long for an unknown user."""

    check: CheckPassword

    methods = ("password",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        if attempt.password is None:
            return REFUSE
        return ACCEPT if await self.check(attempt.username, attempt.password) is True else REFUSE


@attrs.frozen
class AnyOf:
    """Made by `any_of`."""

    policies: tuple[Authenticator, ...]

    @property
    def methods(self) -> Sequence[str]:
        return tuple(dict.fromkeys(method for policy in self.policies for method in policy.methods))

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        for policy in self.policies:
            if attempt.method in policy.methods:
                verdict = await policy(attempt)
                if verdict.accepted:
                    return verdict
        return REFUSE


@attrs.frozen
class _Function:
    """A plain async function as a policy for every method."""

    decide: Decide

    methods = METHODS

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        return await self.decide(attempt)


def any_of(*policies: Authenticator | Decide) -> Authenticator:
    """Lets in whom one of the policies lets in."""
    return AnyOf(tuple(as_policy(policy) for policy in policies))


def as_policy(policy: Authenticator | Decide) -> Authenticator:
    """Make a plain async function a policy."""
    return cast(Authenticator, policy) if hasattr(policy, "methods") else _Function(policy)
