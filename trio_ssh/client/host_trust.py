"""What one connection makes of its host key policy: what is believed of the server, and what may be shown to it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from ..connection.connection import Connection
from ..connection.mux import Mux
from ..connection.offers import KeyboardInteractiveOffer, Offer, PasswordOffer
from ..errors import HostKeyUnknown, printable
from ..keys.certificates import Certificate
from ..keys.key import PublicKey
from ..protocol.limits import Limits
from .host_key_update import HostKeyUpdate
from .host_keys import HostCertificatePolicy, HostKeyDoubt, HostKeyPolicy, HostKeyUpdatePolicy


@attrs.define(eq=False)
class HostTrust:
    """The policy's word about ``host:port``, kept for as long as the connection lives."""

    host: str
    port: int
    policy: HostKeyPolicy
    limits: Limits
    doubt: HostKeyDoubt | None = None
    """Why the server's key, of whichever exchange, is not believed though it was let pass."""
    _host_key: PublicKey | None = None
    _update: HostKeyUpdate | None = None

    async def check(self, key: PublicKey | Certificate) -> None:
        """The server has proven that it has the key. Raises `HostKeyError`, and whatever else the policy does."""
        if isinstance(key, PublicKey):
            doubt = await self.policy.check(self.host, self.port, key)
        elif isinstance(self.policy, HostCertificatePolicy):
            doubt = await self.policy.check_certificate(self.host, self.port, key)
        else:
            raise HostKeyUnknown(f"{printable(self.host)} shows a certificate, which the host key policy in use cannot judge")
        self.doubt = self.doubt or doubt
        self._host_key = key if isinstance(key, PublicKey) else None

    def allowed(self, offers: Sequence[Offer]) -> Sequence[Offer]:
        """Those that may be made to this server: to one in doubt nothing that it could use elsewhere (hardening E06)."""
        if self.doubt is None:
            return offers
        return [offer for offer in offers if not isinstance(offer, (PasswordOffer, KeyboardInteractiveOffer))]

    def attach(self, mux: Mux) -> None:
        """Hear what the server says about its other keys, if the policy wants to know. To be called before the reader has the mux."""
        policy = self.policy
        if self._host_key is None or self.doubt is not None:
            return  # a certificate, or nothing to build on
        if getattr(policy, "learns_keys", False) and isinstance(policy, HostKeyUpdatePolicy):
            self._update = HostKeyUpdate(self.host, self.port, policy, self._host_key, self.limits)
            self._update.attach(mux)

    def learn(self, nursery: trio.Nursery, connection: Connection) -> None:
        """Start learning the server's other keys, beside the user's work."""
        if self._update is not None:
            nursery.start_soon(self._update.run, connection)
