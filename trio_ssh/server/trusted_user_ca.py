"""`TrustedUserCA`: the policy that lets in who has a certificate of an authority that is trusted for all users (sshd_config(5),
TrustedUserCAKeys and AuthorizedPrincipalsFile)."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable

import attrs

from ..connection.authenticator import REFUSE, Verdict
from ..keys.authorized_keys import narrowed_permissions, read_authorities
from ..keys.key import PublicKey
from ..keys.key_options import KeyOptions
from ..keys.principals import AuthorizedPrincipal, permissions_by_principals
from ..protocol.auth_attempt import AuthAttempt
from .authorized_keys import claim_of, verdict_of
from .watched_file import WatchedFile

Authority = PublicKey | str | os.PathLike[str]
PrincipalsOf = Callable[[str], Awaitable[Iterable[str | AuthorizedPrincipal]]]

_Source = PublicKey | WatchedFile[frozenset[PublicKey]]


def _sources(authorities: Authority | Iterable[Authority]) -> tuple[_Source, ...]:
    given = [authorities] if isinstance(authorities, (PublicKey, str, os.PathLike)) else list(authorities)
    return tuple(item if isinstance(item, PublicKey) else WatchedFile.of(item, read_authorities) for item in given)


@attrs.define(eq=False)
class TrustedUserCA:
    """Whoever has a certificate that one of these authorities has signed, for a user and for now, and that is for this account.

    `authorities` are public keys and paths of files with one key a line, one or several; a file is read again whenever it has changed.
    Without `principals` the username must be among the certificate's. Else ``await principals(username)`` says which principals may
    enter that account: names, or the `AuthorizedPrincipal` of `read_authorized_principals`, whose options are obeyed; none of them lets
    nobody in. The certificate's own limits hold in any case. `clock` gives seconds since 1970. Raises `KeyFileError` for a file that
    cannot be read.
    """

    _authorities: tuple[_Source, ...] = attrs.field(converter=_sources)
    principals: PrincipalsOf | None = None
    clock: Callable[[], float] = time.time

    methods = ("publickey",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        if attempt.certificate is None:
            return REFUSE
        if not await self._is_trusted(attempt.certificate.authority):
            return Verdict(accepted=False, detail="the certificate's authority is not one of the trusted ones")
        claim = claim_of(attempt, self.clock())
        if self.principals is None:
            return verdict_of(narrowed_permissions(KeyOptions(), claim, None))
        found = await self.principals(attempt.username)
        if isinstance(found, str):
            raise TypeError("principals must give a list of names, not one text")
        return verdict_of(permissions_by_principals([_entry(item) for item in found], claim))

    async def _is_trusted(self, authority: PublicKey) -> bool:
        for source in self._authorities:
            if authority == source if isinstance(source, PublicKey) else authority in await source.current():
                return True
        return False


def _entry(item: str | AuthorizedPrincipal) -> AuthorizedPrincipal:
    return AuthorizedPrincipal(item) if isinstance(item, str) else item
