"""`AgentClient`: asks an SSH agent over any stream, one request at a time, and believes nothing that it can check.

The protocol has no request numbers: answers come in the order of the requests (RFC 9987 §4). So a request that was cancelled before its
answer came leaves an answer on its way that nobody can tell from the next one's, and a request that was cancelled while it was being sent
leaves half a message. Both end the connection: it is closed there and then, and every later request raises `AgentLost`. Opening another
costs little. (A request that was cancelled while it still waited for its turn has sent nothing, and harms nothing.)

FAILURE comes without a reason. It becomes `AgentRefused` (or `AgentLocked`, where we know), never a result; above all, a key that could
not be added with its constraints is not added without them (hardening E02, E03).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs
import trio

from ..errors import (
    AgentLocked,
    AgentLost,
    AgentProtocolError,
    AgentRefused,
    DecodeError,
    LocalProtocolError,
    printable,
)
from ..keys.certificates import Certificate, CertifiedKey, plain_algorithm
from ..keys.key import PrivateKey, PublicKey
from ..wire.codec import encode
from ..wire.primitives import read_name
from .constraints import Constraint
from .frames import FrameStream
from .limits import AgentLimits
from .messages import (
    QUERY,
    RSA_SHA2_256,
    RSA_SHA2_512,
    SESSION_BIND,
    AddIdentity,
    AddIdentityConstrained,
    AgentIdentity,
    Answer,
    Extension,
    ExtensionFailure,
    ExtensionResponse,
    Failure,
    IdentitiesAnswer,
    Lock,
    RemoveAllIdentities,
    RemoveIdentity,
    Request,
    RequestIdentities,
    SessionBind,
    SignRequest,
    SignResponse,
    Success,
    Unlock,
    decode_answer,
    encode_message,
    read_identities,
    read_names,
)

_FLAGS = {"rsa-sha2-256": RSA_SHA2_256, "rsa-sha2-512": RSA_SHA2_512}


class BoundSession(Protocol):
    """What an agent is told of an SSH session: the values of its first key exchange."""

    @property
    def session_id(self) -> bytes:
        """The exchange hash."""

    @property
    def host_key_blob(self) -> bytes:
        """The server's host key, or its certificate, as it came."""

    @property
    def signature(self) -> bytes:
        """The server's over the session id."""


@attrs.define(eq=False)
class AgentClient(trio.abc.AsyncResource):
    """The client's end of a connection to an agent; `open_agent` makes one, and so does any `trio.abc.Stream` that leads to an agent.

    Every method but `aclose` raises `AgentRefused` for a FAILURE, `AgentLost` if the connection is or goes away, `AgentProtocolError`
    for an answer that is none. Agents may ask their user before they answer, so that nothing here has a deadline: use a cancel scope; a
    request that is cancelled closes the connection. Several tasks may ask; they take turns.
    """

    stream: trio.abc.Stream
    limits: AgentLimits = attrs.field(factory=AgentLimits)
    _frames: FrameStream = attrs.field(init=False)
    _turn: trio.StrictFIFOLock = attrs.field(factory=trio.StrictFIFOLock, init=False)
    _gone: str = attrs.field(default="", init=False)
    """Why there will be no more answers."""
    _is_locked: bool = attrs.field(default=False, init=False)
    """By us; that others have locked it cannot be asked."""

    def __attrs_post_init__(self) -> None:
        self._frames = FrameStream(self.stream, self.limits.frame_bytes)

    async def aclose(self) -> None:
        """Close the stream. A request that is under way in another task raises `AgentLost`."""
        self._gone = self._gone or "the connection to the agent was closed: open another"
        await self.stream.aclose()

    # --- keys --------------------------------------------------------------------------------------------------------------------------

    async def list_identities(self) -> tuple[AgentIdentity, ...]:
        """The keys and certificates that the agent holds, in its order. A locked agent says that it has none."""
        answer = await self._ask(RequestIdentities())
        if not isinstance(answer, IdentitiesAnswer):
            raise await self._unfit(answer, "list its keys", "it does that for nobody, or not over this connection")
        try:
            return read_identities(answer, self.limits.identities)
        except DecodeError as error:
            raise await self._give_up(str(error)) from None

    async def sign(self, key: PublicKey | Certificate | AgentIdentity, data: bytes, algorithm: str = "") -> bytes:
        """The signature blob (string algorithm, string signature) of `data`, made by a key that the agent holds, and verified here.

        `algorithm` is one of the key's, for a certificate one of the certificate's; by default the best. Raises `DecodeError` for an
        identity that is no sound key, `LocalProtocolError` for an algorithm that is not the key's; neither asks the agent anything.
        """
        key = key.read_key() if isinstance(key, AgentIdentity) else key
        algorithm = algorithm or key.signature_algorithms[0]
        if algorithm not in algorithms_of(key):
            raise LocalProtocolError(f"an agent's key of type {key.algorithm} cannot sign by {printable(algorithm, 64)!r}")
        plain = plain_algorithm(algorithm) if isinstance(key, Certificate) else algorithm
        answer = await self._ask(SignRequest(key.blob, data, _FLAGS.get(plain, 0)))
        if not isinstance(answer, SignResponse):
            reasons = "it has no such key (any more), the key may not be used for this, its user said no, or it is locked"
            raise await self._unfit(answer, f"sign with the key {_fingerprint(key)}", reasons)
        if not key.verify(algorithm, answer.signature, data, legacy=True):
            raise await self._give_up(_wrong_signature(key, plain, answer.signature))
        return answer.signature

    async def add(self, key: PrivateKey | CertifiedKey, comment: str | None = None, constraints: Sequence[Constraint] = ()) -> None:
        """Let the agent hold a key, or a certificate with its key; one that it holds already is replaced.

        `comment` defaults to the key's own. `constraints` (`Lifetime`, `Confirm` …) hold all or the key is not added. Of a security key
        the agent gets the handle only, and needs a `SecurityKeyProvider`.
        """
        if comment is None:
            comment = key.key.comment if isinstance(key, CertifiedKey) else key.comment
        if constraints:
            request: Request = AddIdentityConstrained(key, comment, tuple(constraints))
            names = ", ".join(type(constraint).__name__ for constraint in constraints)
            reasons = f"it may not know all of the constraints {names}, or this type of key, or be locked; without them it was not added"
        else:
            request, reasons = AddIdentity(key, comment), "it may not know this type of key, or be locked"
        await self._do(request, f"add the key {_fingerprint(key)}", reasons)

    async def remove(self, key: PublicKey | Certificate | AgentIdentity) -> None:
        """Let the agent forget one key. A certificate and its plain key are two."""
        if not isinstance(key, AgentIdentity):
            key = AgentIdentity(key.blob)
        await self._do(RemoveIdentity(key.key_blob), f"remove a key of type {key.algorithm!r}", "it has no such key, or is locked")

    async def remove_all(self) -> None:
        """Let the agent forget all keys."""
        await self._do(RemoveAllIdentities(), "remove its keys", "it may be locked")

    # --- locking -----------------------------------------------------------------------------------------------------------------------

    async def lock(self, passphrase: str | bytes) -> None:
        """Let the agent do nothing for anybody until `unlock` is called with the same passphrase, over whatever connection."""
        await self._do(Lock(_secret(passphrase)), "be locked", "it is locked already, or cannot be")
        self._is_locked = True

    async def unlock(self, passphrase: str | bytes) -> None:
        """Undo `lock`. Raises `AgentLocked` for a wrong passphrase; agents make one wait before they say so."""
        answer = await self._ask(Unlock(_secret(passphrase)))
        if isinstance(answer, Failure):
            raise AgentLocked("the agent did not unlock: the passphrase is another one, or it was not locked")
        await self._expect_success(answer, "unlock", "")

    # --- extensions --------------------------------------------------------------------------------------------------------------------

    async def query_extensions(self) -> tuple[str, ...]:
        """The names of the extensions that the agent says it knows. Raises `AgentRefused` by an agent that cannot be asked."""
        contents = await self.extend(QUERY)
        try:
            return read_names(contents)
        except DecodeError as error:
            raise await self._give_up(str(error)) from None

    async def bind_session(self, session: BoundSession, *, is_forwarding: bool = False) -> None:
        """Tell the agent which SSH session this connection serves, so that it can use keys that are restricted to destinations.

        For a login, or, `is_forwarding`, for requests from the other side of that session. It lasts as long as the connection
        (``session-bind@openssh.com``); an agent refuses another login's, or what the host key has not signed.
        """
        contents = SessionBind(session.host_key_blob, session.session_id, session.signature, is_forwarding)
        await self.extend(SESSION_BIND, encode(contents))

    async def extend(self, name: str, contents: bytes = b"") -> bytes:
        """Ask for an extension by its name; `contents` and what comes back are as that extension has it."""
        answer = await self._ask(Extension(name, contents))
        if isinstance(answer, ExtensionResponse) and answer.name == name:
            return answer.contents
        if isinstance(answer, Success):
            return answer.contents
        shown = printable(name, 64)
        if isinstance(answer, ExtensionResponse):
            raise await self._give_up(f"the answer to {shown!r} is one to {printable(answer.name, 64)!r}")
        raise await self._unfit(answer, f"do {shown!r}", "it does not know that extension, the request is not in order, or it is locked")

    # --- one request -------------------------------------------------------------------------------------------------------------------

    async def _do(self, request: Request, what: str, reasons: str) -> None:
        await self._expect_success(await self._ask(request), what, reasons)

    async def _expect_success(self, answer: Answer, what: str, reasons: str) -> None:
        if not isinstance(answer, Success):
            raise await self._unfit(answer, what, reasons)
        if answer.contents:
            raise await self._give_up(f"{len(answer.contents)} bytes follow the end of its answer")
        self._is_locked = False

    async def _unfit(self, answer: Answer, what: str, reasons: str) -> AgentRefused | AgentProtocolError:
        """What to raise for an answer that is not the one wanted."""
        if not isinstance(answer, (Failure, ExtensionFailure)):
            return await self._give_up(f"asked to {what}, it answered {type(answer).__name__}")
        if self._is_locked:
            return AgentLocked(f"the agent refused to {what}: it is locked; unlock it first (ssh-add -X)")
        return AgentRefused(f"the agent refused to {what}: {reasons}")

    async def _ask(self, request: Request) -> Answer:
        payload = encode_message(request)
        async with self._turn:
            if self._gone:
                raise AgentLost(self._gone)
            await trio.lowlevel.checkpoint_if_cancelled()  # up to here nothing has been sent
            try:
                return await self._exchange(payload)
            except LocalProtocolError:
                raise  # too large: nothing was sent
            except BaseException as error:
                self._gone = self._gone or _cause(error)
                await trio.aclose_forcefully(self.stream)
                raise

    async def _exchange(self, payload: bytes) -> Answer:
        if self._frames.has_more:
            raise _malformed("it said something that it was not asked for")
        try:
            await self._frames.send(payload)
            received = await self._frames.receive()
            if received is None:
                raise AgentLost("the agent closed the connection without an answer: open another")
            return decode_answer(received)
        except DecodeError as error:
            raise _malformed(str(error)) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise AgentLost(self._gone or "the connection to the agent broke: open another") from error

    async def _give_up(self, why: str) -> AgentProtocolError:
        """Nothing that this agent says can be relied on."""
        error = _malformed(why)
        self._gone = self._gone or _cause(error)
        await trio.aclose_forcefully(self.stream)
        return error


def algorithms_of(key: PublicKey | Certificate) -> tuple[str, ...]:
    """What an agent can be asked to sign by, best first, legacy ones last: not a browser's form of a security key's signature."""
    return tuple(name for name in key.all_signature_algorithms if not name.startswith("webauthn-"))


def _malformed(why: str) -> AgentProtocolError:
    return AgentProtocolError(f"the agent broke the protocol: {why}; the connection to it was closed")


def _cause(error: BaseException) -> str:
    if isinstance(error, (AgentLost, AgentProtocolError)):
        return str(error)
    return "a request to the agent was cancelled before its answer had come: open another connection"


def _secret(passphrase: str | bytes) -> bytes:
    return passphrase.encode("utf-8", "surrogateescape") if isinstance(passphrase, str) else passphrase


def _fingerprint(key: PublicKey | Certificate | PrivateKey | CertifiedKey) -> str:
    if isinstance(key, CertifiedKey):
        key = key.certificate
    return (key if isinstance(key, PublicKey) else key.public_key).fingerprint()


def _wrong_signature(key: PublicKey | Certificate, algorithm: str, signature: bytes) -> str:
    try:
        made_by, _ = read_name(signature, 0)
    except DecodeError:
        made_by = ""
    if made_by != algorithm:
        return f"asked for a signature by {algorithm}, it gave one by {printable(made_by, 64)!r}"
    return f"its signature is not one of the key {_fingerprint(key)}"
