"""Messages of the other role, at each step of a login, to both of our roles: DISCONNECT 2, and nobody is in (hardening B01)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

import trio_ssh
from tests.connection.victims import Victim, attacked
from tests.raw_peer import PASSWORD, password_request
from trio_ssh import Prompt, all_of
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    PasswordFields,
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthInfoResponse,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    write_prompts,
    write_responses,
)

Step = Callable[[Victim], Awaitable[object]]

A_SERVERS = {
    "SUCCESS": encode(UserauthSuccess()),
    "FAILURE": encode(UserauthFailure((), True)),
    "BANNER": encode(UserauthBanner("hello")),
    "60": encode(UserauthPkOk("ssh-ed25519", b"key")),
    "SERVICE_ACCEPT": encode(ServiceAccept("ssh-userauth")),
}
"""51, 52, 53, 60, 6: whole, so that nothing but the role speaks against them."""

A_CLIENTS = {
    "REQUEST": encode(UserauthRequest("ada", "ssh-connection", "password", encode(PasswordFields(False, b"x")))),
    "SERVICE_REQUEST": encode(ServiceRequest("ssh-userauth")),
    "INFO_RESPONSE": encode(UserauthInfoResponse(write_responses(("x",)))),
}

KBDINT = UserauthRequest("ada", "ssh-connection", "keyboard-interactive", encode(KeyboardInteractiveFields("", "")))


# -- the steps up to the point where it is said --------------------------------------------------------------------------------------------


async def before_kexinit(victim: Victim) -> None:
    await victim.raw.identify()


async def in_the_exchange(victim: Victim) -> None:
    await victim.raw.identify()
    await victim.raw.send_kexinit()
    await victim.raw.expect(M.KEXINIT)


async def before_newkeys(victim: Victim) -> None:
    raw = victim.raw
    await raw.identify()
    ours = await raw.send_kexinit()
    new = await raw.method(ours, await raw.expect(M.KEXINIT))
    await raw.take_newkeys(new)


async def behind_newkeys(victim: Victim) -> None:
    await victim.raw.handshake()


async def at_the_login(victim: Victim) -> None:
    await victim.until_auth()


async def while_a_policy_decides(victim: Victim) -> None:
    await victim.until_auth()
    await victim.raw.send(password_request("slow"))
    await trio.sleep(1)


async def behind_a_failure(victim: Victim) -> None:
    await victim.until_auth()
    await victim.raw.send(password_request("wrong"))
    await victim.raw.expect(M.USERAUTH_FAILURE)


async def behind_a_partial_success(victim: Victim) -> None:
    await victim.until_auth()
    await victim.raw.send(password_request(PASSWORD))
    await victim.raw.expect(M.USERAUTH_FAILURE)


async def amid_questions(victim: Victim) -> None:
    await behind_a_partial_success(victim)
    await victim.raw.send(KBDINT)
    await victim.raw.expect(60)


TO_A_SERVER: list[Step] = [
    before_kexinit, in_the_exchange, before_newkeys, behind_newkeys, at_the_login,
    while_a_policy_decides, behind_a_failure, behind_a_partial_success, amid_questions,
]  # fmt: skip


async def check(username: str, password: str) -> bool:
    if password == "slow":
        await trio.sleep(30)
    return password == PASSWORD


async def converse(attempt: trio_ssh.AuthAttempt) -> bool:
    await attempt.ask([Prompt("?")])
    return True


TWO_FACTORS = all_of(trio_ssh.Passwords(check), trio_ssh.KeyboardInteractiveServer(converse))


async def dies(victim: Victim) -> None:
    payloads = await victim.raw.drain()
    assert [payload[0] for payload in payloads if payload[0] in (M.USERAUTH_SUCCESS, M.SERVICE_ACCEPT, M.USERAUTH_PK_OK)] == []
    last = payloads[-1]
    assert (last[0], decode(Disconnect, last).reason_code) == (M.DISCONNECT, 2)
    await victim.check_cause(trio_ssh.RemoteProtocolError)


@pytest.mark.parametrize("message", A_SERVERS.values(), ids=list(A_SERVERS))
@pytest.mark.parametrize("step", TO_A_SERVER, ids=lambda step: step.__name__)
async def test_b01_sm_103_a_servers_words_to_our_server(autojump_clock, step, message):
    async with attacked(Role.SERVER, authenticate=TWO_FACTORS) as victim:
        await step(victim)
        await victim.raw.send(message)
        await dies(victim)
        assert [called for called in victim.called if called.startswith("handler")] == []
        assert M.USERAUTH_SUCCESS not in victim.raw.numbers
        assert not [event for event in victim.events if isinstance(event, trio_ssh.AuthAttempted) and event.outcome == "granted"]


@pytest.mark.parametrize("number", [51, 52, 53, 60, 6])
async def test_b01_a_servers_words_from_who_has_logged_in(autojump_clock, number):
    async with attacked(Role.SERVER) as victim:
        await victim.raw.log_in()
        await victim.raw.send(bytes([number]) + bytes(20))
        await dies(victim)


# -- to a client ---------------------------------------------------------------------------------------------------------------------------


async def before_the_service(victim: Victim) -> None:
    await victim.raw.handshake()
    await victim.raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])


async def with_a_request_out(victim: Victim) -> None:
    await before_the_service(victim)
    await victim.raw.send(ServiceAccept("ssh-userauth"))
    await victim.raw.expect(M.USERAUTH_REQUEST)


async def with_a_password_out(victim: Victim) -> None:
    await with_a_request_out(victim)
    await victim.raw.send(UserauthFailure(("password",), False))
    await victim.raw.expect(M.USERAUTH_REQUEST)


async def with_a_question_about_a_key_out(victim: Victim) -> None:
    await with_a_request_out(victim)
    await victim.raw.send(UserauthFailure(("publickey",), False))
    await victim.raw.expect(M.USERAUTH_REQUEST)


async def with_answers_out(victim: Victim) -> None:
    await with_a_request_out(victim)
    await victim.raw.send(UserauthFailure(("keyboard-interactive",), False))
    await victim.raw.expect(M.USERAUTH_REQUEST)
    await victim.raw.send(UserauthInfoRequest("", "", "", write_prompts((("?", False),))))
    await victim.raw.expect(M.USERAUTH_INFO_RESPONSE)


async def logged_in(victim: Victim) -> None:
    await with_a_request_out(victim)
    await victim.raw.send(UserauthSuccess())


TO_A_CLIENT: list[Step] = [
    before_kexinit, in_the_exchange, before_newkeys, behind_newkeys, before_the_service,
    with_a_request_out, with_a_password_out, with_a_question_about_a_key_out, with_answers_out, logged_in,
]  # fmt: skip


class AskedFirst:
    """A key that the server is asked about before it signs."""

    algorithms = ("ssh-ed25519",)
    key_blob = trio_ssh.PrivateKey.generate().public_key.blob
    ask_first = True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        raise AssertionError("nobody has said that the key would do")


async def answer(asked: trio_ssh.Asked) -> list[str]:
    return ["x"] * len(asked.prompts)


@pytest.mark.parametrize("message", A_CLIENTS.values(), ids=list(A_CLIENTS))
@pytest.mark.parametrize("step", TO_A_CLIENT, ids=lambda step: step.__name__)
async def test_b01_a_clients_words_to_our_client(autojump_clock, step, message):
    credentials = [trio_ssh.Password(PASSWORD), trio_ssh.KeyboardInteractive(answer), AskedFirst()]
    async with attacked(Role.CLIENT, credentials=credentials) as victim:
        await step(victim)
        await victim.raw.send(message)
        await dies(victim)
        assert ("logged in" in victim.called) == (step is logged_in)


@pytest.mark.parametrize("step", ["our KEXINIT is out", "both are out", "before NEWKEYS"])
async def test_sm_106_b01_success_in_a_rekey(autojump_clock, step):
    """To a client that is logged in, as to one that is not: SUCCESS has no place in a key exchange."""
    async with attacked(Role.CLIENT) as victim:
        raw = victim.raw
        await raw.log_in()
        ours = await raw.send_kexinit()
        if step != "our KEXINIT is out":
            theirs = await raw.wait_for(M.KEXINIT)
            if step == "before NEWKEYS":
                await raw.take_newkeys(await raw.method(ours, theirs))
        await raw.send(A_SERVERS["SUCCESS"])
        last = (await raw.drain())[-1]
        assert (last[0], decode(Disconnect, last).reason_code) == (M.DISCONNECT, 2)
        await victim.check_cause(trio_ssh.RemoteProtocolError)
