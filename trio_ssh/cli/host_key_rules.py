"""What a server's key must be, whoever vouches for it: RevokedHostKeys, RequiredRSASize and CASignatureAlgorithms (ssh_config(5))."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from .. import HostKeyError, HostKeyRevoked, KeyFileError, PublicKey, printable
from ..client.host_key_changes import HostKeyChanges
from ..client.host_keys import HostKeyDoubt
from ..keys.certificates import Certificate
from .host_key_check import HostKeyCheck, shown_host
from .key_lists import read_key_list


@attrs.frozen(kw_only=True)
class HostKeyRules:
    """A policy for `trio_ssh.connect`: these rules first, then `check`."""

    check_known: HostKeyCheck
    rsa_bits: int = 0
    authority_algorithms: Collection[str] = ()
    revoked: str | None = None
    """A file of keys that no server may have; one that cannot be read lets no server pass."""

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.check_known.key_types(host, port)

    async def check(self, host: str, port: int, key: PublicKey) -> HostKeyDoubt | None:
        """Raises `HostKeyError` unless the key is the right one, or is let pass."""
        self._check_key(host, port, key)
        self._check_revoked(host, port, key)
        return await self.check_known.check(host, port, key)

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> HostKeyDoubt | None:
        """The same for a certificate: its authority's key must be none of the revoked ones either."""
        self._check_key(host, port, certificate.public_key)
        self._check_key(host, port, certificate.authority)
        if certificate.authority_algorithm not in self.authority_algorithms:
            raise HostKeyError(
                f"the host certificate of {shown_host(host, port)} is signed by {printable(certificate.authority_algorithm, 100)}, "
                "which is not one of CASignatureAlgorithms",
                offered=certificate.public_key.fingerprint(),
            )
        self._check_revoked(host, port, certificate.public_key, certificate.authority)
        return await self.check_known.check_certificate(host, port, certificate)

    def _check_key(self, host: str, port: int, key: PublicKey) -> None:
        if key.algorithm == "ssh-rsa" and key.bits < self.rsa_bits:
            raise HostKeyError(
                f"the host key of {shown_host(host, port)} has {key.bits} bits, and RequiredRSASize wants {self.rsa_bits}",
                offered=key.fingerprint(),
            )

    def _check_revoked(self, host: str, port: int, *keys: PublicKey) -> None:
        if self.revoked is None:
            return
        try:
            revoked = read_key_list(self.revoked)
        except KeyFileError as error:
            raise HostKeyRevoked(f"no host key is accepted: RevokedHostKeys: {error}", path=self.revoked) from None
        for key in keys:
            if key in revoked:
                raise HostKeyRevoked(
                    f"the host key of {shown_host(host, port)}, {key.fingerprint()}, is revoked in {printable(self.revoked)}",
                    offered=key.fingerprint(),
                    path=self.revoked,
                )

    # -- further keys of a known server ------------------------------------------------------------------------------------------

    @property
    def learns_keys(self) -> bool:
        return self.check_known.learns_keys

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        """A key that the rules refuse is not learnt."""
        allowed = [one for one in announced if self._allows(host, port, one)]
        return await self.check_known.plan_update(host, port, key, allowed)

    def _allows(self, host: str, port: int, key: PublicKey) -> bool:
        try:
            self._check_key(host, port, key)
            self._check_revoked(host, port, key)
        except HostKeyError:
            return False
        return True

    async def update(self, changes: HostKeyChanges) -> None:
        await self.check_known.update(changes)
