"""Requests and answers of a login that are whole and wrong, on whole connections (SM-090 to SM-107, B02, B03)."""

from __future__ import annotations

import pytest

import trio_ssh
from tests.connection.logins import KBDINT, asked_by_client, at_login, failure, question, request, signed
from tests.connection.victims import attacked
from tests.pairs import USER_KEY
from tests.raw_peer import PASSWORD, PASSWORDS, password_request
from trio_ssh import ACCEPT, AuthAttempted, all_of, any_of
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceAccept
from trio_ssh.wire.userauth import PublicKeyFields, UserauthFailure, UserauthRequest, UserauthSuccess, string_field

KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
RSA = trio_ssh.PrivateKey.generate("rsa", 2048)
BLOB = USER_KEY.public_key.blob


async def accept_anything(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
    return ACCEPT


# -- to a server ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["ssh-userauth", "", "ssh-connection2", "unheard-of@example.com"])
async def test_sm_090_another_service_than_the_connection(autojump_clock, service):
    """DISCONNECT 7, though the policy would let anybody in."""
    async with at_login(accept_anything) as (raw, ends):
        right = password_request(PASSWORD)
        await raw.send(UserauthRequest(right.user_name, service, right.method_name, right.method_fields))
        await raw.expect_disconnect(7)
    assert not [event for event in ends.server_events if isinstance(event, AuthAttempted)]


@pytest.mark.parametrize("username", ["bob", "Ada", "ada ", "", "ad", "adaa"])
async def test_sm_091_b03_another_user_in_a_later_request(autojump_clock, username):
    """Behind a failure, a question about a key, a partial success: DISCONNECT 2, and the second name's policy is not asked."""
    asked: list[str] = []

    async def check(name: str, password: str) -> bool:
        asked.append(name)
        return password == PASSWORD

    steps = {
        "a failure": lambda raw: password_request("wrong"),
        "a question": lambda raw: question(USER_KEY.public_key),
        "a partial success": lambda raw: signed(raw, USER_KEY),
    }
    for make in steps.values():
        async with at_login(any_of(all_of(KEYS, trio_ssh.Passwords(check)), trio_ssh.Passwords(check))) as (raw, _):
            await raw.send(make(raw))
            assert (await raw.receive() or b"?")[0] in (M.USERAUTH_FAILURE, 60)
            await raw.send(password_request(PASSWORD, username))
            await raw.expect_disconnect(2)
    assert set(asked) <= {"ada"}


WRONG_KEYS = {
    "junk": ("ssh-ed25519", b"junk"),
    "nothing": ("ssh-ed25519", b""),
    "another type": ("ssh-ed25519", RSA.public_key.blob),
    "another type's name": ("rsa-sha2-512", BLOB),
    "an unknown algorithm": ("unheard-of@example.com", BLOB),
    "no algorithm": ("", BLOB),
    "SHA-1": ("ssh-rsa", RSA.public_key.blob),
    "a certificate's name": ("ssh-ed25519-cert-v01@openssh.com", BLOB),
}


async def test_sm_095_keys_that_will_not_do(autojump_clock):
    """FAILURE to questions and to requests, from a server that would let any key in."""
    async with at_login(accept_anything, limits=trio_ssh.Limits(auth_failures=100)) as (raw, _):
        for algorithm, blob in WRONG_KEYS.values():
            await raw.send(request("publickey", encode(PublicKeyFields(False, algorithm, blob))))
            await failure(raw)
            signature = string_field(USER_KEY.sign("ssh-ed25519", b"x"))
            await raw.send(request("publickey", encode(PublicKeyFields(True, algorithm, blob, signature))))
            await failure(raw)


@pytest.mark.parametrize("signature", [b"", b"junk", bytes(60_000)], ids=["empty", "junk", "huge"])
async def test_sm_096_signatures_that_are_none(autojump_clock, signature):
    async with at_login(accept_anything) as (raw, _):
        begun = encode(PublicKeyFields(True, "ssh-ed25519", BLOB))
        await raw.send(request("publickey", begun + string_field(signature)))
        await failure(raw)
        await raw.send(request("publickey", begun + string_field(signature) + b"\0"))
        await raw.expect_disconnect(2)


async def test_sm_096_a_signature_of_a_mebibyte_does_not_arrive(autojump_clock):
    async with at_login(accept_anything) as (raw, _):
        await raw.send(request("publickey", encode(PublicKeyFields(True, "ssh-ed25519", BLOB)) + string_field(bytes(1 << 20))))
        await raw.expect_disconnect(2)


async def test_sm_098_none_at_first_costs_no_try(autojump_clock):
    async with at_login(PASSWORDS, limits=trio_ssh.Limits(auth_failures=2)) as (raw, _):
        await raw.send(request("none"))
        assert await failure(raw) == UserauthFailure(("password",), False)
        await raw.send(password_request("wrong"))
        await failure(raw)
        await raw.send(password_request(PASSWORD))
        await raw.expect(M.USERAUTH_SUCCESS)
    async with at_login(PASSWORDS, limits=trio_ssh.Limits(auth_failures=2)) as (raw, _):
        await raw.send(password_request("wrong"))
        await failure(raw)
        await raw.send(request("none"))
        await raw.expect_disconnect(2)


# -- to a client ---------------------------------------------------------------------------------------------------------------------------


async def answer(asked: trio_ssh.Asked) -> list[str]:
    return ["canary"] * len(asked.prompts)


@pytest.mark.parametrize("message", [UserauthSuccess(), UserauthFailure(("password",), False)], ids=["success", "failure"])
async def test_sm_106_sm_107_b02_an_answer_before_the_service_was_given(autojump_clock, message):
    """DISCONNECT 2: nothing was asked; and no password leaves."""
    async with attacked(Role.CLIENT) as victim:
        await victim.raw.handshake()
        await victim.raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
        await victim.raw.send(message)
        await victim.ends(2)
        assert "logged in" not in victim.called
        assert PASSWORD.encode() not in victim.sent


async def test_sm_106_b02_success_to_a_question_about_a_key(autojump_clock):
    """The question proves nothing, and SUCCESS is no answer to it."""

    class AskedFirst:
        algorithms = ("ssh-ed25519",)
        key_blob = BLOB
        ask_first = True

        async def sign(self, algorithm: str, data: bytes) -> bytes:
            raise AssertionError("nobody has said that the key would do")

    async with asked_by_client([AskedFirst()]) as (raw, errors):
        await raw.wait_for(M.USERAUTH_REQUEST)
        await raw.send(UserauthSuccess())
        await raw.expect_disconnect(2)
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError)


async def test_sm_106_success_twice(autojump_clock):
    async with attacked(Role.CLIENT) as victim:
        await victim.raw.log_in()
        await victim.raw.send(UserauthSuccess())
        await victim.ends(2)


@pytest.mark.parametrize("times", [2, 3])
async def test_sm_107_more_failures_than_requests(autojump_clock, times):
    """Each request has one answer: the second is to nothing, or to what is asked next; the third ends it in any case."""
    async with asked_by_client([trio_ssh.KeyboardInteractive(answer)]) as (raw, errors):
        await raw.wait_for(M.USERAUTH_REQUEST)
        await raw.send(*[UserauthFailure(("hostbased",), False)] * times)
        await raw.drain()
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError | trio_ssh.AuthenticationFailed)


async def test_b02_a_service_accepted_twice_and_a_success_are_no_login(autojump_clock):
    async with attacked(Role.CLIENT) as victim:
        await victim.until_auth()
        await victim.raw.send(ServiceAccept("ssh-userauth"), UserauthSuccess())
        await victim.ends(2)
        assert "logged in" not in victim.called


async def test_sm_102_sm_100_answers_to_a_method_that_was_left(autojump_clock):
    """Questions are out, another request comes and fails, then the answers: DISCONNECT 2."""

    async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
        await attempt.ask([trio_ssh.Prompt("?")])
        return True

    async with at_login(any_of(trio_ssh.KeyboardInteractiveServer(converse), PASSWORDS)) as (raw, _):
        await raw.send(KBDINT)
        await raw.expect(60)
        await raw.send(request("gssapi-with-mic", b"x"))
        await failure(raw)
        await raw.send(b"\x3d\0\0\0\1\0\0\0\1x")
        await raw.expect_disconnect(2)
