"""`AgentCredential`: logging in with the keys of an agent. The private halves stay there; what leaves is data to be signed.

Each signature is asked for over a connection of its own, because a connection to an agent is bound to one SSH session, for good, and
because nothing then stays open when the login is over or cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

import attrs
import trio

from ..errors import AgentError, AgentRefused, AgentUnavailable, DecodeError, printable
from ..keys.certificates import Certificate, plain_algorithm
from ..keys.key import PublicKey
from .client import AgentClient, BoundSession, algorithms_of
from .connect import open_agent_stream
from .limits import AgentLimits
from .messages import AgentIdentity

_log = logging.getLogger("trio_ssh.agent")

AgentPublicKey: TypeAlias = PublicKey | Certificate
OpenStream: TypeAlias = Callable[[], Awaitable[trio.abc.Stream]]


def _keys(keys: Iterable[AgentPublicKey] | None) -> tuple[AgentPublicKey, ...] | None:
    return None if keys is None else tuple(keys)


def _certificates(certificates: Iterable[Certificate]) -> tuple[Certificate, ...]:
    return tuple(certificates)


@attrs.frozen
class AgentCredential:
    """What an SSH agent holds, in its order.

    `agent` says where it is: None or ``"SSH_AUTH_SOCK"``, the path of a socket, ``"$NAME"``, ``"none"`` (as IdentityAgent in ssh_config),
    or an async function that opens a stream to it. With `only`, no other keys and certificates than these are offered (IdentitiesOnly);
    `certificates` are offered first, if the agent has their keys. The server is asked whether it takes a key before the agent is asked
    to sign: a person may have to confirm that, or to touch a security key, and has all the time that the server gives.

    An agent that is not there, or that answers nonsense, is no error: a log record says so, and it has nothing to offer.
    """

    agent: str | OpenStream | None = None
    only: tuple[AgentPublicKey, ...] | None = attrs.field(default=None, converter=_keys, kw_only=True)
    certificates: tuple[Certificate, ...] = attrs.field(default=(), converter=_certificates, kw_only=True)
    limits: AgentLimits = attrs.field(factory=AgentLimits, kw_only=True)

    async def offers(self, session: BoundSession) -> Sequence[AgentSigner]:
        """The keys to log in with. Raises nothing of the agent's."""
        try:
            async with await self.open(session) as agent:
                identities = await agent.list_identities()
        except AgentUnavailable as error:
            _log.info("no keys from an agent: %s", error)
            return []
        except AgentError as error:
            _log.warning("no keys from the agent: %s", error)
            return []
        held = list(_usable(identities))
        wanted = [key for key in held if self.only is None or key in self.only]
        return [AgentSigner(self, session, key, by) for key, by in (*self._certified(held), *((key, key) for key in wanted))]

    def _certified(self, held: Sequence[AgentPublicKey]) -> list[tuple[AgentPublicKey, AgentPublicKey]]:
        """Certificates of ours whose keys the agent has, and those keys."""
        return [(each, each.public_key) for each in self.certificates if each.public_key in held and each not in held]

    async def open(self, session: BoundSession) -> AgentClient:
        """A connection to the agent, bound to the session if the agent knows how to. Raises `AgentError`."""
        stream = await self._open_stream()
        agent = AgentClient(stream, self.limits)
        try:
            await agent.bind_session(session)
        except AgentRefused as error:
            # An agent without such a binding has no keys that need it; one that has both will not list or use them.
            _log.debug("the agent connection is not bound to the session: %s", error)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return agent

    async def _open_stream(self) -> trio.abc.Stream:
        if not callable(self.agent):
            return await open_agent_stream(self.agent)
        try:
            return await self.agent()
        except (OSError, trio.BrokenResourceError) as error:
            raise AgentUnavailable(f"cannot reach the agent: {printable(str(error))}") from error


def _usable(identities: Sequence[AgentIdentity]) -> Iterable[AgentPublicKey]:
    for identity in identities:
        try:
            yield identity.read_key()
        except DecodeError as error:
            _log.info("the agent's key %r (%s) is not used: %s", printable(identity.comment, 100), identity.algorithm, error)


@attrs.frozen
class AgentSigner:
    """One of an agent's keys: a `Signer` of `connect`."""

    credential: AgentCredential
    session: BoundSession
    key: AgentPublicKey
    signed_by: AgentPublicKey
    """The key itself, or, for a certificate that the agent does not have, its plain key."""

    @property
    def algorithms(self) -> Sequence[str]:
        return algorithms_of(self.key)

    @property
    def key_blob(self) -> bytes:
        return self.key.blob

    @property
    def ask_first(self) -> bool:
        """Somebody may have to confirm the signature; and whether a certificate is any good, the server knows."""
        return True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        """Raises `AgentError`. It has no deadline: agents ask people."""
        async with await self.credential.open(self.session) as agent:
            if self.signed_by == self.key:
                return await agent.sign(self.key, data, algorithm)
            return await agent.sign(self.signed_by, data, plain_algorithm(algorithm))
