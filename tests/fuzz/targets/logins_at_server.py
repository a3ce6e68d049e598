"""A server's whole login by every method, several factors and rules by login: whatever a client says, who is in has proven everything."""

from __future__ import annotations

from functools import cache

import attrs

import trio_ssh
from tests import pairs
from tests.fuzz.alone import Said, ending_by, queued, run_alone
from tests.fuzz.choices import Choices, sized
from trio_ssh import Prompt, Verdict, all_of, any_of
from trio_ssh.connection.authenticator import LoggedIn
from trio_ssh.connection.identity_checker import IdentityChecker
from trio_ssh.errors import ConnectionLost, RemoteProtocolError
from trio_ssh.protocol.auth_server import ServerAuthentication
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, ServiceRequest, write_extensions
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    PasswordFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthInfoResponse,
    UserauthRequest,
    string_field,
    write_responses,
)

SESSION_ID = bytes(range(32))
HOST_BLOB = pairs.HOST_KEY.public_key.blob
LIMITS = Limits(auth_failure_seconds=0, kbdint_rounds=3, kbdint_prompts=3)
SAYS = {M.SERVICE_ACCEPT, M.USERAUTH_FAILURE, M.USERAUTH_SUCCESS, M.USERAUTH_BANNER, M.EXT_INFO, 60}
HOSTBOUND = "publickey-hostbound-v00@openssh.com"
PASSWORD, CODE = "canary", "1234"


@attrs.define(eq=False)
class Policies:
    """What was proven, as each policy has seen it; `rules_for` combines them."""

    proven: set[str] = attrs.field(factory=set)

    async def check(self, username: str, password: str) -> Verdict:
        if password == "old":
            return Verdict(accepted=False, change_password="New password: ")
        return self._noted("password", password == PASSWORD)

    async def change(self, username: str, old: str, new: str) -> bool:
        return self._noted("password", (old, new) == ("old", PASSWORD)).accepted

    async def converse(self, attempt: trio_ssh.AuthAttempt) -> bool:
        (one,) = await attempt.ask([Prompt("Code: ")], "Second step")
        again = await attempt.ask([Prompt("Once more: "), Prompt("And again: ", echo=True)])
        return self._noted("keyboard-interactive", {one, *again} == {CODE}).accepted

    async def key(self, attempt: trio_ssh.AuthAttempt) -> Verdict:
        key = attempt.public_key if attempt.certificate is None else attempt.certificate.public_key
        accepted = key == pairs.USER_KEY.public_key
        return self._noted("publickey", accepted) if attempt.proven else Verdict(accepted=accepted)

    def _noted(self, method: str, accepted: bool) -> Verdict:
        if accepted:
            self.proven.add(method)
        return Verdict(accepted=accepted)

    async def rules_for(self, login: trio_ssh.Login) -> trio_ssh.LoginRules:
        policy = self.key
        passwords = trio_ssh.Passwords(self.check, self.change)
        questions = trio_ssh.KeyboardInteractiveServer(self.converse)

        @attrs.frozen
        class Keys:
            methods = ("publickey",)

            async def __call__(self, attempt: trio_ssh.AuthAttempt) -> Verdict:
                return await policy(attempt)

        keys = Keys()
        chains = any_of(all_of(passwords, questions), all_of(questions, keys), all_of(keys, passwords))
        return trio_ssh.LoginRules(authenticate=chains, banner="hello", empty_passwords=True)


def target(data: bytes) -> None:
    choices = Choices(data)
    payloads = []
    while choices:
        if payload := choices.sized():
            payloads.append(payload)
    run_alone(lambda: _play(payloads))


async def _play(payloads: list[bytes]) -> None:
    said, policies, granted = Said(), Policies(), list[LoggedIn]()

    def grant(login: LoggedIn, payload: bytes) -> None:
        granted.append(login)
        said.send_nowait(payload)

    machine = ServerAuthentication(SESSION_ID, limits=LIMITS, host_key_blob=HOST_BLOB)
    checker = IdentityChecker(
        machine=machine, transport=said.as_transport(), messages=queued(payloads), policy=policies, observer=None, granted=grant
    )
    with ending_by(RemoteProtocolError, ConnectionLost):
        await checker.check_identity()
    numbers = [payload[0] for payload in said.payloads]
    assert set(numbers) <= SAYS
    assert numbers.count(M.USERAUTH_FAILURE) <= len(payloads)
    assert machine.failures <= LIMITS.auth_failures
    assert numbers.count(M.USERAUTH_SUCCESS) == len(granted) <= 1
    for login in granted:
        assert len(login.methods) >= 2
        assert set(login.methods) <= policies.proven


# -- seeds -----------------------------------------------------------------------------------------------------------------------------


def _request(method: str, fields: bytes = b"") -> bytes:
    return encode(UserauthRequest("ada", "ssh-connection", method, fields))


def _signed(algorithm: str, blob: bytes, bound: bool) -> bytes:
    server = string_field(HOST_BLOB) if bound else b""
    request = _request(HOSTBOUND if bound else "publickey", encode(PublicKeyFields(True, algorithm, blob, server)))
    return request + string_field(pairs.USER_KEY.sign("ssh-ed25519", encode(SignedPublicKeyRequest(SESSION_ID, request))))


@cache
def _certificate() -> bytes:
    authority = trio_ssh.PrivateKey.generate()
    wanted = trio_ssh.CertificateRequest(public_key=pairs.USER_KEY.public_key, principals=("ada",), nonce=bytes(32))
    return trio_ssh.sign_certificate(authority, wanted).blob


def seeds() -> list[bytes]:
    blob = pairs.USER_KEY.public_key.blob
    service = encode(ServiceRequest("ssh-userauth"))
    password = _request("password", encode(PasswordFields(False, PASSWORD.encode())))
    questions = [
        _request("keyboard-interactive", encode(KeyboardInteractiveFields("", "pam,totp"))),
        encode(UserauthInfoResponse(write_responses((CODE,)))),
        encode(UserauthInfoResponse(write_responses((CODE, CODE)))),
    ]
    change = [
        _request("password", encode(PasswordFields(False, b"old"))),
        _request("password", encode(PasswordFields(True, b"old", string_field(PASSWORD.encode())))),
    ]
    key, bound = _signed("ssh-ed25519", blob, False), _signed("ssh-ed25519", blob, True)
    certified = _signed("ssh-ed25519-cert-v01@openssh.com", _certificate(), True)
    asked = _request("publickey", encode(PublicKeyFields(False, "ssh-ed25519", blob)))
    extensions = encode(ExtInfo(write_extensions({"ext-info-in-auth@openssh.com": b"0"})))
    return [
        sized(service, password, *questions),
        sized(service, _request("none"), *change, *questions),
        sized(extensions, service, *questions, asked, key),
        sized(service, *questions, certified),
        sized(service, bound, bound, password),
        sized(service, questions[0], questions[0], password, questions[1]),
        sized(service, _request("gssapi-with-mic", b"x"), _request("password", encode(PasswordFields(False, b""))), key, *change),
        sized(service, *questions[:2], encode(UserauthInfoResponse(b"\x10\0\0\0")), password),
    ]
