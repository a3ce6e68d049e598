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
    read_prompts,
    string_field,
    write_responses,
)
from .auth_attempt import Prompt
from .extensions import read_ext_info
from .limits import Limits

SERVICE = "ssh-userauth"
NEXT_SERVICE = "ssh-connection"
HOSTBOUND = "publickey-hostbound-v00@openssh.com"
"""A publickey request that names the server's host key, so that nobody can use it at another server (OpenSSH PROTOCOL §3.1)."""


class Awaits(Enum):
    SERVICE_REQUEST = "our service request"
    REQUEST = "our next request"
    ANSWER = "the answer to a request"
    KEY_ANSWER = "the answer to a key that we asked about"
    OUR_ANSWERS = "our answers to its questions"
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
class Asked:
    """Keyboard-interactive: the server puts questions to the user (RFC 4256 §3.2). Show its texts through `errors.printable` only."""

    name: str
    instruction: str
    prompts: tuple[Prompt, ...]


@attrs.frozen
class NewPasswordWanted:
    """The password was right, but must be changed first (RFC 4252 §8); `prompt` is the server's text."""

    prompt: str


@attrs.frozen
class Refused:
    """`methods_left` can go on; `partial_success`: this attempt was right, but more is wanted (RFC 4252 §5.1)."""

    methods_left: tuple[str, ...]
    partial_success: bool


@attrs.frozen
class Granted:
    """`method` is what the server let us in by: ``none`` as well where it wanted no proof in the method that was asked for."""

    method: str


AnswerEvent = ServiceAccepted | ExtensionsReceived | BannerReceived | KeyAccepted | Asked | NewPasswordWanted | Refused | Granted


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
    host_key_blob: bytes | None = None
    """Set when the server takes host-bound requests: its key, which they name."""
    _rounds: int = 0
    _answered: bool = False
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

    def request_password_change(self, old: str, new: str) -> bytes:
        """The answer to `NewPasswordWanted`."""
        secrets = (password.encode("utf-8", "surrogateescape") for password in (old, new))
        return self._request("password", encode(PasswordFields(True, next(secrets), string_field(next(secrets)))))

    def request_keyboard_interactive(self, submethods: str = "") -> bytes:
        """Have the server put its questions; `submethods` are devices that we would like, with commas between them."""
        self._rounds, self._answered = 0, False
        return self._request("keyboard-interactive", encode(KeyboardInteractiveFields("", submethods)))

    def answer(self, texts: tuple[str, ...]) -> bytes:
        """The answers to `Asked`, as many as there were prompts."""
        self.awaits = Awaits.ANSWER
        self._answered |= bool(texts)
        return encode(UserauthInfoResponse(write_responses(texts)))

    def ask_about_key(self, algorithm: str, key_blob: bytes) -> bytes:
        """Would the server take this key? Nothing is signed (RFC 4252 §7)."""
        payload = self._request(self._publickey, encode(PublicKeyFields(False, algorithm, key_blob, self._server)))
        self._asked_key = (algorithm, key_blob)
        self.awaits = Awaits.KEY_ANSWER
        return payload

    def bytes_to_sign(self, algorithm: str, key_blob: bytes) -> bytes:
        """What the key's holder must sign; give the signature to `request_publickey`."""
        fields = encode(PublicKeyFields(True, algorithm, key_blob, self._server))
        request = UserauthRequest(self.username, NEXT_SERVICE, self._publickey, fields)
        return encode(SignedPublicKeyRequest(self.session_id, encode(request)))

    def request_publickey(self, algorithm: str, key_blob: bytes, signature: bytes) -> bytes:
        fields = PublicKeyFields(True, algorithm, key_blob, self._server + string_field(signature))
        return self._request(self._publickey, encode(fields))

    @property
    def plain_method(self) -> str:
        """The method of the last request, under its RFC's name."""
        return "publickey" if self.method == HOSTBOUND else self.method

    @property
    def _publickey(self) -> str:
        return "publickey" if self.host_key_blob is None else HOSTBOUND

    @property
    def _server(self) -> bytes:
        """The field behind the key that a host-bound request has and others have not."""
        return b"" if self.host_key_blob is None else string_field(self.host_key_blob)

    def _request(self, method: str, fields: bytes) -> bytes:
        if self.awaits is Awaits.OUR_ANSWERS:
            self.awaits = Awaits.REQUEST  # another request gives the questions up (RFC 4256 §3.1)
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
            unproven = self.method == "keyboard-interactive" and not self._answered
            return Granted("none" if unproven else self.plain_method)
        if number == M.USERAUTH_PK_OK and self.awaits is Awaits.KEY_ANSWER:
            return self._key_accepted(decode(UserauthPkOk, payload))
        if number == M.USERAUTH_PK_OK and self.awaits is Awaits.ANSWER:  # 60 is PK_OK and PASSWD_CHANGEREQ, too
            if self.method == "keyboard-interactive":
                return self._questions(decode(UserauthInfoRequest, payload))
            if self.method == "password":
                return self._change_wanted(decode(UserauthPasswdChangereq, payload))
        raise self._unasked(number)

    def _change_wanted(self, wanted: UserauthPasswdChangereq) -> NewPasswordWanted:
        if not (wanted.language_tag.isascii() and wanted.language_tag.isprintable()):  # a PK_OK has a key there
            raise self._unasked(M.USERAUTH_PK_OK)
        self.awaits = Awaits.REQUEST
        return NewPasswordWanted(wanted.prompt)

    def _questions(self, asked: UserauthInfoRequest) -> Asked:
        self._rounds += 1
        if self._rounds > self.limits.kbdint_rounds:
            raise RemoteProtocolError(f"the server still asks after {self.limits.kbdint_rounds} rounds of questions", reason=14)
        prompts = read_prompts(asked.prompts, self.limits.kbdint_prompts)
        self.awaits = Awaits.OUR_ANSWERS
        return Asked(asked.name, asked.instruction, tuple(Prompt(text, echo) for text, echo in prompts))

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
