"""EXT_INFO in both directions, the second one in the midst of authentication, and the signature algorithms of one user (RFC 8308)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import raw_client, raw_server
from trio_ssh.keys.signature import DEFAULT_USER_KEY_ALGORITHMS
from trio_ssh.protocol.auth_client import ClientAuthentication, ExtensionsReceived
from trio_ssh.protocol.extensions import (
    extensions_of_client,
    extensions_of_server,
    extensions_of_server_in_auth,
    read_ext_info,
    server_signature_algorithms,
    takes_extensions_in_auth,
)
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, ServiceRequest, write_extensions
from trio_ssh.wire.userauth import PublicKeyFields, UserauthRequest, UserauthSuccess

RSA_KEY = trio_ssh.PrivateKey.generate("rsa", 2048)


@attrs.define(eq=False)
class ByUser:
    """Takes RSA keys of ``ada`` only, and notes who was asked about."""

    keys: frozenset[trio_ssh.PublicKey]
    asked: list[str] = attrs.field(factory=list)

    methods = ("publickey",)

    def signature_algorithms(self, username: str, /) -> Sequence[str]:
        self.asked.append(username)
        return ("rsa-sha2-256",) if username == "ada" else ("ssh-ed25519",)

    async def __call__(self, attempt: trio_ssh.AuthAttempt, /) -> trio_ssh.Verdict:
        return trio_ssh.ACCEPT if attempt.public_key in self.keys else trio_ssh.REFUSE


def by_user() -> ByUser:
    return ByUser(frozenset([RSA_KEY.public_key, pairs.USER_KEY.public_key]))


def ask(username: str, algorithm: str, key: trio_ssh.PrivateKey) -> UserauthRequest:
    fields = PublicKeyFields(False, algorithm, key.public_key.blob)
    return UserauthRequest(username, "ssh-connection", "publickey", encode(fields))


async def test_a_second_ext_info_for_who_asked_for_it(autojump_clock):
    """It comes before the answer to the first request, once, with what is taken of this user; what is not listed is refused."""
    raw, stream = raw_client()
    policy = by_user()
    async with pairs.served(stream=stream, authenticate=policy):
        await raw.handshake()
        await raw.send(extensions_of_client(), ServiceRequest("ssh-userauth"))
        first = read_ext_info(await raw.expect(M.EXT_INFO), Limits())
        assert server_signature_algorithms(first) == DEFAULT_USER_KEY_ALGORITHMS
        await raw.expect(M.SERVICE_ACCEPT)
        await raw.send(ask("ada", "rsa-sha2-512", RSA_KEY))
        second = read_ext_info(await raw.expect(M.EXT_INFO), Limits())
        assert second == {"server-sig-algs": b"rsa-sha2-256"}
        await raw.expect(M.USERAUTH_FAILURE)
        await raw.send(ask("ada", "rsa-sha2-256", RSA_KEY))
        await raw.expect(M.USERAUTH_PK_OK)
        await raw.send(ask("ada", "ssh-ed25519", pairs.USER_KEY))
        await raw.expect(M.USERAUTH_FAILURE)
        await raw.stream.aclose()
    assert policy.asked == ["ada"]


@pytest.mark.parametrize("extensions", [{}, {"ext-info-in-auth@openssh.com": b"1"}, {"something@else.example": b"0"}], ids=str)
async def test_none_for_who_did_not(autojump_clock, extensions):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=by_user()):
        await raw.handshake()
        await raw.send(ExtInfo(write_extensions(extensions)), ServiceRequest("ssh-userauth"))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        await raw.send(ask("eve", "rsa-sha2-256", RSA_KEY))
        await raw.expect(M.USERAUTH_FAILURE)
        await raw.stream.aclose()


async def test_our_client_uses_what_it_is_told(autojump_clock):
    """Between our own ends: the RSA key is signed with the one algorithm that this user's list has, in one try."""
    streams = pairs.misbehaving()
    policy = by_user()
    seen: list[trio_ssh.Event] = []
    async with pairs.served(stream=streams[1], authenticate=policy):
        key = trio_ssh.PrivateKeyCredential(RSA_KEY, ask_first=True)
        tries = [trio_ssh.PrivateKeyCredential(pairs.USER_KEY), key]
        async with pairs.connecting(streams[0], credentials=tries, observer=seen.append) as client:
            await pairs.check_works(client)
    details = [event.detail for event in seen if isinstance(event, trio_ssh.AuthAttempted)]
    assert details[-1] == "rsa-sha2-256"


async def test_the_clients_comes_first_and_only_to_a_server_that_takes_it(autojump_clock):
    for markers in (True, False):
        raw, stream = raw_server()
        if not markers:
            raw.negotiator.algorithms = attrs.evolve(raw.negotiator.algorithms)
            hide_markers(raw)
        async with trio.open_nursery() as nursery:

            async def serve(raw=raw, markers=markers) -> None:
                await raw.handshake()
                if markers:
                    assert takes_extensions_in_auth(read_ext_info(await raw.expect(M.EXT_INFO), Limits()))
                assert decode(ServiceRequest, await raw.expect(M.SERVICE_REQUEST)).service_name == "ssh-userauth"
                await raw.send(ServiceAccept("ssh-userauth"))
                await raw.expect(M.USERAUTH_REQUEST)
                await raw.send(UserauthSuccess())
                await raw.drain()

            nursery.start_soon(serve)
            async with pairs.connecting(stream):
                pass


def hide_markers(raw) -> None:
    """A server from before 2015: its KEXINIT says nothing of EXT_INFO or strict key exchange."""
    plain = raw.negotiator.our_kexinit

    def without(cookie: bytes, *, first: bool) -> bytes:
        return plain(cookie, first=False)

    raw.negotiator = _Plain(raw.negotiator, without)


class _Plain:
    def __init__(self, negotiator, our_kexinit) -> None:
        self._negotiator = negotiator
        self.our_kexinit = our_kexinit

    def __getattr__(self, name: str):
        return getattr(self._negotiator, name)


def client_machine(*, accepted: bool) -> ClientAuthentication:
    machine = ClientAuthentication("ada", b"session")
    machine.request_service()
    if accepted:
        machine.receive(encode(ServiceAccept("ssh-userauth")))
    return machine


def test_sm_085_the_client_takes_one_first_and_one_in_the_midst():
    payload = extensions_of_server(("ssh-ed25519",))
    machine = client_machine(accepted=False)
    assert isinstance(machine.receive(payload), ExtensionsReceived)
    machine.receive(encode(ServiceAccept("ssh-userauth")))
    assert isinstance(machine.receive(extensions_of_server_in_auth(("rsa-sha2-256",))), ExtensionsReceived)
    with pytest.raises(trio_ssh.RemoteProtocolError):
        machine.receive(payload)


def test_sm_085_two_in_the_midst_are_too_many_whatever_came_first():
    machine = client_machine(accepted=True)
    machine.receive(extensions_of_server(("ssh-ed25519",)))
    with pytest.raises(trio_ssh.RemoteProtocolError) as refusal:
        machine.receive(extensions_of_server(("ssh-ed25519",)))
    assert refusal.value.reason == 2


@pytest.mark.parametrize("name", ["server-sig-algs", "ping@openssh.com", "ext-info-in-auth@openssh.com"])
def test_sm_086_a_nul_in_a_known_value(name):
    with pytest.raises(trio_ssh.DecodeError):
        read_ext_info(encode(ExtInfo(write_extensions({name: b"0\0"}))), Limits())
    assert read_ext_info(encode(ExtInfo(write_extensions({"unknown@x.example": b"0\0"}))), Limits()) == {"unknown@x.example": b"0\0"}


async def test_legacy_signatures_of_users_only_by_name(autojump_clock):
    """ssh-rsa (SHA-1): neither end uses it unless its list says so."""
    legacy = attrs.evolve(pairs.QUICK, signatures=("ssh-rsa",))
    keys = trio_ssh.AuthorizedKeys.of([RSA_KEY.public_key])
    for client, server, works in ((legacy, legacy, True), (legacy, pairs.QUICK, False), (pairs.QUICK, legacy, False)):
        ends = pairs.misbehaving()
        async with pairs.served(stream=ends[1], authenticate=keys, algorithms=server):
            connecting = pairs.connecting(ends[0], credentials=[trio_ssh.PrivateKeyCredential(RSA_KEY)], algorithms=client)
            if works:
                async with connecting as connected:
                    await pairs.check_works(connected)
            else:
                with pytest.raises(trio_ssh.AuthenticationFailed, match="none of its algorithms"):
                    async with connecting:
                        pytest.fail("let in")


