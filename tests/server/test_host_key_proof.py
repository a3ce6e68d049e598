"""UpdateHostKeys, our server's side: all host keys are told behind the login, and those that are ours are proven, a few times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.keys.test_signature import FaultyEd25519
from trio_ssh import Limits, PrivateKey
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificates import CertificateKind, CertifiedKey
from trio_ssh.testing import HOST_KEY, QUICK, RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    HOSTKEYS,
    HOSTKEYS_PROVE,
    GlobalRequest,
    HostKeyProofData,
    RequestSuccess,
    read_strings,
    write_strings,
)
from trio_ssh.wire.numbers import MessageNumber as M

ECDSA = PrivateKey.generate("ecdsa")
RSA = PrivateKey.generate("rsa", 2048)
KEYS = (HOST_KEY, ECDSA, RSA)
STRANGER = PrivateKey.generate()


async def check_password(username: str, password: str) -> bool:
    return True


@asynccontextmanager
async def at_our_server(
    keys: Sequence[PrivateKey | CertifiedKey] = KEYS,
    *,
    host_key: PrivateKey = HOST_KEY,
    algorithm: str = "",
    offered: trio_ssh.Algorithms = QUICK,
    limits: Limits | None = None,
) -> AsyncIterator[RawPeer]:
    """A client that the test plays, logged in by `host_key`, perhaps by one `algorithm` of it."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, trio_ssh.Role.CLIENT, host_key=host_key)
    if algorithm:
        raw.negotiator.algorithms = attrs.evolve(QUICK, host_keys=(algorithm,))

    async def serve() -> None:
        await trio_ssh.serve_stream(
            pairs.commands,
            server_stream,
            host_keys=keys,
            authenticate=trio_ssh.Passwords(check_password),
            algorithms=offered,
            limits=limits,
        )

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await raw.log_in()
            yield raw
            await raw.stream.aclose()


async def announced(raw: RawPeer) -> list[bytes]:
    """What the server has said; it is there once anything behind it is."""
    await raw.send(GlobalRequest("is anybody there@test", True))
    await raw.expect(M.REQUEST_FAILURE)
    [payload] = [payload for payload in raw.payloads if payload[0] == M.GLOBAL_REQUEST]
    request = decode(GlobalRequest, payload)
    assert (request.request_name, request.want_reply) == (HOSTKEYS, False)
    return list(read_strings(request.request_fields, 100))


async def ask(raw: RawPeer, blobs: Sequence[bytes], behind: bytes = b"") -> tuple[bytes, ...] | None:
    """The signatures; None for a refusal."""
    await raw.send(GlobalRequest(HOSTKEYS_PROVE, True, write_strings(blobs) + behind))
    payload = await raw.receive()
    assert payload is not None
    if payload[0] == M.REQUEST_FAILURE:
        return None
    return read_strings(decode(RequestSuccess, payload).response, 100)


def is_proven(raw: RawPeer, key: PrivateKey, signature: bytes, algorithm: str) -> bool:
    return key.public_key.verify(algorithm, signature, encode(HostKeyProofData(HOSTKEYS_PROVE, raw.session_id, key.public_key.blob)))


def blobs(*keys: PrivateKey) -> list[bytes]:
    return [key.public_key.blob for key in keys]


async def test_all_host_keys_are_told_and_proven():
    async with at_our_server() as raw:
        assert await announced(raw) == blobs(*KEYS)
        signatures = await ask(raw, blobs(RSA, HOST_KEY))
        assert signatures is not None
        assert len(signatures) == 2
        assert is_proven(raw, RSA, signatures[0], "rsa-sha2-512")
        assert is_proven(raw, HOST_KEY, signatures[1], "ssh-ed25519")


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
async def test_rsa_keys_sign_as_in_the_key_exchange(algorithm):
    async with at_our_server(host_key=RSA, algorithm=algorithm) as raw:
        assert raw.negotiated.host_key == algorithm
        signatures = await ask(raw, blobs(RSA))
        assert signatures is not None
        assert is_proven(raw, RSA, signatures[0], algorithm)


async def test_a12_a_proof_is_about_the_first_exchange():
    """Behind a rekey the session is still what it was."""
    async with at_our_server() as raw:
        first = raw.session_id
        await raw.exchange_keys()
        assert raw.session_id == first
        signatures = await ask(raw, blobs(ECDSA))
        assert signatures is not None
        assert is_proven(raw, ECDSA, signatures[0], "ecdsa-sha2-nistp256")


@pytest.mark.parametrize(
    ("wanted", "behind"),
    [
        (blobs(STRANGER), b""),
        (blobs(HOST_KEY, STRANGER), b""),
        ([], b""),
        ([b""], b""),
        (blobs(HOST_KEY), b"\0"),
        (blobs(HOST_KEY), b"\xff\xff\xff\xff"),
        (blobs(HOST_KEY) * 33, b""),
        ([b"key"] * 10_000, b""),
    ],
    ids=["a stranger's", "ours and a stranger's", "none", "an empty one", "a byte behind", "a length behind", "too many", "very many"],
)
async def test_c18_what_we_lack_is_not_proven(wanted, behind):
    """Refused as a whole; the connection goes on."""
    async with at_our_server() as raw:
        assert await ask(raw, wanted, behind) is None
        assert await ask(raw, blobs(HOST_KEY)) is not None


async def test_c18_a_connection_gets_so_many_signatures_and_no_more():
    async with at_our_server(limits=Limits(hostkeys_update=3)) as raw:
        assert await ask(raw, blobs(*KEYS, HOST_KEY)) is None
        assert await ask(raw, blobs(HOST_KEY, ECDSA)) is not None
        assert await ask(raw, blobs(HOST_KEY, ECDSA)) is None
        assert await ask(raw, blobs(HOST_KEY)) is not None
        assert await ask(raw, blobs(HOST_KEY)) is None


async def test_keys_whose_algorithms_are_off_are_not_told():
    offered = attrs.evolve(QUICK, host_keys=("ssh-ed25519", "rsa-sha2-256"))
    async with at_our_server(offered=offered) as raw:
        assert await announced(raw) == blobs(HOST_KEY, RSA)
        assert await ask(raw, blobs(ECDSA)) is None


async def test_a_key_with_a_certificate_is_told_plain():
    request = CertificateRequest(public_key=ECDSA.public_key, kind=CertificateKind.HOST, principals=("h",), valid_after=0, valid_before=1)
    certified = CertifiedKey(ECDSA, sign_certificate(STRANGER, request))
    async with at_our_server([HOST_KEY, certified]) as raw:
        assert await announced(raw) == blobs(HOST_KEY, ECDSA)
        signatures = await ask(raw, blobs(ECDSA))
        assert signatures is not None
        assert is_proven(raw, ECDSA, signatures[0], "ecdsa-sha2-nistp256")


async def test_a24_a_faulty_proof_never_leaves(caplog):
    other = PrivateKey.generate()
    faulty = PrivateKey(other.public_key, "", FaultyEd25519(other._maths))
    async with at_our_server([HOST_KEY, faulty]) as raw:
        with caplog.at_level("ERROR", "trio_ssh"):
            assert await ask(raw, blobs(faulty)) is None
        assert await ask(raw, blobs(HOST_KEY)) is not None
    assert "faulty" in caplog.text


async def test_a_client_of_ours_learns_from_our_server(tmp_path):
    """Both sides of it over one connection."""
    file = tmp_path / "known_hosts"
    file.write_text(f"server.test {HOST_KEY.public_key.to_openssh_line()}\n")
    asked = trio.Event()

    async def accept(changes: trio_ssh.HostKeyChanges) -> bool:
        asked.set()
        return True

    client_stream, server_stream = memory_stream_pair()
    files = trio_ssh.KnownHosts(file, update_keys=accept)

    async def serve() -> None:
        policy = trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key])
        await trio_ssh.serve_stream(pairs.commands, server_stream, host_keys=KEYS, authenticate=policy)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with pairs.connecting(client_stream, host_keys=files) as client:
                await asked.wait()
                await pairs.check_works(client)
    assert file.read_text().splitlines() == [f"server.test {key.public_key.to_openssh_line()}" for key in KEYS]
