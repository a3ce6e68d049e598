"""The client's half of the authentication protocol (RFC 4252): requests out, answers in, one attempt at a time.

The machine knows what is awaited and refuses every answer to a question that was not asked: SUCCESS before a request (hardening B02,
SM-106), PK_OK for another key (SM-109), banners without end (SM-108), more rounds than anyone needs (B20).
"""

from __future__ import annotations

from enum import Enum

import attrs

from ..errors import LocalProtocolError, RemoteProtocolError
from ..wire.codec import decode, encode
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name
from ..wire.transport import ServiceAccept, ServiceRequest
from ..wire.userauth import (
    PasswordFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthBanner,
    UserauthFailure,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    string_field,
)
from .extensions import read_ext_info
from .limits import Limits

SERVICE = "ssh-userauth"
NEXT_SERVICE = "ssh-connection"


class Awaits(Enum):
    SERVICE_REQUEST = "our service request"
    REQUEST = "our next request"
    ANSWER = "the answer to a request"
    KEY_ANSWER = "the answer to a key that we asked about"
    NOTHING = "nothing: authentication is complete"


@attrs.frozen
class ServiceAccepted:
    pass


@attrs.frozen
class ExtensionsReceived:
    extensions: dict[str, bytes]


@attrs.frozen
class BannerReceived:
    """Text for the user; show it through `errors.printable` only."""

    text: str


@attrs.frozen
class KeyAccepted:
    """The server would take the key that was asked about."""


@attrs.frozen
class Refused:
    """`methods_left` can go on; `partial_success`: this attempt was right, but more is wanted (RFC 4252 §5.1)."""

    methods_left: tuple[str, ...]
    partial_success: bool


@attrs.frozen
class Granted:
    method: str


AnswerEvent = ServiceAccepted | ExtensionsReceived | BannerReceived | KeyAccepted | Refused | Granted


@attrs.define(eq=False)
class ClientAuthentication:
    """`request_*` give payloads to send; `receive` takes each payload of 6, 7 and 50-79 and gives an event."""

    username: str
    session_id: bytes
    limits: Limits = attrs.field(factory=Limits)
    awaits: Awaits = Awaits.SERVICE_REQUEST
    method: str = ""
    service_accepted: bool = False
    """A request may be sent before, to a server that is known to take it; it is answered behind."""
    _asked_key: tuple[str, bytes] = ("", b"")
    _requests: int = 0
    _banners: int = 0
    _extensions_in_auth: int = 0
    """Beside the one that may come as the very first packet."""

    def request_service(self) -> bytes:
        self.awaits = Awaits.REQUEST
        return encode(ServiceRequest(SERVICE))

    def request_none(self) -> bytes:
        """Asks which methods there are (RFC 4252 §5.2)."""
        return self._request("none", b"")

    def request_password(self, password: str) -> bytes:
        return self._request("password", encode(PasswordFields(False, password.encode("utf-8", "surrogateescape"))))

    def ask_about_key(self, algorithm: str, key_blob: bytes) -> bytes:
        """Would the server take this key? Nothing is signed (RFC 4252 §7)."""
        payload = self._request("publickey", encode(PublicKeyFields(False, algorithm, key_blob)))
        self._asked_key = (algorithm, key_blob)
        self.awaits = Awaits.KEY_ANSWER
        return payload

    def bytes_to_sign(self, algorithm: str, key_blob: bytes) -> bytes:
        """What the key's holder must sign; give the signature to `request_publickey`."""
        request = UserauthRequest(self.username, NEXT_SERVICE, "publickey", encode(PublicKeyFields(True, algorithm, key_blob)))
        return encode(SignedPublicKeyRequest(self.session_id, encode(request)))

    def request_publickey(self, algorithm: str, key_blob: bytes, signature: bytes) -> bytes:
        return self._request("publickey", encode(PublicKeyFields(True, algorithm, key_blob, string_field(signature))))

    def _request(self, method: str, fields: bytes) -> bytes:
        if self.awaits is not Awaits.REQUEST:
            raise LocalProtocolError(f"an authentication request is not due: the machine waits for {self.awaits.value}")
        self._requests += 1
        if self._requests > self.limits.auth_requests:
            raise RemoteProtocolError(f"the server still wants more after {self.limits.auth_requests} authentication requests", reason=14)
        self.awaits = Awaits.ANSWER
        self.method = method
        return encode(UserauthRequest(self.username, NEXT_SERVICE, method, fields))

    def receive(self, payload: bytes) -> AnswerEvent:
        """Raises `RemoteProtocolError` for an answer to what was not asked, or of the wrong shape."""
        number = payload[0]
        if number == M.SERVICE_ACCEPT:
            return self._service_accepted(decode(ServiceAccept, payload))
        if number == M.EXT_INFO:
            self._extensions_in_auth += self.service_accepted
            if self._extensions_in_auth > 1:
                raise RemoteProtocolError("the server sent more than one EXT_INFO in the midst of authentication (RFC 8308 §2.4)")
            return ExtensionsReceived(read_ext_info(payload, self.limits))
        if number == M.USERAUTH_BANNER:
            return self._banner(decode(UserauthBanner, payload))
        if self.awaits not in (Awaits.ANSWER, Awaits.KEY_ANSWER) or not self.service_accepted:
            raise self._unasked(number)
        if number == M.USERAUTH_FAILURE:
            failure = decode(UserauthFailure, payload)
            self.awaits = Awaits.REQUEST
            return Refused(failure.methods, failure.partial_success)
        if number == M.USERAUTH_SUCCESS and self.awaits is Awaits.ANSWER:
            decode(UserauthSuccess, payload)
            self.awaits = Awaits.NOTHING
            return Granted(self.method)
        if number == M.USERAUTH_PK_OK and self.awaits is Awaits.KEY_ANSWER:
            return self._key_accepted(decode(UserauthPkOk, payload))
        raise self._unasked(number)

    def _service_accepted(self, accept: ServiceAccept) -> ServiceAccepted:
        if self.awaits is Awaits.SERVICE_REQUEST or self.service_accepted or accept.service_name != SERVICE:
            raise RemoteProtocolError("the server accepted a service that was not requested (RFC 4253 §10)")
        self.service_accepted = True
        return ServiceAccepted()

    def _banner(self, banner: UserauthBanner) -> BannerReceived:
        self._banners += 1
        if self._banners > self.limits.banners:
            raise RemoteProtocolError(f"the server sent more than {self.limits.banners} banners")
        text = banner.text.encode("utf-8", "surrogateescape")[: self.limits.banner_bytes]
        return BannerReceived(text.decode("utf-8", "surrogateescape"))

    def _key_accepted(self, answer: UserauthPkOk) -> KeyAccepted:
        if (answer.algorithm, answer.key_blob) != self._asked_key:
            raise RemoteProtocolError("the server accepted a key or algorithm that was not offered (RFC 4252 §7)")
        self.awaits = Awaits.REQUEST
        return KeyAccepted()

    def _unasked(self, number: int) -> RemoteProtocolError:
        name = message_name(number)
        return RemoteProtocolError(f"the server sent {name} while we waited for {self.awaits.value}", received=name)


TESTED_SERVERS = (b"SSH-2.0-OpenSSH_", b"SSH-2.0-trio_ssh_")


def is_tested(server_line: bytes) -> bool:
    """Is this a server that we know to take an authentication request right behind the service request? Others are waited for."""
    return server_line.startswith(TESTED_SERVERS)
