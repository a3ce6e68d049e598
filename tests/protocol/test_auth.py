"""The authentication machines as a pair (RFC 4252): the client's payloads go to the server's machine and back, phases included."""

from __future__ import annotations

import struct

import attrs
import pytest

from tests.protocol.test_phases import in_phase
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.keys.key import PrivateKey
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.protocol.auth_client import (
    Awaits,
    BannerReceived,
    ClientAuthentication,
    ExtensionsReceived,
    Granted,
    KeyAccepted,
    Refused,
    ServiceAccepted,
)
from trio_ssh.protocol.auth_server import ExtensionsNoted, Hopeless, ServerAuthentication, ServiceWanted
from trio_ssh.protocol.extensions import extensions_of_server, server_signature_algorithms
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.phases import Phase, PhaseTracker, Route
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, read_extensions, write_extensions
from trio_ssh.wire.userauth import UserauthBanner, UserauthFailure, UserauthRequest, UserauthSuccess

KEYS = {"ssh-ed25519": PrivateKey.generate(), "ecdsa-sha2-nistp256": PrivateKey.generate("ecdsa")}
RSA_KEY = PrivateKey.generate("rsa", 2048)
SESSION_ID = b"session id of thirty-two bytes.."


@attrs.define(eq=False)
class Half:
    """One machine behind its phases: what is illegal never reaches it."""

    phases: PhaseTracker
    machine: ClientAuthentication | ServerAuthentication

    def receive(self, payload: bytes):
        if self.phases.routes[payload[0]] is not Route.AUTH:
            raise self.phases.illegal(payload[0])
        event = self.machine.receive(payload)
        self.phases.received_packet(payload[0])
        return event


@attrs.define(eq=False)
class Pair:
    """A client and a server from the first packet under keys on."""

    client: ClientAuthentication
    server: ServerAuthentication
    to_client: Half
    to_server: Half

    def ask(self, payload: bytes):
        """The client's request as the server's machine sees it."""
        return self.to_server.receive(payload)

    def answer(self, payload: bytes):
        """The server's answer as the client's machine sees it."""
        return self.to_client.receive(payload)


def pair(*methods: str, username: str = "ada", limits: Limits | None = None, started: bool = True, session_id: bytes = SESSION_ID) -> Pair:
    limits = limits or Limits()
    client = ClientAuthentication(username, session_id, limits)
    server = ServerAuthentication(SESSION_ID, methods or ("publickey", "password"), limits, "203.0.113.7")
    made = Pair(
        client, server, Half(in_phase(Role.CLIENT, Phase.FIRST_PACKET), client), Half(in_phase(Role.SERVER, Phase.FIRST_PACKET), server)
    )
    if started:
        wanted = made.ask(client.request_service())
        assert isinstance(wanted, ServiceWanted)
        assert made.answer(wanted.reply) == ServiceAccepted()
    return made


def signed_request(client: ClientAuthentication, key: PrivateKey, algorithm: str) -> bytes:
    signature = key.sign(algorithm, client.bytes_to_sign(algorithm, key.public_key.blob))
    return client.request_publickey(algorithm, key.public_key.blob, signature)


def test_none_tells_the_methods_and_is_not_counted():
    """SM-098."""
    ends = pair()
    event = ends.ask(ends.client.request_none())
    assert isinstance(event, Hopeless)
    assert (event.method, event.counts) == ("none", False)
    assert ends.answer(ends.server.refuse(counts=event.counts)) == Refused(("publickey", "password"), False)
    assert ends.server.failures == 0
    again = ends.ask(ends.client.request_none())
    assert isinstance(again, Hopeless)
    assert again.counts


@pytest.mark.parametrize("password", ["secret", "pässwörd", " ", "a\0b", "x" * 1024])
def test_password(password):
    ends = pair()
    attempt = ends.ask(ends.client.request_password(password))
    assert attempt == AuthAttempt(username="ada", method="password", password=password, peer="203.0.113.7")
    assert password not in repr(attempt) or password == " "
    assert ends.answer(ends.server.refuse()) == Refused(("publickey", "password"), False)
    assert isinstance(ends.ask(ends.client.request_password(password)), AuthAttempt)
    assert ends.answer(ends.server.grant()) == Granted("password")
    assert ends.client.awaits is Awaits.NOTHING


@pytest.mark.parametrize(("algorithm", "key"), [*KEYS.items(), ("rsa-sha2-256", RSA_KEY), ("rsa-sha2-512", RSA_KEY)])
def test_publickey_question_then_signature(algorithm, key):
    ends = pair()
    question = ends.ask(ends.client.ask_about_key(algorithm, key.public_key.blob))
    assert question == AuthAttempt(
        username="ada", method="publickey", public_key=key.public_key, algorithm=algorithm, proven=False, peer="203.0.113.7"
    )
    assert ends.answer(ends.server.key_would_do(question)) == KeyAccepted()
    proof = ends.ask(signed_request(ends.client, key, algorithm))
    assert proof == attrs.evolve(question, proven=True)
    assert ends.answer(ends.server.grant()) == Granted("publickey")


def test_publickey_without_a_question():
    ends = pair()
    key = KEYS["ssh-ed25519"]
    proof = ends.ask(signed_request(ends.client, key, "ssh-ed25519"))
    assert isinstance(proof, AuthAttempt)
    assert proof.proven
    assert proof.public_key == key.public_key


def test_a_question_that_is_refused_and_another_key():
    """B04: only the key that signed is proven."""
    ends = pair()
    first, second = KEYS.items()
    for algorithm, key in (first, second):
        event = ends.ask(ends.client.ask_about_key(algorithm, key.public_key.blob))
        assert isinstance(event, AuthAttempt)
        assert not event.proven
        ends.answer(ends.server.refuse(counts=False))
    algorithm, key = first
    event = ends.ask(signed_request(ends.client, key, algorithm))
    assert isinstance(event, AuthAttempt)
    assert (event.public_key, event.proven) == (key.public_key, True)
    assert ends.server.failures == 0


def test_what_is_signed_is_what_rfc_4252_says():
    """§7, put together by hand: a signature over exactly these bytes is taken."""

    def s(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + content

    ends = pair()
    key = KEYS["ssh-ed25519"]
    text = (
        s(SESSION_ID) + b"\x32" + s(b"ada") + s(b"ssh-connection") + s(b"publickey") + b"\x01" + s(b"ssh-ed25519") + s(key.public_key.blob)
    )
    assert ends.client.bytes_to_sign("ssh-ed25519", key.public_key.blob) == text
    event = ends.ask(ends.client.request_publickey("ssh-ed25519", key.public_key.blob, key.sign("ssh-ed25519", text)))
    assert isinstance(event, AuthAttempt)


def test_b22_a_signature_of_another_session_is_refused():
    ends = pair(session_id=b"session id of another connection")
    event = ends.ask(signed_request(ends.client, KEYS["ssh-ed25519"], "ssh-ed25519"))
    assert isinstance(event, Hopeless)


def test_banners_come_at_any_time():
    ends = pair(started=False)
    service = ends.client.request_service()
    wanted = ends.ask(service)
    assert isinstance(wanted, ServiceWanted)
    ends.answer(wanted.reply)
    assert ends.answer(encode(UserauthBanner("welcome\r\n", "en"))) == BannerReceived("welcome\r\n")
    ends.client.request_none()
    assert ends.answer(encode(UserauthBanner("\udcff"))) == BannerReceived("\udcff")
    assert ends.client.awaits is Awaits.ANSWER


def test_extensions_of_the_server():
    ends = pair(started=False)
    payload = extensions_of_server(("ssh-ed25519", "rsa-sha2-512"))
    event = ends.answer(payload)
    assert isinstance(event, ExtensionsReceived)
    assert server_signature_algorithms(event.extensions) == ("ssh-ed25519", "rsa-sha2-512")
    assert server_signature_algorithms({}) is None
    assert server_signature_algorithms({"server-sig-algs": b"\xff,a"}) is not None


def test_sm_158_sm_161_ping_is_advertised_since_it_is_answered():
    extensions = read_extensions(decode(ExtInfo, extensions_of_server(("ssh-ed25519",))).extensions, 64)
    assert extensions["ping@openssh.com"] == b"0"


def test_extensions_of_the_client():
    ends = pair(started=False)
    event = ends.ask(encode(ExtInfo(write_extensions({"ext-info-in-auth@openssh.com": b"0"}))))
    assert event == ExtensionsNoted({"ext-info-in-auth@openssh.com": b"0"})


def test_sm_085_ext_info_once_more_before_the_success():
    """RFC 8308 §2.4: a server's second one comes just before SUCCESS; hardening SM-085 refuses a third."""
    ends = pair(started=False)
    payload = extensions_of_server(("ssh-ed25519",))
    ends.answer(payload)
    wanted = ends.ask(ends.client.request_service())
    assert isinstance(wanted, ServiceWanted)
    ends.answer(wanted.reply)
    ends.client.request_none()
    assert isinstance(ends.answer(payload), ExtensionsReceived)
    with pytest.raises(RemoteProtocolError) as refusal:
        ends.answer(payload)
    assert refusal.value.reason == 2


def test_partial_success_is_told():
    ends = pair()
    ends.client.request_password("x")
    event = ends.answer(encode(UserauthFailure(("publickey",), True)))
    assert event == Refused(("publickey",), True)
    assert ends.client.awaits is Awaits.REQUEST


def test_granted_names_the_method_that_did_it():
    """B02: whether it was `none` that let us in, the caller can see."""
    ends = pair()
    ends.client.request_none()
    assert ends.answer(encode(UserauthSuccess())) == Granted("none")


def test_sm_080_a_second_service_request_is_answered_again():
    ends = pair()
    again = ends.ask(b"\x05\0\0\0\x0cssh-userauth")
    assert isinstance(again, ServiceWanted)
    assert decode(ServiceAccept, again.reply) == ServiceAccept("ssh-userauth")
    assert isinstance(ends.ask(ends.client.request_none()), Hopeless)


def test_requests_are_what_they_look_like():
    ends = pair()
    request = decode(UserauthRequest, ends.client.request_password("secret"))
    assert request == UserauthRequest("ada", "ssh-connection", "password", b"\0\0\0\0\x06secret")
