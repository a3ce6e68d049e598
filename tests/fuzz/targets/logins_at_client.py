"""A client's whole login with everything a person can offer: whatever a server says, no secret goes where it was not meant to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import attrs

import trio_ssh
from tests import pairs
from tests.fuzz.alone import Answering, ending_by, run_alone
from tests.fuzz.choices import Choices, check_text, sized
from trio_ssh.connection.identity_prover import ClientPlan, IdentityProver
from trio_ssh.connection.offers import KeyboardInteractiveOffer, Offer, PasswordOffer, SessionBinding
from trio_ssh.errors import AuthenticationFailed, RemoteProtocolError
from trio_ssh.keys.signature import DEFAULT_USER_KEY_ALGORITHMS
from trio_ssh.protocol.auth_client import Asked, ClientAuthentication
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, write_extensions
from trio_ssh.wire.userauth import (
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthPasswdChangereq,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    write_prompts,
)

HOST_BLOB = pairs.HOST_KEY.public_key.blob
LIMITS = Limits(auth_requests=12, kbdint_rounds=4, kbdint_prompts=4)
PASSWORD, NEW_PASSWORD, ANSWER = b"the-canary-password", b"the-new-password", b"an-answer-of-the-user"
METHODS = ("publickey", "password", "keyboard-interactive")


@attrs.define(eq=False)
class Person:
    """Gives everything, once asked; counts how often."""

    rounds: int = 0
    passwords: int = 0
    changes: int = 0
    signatures: int = 0

    async def password(self) -> str:
        self.passwords += 1
        return PASSWORD.decode()

    async def change(self, prompt: str) -> str | None:
        self.changes += 1
        return NEW_PASSWORD.decode() if self.changes < 3 else None

    async def answer(self, asked: Asked) -> Sequence[str] | None:
        self.rounds += 1
        assert len(asked.prompts) <= LIMITS.kbdint_prompts
        return [ANSWER.decode()] * len(asked.prompts)

    def offers(self) -> list[Offer]:
        return [
            Key(self, pairs.USER_KEY.public_key.blob, ("ssh-ed25519",)),
            Key(self, _certificate(), ("ssh-ed25519-cert-v01@openssh.com",)),
            KeyboardInteractiveOffer(self.answer, "pam"),
            PasswordOffer(self.password, self.change),
        ]


@attrs.frozen(eq=False)
class Key:
    person: Person
    key_blob: bytes
    algorithms: Sequence[str]
    ask_first: bool = True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        self.person.signatures += 1
        return pairs.USER_KEY.sign("ssh-ed25519", data)


@cache
def _certificate() -> bytes:
    wanted = trio_ssh.CertificateRequest(public_key=pairs.USER_KEY.public_key, principals=("ada",), nonce=bytes(32))
    return trio_ssh.sign_certificate(trio_ssh.PrivateKey.generate(), wanted).blob


def target(data: bytes) -> None:
    choices = Choices(data)
    at_once = choices.byte() % 4 == 1
    payloads = []
    while choices:
        if payload := choices.sized():
            payloads.append(payload)
    run_alone(lambda: _play(payloads, at_once))


async def _play(payloads: list[bytes], at_once: bool) -> None:
    person, shown = Person(), list[str]()
    said = Answering(answers=payloads, at_once=at_once, unanswered=frozenset([M.USERAUTH_BANNER, M.EXT_INFO]))

    async def offers(session: SessionBinding) -> list[Offer]:
        return person.offers()

    session_id = bytes(range(32))
    prover = IdentityProver(
        machine=ClientAuthentication("ada", session_id, LIMITS),
        transport=said.as_transport(),
        messages=said.messages,
        plan=ClientPlan("ada", offers, shown.append, allow_none=False),
        binding=SessionBinding(session_id, HOST_BLOB, b"signature", "ada"),
        observer=None,
        signatures=(*DEFAULT_USER_KEY_ALGORITHMS, "ssh-ed25519-cert-v01@openssh.com"),
    )
    granted = False
    try:
        with ending_by(RemoteProtocolError):
            await prover.prove_identity()
            granted = True
    except AuthenticationFailed as error:
        check_text(error)
    _check(said.payloads, person)
    if granted:
        assert prover.methods_passed
        assert set(prover.methods_passed) != {"none"}


def _check(payloads: list[bytes], person: Person) -> None:
    """Each secret is only in the message that it is for, and no more requests went out than may."""
    requests = 0
    for payload in payloads:
        method = decode(UserauthRequest, payload).method_name if payload[0] == M.USERAUTH_REQUEST else ""
        requests += payload[0] == M.USERAUTH_REQUEST
        assert (PASSWORD not in payload and NEW_PASSWORD not in payload) or method == "password"
        assert ANSWER not in payload or payload[0] == M.USERAUTH_INFO_RESPONSE
    assert requests <= LIMITS.auth_requests
    assert sum(payload[0] == M.USERAUTH_INFO_RESPONSE for payload in payloads) <= person.rounds
    assert person.signatures <= requests


def seeds() -> list[bytes]:
    service = encode(ServiceAccept("ssh-userauth"))
    failure, partial = encode(UserauthFailure(METHODS, False)), encode(UserauthFailure(METHODS, True))
    success = encode(UserauthSuccess())
    key_ok = encode(UserauthPkOk("ssh-ed25519", pairs.USER_KEY.public_key.blob))
    certificate_ok = encode(UserauthPkOk("ssh-ed25519-cert-v01@openssh.com", _certificate()))
    questions = encode(UserauthInfoRequest("Second step", "", "", write_prompts((("Code: ", False), ("Name: ", True)))))
    nothing = encode(UserauthInfoRequest("", "Nothing to answer", "", write_prompts(())))
    change = encode(UserauthPasswdChangereq("It has expired. New password: "))
    extensions = encode(ExtInfo(write_extensions({"server-sig-algs": b"ssh-ed25519", "publickey-hostbound@openssh.com": b"0"})))
    banner = encode(UserauthBanner("welcome\x1b[2J"))
    logins = [
        sized(service, key_ok, success),
        sized(extensions, service, key_ok, partial, certificate_ok, partial, questions, nothing, success),
        sized(service, failure, failure, questions, questions, failure, change, change, success),
        sized(service, banner, failure, certificate_ok, failure, nothing, success),
        sized(service, failure, failure, failure, change, failure),
        sized(service, key_ok, failure, failure, questions, banner, extensions, partial, partial),
        sized(service, encode(UserauthFailure(("keyboard-interactive",), False)), *[questions] * 5),
        sized(service, success),
    ]
    return [b"\0" + login for login in logins] + [b"\1" + logins[0]]
