"""The messages between an agent and its clients, for both sides (RFC 9987 §5; numbers in §8.1): a class each, fields in wire order.

They have numbers of their own, so that they are no SSH messages to the codec: a message's number is written and read here. Requests and
answers are two tables, and what is not in a table is an error: an agent answers it with `Failure`, a client gives the agent up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias, TypeVar, cast, dataclass_transform

import attrs

from ..errors import DecodeError, LocalProtocolError, printable
from ..keys.certificates import CERTIFICATE_KEY_TYPES, Certificate, CertifiedKey
from ..keys.fingerprint import sha256_fingerprint
from ..keys.key import PrivateKey, PublicKey
from ..wire.codec import Boolean, Kind, Name, Rest, String, Text, Uint32, decode, encode, structure
from ..wire.primitives import read_name, read_string, read_text, write_string, write_text
from .constraints import Constraint, read_constraints, write_constraints
from .key_fields import read_agent_key, write_agent_key

T = TypeVar("T")

RSA_SHA2_256 = 2
RSA_SHA2_512 = 4
"""Flags of a `SignRequest` (RFC 9987 §5.6.1); without one, an RSA key signs with SHA-1."""

QUERY = "query"
SESSION_BIND = "session-bind@openssh.com"

_numbers: dict[type, int] = {}
_requests: dict[int, type] = {}
_answers: dict[int, type] = {}

AgentKey = Annotated[PrivateKey | CertifiedKey, Kind(read_agent_key, write_agent_key)]
Constraints = Annotated[tuple[Constraint, ...], Kind(read_constraints, write_constraints)]


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def _message(number: int, table: dict[int, type]) -> Callable[[type[T]], type[T]]:
    def decorate(cls: type[T]) -> type[T]:
        declared = structure(cls)
        _numbers[declared] = number
        table[number] = declared
        return declared

    return decorate


# --- answers ---------------------------------------------------------------------------------------------------------------------------


@_message(5, _answers)
class Failure:
    """The request was refused, or is not known."""


@_message(6, _answers)
class Success:
    """Done. Agents of earlier drafts answer an extension with this and the extension's own `contents` behind it."""

    contents: Rest = b""


@_message(12, _answers)
class IdentitiesAnswer:
    """`entries` are read by `read_identities` and written by `write_identities`."""

    count: Uint32
    entries: Rest


@_message(14, _answers)
class SignResponse:
    """The signature blob: string algorithm, string signature."""

    signature: String


@_message(28, _answers)
class ExtensionFailure:
    """The extension is known and failed; an extension that is not known gets `Failure`."""


@_message(29, _answers)
class ExtensionResponse:
    """An extension's answer, under its name."""

    name: Name
    contents: Rest = b""


# --- requests --------------------------------------------------------------------------------------------------------------------------


@_message(11, _requests)
class RequestIdentities:
    """Which keys are there?"""


@_message(13, _requests)
class SignRequest:
    """Sign `data` by the key (or certificate) that has this blob."""

    key_blob: String
    data: String
    flags: Uint32


@_message(17, _requests)
class AddIdentity:
    """Hold this key. Only whether two keys are the same is compared, not their secrets; none of these shows in a repr."""

    key: AgentKey
    comment: Text


@_message(18, _requests)
class RemoveIdentity:
    """Forget this key."""

    key_blob: String


@_message(19, _requests)
class RemoveAllIdentities:
    """Forget all keys."""


@_message(20, _requests)
class AddSmartcardKey:
    """Load a token's keys by a library: read, so that it can be refused; never sent and never done by us (hardening E01)."""

    token: Text
    pin: String


@_message(21, _requests)
class RemoveSmartcardKey:
    """The opposite, refused as well."""

    token: Text
    pin: String


@_message(22, _requests)
class Lock:
    """Do nothing more until `Unlock` comes with the same passphrase."""

    passphrase: String


@_message(23, _requests)
class Unlock:
    """Serve again."""

    passphrase: String


@_message(25, _requests)
class AddIdentityConstrained:
    """`AddIdentity` within limits."""

    key: AgentKey
    comment: Text
    constraints: Constraints


@_message(26, _requests)
class AddSmartcardKeyConstrained:
    """`AddSmartcardKey` within limits, refused likewise."""

    token: Text
    pin: String
    constraints: Constraints


@_message(27, _requests)
class Extension:
    """Something that only some agents know; `contents` are the extension's own."""

    name: Name
    contents: Rest = b""


Answer: TypeAlias = Failure | Success | IdentitiesAnswer | SignResponse | ExtensionFailure | ExtensionResponse
Request: TypeAlias = (
    RequestIdentities
    | SignRequest
    | AddIdentity
    | RemoveIdentity
    | RemoveAllIdentities
    | AddSmartcardKey
    | RemoveSmartcardKey
    | Lock
    | Unlock
    | AddIdentityConstrained
    | AddSmartcardKeyConstrained
    | Extension
)

ANSWERS: tuple[type, ...] = tuple(_answers.values())
REQUESTS: tuple[type, ...] = tuple(_requests.values())
LOADS_LIBRARIES = (AddSmartcardKey, RemoveSmartcardKey, AddSmartcardKeyConstrained)
"""What makes an agent load code that somebody else names. An agent of ours refuses each (hardening E01)."""


def encode_message(message: Request | Answer) -> bytes:
    """The message with its number before it. Raises `LocalProtocolError` for a value that the wire cannot hold."""
    return bytes([_numbers[type(message)]]) + encode(message)


def decode_request(data: bytes) -> Request:
    """For an agent: what a client wants. Raises `DecodeError`."""
    return cast("Request", _decode(_requests, data, "request"))


def decode_answer(data: bytes) -> Answer:
    """For a client: what the agent says. Raises `DecodeError`."""
    return cast("Answer", _decode(_answers, data, "answer"))


def _decode(table: dict[int, type], data: bytes, what: str) -> object:
    if not data:
        raise DecodeError(f"an empty {what}")
    cls = table.get(data[0])
    if cls is None:
        raise DecodeError(f"message {data[0]} is no {what} that is known")
    return decode(cls, data[1:])


# --- what stands in them ---------------------------------------------------------------------------------------------------------------


@attrs.frozen
class AgentIdentity:
    """A key that an agent holds: the blob of a public key or certificate, maybe of a type that we do not know, and its comment.

    The comment is the agent's text: show it through `errors.printable` only.
    """

    key_blob: bytes = attrs.field(repr=sha256_fingerprint)
    comment: str = ""

    @property
    def algorithm(self) -> str:
        """The key type that the blob begins with, safe to show; empty if there is none."""
        try:
            return printable(read_name(self.key_blob, 0)[0], 64)
        except DecodeError:
            return ""

    def read_key(self) -> PublicKey | Certificate:
        """Check the blob. Raises `DecodeError` for a key of a type or size that we do not use, or one that is malformed."""
        return read_public(self.key_blob)


def read_public(blob: bytes) -> PublicKey | Certificate:
    """A blob as agents have them: of a certificate or of a key. Raises `DecodeError`."""
    if read_name(blob, 0)[0] in CERTIFICATE_KEY_TYPES:
        return Certificate.from_blob(blob)
    return PublicKey.from_blob(blob)


def write_identities(identities: Sequence[AgentIdentity]) -> IdentitiesAnswer:
    """The list of an agent's keys as an answer."""
    out = bytearray()
    for identity in identities:
        write_string(out, identity.key_blob)
        write_text(out, identity.comment)
    return IdentitiesAnswer(len(identities), bytes(out))


def read_identities(answer: IdentitiesAnswer, most: int) -> tuple[AgentIdentity, ...]:
    """The keys in an answer. Raises `DecodeError` if there are more than `most`, or not as many as it says."""
    if answer.count > most:
        raise DecodeError(f"a list of {answer.count} keys; {most} are taken at most")
    found = []
    offset = 0
    for _ in range(answer.count):
        blob, offset = read_string(answer.entries, offset)
        comment, offset = read_text(answer.entries, offset)
        found.append(AgentIdentity(blob, comment))
    if offset != len(answer.entries):
        raise DecodeError(f"{len(answer.entries) - offset} bytes follow the end of the list of keys")
    return tuple(found)


@structure
class SessionBind:
    """The contents of ``session-bind@openssh.com``: the session that this connection to the agent is used for (PROTOCOL.agent §1).

    `signature` is the host key's over the exchange hash that the session id is, as in the first key exchange's reply.
    """

    host_key_blob: String
    session_id: String
    signature: String
    is_forwarding: Boolean


def read_names(contents: bytes) -> tuple[str, ...]:
    """The names of extensions in the answer to ``query`` (RFC 9987 §5.8.1). Raises `DecodeError`."""
    names = []
    offset = 0
    while offset < len(contents):
        name, offset = read_name(contents, offset)
        names.append(name)
    return tuple(names)


def write_names(names: Sequence[str]) -> bytes:
    """The contents of the answer to ``query``. Raises `LocalProtocolError` for a name that is not ASCII."""
    out = bytearray()
    for name in names:
        if not name.isascii():
            raise LocalProtocolError(f"the name {name!r} is not US-ASCII")
        write_string(out, name.encode("ascii"))
    return bytes(out)
