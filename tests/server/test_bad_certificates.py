"""Hardening row B14 on whole connections: a server that trusts the authority refuses each bad certificate, and goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests import pairs
from tests.keys.raw_certificates import nested
from tests.keys.test_certificates_b14 import AUTHORITY, BAD_FOR_USER, KEY, NOW, RSA_AUTHORITY, raw
from tests.raw_peer import raw_client
from trio_ssh import Limits, TrustedUserCA
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceRequest
from trio_ssh.wire.userauth import PublicKeyFields, SignedPublicKeyRequest, UserauthFailure, UserauthRequest, string_field

ALGORITHM = "ssh-ed25519-cert-v01@openssh.com"


def request(fields: bytes) -> UserauthRequest:
    return UserauthRequest("alice", "ssh-connection", "publickey", fields)


def signed(peer: RawPeer, certificate: bytes) -> UserauthRequest:
    """A login with the certificate, rightly signed by the key in it."""
    assert peer.session_id is not None
    begun = encode(PublicKeyFields(True, ALGORITHM, certificate))
    data = encode(SignedPublicKeyRequest(peer.session_id, encode(request(begun))))
    return request(begun + string_field(KEY.sign("ssh-ed25519", data)))


@asynccontextmanager
async def at_login() -> AsyncIterator[RawPeer]:
    policy = TrustedUserCA([AUTHORITY.public_key, RSA_AUTHORITY.public_key, KEY.public_key], clock=lambda: NOW)
    peer, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy, limits=Limits(auth_failures=1000, auth_requests=1000)):
        await peer.handshake()
        await peer.send(ServiceRequest("ssh-userauth"))
        await peer.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        yield peer
        await peer.stream.aclose()


async def refusal(peer: RawPeer) -> UserauthFailure:
    return decode(UserauthFailure, await peer.expect(M.USERAUTH_FAILURE))


async def test_b14_each_bad_certificate_of_a_user_is_refused(autojump_clock):
    assert len(BAD_FOR_USER) >= 14
    async with at_login() as peer:
        for certificate in BAD_FOR_USER.values():
            await peer.send(request(encode(PublicKeyFields(False, ALGORITHM, certificate))))
            assert await refusal(peer) == UserauthFailure(("publickey",), False)
            await peer.send(signed(peer, certificate))
            assert await refusal(peer) == UserauthFailure(("publickey",), False)
        await peer.send(signed(peer, raw()))  # without any fault
        await peer.expect(M.USERAUTH_SUCCESS)


async def test_b14_certificates_nested_as_deep_as_a_packet_holds(autojump_clock):
    async with at_login() as peer:
        for depth in (1, 2, 200):
            await peer.send(request(encode(PublicKeyFields(False, ALGORITHM, nested(depth, KEY.public_key)))))
            assert await refusal(peer) == UserauthFailure(("publickey",), False)
        await peer.send(signed(peer, raw()))
        await peer.expect(M.USERAUTH_SUCCESS)
