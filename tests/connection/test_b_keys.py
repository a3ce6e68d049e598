"""Keys in a login: which one is welcome, which has signed, for which connection and which server (hardening B04, B22, SM-109)."""

from __future__ import annotations

import attrs
import pytest

import trio_ssh
from tests import pairs
from tests.connection.logins import HOSTBOUND, asked_by_client, at_login, failure, question, request, signed
from tests.pairs import HOST_KEY, USER_KEY
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.userauth import PublicKeyFields, UserauthFailure, UserauthPkOk, UserauthRequest, string_field

KEYS = trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
RSA = trio_ssh.PrivateKey.generate("rsa", 2048)
OTHER = trio_ssh.PrivateKey.generate()


@attrs.define(eq=False)
class Signing:
    """A key, asked about first or not, that counts its signatures."""

    key: trio_ssh.PrivateKey
    ask_first: bool = True
    signatures: int = 0

    @property
    def algorithms(self):
        return self.key.public_key.signature_algorithms

    @property
    def key_blob(self):
        return self.key.public_key.blob

    async def sign(self, algorithm, data):
        self.signatures += 1
        return self.key.sign(algorithm, data)


# -- what a client takes for a yes ---------------------------------------------------------------------------------------------------------

WRONG_ANSWERS = {
    "another key": UserauthPkOk("ssh-ed25519", OTHER.public_key.blob),
    "another key that is offered later": UserauthPkOk("rsa-sha2-512", RSA.public_key.blob),
    "another algorithm": UserauthPkOk("rsa-sha2-512", USER_KEY.public_key.blob),
    "an unknown algorithm": UserauthPkOk("ssh-ed25519@example.com", USER_KEY.public_key.blob),
    "the certificate's algorithm": UserauthPkOk("ssh-ed25519-cert-v01@openssh.com", USER_KEY.public_key.blob),
    "a part of the key": UserauthPkOk("ssh-ed25519", USER_KEY.public_key.blob[:-1]),
    "more than the key": UserauthPkOk("ssh-ed25519", USER_KEY.public_key.blob + b"\0"),
    "no key": UserauthPkOk("ssh-ed25519", b""),
}


@pytest.mark.parametrize("wrong", WRONG_ANSWERS.values(), ids=list(WRONG_ANSWERS))
async def test_b04_sm_109_another_key_or_algorithm_is_welcome(autojump_clock, wrong):
    """DISCONNECT 2, and nothing is signed: not with the key asked about, nor with the one that the server would like to see used."""
    mine = [Signing(USER_KEY), Signing(RSA)]
    async with asked_by_client(mine) as (raw, errors):
        asked = decode(PublicKeyFields, decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST)).method_fields)
        assert (asked.has_signature, asked.key_blob) == (False, USER_KEY.public_key.blob)
        await raw.send(wrong)
        await raw.expect_disconnect(2)
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError)
    assert [one.signatures for one in mine] == [0, 0]


async def test_b04_sm_109_a_key_is_welcome_whose_signature_is_out(autojump_clock):
    async with asked_by_client([Signing(USER_KEY, ask_first=False)]) as (raw, errors):
        proof = decode(PublicKeyFields, decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST)).method_fields)
        assert proof.has_signature
        await raw.send(UserauthPkOk("ssh-ed25519", USER_KEY.public_key.blob))
        await raw.expect_disconnect(2)
    assert isinstance(errors[0], trio_ssh.RemoteProtocolError)


async def test_b04_sm_109_a_key_is_welcome_twice(autojump_clock):
    mine = Signing(USER_KEY)
    async with asked_by_client([mine]) as (raw, _):
        await raw.wait_for(M.USERAUTH_REQUEST)
        await raw.send(*[UserauthPkOk("ssh-ed25519", USER_KEY.public_key.blob)] * 2)
        await raw.expect_disconnect(2)
    assert mine.signatures <= 1


async def test_b04_a_key_that_was_welcome_is_the_one_that_signs(autojump_clock):
    """The first is refused, the second welcome: its signature, and no other, is what comes."""
    mine = [Signing(USER_KEY), Signing(RSA)]
    async with asked_by_client(mine) as (raw, _):
        await raw.wait_for(M.USERAUTH_REQUEST)
        await raw.send(UserauthFailure(("publickey",), False))
        asked = decode(PublicKeyFields, decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST)).method_fields)
        assert (asked.algorithm, asked.key_blob, asked.has_signature) == ("rsa-sha2-512", RSA.public_key.blob, False)
        await raw.send(UserauthPkOk("rsa-sha2-512", RSA.public_key.blob))
        proof = decode(PublicKeyFields, decode(UserauthRequest, await raw.wait_for(M.USERAUTH_REQUEST)).method_fields)
        assert (proof.key_blob, proof.has_signature) == (RSA.public_key.blob, True)
    assert [one.signatures for one in mine] == [0, 1]


@attrs.define(eq=False)
class Accounting:
    """Takes A when it has signed; would take B, which never has. Who is in is told once, with the key that signed."""

    learnt: list[trio_ssh.PublicKey] = attrs.field(factory=list)
    asked: int = 0

    methods = ("publickey",)

    async def __call__(self, attempt):
        self.asked += 1
        if attempt.proven:
            self.learnt.append(attempt.public_key)
        return trio_ssh.ACCEPT


@pytest.mark.parametrize("order", ["AB/A", "A/B", "AB/-", "BA/A", "BBB/A"])
async def test_b04_what_a_policy_learns(autojump_clock, order):
    """The public key probes in any order, then one signature, or none."""
    probes, signer = order.split("/")
    keys = {"A": USER_KEY, "B": OTHER}
    policy = Accounting()
    async with at_login(policy) as (raw, ends):
        for name in probes:
            await raw.send(question(keys[name].public_key))
            answer = decode(UserauthPkOk, await raw.expect(60))
            assert answer.key_blob == keys[name].public_key.blob
        assert policy.learnt == []
        if signer != "-":
            await raw.send(signed(raw, keys[signer]))
            await raw.expect(M.USERAUTH_SUCCESS)
    assert policy.asked == len(probes) + (signer != "-")
    assert policy.learnt == ([] if signer == "-" else [keys[signer].public_key])
    outcomes = [event.outcome for event in ends.server_events if isinstance(event, trio_ssh.AuthAttempted)]
    assert outcomes == ["question"] * len(probes) + ["granted"] * (signer != "-")


# -- signatures of other connections and for other servers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "host-bound"])
async def test_b22_a_request_replayed_on_another_connection(autojump_clock, bound):
    """The same bytes that let somebody in are refused everywhere else, at the same server with the same host key."""
    blob = HOST_KEY.public_key.blob if bound else None
    async with at_login(KEYS) as (raw, _):
        good = encode(signed(raw, USER_KEY, bound_to=blob))
        await raw.send(good)
        await raw.expect(M.USERAUTH_SUCCESS)
    for _ in range(3):
        async with at_login(KEYS) as (raw, ends):
            await raw.send(good)
            assert await failure(raw) == UserauthFailure(("publickey",), False)
            await raw.send(encode(signed(raw, USER_KEY, bound_to=blob)))
            await raw.expect(M.USERAUTH_SUCCESS)
        assert next(event.detail for event in ends.server_events if isinstance(event, trio_ssh.AuthAttempted)) == "signature is wrong"


async def test_b22_a_signature_relayed_to_another_server(autojump_clock):
    """A server in the middle passes its own session off as ours: what the client signs for that one does nothing here."""
    signatures = []

    class Watched(Signing):
        async def sign(self, algorithm, data):
            signature = await super().sign(algorithm, data)
            signatures.append(signature)
            return signature

    async with asked_by_client([Watched(USER_KEY, ask_first=False)]) as (middle, _):
        lured = decode(UserauthRequest, await middle.wait_for(M.USERAUTH_REQUEST))
        async with at_login(KEYS) as (raw, _):
            assert raw.session_id != middle.session_id
            await raw.send(lured)
            assert await failure(raw) == UserauthFailure(("publickey",), False)
    assert len(signatures) == 1


@pytest.mark.parametrize(
    "blob",
    [b"", b"junk", OTHER.public_key.blob, HOST_KEY.public_key.blob[:-1], HOST_KEY.public_key.blob + b"\0"],
    ids=["nothing", "junk", "another", "cut", "longer"],
)
async def test_b22_bound_to_what_is_not_this_servers_key(autojump_clock, blob):
    """DISCONNECT 2, rightly signed as it is; a question likewise. And the policy is not asked."""
    policy = Accounting()
    for make in (lambda raw: signed(raw, USER_KEY, bound_to=blob), lambda raw: _bound_question(blob)):
        async with at_login(policy) as (raw, ends):
            await raw.send(make(raw))
            await raw.expect_disconnect(2)
        assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)
    assert policy.asked == 0


def _bound_question(blob: bytes) -> UserauthRequest:
    return request(HOSTBOUND, question(USER_KEY.public_key).method_fields + string_field(blob))


async def test_b22_a_client_binds_to_the_key_it_has_verified(autojump_clock):
    """It is the server's key of the key exchange that is named, not what the server would like to be called."""
    signed_data = []

    class Watched(Signing):
        async def sign(self, algorithm, data):
            signed_data.append(data)
            return await super().sign(algorithm, data)

    async with trio_ssh.testing.open_connection_pair(pairs.commands, authenticate=KEYS, credentials=[Watched(USER_KEY)]) as ends:
        await pairs.check_works(ends.client)
    (data,) = signed_data
    assert data.endswith(len(HOST_KEY.public_key.blob).to_bytes(4, "big") + HOST_KEY.public_key.blob)
