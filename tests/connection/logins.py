"""Raw clients and servers at the point where a login begins, for the tests of hardening B."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import raw_client, raw_server
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    PublicKeyFields,
    SignedPublicKeyRequest,
    UserauthFailure,
    UserauthRequest,
    string_field,
)

HOSTBOUND = "publickey-hostbound-v00@openssh.com"


def request(method: str, fields: bytes = b"", username: str = "ada") -> UserauthRequest:
    return UserauthRequest(username, "ssh-connection", method, fields)


KBDINT = request("keyboard-interactive", encode(KeyboardInteractiveFields("", "")))


def question(key: trio_ssh.PublicKey, username: str = "ada") -> UserauthRequest:
    """Would this key do?"""
    algorithm = key.signature_algorithms[0]
    return request("publickey", encode(PublicKeyFields(False, algorithm, key.blob)), username)


def signed(raw: RawPeer, key: trio_ssh.PrivateKey, *, username: str = "ada", bound_to: bytes | None = None) -> UserauthRequest:
    """As the client of this connection would sign it; host-bound to the server with the blob `bound_to`, if there is one."""
    algorithm = key.public_key.signature_algorithms[0]
    method, server = ("publickey", b"") if bound_to is None else (HOSTBOUND, string_field(bound_to))
    begun = encode(PublicKeyFields(True, algorithm, key.public_key.blob, server))
    data = encode(SignedPublicKeyRequest(raw.session_id, encode(request(method, begun, username))))
    return request(method, begun + string_field(key.sign(algorithm, data)), username)


async def failure(raw: RawPeer) -> UserauthFailure:
    return decode(UserauthFailure, await raw.expect(M.USERAUTH_FAILURE))


@asynccontextmanager
async def at_login(authenticate: Any, **options: Any) -> AsyncIterator[tuple[RawPeer, pairs.Ends]]:
    """A raw client that may make its first authentication request to our server."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=authenticate, **options) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        yield raw, ends
        await raw.stream.aclose()


@asynccontextmanager
async def asked_by_client(credentials: Sequence[Any], **options: Any) -> AsyncIterator[tuple[RawPeer, list[BaseException]]]:
    """A raw server that has accepted the service, and our client, whose first request is the next that comes; its errors."""
    raw, stream = raw_server()
    errors: list[BaseException] = []

    async def client() -> None:
        try:
            async with pairs.connecting(stream, credentials=credentials, **options) as connection:
                await connection.wait_closed()
        except (trio_ssh.SSHError, trio.BrokenResourceError) as error:
            errors.append(error)

    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await raw.handshake()
            await raw.wait_for(M.SERVICE_REQUEST)
            await raw.send(ServiceAccept("ssh-userauth"))
            yield raw, errors
            await raw.stream.aclose()
