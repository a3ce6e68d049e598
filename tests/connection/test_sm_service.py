"""SM-078 to SM-088: the service request, its answer, and EXT_INFO, right and wrong, with what the peer gets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests.connection.victims import BOTH_ROLES, Victim, attacked, kexinit
from tests.raw_peer import PASSWORD, password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, Ping, ServiceAccept, ServiceRequest, Unimplemented, read_extensions, write_extensions
from trio_ssh.wire.userauth import UserauthFailure, UserauthRequest, UserauthSuccess

USERAUTH = ServiceRequest("ssh-userauth")


def extensions(**values: bytes) -> ExtInfo:
    return ExtInfo(write_extensions({name.replace("_", "-"): value for name, value in values.items()}))


def string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


async def behind_newkeys(victim: Victim) -> None:
    """Our side has said what it says by itself."""
    raw = victim.raw
    await raw.handshake()
    await (raw.expect(M.EXT_INFO) if victim.role is Role.SERVER else raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO]))
    await wait_all_tasks_blocked()


SERVICES = [
    pytest.param(encode(ServiceRequest("ssh-connection")), 7, id="sm_078-the connection service before the login"),
    pytest.param(encode(ServiceRequest("nobody@test")), 7, id="sm_079-an unknown one"),
    pytest.param(encode(ServiceRequest("")), 7, id="sm_079-no name"),
    pytest.param(b"\x05" + string(bytes(100 * 1024)), 2, id="sm_079-100 KiB of name"),
    pytest.param(b"\x05" + string(b"ssh-\xff\xfe"), 2, id="sm_079-bad UTF-8"),
    pytest.param(b"\x05" + string(b"ssh-userauth") + b"more", 2, id="sm_079-more behind it"),
    pytest.param(b"\x05" + string(b"ssh-userauth")[:-1], 2, id="sm_079-cut"),
    pytest.param(encode(ServiceAccept("ssh-userauth")), 2, id="sm_082-a client that accepts"),
    pytest.param(encode(password_request(PASSWORD)), 2, id="sm_084-authentication without the service"),
    pytest.param(encode(UserauthSuccess()), 2, id="sm_082-a client that says success"),
]


@pytest.mark.parametrize(("payload", "reason"), SERVICES)
async def test_sm_078_sm_079_sm_082_sm_084_a03_to_a_server(autojump_clock, payload, reason):
    """The right password in the same segment is not looked at."""
    async with attacked(Role.SERVER) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(payload, password_request(PASSWORD))
        await victim.ends(reason)
        assert victim.called == []


ACCEPTS = [
    pytest.param(encode(ServiceRequest("ssh-userauth")), id="sm_082-a server that requests"),
    pytest.param(encode(ServiceAccept("ssh-connection")), id="sm_083-another service"),
    pytest.param(encode(ServiceAccept("")), id="sm_083-no name"),
    pytest.param(encode(password_request(PASSWORD)), id="sm_082-a server that logs in"),
    pytest.param(encode(UserauthSuccess()), id="a06-success before a request"),
    pytest.param(encode(UserauthFailure(("password",), False)), id="a06-failure before a request"),
]


@pytest.mark.parametrize("payload", ACCEPTS)
async def test_sm_082_sm_083_a06_to_a_client(autojump_clock, payload):
    """No password is asked for, and none leaves."""
    async with attacked(Role.CLIENT) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(payload)
        await victim.ends(2)
        assert victim.forbidden == []


async def test_sm_083_a_service_accepted_before_it_was_asked_for_or_twice(autojump_clock):
    async with attacked(Role.CLIENT) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(ServiceAccept("ssh-userauth"), ServiceAccept("ssh-userauth"))
        numbers = [payload[0] for payload in await victim.raw.drain()]
        assert numbers in ([M.DISCONNECT], [M.USERAUTH_REQUEST, M.DISCONNECT])
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert "logged in" not in victim.called


async def test_sm_080_the_service_asked_for_twice(autojump_clock):
    async with attacked(Role.SERVER) as victim:
        raw = victim.raw
        await behind_newkeys(victim)
        await raw.send(USERAUTH, USERAUTH)
        for _ in range(2):
            assert decode(ServiceAccept, await raw.expect(M.SERVICE_ACCEPT)).service_name == "ssh-userauth"
        await raw.send(password_request("wrong"), USERAUTH, password_request(PASSWORD))
        assert [(await raw.receive() or b"?")[0] for _ in range(3)] == [M.USERAUTH_FAILURE, M.SERVICE_ACCEPT, M.USERAUTH_SUCCESS]
        await raw.stream.aclose()


async def test_sm_081_the_service_asked_for_behind_the_login(autojump_clock):
    async with attacked(Role.SERVER) as victim:
        raw = victim.raw
        await raw.log_in()
        number = raw.sealer.sequence_number
        await raw.send(USERAUTH, Ping(b"go on"))
        assert await raw.receive() == encode(Unimplemented(number))
        await raw.expect(M.PONG)
        await raw.stream.aclose()


# -- EXT_INFO --------------------------------------------------------------------------------------------------------------------------

SOME = extensions(nobody_knows=b"\0\xff whatever")


async def next_of_ours(victim: Victim) -> bytes:
    """What our side goes on with when the peer's part of the service is said."""
    raw = victim.raw
    if victim.role is Role.SERVER:
        await raw.send(USERAUTH)
        return await raw.expect(M.SERVICE_ACCEPT)
    await raw.send(ServiceAccept("ssh-userauth"))
    return await raw.expect(M.USERAUTH_REQUEST)


@BOTH_ROLES
async def test_sm_085_sm_086_ext_info_first_behind_newkeys(autojump_clock, role):
    """With names that nobody knows, and with none at all: taken."""
    for message in (SOME, extensions(), extensions(**{f"name-{n}": b"" for n in range(64)})):
        async with attacked(role) as victim:
            await behind_newkeys(victim)
            await victim.raw.send(message)
            await next_of_ours(victim)
            await victim.raw.stream.aclose()


@BOTH_ROLES
@pytest.mark.parametrize("first", [encode(Ping(b"x")), b"\x02\0\0\0\0"], ids=["PING", "IGNORE"])
async def test_sm_085_ext_info_that_is_not_first(autojump_clock, role, first):
    async with attacked(role) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(first, SOME)
        await victim.ends(2)
        assert victim.forbidden == []


async def test_sm_085_ext_info_behind_the_service(autojump_clock):
    """To a server: never."""
    async with attacked(Role.SERVER) as victim:
        await behind_newkeys(victim)
        await next_of_ours(victim)
        await victim.raw.send(SOME)
        await victim.ends(2)
        assert victim.called == []


async def test_sm_085_ext_info_twice_in_a_row(autojump_clock):
    """From a client at once; a server's second one has its place in authentication only."""
    for role in Role:
        async with attacked(role) as victim:
            await behind_newkeys(victim)
            await victim.raw.send(SOME, SOME)
            await victim.ends(2)
            assert victim.forbidden == []


async def test_sm_085_a_servers_second_and_third_ext_info(autojump_clock):
    """The second may come in authentication, right before SUCCESS too; a third is the end."""
    for count, ends in ((1, False), (2, True)):
        async with attacked(Role.CLIENT) as victim:
            raw = victim.raw
            await behind_newkeys(victim)
            await raw.send(SOME)
            await next_of_ours(victim)
            await raw.send(*[SOME] * count, UserauthSuccess())
            if ends:
                await victim.ends(2)
                assert "logged in" not in victim.called
            else:
                await raw.send(Ping(b"in?"))
                await raw.expect(M.PONG)
                assert "logged in" in victim.called
                await raw.stream.aclose()


LYING = [
    pytest.param(encode(extensions(**{f"name-{n}": b"" for n in range(65)})), id="sm_086-65 entries"),
    pytest.param(encode(extensions(**{f"name-{n}": b"" for n in range(1024)})), id="sm_086-1,024 entries"),
    pytest.param(b"\x07" + (2**32 - 1).to_bytes(4, "big"), id="sm_086-2^32-1 entries and none there"),
    pytest.param(b"\x07" + (2).to_bytes(4, "big") + string(b"a") + string(b"b"), id="sm_086-fewer than said"),
    pytest.param(b"\x07" + (0).to_bytes(4, "big") + string(b"a") + string(b"b"), id="sm_086-more than said"),
    pytest.param(b"\x07", id="sm_086-nothing"),
    pytest.param(b"\x07\0\0\0\1" + string(b"a") + b"\0\0\0\x09b", id="sm_086-a value longer than its packet"),
    pytest.param(b"\x07\0\0\0\1" + string(b"\xff\xfe") + string(b"b"), id="sm_086-a name that is none"),
]


@BOTH_ROLES
@pytest.mark.parametrize("payload", LYING)
async def test_sm_086_ext_info_that_lies(autojump_clock, role, payload):
    async with attacked(role) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(payload)
        await victim.ends(2)
        assert victim.forbidden == []


async def test_sm_086_nul_in_a_value_that_is_known(autojump_clock):
    async with attacked(Role.CLIENT) as victim:
        await behind_newkeys(victim)
        await victim.raw.send(extensions(server_sig_algs=b"ssh-ed25519\0,rsa-sha2-256"))
        await victim.ends(2)
        assert victim.forbidden == []


@BOTH_ROLES
async def test_sm_087_ext_info_behind_the_login_and_in_a_rekey(autojump_clock, role):
    async with attacked(role) as victim:
        await victim.raw.log_in()
        await wait_all_tasks_blocked()
        await victim.raw.send(SOME)
        await victim.ends(2)
    for step in ("kexinit", "newkeys"):
        async with attacked(role) as victim:
            raw = victim.raw
            await raw.log_in()
            await wait_all_tasks_blocked()
            ours = await raw.send_kexinit()
            theirs = await raw.wait_for(M.KEXINIT)
            if step == "kexinit":
                await raw.send(SOME)
                numbers = [payload[0] for payload in await raw.drain()]
                assert numbers in ([M.DISCONNECT], [30, M.DISCONNECT])
            else:
                new = await raw.method(ours, theirs)
                await raw.send(SOME)
                await victim.read_newkeys(new)
                await victim.ends(2)


@BOTH_ROLES
async def test_sm_087_no_ext_info_of_ours_in_a_rekey(autojump_clock, role):
    """Not even when the peer's rekey KEXINIT asks for it."""
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        await wait_all_tasks_blocked()
        raw.numbers.clear()
        again = kexinit(raw, markers=True)
        await raw.send(again)
        await raw.exchange_keys(ours=encode(again))
        await raw.send(Ping(b"?"))
        await raw.wait_for(M.PONG)
        assert M.EXT_INFO not in raw.numbers
        await raw.stream.aclose()


async def test_our_servers_ext_info_comes_first_and_only_to_who_wants_it(autojump_clock):
    """RFC 8308 §2.4."""
    for wanted in (True, False):
        async with attacked(Role.SERVER) as victim:
            raw = victim.raw
            await raw.identify()
            markers = ("ext-info-c",) if wanted else ()
            ours = kexinit(raw, kex_algorithms=("curve25519-sha256", *markers, "kex-strict-c-v00@openssh.com"))
            await raw.send(ours)
            await raw.exchange_keys(ours=encode(ours))
            await raw.send(USERAUTH)
            payload = await raw.receive()
            assert payload is not None
            if wanted:
                found = read_extensions(decode(ExtInfo, payload).extensions, 64)
                assert b"rsa-sha2-512" in found["server-sig-algs"].split(b",")
                assert b"ssh-rsa" not in found["server-sig-algs"].split(b",")
                payload = await raw.receive()
            assert payload == encode(ServiceAccept("ssh-userauth"))
            await raw.stream.aclose()


@pytest.mark.parametrize("offered", [b"", b"ssh-rsa", b"ssh-rsa,ssh-dss", b"nobody@test"], ids=repr)
async def test_sm_088_a_server_that_takes_none_of_our_algorithms(autojump_clock, offered):
    """No request is signed by another algorithm than was listed, SHA-1 least of all; the error says why nothing was tried."""
    key = trio_ssh.PrivateKey.generate("rsa", 2048)
    async with attacked(Role.CLIENT, credentials=[trio_ssh.PrivateKeyCredential(key)]) as victim:
        raw = victim.raw
        await behind_newkeys(victim)
        await raw.send(extensions(server_sig_algs=offered), ServiceAccept("ssh-userauth"))
        requests = []
        while (payload := await raw.receive()) is not None and payload[0] == M.USERAUTH_REQUEST:
            requests.append(decode(UserauthRequest, payload).method_name)
            await raw.send(UserauthFailure(("publickey",), False))
        assert set(requests) <= {"none"}
        assert payload is not None
        assert payload[0] == M.DISCONNECT
        with trio.fail_after(5):
            await victim.done.wait()
        assert isinstance(victim.error, trio_ssh.AuthenticationFailed)
        assert "the server takes none of its algorithms" in str(victim.error)
