"""The server's half of the authentication protocol (RFC 4252): requests in, parsed in full before anything is looked up; answers out.

Every request counts to a hard cap, every refusal to `auth_failures`; the user and the service may not change in mid-way (RFC 4252 §5).
A signature is checked here, so that a policy only ever learns of a key whose holder has signed, or of a question about a key, and can tell
the two apart (hardening B04).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from ..errors import DecodeError, RemoteProtocolError
from ..keys.key import PublicKey
from ..keys.signature import DEFAULT_HOST_KEY_ALGORITHMS
from ..wire.codec import decode, encode
from ..wire.numbers import DisconnectReason
from ..wire.numbers import MessageNumber as M
from ..wire.transport import ServiceAccept, ServiceRequest
from ..wire.userauth import (
    PasswordFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthFailure,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    read_signature_field,
)
from .auth_client import NEXT_SERVICE, SERVICE
from .extensions import extensions_of_server_in_auth, read_ext_info, takes_extensions_in_auth
from .limits import Limits


@attrs.frozen(kw_only=True)
class AuthAttempt:
    """One request of a client, as a policy sees it.

    `proven` is True when the client has shown what `method` demands be shown before a policy is asked: a signature that verified. A
    publickey attempt that is not proven only asks whether the key would do: answer it without side effects.
    """

    username: str
    method: str
    password: str | None = attrs.field(default=None, repr=False)
    public_key: PublicKey | None = None
    algorithm: str = ""
    proven: bool = False
    peer: str = ""
    """The client's address as text, "" where the stream has none."""


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


RequestEvent = ServiceWanted | AuthAttempt | Hopeless | ExtensionsNoted


@attrs.define(eq=False)
class ServerAuthentication:
    """`receive` gives what to decide; `refuse`, `key_would_do` and `grant` give the payload to answer with."""

    session_id: bytes
    methods: tuple[str, ...]
    limits: Limits = attrs.field(factory=Limits)
    peer: str = ""
    signatures: tuple[str, ...] = DEFAULT_HOST_KEY_ALGORITHMS
    """Signature algorithms that are taken."""
    signatures_of: Callable[[str], Sequence[str]] | None = None
    """Those taken of a user, if they depend on it: asked once, when the first request has been parsed."""
    username: str | None = None
    failures: int = 0
    _requests: int = 0
    _service_given: bool = False
    _takes_extensions: bool = False
    _extensions: bytes = b""

    def receive(self, payload: bytes) -> RequestEvent:
        """Raises `RemoteProtocolError` where the connection must end."""
        number = payload[0]
        if number == M.SERVICE_REQUEST:
            return self._service(decode(ServiceRequest, payload))
        if number == M.EXT_INFO:
            extensions = read_ext_info(payload, self.limits)
            self._takes_extensions = takes_extensions_in_auth(extensions)
            return ExtensionsNoted(extensions)
        if number == M.USERAUTH_REQUEST:
            return self._request(decode(UserauthRequest, payload), payload)
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

    def _request(self, request: UserauthRequest, payload: bytes) -> AuthAttempt | Hopeless:
        self._count()
        if request.service_name != NEXT_SERVICE:
            raise RemoteProtocolError("the client wants an unknown service behind authentication", reason=7)
        if "\0" in request.user_name:
            raise RemoteProtocolError("the client's user name has a NUL in it")
        if self.username is None:
            self.username = request.user_name
            self._choose_signatures()
        elif self.username != request.user_name:
            raise RemoteProtocolError("the client changed its user name between requests (RFC 4252 §5)")
        event = self._parse(request, payload)
        if len(request.user_name.encode("utf-8", "surrogateescape")) > self.limits.username_bytes or not request.user_name.isprintable():
            return Hopeless(request.method_name, "user name is too long, unprintable or not UTF-8")
        return event

    def _choose_signatures(self) -> None:
        if self.signatures_of is not None and self.username is not None:
            self.signatures = tuple(self.signatures_of(self.username))
            if self._takes_extensions:
                self._extensions = extensions_of_server_in_auth(self.signatures)

    def take_extensions(self) -> bytes:
        """The payload of our second EXT_INFO, once, when it is due: it goes out before the first request is answered. Else b""."""
        extensions, self._extensions = self._extensions, b""
        return extensions

    def _parse(self, request: UserauthRequest, payload: bytes) -> AuthAttempt | Hopeless:
        method = request.method_name
        if method == "none":
            if request.method_fields:
                raise DecodeError("fields follow the method name of a none request")
            return Hopeless(method, "none is not enough", counts=self._requests > 1)
        if method == "password":
            return self._password(request, decode(PasswordFields, request.method_fields))
        if method == "publickey":
            return self._publickey(request, decode(PublicKeyFields, request.method_fields), payload)
        return Hopeless(method, "unknown method")

    def _password(self, request: UserauthRequest, fields: PasswordFields) -> AuthAttempt | Hopeless:
        if fields.is_change:
            read_signature_field(fields.new_password)
            return Hopeless("password", "passwords cannot be changed here")
        if fields.new_password:
            raise DecodeError("bytes follow the password")
        if "password" not in self.methods:
            return Hopeless("password", "method is not offered")
        if len(fields.password) > self.limits.password_bytes or not fields.password:
            return Hopeless("password", "password is empty or too long")
        try:
            password = fields.password.decode()
        except UnicodeDecodeError:
            return Hopeless("password", "password is not UTF-8")
        return AuthAttempt(username=request.user_name, method="password", password=password, peer=self.peer)

    def _publickey(self, request: UserauthRequest, fields: PublicKeyFields, payload: bytes) -> AuthAttempt | Hopeless:
        signature = read_signature_field(fields.signature_field) if fields.has_signature else b""
        if not fields.has_signature and fields.signature_field:
            raise DecodeError("bytes follow the key of a publickey question")
        if "publickey" not in self.methods:
            return Hopeless("publickey", "method is not offered")
        if fields.algorithm not in self.signatures:
            return Hopeless("publickey", "key algorithm is not taken")
        try:
            key = PublicKey.from_blob(fields.key_blob)
        except DecodeError as error:
            return Hopeless("publickey", f"key is malformed: {error}")
        if fields.algorithm not in key.all_signature_algorithms:
            return Hopeless("publickey", "key is of another type than its algorithm says")
        if fields.has_signature:
            signed = payload[: len(payload) - len(fields.signature_field)]
            if not key.verify(fields.algorithm, signature, encode(SignedPublicKeyRequest(self.session_id, signed)), legacy=True):
                return Hopeless("publickey", "signature is wrong")
        return AuthAttempt(
            username=request.user_name,
            method="publickey",
            public_key=key,
            algorithm=fields.algorithm,
            proven=fields.has_signature,
            peer=self.peer,
        )

    def refuse(self, *, counts: bool = True) -> bytes:
        """A FAILURE. The last one that `auth_failures` allows is a `RemoteProtocolError` instead."""
        if counts:
            self.failures += 1
            if self.failures >= self.limits.auth_failures:
                raise RemoteProtocolError("too many authentication failures")
        return encode(UserauthFailure(self.methods, False))

    def key_would_do(self, attempt: AuthAttempt) -> bytes:
        assert attempt.public_key is not None
        return encode(UserauthPkOk(attempt.algorithm, attempt.public_key.blob))

    def grant(self) -> bytes:
        return encode(UserauthSuccess())
