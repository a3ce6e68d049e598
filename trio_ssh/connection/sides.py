"""What makes a connection a client's, or a server's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from ..keys.certificates import CertifiedKey
from ..protocol.extensions import extensions_of_client, extensions_of_server
from ..protocol.key_exchange import HostKey, OwnHostKey
from ..protocol.negotiation import Algorithms
from .authenticator import Authenticator, LoggedIn, RulesByLogin, Verdict
from .identity_checker import ignore_verdict, log_mistake
from .identity_prover import ClientPlan
from .incoming import OpenHandler, refuse_open
from .mux import Mux
from .rekey_supervisor import OurIdentity


def ignore_mux(mux: Mux) -> None:
    """For clients that take no requests of their server's."""


@attrs.frozen(kw_only=True)
class ClientSide:
    """What makes a connection a client's."""

    plan: ClientPlan
    trust: Callable[[HostKey], Awaitable[None]]
    """The host key policy: returns for a good key, raises `HostKeyError` for another."""
    on_mux: Callable[[Mux], None] = ignore_mux
    """Told of the mux before the reader has it, to set its handlers."""

    def identity(self, line: bytes, algorithms: Algorithms) -> OurIdentity:
        """What we are in a key exchange; `line` is our identification."""
        return OurIdentity(line=line, trust=self.trust, first_payload=extensions_of_client())


def ignore_login(login: LoggedIn) -> None:
    """For servers that need not know."""


@attrs.frozen(kw_only=True)
class ServerSide:
    """What makes a connection a server's."""

    host_keys: tuple[OwnHostKey, ...]
    policy: Authenticator | RulesByLogin
    banner: str = ""
    """Shown to every client's user before anything is asked."""
    on_login: Callable[[LoggedIn], None] = ignore_login
    """Told who it is, right behind the SUCCESS."""
    on_verdict: Callable[[Verdict], None] = ignore_verdict
    """Told of each answer of the policy."""
    on_mistake: Callable[[str, BaseException], None] = log_mistake
    """Told of each failure of the policy, and what came of it."""
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


def keys_by_algorithm(host_keys: tuple[OwnHostKey, ...]) -> dict[str, OwnHostKey]:
    """Which of the server's keys signs for a negotiated host key algorithm: the first that can. A certified one signs plainly, too."""
    table: dict[str, OwnHostKey] = {}
    for key in host_keys:
        for algorithm in key.certificate.all_signature_algorithms if isinstance(key, CertifiedKey) else ():
            table.setdefault(algorithm, key)
        plain = key.key if isinstance(key, CertifiedKey) else key
        for algorithm in plain.public_key.all_signature_algorithms:
            table.setdefault(algorithm, plain)
    return table
