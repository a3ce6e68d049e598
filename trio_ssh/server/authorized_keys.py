"""`AuthorizedKeys`: the policy that lets in who holds a key, or a certificate, that a list in the format of authorized_keys names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import attrs

from ..connection.authenticator import REFUSE, Verdict
from ..keys.authorized_keys import AuthorizedKey, Claim, ParsedAuthorizedKeys, Refusal, permissions_for, read_authorized_keys
from ..keys.key import PublicKey
from ..keys.key_options import KeyOptions
from ..keys.permissions import Permissions
from ..protocol.auth_attempt import AuthAttempt
from .watched_file import WatchedFile


@attrs.define(eq=False)
class AuthorizedKeys:
    """Whoever holds one of these keys, under any user name. A file is read again whenever it has changed.

    A line may have the options of sshd(8), AUTHORIZED_KEYS FILE FORMAT: they are obeyed, and become the permissions of the login. One with
    ``cert-authority`` lets in who has a certificate of that authority for the username, or for one of its ``principals=``. A line with an
    option that is unknown or malformed is skipped with a record under ``trio_ssh.authorized_keys``. `clock` gives seconds since 1970.
    """

    entries: tuple[AuthorizedKey, ...] = ()
    clock: Callable[[], float] = time.time
    _file: WatchedFile[ParsedAuthorizedKeys] | None = None

    methods = ("publickey",)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> AuthorizedKeys:
        """Raises `KeyFileError` for a file that cannot be read."""
        file = WatchedFile.of(path, read_authorized_keys)
        return cls(file.content.entries, clock, file)

    @classmethod
    def of(cls, keys: Sequence[PublicKey]) -> AuthorizedKeys:
        """These keys, without a file and without options."""
        return cls(tuple(AuthorizedKey(key, KeyOptions(), "", 0) for key in keys))

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        if attempt.public_key is None and attempt.certificate is None:
            return REFUSE
        if self._file is not None:
            self.entries = (await self._file.current()).entries
        return verdict_of(permissions_for(self.entries, claim_of(attempt, self.clock())))


def claim_of(attempt: AuthAttempt, now: float) -> Claim:
    """What somebody claims by this attempt at `now`, seconds since 1970."""
    return Claim(
        username=attempt.username,
        address=attempt.address,
        now=now,
        public_key=attempt.public_key,
        certificate=attempt.certificate,
    )


def verdict_of(answer: Permissions | Refusal) -> Verdict:
    if isinstance(answer, Refusal):
        return Verdict(accepted=False, detail=answer.reason)
    return Verdict(accepted=True, permissions=answer)
