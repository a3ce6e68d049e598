"""The server's half of the authentication protocol (RFC 4252, RFC 4256): requests in, answers out.

A request is read in full before anything is looked up (`read`), and only then judged by what is known of its user (`examine`): what a
malformed one costs, and what answers it, says nothing about who exists (hardening B09). Every request counts to a hard cap, every refusal
to `auth_failures`; the user and the service may not change in mid-way (RFC 4252 §5). A signature is checked here, so that a policy only
ever learns of a key whose holder has signed, or of a question about a key, and can tell the two apart (hardening B04).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from ..errors import DecodeError, LocalProtocolError, RemoteProtocolError
from ..keys.certificates import KEY_TYPE_OF_CERTIFICATE_ALGORITHM, Certificate
from ..keys.key import PublicKey
from ..keys.security_keys import security_key_use
from ..wire.codec import decode, encode
from ..wire.numbers import DisconnectReason
from ..wire.numbers import MessageNumber as M
from ..wire.primitives import read_string
from ..wire.transport import ServiceAccept, ServiceRequest
from ..wire.userauth import (
    KeyboardInteractiveFields,
    PasswordFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthInfoResponse,
    UserauthPasswdChangereq,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    read_responses,
    read_signature_field,
    write_prompts,
)
from .auth_attempt import AskClient, AuthAttempt, Prompt
from .auth_client import HOSTBOUND, NEXT_SERVICE, SERVICE
from .extensions import extensions_of_server_in_auth, read_ext_info, takes_extensions_in_auth
from .limits import Limits
from .negotiation import DEFAULT_SIGNATURE_ALGORITHMS


@attrs.frozen
class ServiceWanted:
    """Answer with `reply`."""

    reply: bytes


@attrs.frozen
class Hopeless:
    """An attempt that is refused whatever the policy says: unknown method, bad signature, malformed key, over-long password."""

    method: str
    why: str
    counts: bool = True


@attrs.frozen
class ExtensionsNoted:
    extensions: dict[str, bytes]


@attrs.frozen
class Requested:
    """A request that is whole; `examine` says what it comes to."""

    request: UserauthRequest
    fields: PasswordFields | PublicKeyFields | KeyboardInteractiveFields | None
    """None: the method is unknown, or has none."""
    secret: bytes = b""
    """The signature, or the new password."""
    host_key_blob: bytes | None = None
    """What a host-bound signature names as the server's key."""
    signed: bytes = b""
    """What the signature is over, behind the session id."""


@attrs.frozen
class Answers:
    """The answers to what was asked last; None: another number of them than there were questions (RFC 4256 §3.4)."""

    texts: tuple[str, ...] | None = attrs.field(repr=False)


ReadEvent = ServiceWanted | Requested | ExtensionsNoted | Answers
RequestEvent = ServiceWanted | AuthAttempt | Hopeless | ExtensionsNoted | Answers


@attrs.define(eq=False)
class ServerAuthentication:
    """`read` takes each payload, `examine` what a request comes to; the others give the payload to answer with.

    `methods` is what the client may go on with, in the order of the answers to it; whoever drives this keeps it up to date.
    """

    session_id: bytes
    methods: tuple[str, ...] = ()
    limits: Limits = attrs.field(factory=Limits)
    peer: str = ""
    signatures: tuple[str, ...] = DEFAULT_SIGNATURE_ALGORITHMS
    """Signature algorithms that are taken."""
    signatures_of: Callable[[str], Sequence[str]] | None = None
    """Those taken of a user, if they depend on it: asked once, when the first request has been read."""
    host_key_blob: bytes = b""
    """What we showed in the first key exchange."""
    empty_passwords: bool = False
    """They are left to the policy instead of being refused."""
    username: str | None = None
    failures: int = 0
    _requests: int = 0
    _rounds: int = 0
    _asked: int | None = None
    """So many answers are awaited."""
    _service_given: bool = False
    _extensions: bytes | None = None
    """Our second EXT_INFO while it is due; None for a client that takes none."""

    def receive(self, payload: bytes) -> RequestEvent:
        """`read` and `examine` at once, for whoever has no rules by user."""
        event = self.read(payload)
        return self.examine(event) if isinstance(event, Requested) else event

    def read(self, payload: bytes) -> ReadEvent:
        """Raises `RemoteProtocolError` where the connection must end."""
        number = payload[0]
        if number == M.SERVICE_REQUEST:
            return self._service(decode(ServiceRequest, payload))
        if number == M.EXT_INFO:
            extensions = read_ext_info(payload, self.limits)
            self._extensions = b"" if takes_extensions_in_auth(extensions) else None
            return ExtensionsNoted(extensions)
        if number == M.USERAUTH_REQUEST:
            return self._request(decode(UserauthRequest, payload), payload)
        if number == M.USERAUTH_INFO_RESPONSE and self._asked is not None:
            return self._answers(decode(UserauthInfoResponse, payload), self._asked)
        raise RemoteProtocolError("the client answered a question that was not asked (RFC 4256 §3.4)")

    def _count(self) -> None:
        """A request of any kind."""
        self._requests += 1
        if self._requests > self.limits.auth_requests:
            raise RemoteProtocolError(f"the client made more than {self.limits.auth_requests} authentication requests")

    def _service(self, request: ServiceRequest) -> ServiceWanted:
        if self._service_given:
            self._count()  # asking again is allowed, but not for ever
        self._service_given = True
        if request.service_name != SERVICE:
            raise RemoteProtocolError(
                "the client asked for a service that is not available before authentication", reason=DisconnectReason.SERVICE_NOT_AVAILABLE
            )
        return ServiceWanted(encode(ServiceAccept(SERVICE)))

    def _request(self, request: UserauthRequest, payload: bytes) -> Requested:
        self._count()
        self._asked, self._rounds = None, 0  # a new request ends what was going on (RFC 4256 §3.1)
        if request.service_name != NEXT_SERVICE:
            raise RemoteProtocolError("the client wants an unknown service behind authentication", reason=7)
        if "\0" in request.user_name:
            raise RemoteProtocolError("the client's user name has a NUL in it")
        if self.username is None:
            self.username = request.user_name
            self._choose_signatures()
        elif self.username != request.user_name:
            raise RemoteProtocolError("the client changed its user name between requests (RFC 4252 §5)")
        return _read_fields(request, payload)

    def _choose_signatures(self) -> None:
        if self.signatures_of is not None and self.username is not None:
            self.signatures = tuple(self.signatures_of(self.username))
            if self._extensions is not None:
                self._extensions = extensions_of_server_in_auth(self.signatures)

    def take_extensions(self) -> bytes:
        """The payload of our second EXT_INFO, once, when it is due: it goes out before the first request is answered. Else b""."""
        due, self._extensions = self._extensions, None
        return due or b""

    # -- what a request comes to -------------------------------------------------------------------------------------------------

    def examine(self, requested: Requested, ask: AskClient | None = None) -> AuthAttempt | Hopeless:
        """An attempt for the policy, or one that no policy need see. `ask` is what a keyboard-interactive attempt asks by.

        Raises `RemoteProtocolError` for a signature that is bound to another server.
        """
        name, fields = requested.request.user_name, requested.fields
        method = _METHOD_OF.get(requested.request.method_name, requested.request.method_name)
        if len(name.encode("utf-8", "surrogateescape")) > self.limits.username_bytes or not name.isprintable():
            return Hopeless(method, "user name is too long, unprintable or not UTF-8")
        if method == "none" and method not in self.methods:
            return Hopeless(method, "none is not enough", counts=self._requests > 1)
        if method not in self.methods:
            return Hopeless(method, "method is not offered" if method in METHODS else "unknown method")
        if isinstance(fields, PasswordFields):
            return self._password(name, fields, requested.secret)
        if isinstance(fields, PublicKeyFields):
            return self._publickey(name, fields, requested)
        return AuthAttempt(username=name, method=method, peer=self.peer, address=self.address, ask_client=ask)

    @property
    def address(self) -> str:
        """The client's IP address alone, "" where there is none."""
        address, port, _ = self.peer.partition(" port ")
        return address if port else ""

    def _password(self, name: str, fields: PasswordFields, new: bytes) -> AuthAttempt | Hopeless:
        if any(len(secret) > self.limits.password_bytes for secret in (fields.password, new)):
            return Hopeless("password", "password is too long")
        if not (fields.password or self.empty_passwords) or (fields.is_change and not new):
            return Hopeless("password", "password is empty")
        try:
            password, new_password = fields.password.decode(), new.decode()
        except UnicodeDecodeError:
            return Hopeless("password", "password is not UTF-8")
        return AuthAttempt(
            username=name,
            method="password",
            password=password,
            new_password=new_password if fields.is_change else None,
            peer=self.peer,
            address=self.address,
        )

    def _publickey(self, name: str, fields: PublicKeyFields, requested: Requested) -> AuthAttempt | Hopeless:
        if requested.host_key_blob is not None and requested.host_key_blob != self.host_key_blob:
            raise RemoteProtocolError("the client's request is bound to another server's host key")
        if fields.algorithm not in self.signatures:
            return Hopeless("publickey", "key algorithm is not taken")
        key: PublicKey | Certificate
        try:
            certified = fields.algorithm in KEY_TYPE_OF_CERTIFICATE_ALGORITHM
            key = Certificate.from_blob(fields.key_blob) if certified else PublicKey.from_blob(fields.key_blob)
        except DecodeError as error:
            return Hopeless("publickey", f"key is malformed: {error}")
        if fields.algorithm not in key.all_signature_algorithms:
            return Hopeless("publickey", "key is of another type than its algorithm says")
        if fields.has_signature:
            signed = encode(SignedPublicKeyRequest(self.session_id, requested.signed))
            if not key.verify(fields.algorithm, requested.secret, signed, legacy=True):
                return Hopeless("publickey", "signature is wrong")
        return AuthAttempt(
            username=name,
            method="publickey",
            public_key=key if isinstance(key, PublicKey) else None,
            certificate=key if isinstance(key, Certificate) else None,
            algorithm=fields.algorithm,
            proven=fields.has_signature,
            security_key=security_key_use(requested.secret) if fields.has_signature else None,
            peer=self.peer,
            address=self.address,
        )

    # -- answers -----------------------------------------------------------------------------------------------------------------

    def ask(self, prompts: Sequence[Prompt], name: str, instruction: str) -> bytes:
        """An INFO_REQUEST. Raises `LocalProtocolError` for more prompts, or more rounds of them, than `Limits` allow."""
        self._rounds += 1
        if self._rounds > self.limits.kbdint_rounds or len(prompts) > self.limits.kbdint_prompts:
            raise LocalProtocolError(
                f"keyboard-interactive: at most {self.limits.kbdint_prompts} prompts and {self.limits.kbdint_rounds} rounds (Limits)"
            )
        texts = write_prompts(tuple((prompt.text, prompt.echo) for prompt in prompts))
        self._asked = len(prompts)
        return encode(UserauthInfoRequest(name, instruction, "", texts))

    def _answers(self, response: UserauthInfoResponse, asked: int) -> Answers:
        self._asked = None
        texts = read_responses(response.responses, self.limits.kbdint_prompts)
        if any(len(text.encode("utf-8", "surrogateescape")) > self.limits.password_bytes for text in texts):
            return Answers(None)
        return Answers(texts if len(texts) == asked else None)

    def give_up(self) -> None:
        """The client began another attempt in the midst of this one: a failure that nothing answers (RFC 4256 §3.1)."""
        self._count_failure()

    def refuse(self, *, counts: bool = True) -> bytes:
        """A FAILURE. The last one that `auth_failures` allows is a `RemoteProtocolError` instead."""
        if counts:
            self._count_failure()
        return self._failure(partial=False)

    def succeed_in_part(self) -> bytes:
        """A FAILURE that says: this was right, but `methods`, which have changed by now, must go on (RFC 4252 §5.1)."""
        return self._failure(partial=True)

    def _count_failure(self) -> None:
        self._asked = None
        self.failures += 1
        if self.failures >= self.limits.auth_failures:
            raise RemoteProtocolError("too many authentication failures")

    def _failure(self, partial: bool) -> bytes:
        self._asked = None
        return encode(UserauthFailure(tuple(method for method in self.methods if method != "none"), partial))  # RFC 4252 §5.2

    def want_new_password(self, prompt: str) -> bytes:
        """The password is right but must be changed (RFC 4252 §8)."""
        return encode(UserauthPasswdChangereq(prompt))

    def key_would_do(self, attempt: AuthAttempt) -> bytes:
        key = attempt.public_key or attempt.certificate
        assert key is not None
        return encode(UserauthPkOk(attempt.algorithm, key.blob))

    def banner(self, text: str) -> bytes:
        """Text for the client's user, to be sent before the first answer (RFC 4252 §5.4)."""
        return encode(UserauthBanner(text))

    def grant(self) -> bytes:
        self._asked = None
        return encode(UserauthSuccess())


METHODS = ("none", "publickey", "password", "keyboard-interactive")
"""What a policy can be asked about."""
_METHOD_OF = {HOSTBOUND: "publickey"}


def _read_fields(request: UserauthRequest, payload: bytes) -> Requested:
    """Raises `DecodeError` unless the request is whole and nothing follows it."""
    method, rest = request.method_name, request.method_fields
    if method == "none":
        if rest:
            raise DecodeError("fields follow the method name of a none request")
        return Requested(request, None)
    if method == "password":
        return _read_password(request)
    if method in ("publickey", HOSTBOUND):
        return _read_publickey(request, payload)
    if method == "keyboard-interactive":
        fields = decode(KeyboardInteractiveFields, rest)
        return Requested(request, fields)
    return Requested(request, None)


def _read_password(request: UserauthRequest) -> Requested:
    fields = decode(PasswordFields, request.method_fields)
    if fields.is_change:
        return Requested(request, fields, read_signature_field(fields.new_password))
    if fields.new_password:
        raise DecodeError("bytes follow the password")
    return Requested(request, fields)


def _read_publickey(request: UserauthRequest, payload: bytes) -> Requested:
    """A host-bound request has the server's host key between the user's key and the signature (OpenSSH PROTOCOL §3.1)."""
    fields = decode(PublicKeyFields, request.method_fields)
    rest, host_key_blob = fields.signature_field, None
    if request.method_name == HOSTBOUND:
        host_key_blob, offset = read_string(rest, 0)
        rest = rest[offset:]
    if not fields.has_signature:
        if rest:
            raise DecodeError("bytes follow the key of a publickey question")
        return Requested(request, fields, host_key_blob=host_key_blob)
    signature = read_signature_field(rest)
    return Requested(request, fields, signature, host_key_blob, payload[: len(payload) - len(rest)])
