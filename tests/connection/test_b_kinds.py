"""Hostile keys and keys of the wrong kind, as users' keys at our server and as hosts' keys at our client (hardening B12, B13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.connection.logins import asked_by_client, at_login, failure, request
from tests.connection.test_sm_key_exchange import ended, good_reply
from tests.connection.victims import attacked
from tests.keys.software_keys import SoftwareKey
from tests.keys.test_public_key import MODULUS, POINT_256, SK_ED, blob_of
from tests.protocol.test_auth import SESSION_ID
from tests.raw_peer import password_request, raw_server
from trio_ssh.crypto.suites import DEFAULT_CIPHERS
from trio_ssh.errors import KeyExchangeError
from trio_ssh.keys.security_keys import SK_ECDSA, SK_ED25519
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.protocol.auth_server import Hopeless, ServerAuthentication
from trio_ssh.protocol.key_exchange import Transcript, start_client, start_server
from trio_ssh.protocol.negotiation import Negotiated
from trio_ssh.protocol.role import Role
from trio_ssh.testing import RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, KexEcdhReply, ServiceAccept, write_extensions
from trio_ssh.wire.userauth import PublicKeyFields, SignedPublicKeyRequest, UserauthFailure, UserauthRequest, string_field

# -- hostile keys --------------------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "Ed25519 of 31 bytes": ("ssh-ed25519", blob_of(b"ssh-ed25519", bytes(31))),
    "Ed25519 of 33 bytes": ("ssh-ed25519", blob_of(b"ssh-ed25519", bytes(33))),
    "Ed25519 and more": ("ssh-ed25519", blob_of(b"ssh-ed25519", bytes(32), b"more")),
    "RSA of 2^18 bits": ("rsa-sha2-512", blob_of(b"ssh-rsa", 65537, (1 << (1 << 18)) - 1)),
    "RSA of 2047 bits": ("rsa-sha2-512", blob_of(b"ssh-rsa", 65537, MODULUS >> 1)),
    "RSA of 1024 bits": ("rsa-sha2-256", blob_of(b"ssh-rsa", 65537, (1 << 1023) | 1)),
    "RSA with an even exponent": ("rsa-sha2-512", blob_of(b"ssh-rsa", 65536, MODULUS)),
    "RSA with the exponent 1": ("rsa-sha2-512", blob_of(b"ssh-rsa", 1, MODULUS)),
    "RSA with a huge exponent": ("rsa-sha2-512", blob_of(b"ssh-rsa", MODULUS, MODULUS)),
    "RSA with an even modulus": ("rsa-sha2-512", blob_of(b"ssh-rsa", 65537, MODULUS - 1)),
    "RSA with a negative modulus": ("rsa-sha2-512", blob_of(b"ssh-rsa", 65537, -MODULUS)),
    "another curve than said": ("ecdsa-sha2-nistp256", blob_of(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + bytes(96))),
    "a point off the curve": ("ecdsa-sha2-nistp256", blob_of(b"ecdsa-sha2-nistp256", b"nistp256", POINT_256)),
    "the point at infinity": ("ecdsa-sha2-nistp256", blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\0")),
    "a DSA key": ("ssh-ed25519", blob_of(b"ssh-dss", 1, 2, 3, 4)),
    "a security key of 31 bytes": ("sk-ssh-ed25519@openssh.com", blob_of(SK_ED, bytes(31), b"ssh:")),
    "a name only": ("ssh-ed25519", blob_of(b"ssh-ed25519")),
    "garbage": ("ssh-ed25519", b"\xff" * 100),
    "a length of 4 GiB": ("ssh-ed25519", b"\xff\xff\xff\xffssh-ed25519"),
    "nothing": ("ssh-ed25519", b""),
}


async def test_b12_hostile_keys_fail_their_attempt_and_no_other(autojump_clock):
    """FAILURE to each, asked about and signed for; the policy never sees one; then a sound key of the same client logs in."""
    seen = []

    async def policy(attempt):
        seen.append(attempt.method)
        return trio_ssh.ACCEPT if attempt.method == "password" else trio_ssh.REFUSE

    limits = trio_ssh.Limits(auth_failures=1000, auth_requests=1000)
    async with at_login(policy, limits=limits) as (raw, _):
        for algorithm, blob in HOSTILE.values():
            for fields in (PublicKeyFields(False, algorithm, blob), PublicKeyFields(True, algorithm, blob, string_field(bytes(80)))):
                await raw.send(request("publickey", encode(fields)))
                answer = await failure(raw)
                assert not answer.partial_success
        assert seen == []
        await raw.send(password_request("x"))
        await raw.expect(M.USERAUTH_SUCCESS)
    assert seen == ["password"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_b12_hostile_keys_as_host_keys(autojump_clock, name):
    """The same keys, shown by a server: the connection ends with the key exchange; the host key policy is not asked, no service is."""
    _, blob = HOSTILE[name]
    async with attacked(Role.CLIENT) as victim:
        reply = await good_reply(victim)
        await victim.raw.send(KexEcdhReply(blob, reply.server_public, reply.signature))
        await ended(victim, 3)
        assert victim.called == []


# -- keys of the wrong kind ----------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Kind:
    """A key, and the algorithm that it signs by."""

    algorithm: str
    key: trio_ssh.PrivateKey | SoftwareKey

    @property
    def blob(self) -> bytes:
        return self.key.public_key.blob

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(self.algorithm, data)


_RSA = trio_ssh.PrivateKey.generate("rsa", 2048)
PLAIN = [
    Kind("ssh-ed25519", trio_ssh.PrivateKey.generate()),
    Kind("ecdsa-sha2-nistp256", trio_ssh.PrivateKey.generate("ecdsa", 256)),
    Kind("ecdsa-sha2-nistp384", trio_ssh.PrivateKey.generate("ecdsa", 384)),
    Kind("ecdsa-sha2-nistp521", trio_ssh.PrivateKey.generate("ecdsa", 521)),
    Kind("rsa-sha2-512", _RSA),
    Kind("rsa-sha2-256", _RSA),
]
OF_USERS = [*PLAIN, Kind(SK_ED25519, SoftwareKey.generate(SK_ED25519)), Kind(SK_ECDSA, SoftwareKey.generate(SK_ECDSA))]
OF_HOSTS = [*PLAIN, Kind("ssh-ed448", trio_ssh.PrivateKey.generate("ed448")), Kind("ssh-rsa", _RSA)]
"""The last is SHA-1: said by name, and nothing else passes for it."""


def is_right(declared: Kind, shown: Kind, signing: Kind) -> bool:
    """One key, one algorithm: an RSA key is the same one whether it signs by SHA-512 or SHA-256, its signatures are not."""
    return declared.key is shown.key and declared.algorithm == signing.algorithm


@pytest.mark.parametrize("declared", OF_USERS, ids=lambda kind: kind.algorithm)
def test_b13_what_a_client_declares_shows_and_signs_with(declared):
    """64 of 512: (declared, key, signature); only the diagonal is an attempt for a policy to see."""
    assert len(OF_USERS) == 8
    for shown in OF_USERS:
        asked = ServerAuthentication(SESSION_ID, ("publickey",)).receive(
            encode(request("publickey", encode(PublicKeyFields(False, declared.algorithm, shown.blob))))
        )
        assert isinstance(asked, AuthAttempt if declared.key is shown.key else Hopeless)
        begun = encode(PublicKeyFields(True, declared.algorithm, shown.blob))
        data = encode(SignedPublicKeyRequest(SESSION_ID, encode(UserauthRequest("ada", "ssh-connection", "publickey", begun))))
        for signing in OF_USERS:
            machine = ServerAuthentication(SESSION_ID, ("publickey",))
            event = machine.receive(encode(request("publickey", begun + string_field(signing.sign(data)))))
            if is_right(declared, shown, signing):
                assert isinstance(event, AuthAttempt)
                assert (event.proven, event.public_key) == (True, shown.key.public_key)
            else:
                assert isinstance(event, Hopeless), (shown.algorithm, signing.algorithm)


@attrs.frozen
class Liar:
    """A server's key that shows one key and signs with another."""

    shown: Kind
    signing: Kind

    @property
    def public_key(self) -> trio_ssh.PublicKey:
        return self.shown.key.public_key

    def sign(self, algorithm: str, data: bytes) -> bytes:
        return self.signing.sign(data)


NEGOTIATED = Negotiated(
    kex="curve25519-sha256",
    host_key="",
    cipher_client_to_server=DEFAULT_CIPHERS[0],
    cipher_server_to_client=DEFAULT_CIPHERS[0],
    mac_client_to_server="",
    mac_server_to_client="",
    compression_client_to_server="none",
    compression_server_to_client="none",
    strict_kex=True,
    ext_info=True,
)
TRANSCRIPT = Transcript(client_line=b"SSH-2.0-c", server_line=b"SSH-2.0-s", client_kexinit=b"\x14c", server_kexinit=b"\x14s")


@pytest.mark.parametrize("declared", OF_HOSTS, ids=lambda kind: kind.algorithm)
def test_b13_what_a_server_agrees_on_shows_and_signs_with(declared):
    """Likewise for host keys; whatever is wrong, the key exchange fails before any policy is asked."""
    assert len(OF_HOSTS) == 8
    negotiated = attrs.evolve(NEGOTIATED, host_key=declared.algorithm)
    for shown in OF_HOSTS:
        for signing in OF_HOSTS:
            init, awaiting = start_client(TRANSCRIPT, negotiated)
            key: Any = Liar(shown, signing)
            reply, _ = start_server(TRANSCRIPT, negotiated, key).receive(init)
            if is_right(declared, shown, signing):
                assert awaiting.receive(reply).host_key == shown.key.public_key
            else:
                with pytest.raises(KeyExchangeError):
                    awaiting.receive(reply)


@pytest.mark.parametrize("listed", ["ssh-rsa", "ssh-rsa,ssh-dss", "ssh-dss", "ssh-rsa-cert-v01@openssh.com"])
async def test_b13_no_list_of_the_servers_brings_sha1_back(autojump_clock, listed):
    """A server that takes nothing but SHA-1, by server-sig-algs: our RSA key stays unused, and nothing is signed."""
    signatures = []

    @attrs.frozen
    class Watched:
        algorithms = _RSA.public_key.all_signature_algorithms
        key_blob = _RSA.public_key.blob
        ask_first = False

        async def sign(self, algorithm: str, data: bytes) -> bytes:
            signatures.append(algorithm)
            return _RSA.sign(algorithm, data)

    async with asked_by_client([Watched(), trio_ssh.Password("x")]) as (raw, _):
        first = decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST))
        assert (first.method_name, signatures) == ("publickey", ["rsa-sha2-512"])  # nothing was listed in time
    signatures.clear()
    async with _listing(Watched(), listed) as raw:
        following = decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST))
        assert following.method_name != "publickey"
        await raw.send(UserauthFailure(("publickey", "password"), False))
    assert signatures == []


@asynccontextmanager
async def _listing(signer: Any, listed: str) -> AsyncIterator[RawPeer]:
    """A raw server that lists signature algorithms before it accepts the service, and our client with this key."""
    raw, stream = raw_server()

    async def client() -> None:
        with pytest.raises((trio_ssh.SSHError, trio.BrokenResourceError)):
            async with pairs.connecting(stream, credentials=[signer, trio_ssh.Password("x")]):
                pytest.fail("let in")

    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await raw.handshake()
            await raw.send(ExtInfo(write_extensions({"server-sig-algs": listed.encode()})), ServiceAccept("ssh-userauth"))
            yield raw
            await raw.stream.aclose()


async def test_b13_sha1_in_a_login_is_refused_by_default(autojump_clock):
    """Declared by its name, or hidden behind the name of another: FAILURE, and the policy is not asked."""
    seen = []

    async def policy(attempt):
        seen.append(attempt)
        return trio_ssh.ACCEPT

    async with at_login(policy) as (raw, _):
        for declared in ("ssh-rsa", "rsa-sha2-256"):
            begun = encode(PublicKeyFields(True, declared, _RSA.public_key.blob))
            data = encode(SignedPublicKeyRequest(raw.session_id, encode(request("publickey", begun))))
            await raw.send(request("publickey", begun + string_field(_RSA.sign("ssh-rsa", data))))
            assert not (await failure(raw)).partial_success
    assert seen == []
