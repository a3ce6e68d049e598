"""What makes a connection a client's, or a server's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from ..keys.key import PrivateKey, PublicKey
from ..protocol.extensions import extensions_of_client, extensions_of_server
from ..protocol.negotiation import Algorithms
from .authentication import Authenticator, ClientPlan
from .incoming import OpenHandler, refuse_open
from .rekey_supervisor import OurIdentity


@attrs.frozen(kw_only=True)
class ClientSide:
    """What makes a connection a client's."""

    plan: ClientPlan
    trust: Callable[[PublicKey], Awaitable[None]]
    """The host key policy: returns for a good key, raises `HostKeyError` for another."""

    def identity(self, line: bytes, algorithms: Algorithms) -> OurIdentity:
        """What we are in a key exchange; `line` is our identification."""
        return OurIdentity(line=line, trust=self.trust, first_payload=extensions_of_client())


def ignore_login(username: str) -> None:
    """For servers that need not know."""


@attrs.frozen(kw_only=True)
class ServerSide:
    """What makes a connection a server's."""

    host_keys: tuple[PrivateKey, ...]
    policy: Authenticator
    on_login: Callable[[str], None] = ignore_login
    """Told the user's name, right behind the SUCCESS."""
    on_open: OpenHandler = refuse_open
    """Told, in the reader's task, of each channel a client wants to open."""
    peer: str = ""
    local: str = ""
    incoming_types: tuple[str, ...] = ("session",)

    def identity(self, line: bytes, algorithms: Algorithms) -> OurIdentity:
        """What we are in a key exchange; `line` is our identification."""
        return OurIdentity(
            line=line,
            host_keys=keys_by_algorithm(self.host_keys),
            moduli=algorithms.moduli,
            first_payload=extensions_of_server(algorithms.signatures),
        )


def keys_by_algorithm(host_keys: tuple[PrivateKey, ...]) -> dict[str, PrivateKey]:
    """Which of the server's keys signs for a negotiated host key algorithm: the first that can."""
    table: dict[str, PrivateKey] = {}
    for key in host_keys:
        for algorithm in key.public_key.all_signature_algorithms:
            table.setdefault(algorithm, key)
    return table
