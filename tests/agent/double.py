"""An agent in software, behind one end of a memory stream: what `ssh-agent` does, as far as a client can tell, with its lips unsealed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio
import trio.testing

from tests.keys.software_keys import SoftwareKey
from trio_ssh import PrivateKey, PublicKey
from trio_ssh.agent import AgentClient, AgentIdentity, AgentLimits, Confirm, Constraint, Lifetime, SecurityKeyProvider
from trio_ssh.agent import messages as m
from trio_ssh.agent.frames import FrameStream
from trio_ssh.errors import DecodeError
from trio_ssh.keys.certificates import Certificate, CertifiedKey
from trio_ssh.wire.codec import decode
from trio_ssh.wire.primitives import read_name

LIMITS = AgentLimits()


async def nobody_minds(key: PublicKey) -> bool:
    return True


@attrs.frozen
class Held:
    key: PrivateKey | CertifiedKey
    comment: str
    constraints: tuple[Constraint, ...] = ()
    forgotten_at: float = float("inf")

    @property
    def plain(self) -> PrivateKey:
        return self.key.key if isinstance(self.key, CertifiedKey) else self.key

    @property
    def public(self) -> PublicKey | Certificate:
        return self.key.certificate if isinstance(self.key, CertifiedKey) else self.key.public_key


@attrs.define(eq=False)
class SoftwareAgent:
    """`requests` is all that it was asked, over every connection; `bound` the sessions that connections were bound to."""

    knows_constraints: Sequence[type] = (Lifetime, Confirm, SecurityKeyProvider)
    extensions: Sequence[str] = (m.QUERY, m.SESSION_BIND)
    answers_query_as: type = m.ExtensionResponse
    confirm: Callable[[PublicKey], Awaitable[bool]] = nobody_minds
    security_keys: dict[bytes, SoftwareKey] = attrs.field(factory=dict)
    """Public blob -> the authenticator."""
    held: dict[bytes, Held] = attrs.field(factory=dict)
    requests: list[m.Request] = attrs.field(factory=list)
    bound: list[m.SessionBind] = attrs.field(factory=list)
    connections: int = 0
    open_connections: int = 0
    passphrase: bytes | None = None

    def hold(self, key: PrivateKey | CertifiedKey, comment: str = "") -> None:
        held = Held(key, comment)
        self.held[held.public.blob] = held

    def plug_in(self, key: SoftwareKey) -> PrivateKey:
        """A security key that it can reach; gives the handle to add."""
        self.security_keys[key.public_key.blob] = key
        return key.private_key()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection, until the client closes it."""
        frames = FrameStream(stream, LIMITS.frame_bytes)
        self.connections += 1
        self.open_connections += 1
        sessions: list[m.SessionBind] = []
        try:
            while (received := await frames.receive()) is not None:
                await frames.send(m.encode_message(await self._answer(received, sessions)))
        except (trio.BrokenResourceError, DecodeError):
            pass  # the client has gone
        finally:
            self.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def _answer(self, received: bytes, sessions: list[m.SessionBind]) -> m.Answer:
        try:
            request = m.decode_request(received)
        except DecodeError:
            return m.Failure()
        self.requests.append(request)
        self.held = {blob: held for blob, held in self.held.items() if trio.current_time() < held.forgotten_at}
        if self.passphrase is not None:
            return self._while_locked(request)
        if isinstance(request, m.RequestIdentities):
            return m.write_identities([AgentIdentity(blob, held.comment) for blob, held in self.held.items()])
        if isinstance(request, m.SignRequest):
            return await self._sign(request)
        if isinstance(request, m.Extension):
            return self._extension(request, sessions)
        return m.Success() if self._change(request) else m.Failure()

    def _while_locked(self, request: m.Request) -> m.Answer:
        if isinstance(request, m.RequestIdentities):
            return m.write_identities([])
        if isinstance(request, m.Unlock) and request.passphrase == self.passphrase:
            self.passphrase = None
            return m.Success()
        return m.Failure()

    def _change(self, request: m.Request) -> bool:
        """True: done."""
        if isinstance(request, m.AddIdentity):
            return self._add(request.key, request.comment, ())
        if isinstance(request, m.AddIdentityConstrained):
            return self._add(request.key, request.comment, request.constraints)
        if isinstance(request, m.RemoveIdentity):
            return self.held.pop(request.key_blob, None) is not None
        if isinstance(request, m.RemoveAllIdentities):
            self.held.clear()
            return True
        if isinstance(request, m.Lock):
            self.passphrase = request.passphrase
            return True
        return False

    def _add(self, key: PrivateKey | CertifiedKey, comment: str, constraints: tuple[Constraint, ...]) -> bool:
        if not all(isinstance(constraint, tuple(self.knows_constraints)) for constraint in constraints):
            return False
        seconds = min((c.seconds for c in constraints if isinstance(c, Lifetime)), default=float("inf"))
        held = Held(key, comment, constraints, trio.current_time() + seconds)
        if held.plain.security_key is not None and not any(isinstance(c, SecurityKeyProvider) for c in constraints):
            return False
        self.held[held.public.blob] = held
        return True

    async def _sign(self, request: m.SignRequest) -> m.Answer:
        held = self.held.get(request.key_blob)
        if held is None:
            return m.Failure()
        if any(isinstance(c, Confirm) for c in held.constraints) and not await self.confirm(held.plain.public_key):
            return m.Failure()
        algorithm = held.plain.public_key.all_signature_algorithms[0]
        if algorithm.startswith("rsa-"):
            algorithm = {m.RSA_SHA2_256: "rsa-sha2-256", m.RSA_SHA2_512: "rsa-sha2-512"}.get(request.flags, "ssh-rsa")
        signer = self.security_keys.get(held.plain.public_key.blob, held.plain)
        return m.SignResponse(signer.sign(algorithm, request.data))

    def _extension(self, request: m.Extension, sessions: list[m.SessionBind]) -> m.Answer:
        if request.name not in self.extensions:
            return m.Failure()
        if request.name == m.QUERY:
            names = m.write_names(self.extensions)
            return m.ExtensionResponse(m.QUERY, names) if self.answers_query_as is m.ExtensionResponse else m.Success(names)
        if request.name != m.SESSION_BIND:
            return m.ExtensionResponse(request.name, request.contents)
        return m.Success() if self._bind(request.contents, sessions) else m.ExtensionFailure()

    def _bind(self, contents: bytes, sessions: list[m.SessionBind]) -> bool:
        try:
            bind = decode(m.SessionBind, contents)
            key = m.read_public(bind.host_key_blob)
            algorithm, _ = read_name(bind.signature, 0)
        except DecodeError:
            return False
        host_key = key if isinstance(key, PublicKey) else key.public_key
        if any(not each.is_forwarding for each in sessions) or not host_key.verify(algorithm, bind.signature, bind.session_id):
            return False
        sessions.append(bind)
        self.bound.append(bind)
        return True


@attrs.frozen
class Session:
    """What an agent is told of an SSH session."""

    session_id: bytes
    host_key_blob: bytes
    signature: bytes
    username: str = "ada"

    @classmethod
    def of(cls, host_key: PrivateKey, session_id: bytes = bytes(32)) -> Session:
        algorithm = host_key.public_key.signature_algorithms[0]
        return cls(session_id, host_key.public_key.blob, host_key.sign(algorithm, session_id))


@attrs.frozen
class Reach:
    """Opens connections to an agent that is served in a nursery: ``AgentCredential(Reach(agent, nursery))``."""

    agent: SoftwareAgent
    nursery: trio.Nursery

    async def __call__(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.agent.serve, theirs)
        return ours

    async def open(self, limits: AgentLimits = LIMITS) -> AgentClient:
        return AgentClient(await self(), limits)
