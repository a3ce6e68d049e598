"""A05, A06, A08, A24, A25, A26: commands before the login, passwords before the keys, checks that fail, our signatures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.connection.injected import raising_in
from tests.connection.test_sm_service import behind_newkeys, next_of_ours
from tests.connection.victims import BOTH_ROLES, Victim, attacked, start_server, transcript_of
from tests.keys.test_signature import FaultyEd25519
from tests.raw_peer import PASSWORD, RawPeer
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, ChannelRequest, Exec
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.primitives import read_mpint, read_string
from trio_ssh.wire.transport import KexInit, NewKeys, ServiceAccept
from trio_ssh.wire.userauth import UserauthFailure, UserauthRequest, UserauthSuccess

OPEN = encode(ChannelOpen("session", 0, 1 << 20, 32768))
COMMAND = encode(ChannelRequest(0, "exec", True, encode(Exec(b"id"))))


@pytest.mark.parametrize("stage", ["before KEXINIT", "in the exchange", "behind NEWKEYS", "behind the service", "with a request pending"])
@BOTH_ROLES
async def test_a05_a_channel_and_a_command_before_the_login(autojump_clock, role, stage):
    """DISCONNECT 2 for the first of the two, and nothing ever runs; a client that is offered a channel before SUCCESS leaves as well."""
    async with attacked(role) as victim:
        raw = victim.raw
        if stage in ("before KEXINIT", "in the exchange"):
            await raw.identify()
            if stage == "in the exchange":
                await raw.send_kexinit()
        else:
            await behind_newkeys(victim)
            if stage != "behind NEWKEYS":
                await next_of_ours(victim)
            if stage == "with a request pending":
                await raw.send(b"\x32\0\0\0\3ada\0\0\0\x0essh-connection\0\0\0\4none" if role is Role.SERVER else b"\x35\0\0\0\0\0\0\0\0")
        await raw.send(OPEN, COMMAND)
        payloads = await raw.drain()
        assert payloads[-1][:5] == bytes([M.DISCONNECT, 0, 0, 0, 2])
        assert not {M.CHANNEL_OPEN_CONFIRMATION, M.CHANNEL_OPEN_FAILURE, M.CHANNEL_SUCCESS, M.CHANNEL_FAILURE} & set(raw.numbers)
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert not any(name.startswith(("handler", "logged in")) for name in victim.called)


SKIPPED = {
    "NEWKEYS without an answer": [encode(NewKeys())],
    "the service accepted in clear": [encode(ServiceAccept("ssh-userauth"))],
    "SUCCESS in clear": [encode(UserauthSuccess())],
    "NEWKEYS, the service and SUCCESS": [encode(NewKeys()), encode(ServiceAccept("ssh-userauth")), encode(UserauthSuccess())],
    "a banner that asks for it": [b"\x35\0\0\0\x08password\0\0\0\0"],
    "a question for it": [b"\x3c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\x09password:\0"],
}


@pytest.mark.parametrize("kexinit", [True, False], ids=["behind KEXINIT", "before KEXINIT"])
@pytest.mark.parametrize("messages", SKIPPED.values(), ids=list(SKIPPED))
async def test_a06_a_server_that_skips_the_key_exchange(autojump_clock, messages, kexinit):
    """Nothing but its line, KEXINIT, the share and DISCONNECT leaves a client then; its password is not even asked for."""
    async with attacked(Role.CLIENT) as victim:
        raw = victim.raw
        await raw.identify()
        if kexinit:
            await raw.send_kexinit()
        await raw.send(*messages)
        await raw.drain()
        assert set(raw.numbers) <= {M.KEXINIT, 30, M.DISCONNECT}
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert victim.called == []
        assert PASSWORD.encode() not in victim.sent


async def test_a06_the_password_is_sealed_when_all_goes_well(autojump_clock):
    """The control: it does leave, and not in clear; the user's name neither."""
    async with attacked(Role.CLIENT, username="ada.lovelace") as victim:
        await victim.until_auth()
        await victim.raw.send(UserauthFailure(("password",), False))
        request = decode(UserauthRequest, await victim.raw.expect(M.USERAUTH_REQUEST))
        assert PASSWORD.encode() in request.method_fields
        assert victim.called == ["trust", "password"]
        assert PASSWORD.encode() not in victim.sent
        assert b"ada.lovelace" not in victim.sent
        await victim.raw.stream.aclose()


# -- checks that fail ------------------------------------------------------------------------------------------------------------------


class Odd(BaseException):
    """Neither an Exception nor trio's."""


FAILURES = [MemoryError, OSError, TimeoutError, ValueError, Odd, StopAsyncIteration]


async def answers_but_sees_no_service(victim: Victim) -> None:
    """The peer plays an honest server up to its NEWKEYS; from our side no more than the exchange and a DISCONNECT comes."""
    raw = victim.raw
    await raw.identify()
    new = await raw.method(await raw.send_kexinit(), await raw.expect(M.KEXINIT))
    await raw.send_newkeys(new)
    try:
        await raw.drain()
    finally:
        assert set(raw.numbers) <= {M.KEXINIT, 30, M.DISCONNECT}
        assert "password" not in victim.called
        assert "logged in" not in victim.called
        assert PASSWORD.encode() not in victim.sent


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
async def test_a08_the_policy_fails(autojump_clock, failure):
    class Failing:
        async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
            raise failure("a fault of the policy")

        async def key_types(self, host: str, port: int) -> Sequence[str]:
            return ()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with attacked(Role.CLIENT, host_keys=Failing()) as victim:
            await answers_but_sees_no_service(victim)
    assert [type(error) for error in leaves(caught.value)] in ([failure], [RuntimeError])


@pytest.mark.parametrize("answer", [True, "accepted", object()], ids=["True", "a text", "an object"])
async def test_a08_the_policy_raises_what_looks_like_an_answer(autojump_clock, answer):
    """Only returning is a yes: an exception of the refusing kind is a no, whatever its text."""

    class Refusing:
        async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
            raise trio_ssh.HostKeyUnknown(str(answer))

        async def key_types(self, host: str, port: int) -> Sequence[str]:
            return ()

    async with attacked(Role.CLIENT, host_keys=Refusing()) as victim:
        await answers_but_sees_no_service(victim)
        await victim.done.wait()
        assert isinstance(victim.error, trio_ssh.HostKeyUnknown)


async def test_a08_the_policy_is_cancelled(autojump_clock):
    class Slow:
        async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
            with trio.move_on_after(5):  # its own: what it does then is to go on to its end, which is no yes of ours
                await trio.sleep_forever()
            raise trio_ssh.HostKeyUnknown("nobody answered")

        async def key_types(self, host: str, port: int) -> Sequence[str]:
            return ()

    class Cancelling(Slow):
        async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
            scope.cancel()
            await trio.sleep_forever()

    async with attacked(Role.CLIENT, host_keys=Slow()) as victim:
        await answers_but_sees_no_service(victim)
    with trio.CancelScope() as scope:
        async with attacked(Role.CLIENT, host_keys=Cancelling()) as victim:
            await answers_but_sees_no_service(victim)
    assert scope.cancelled_caught


PLACES = {
    "parsing the key": ("keys/key.py", "from_blob"),
    "taking the key apart": ("keys/blobs.py", "check_blob"),
    "verifying the signature": ("keys/key.py", "verify"),
    "reading known_hosts": ("keys/known_hosts.py", "from_files"),
    "looking the key up": ("keys/known_hosts.py", "lookup"),
    "reading the file": ("keys/files.py", "read_if_exists"),
}


@pytest.mark.parametrize("failure", [MemoryError, OSError, TimeoutError], ids=lambda failure: failure.__name__)
@pytest.mark.parametrize(("path", "function"), PLACES.values(), ids=list(PLACES))
async def test_a08_the_check_itself_fails(autojump_clock, tmp_path, failure, path, function):
    """An error in the midst of it, where nobody expects one, and the right key in the file: it never goes on."""
    file = tmp_path / "known_hosts"
    file.write_text(f"server.test {pairs.HOST_KEY.public_key.to_openssh_line()}\n")
    known = trio_ssh.KnownHosts([file])
    if function in ("lookup", "from_blob", "check_blob", "verify"):
        await known.key_types("server.test", 22)  # read already: what fails is the check
    raised: list[BaseException] = []
    victims: list[Victim] = []
    hits: list[str] = []
    try:
        async with attacked(Role.CLIENT, host_keys=known) as victim:
            victims.append(victim)
            raw = victim.raw
            reply = b""
            if function not in ("from_files", "read_if_exists"):
                await raw.identify()
                ours, theirs = await raw.send_kexinit(), await raw.expect(M.KEXINIT)
                reply = await answer(raw, ours, theirs)
            with raising_in(path, function, failure("injected")) as injection:
                if reply:
                    await raw.send(reply)
                await victim.done.wait()
                hits.append(injection.hit)
    except BaseExceptionGroup as group:
        raised += leaves(group)
    victim = victims[0]
    assert hits in ([f"{path} {function}"], [])
    assert hits or raised
    assert set(victim.raw.numbers) <= {M.KEXINIT, 30, M.DISCONNECT}
    assert "password" not in victim.called
    assert "logged in" not in victim.called
    assert PASSWORD.encode() not in victim.sent
    assert raised or isinstance(victim.error, trio_ssh.SSHError)
    assert all(isinstance(error, failure) for error in raised)


async def answer(raw: RawPeer, ours: bytes, theirs: bytes) -> bytes:
    """An honest server's, not sent."""
    negotiated = raw.negotiator.receive(theirs).negotiated
    reply, _ = start_server(transcript_of(raw, ours, theirs), negotiated, pairs.HOST_KEY).receive(await raw.expect(30))
    return reply


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def test_a09_a_certificate_authority_is_no_reason_to_trust_a_plain_key(autojump_clock, tmp_path):
    """known_hosts has an authority for the host and nothing else; the server falls back to a plain key, which is as unknown as any."""
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority server.test {pairs.HOST_KEY.public_key.to_openssh_line()}\n")
    async with attacked(Role.CLIENT, host_keys=trio_ssh.KnownHosts([file])) as victim:
        await answers_but_sees_no_service(victim)
        await victim.done.wait()
        assert isinstance(victim.error, trio_ssh.HostKeyUnknown)


# -- our own signatures ----------------------------------------------------------------------------------------------------------------


async def test_a24_a_servers_faulty_signature_never_leaves(autojump_clock, caplog):
    """DISCONNECT 3 instead of an answer, and a line in the log: a faulty signature can give the private key away."""
    faulty = trio_ssh.PrivateKey(pairs.HOST_KEY.public_key, "", FaultyEd25519(pairs.HOST_KEY._maths))
    with caplog.at_level("INFO", "trio_ssh"):
        async with attacked(Role.SERVER, host_keys=[faulty]) as victim:
            raw = victim.raw
            await raw.identify()
            ours, theirs = await raw.send_kexinit(), await raw.expect(M.KEXINIT)
            with pytest.raises(AssertionError, match="DISCONNECT"):
                await raw.method(ours, theirs)
            assert raw.numbers == [M.KEXINIT, M.DISCONNECT]
            assert raw.payloads[-1][1:5] == bytes([0, 0, 0, 3])
            await victim.done.wait()
    assert isinstance(victim.error, trio_ssh.KeyExchangeError)
    assert "faulty" in caplog.text


@pytest.mark.parametrize("bits", [256, 384, 521])
def test_a25_ecdsa_nonces_are_not_biased(bits):
    """With the private key each signature gives its nonce away: over 256 of them every one of its top 16 bits takes both values."""
    key = trio_ssh.PrivateKey.generate("ecdsa", bits)
    private = load_ssh_private_key(key.to_openssh(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    d = private.private_numbers().private_value
    order = ORDERS[bits]
    algorithm = f"ecdsa-sha2-nistp{bits}"
    digest_type = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[bits]
    always, ever = order, 0
    for number in range(256):
        data = number.to_bytes(2, "big")
        signature = key.sign(algorithm, data)
        inner, _ = read_string(signature, read_string(signature, 0)[1])
        r, offset = read_mpint(inner, 0)
        s, _ = read_mpint(inner, offset)
        digest = hashes.Hash(digest_type)
        digest.update(data)
        h = int.from_bytes(digest.finalize(), "big") >> max(0, digest_type.digest_size * 8 - order.bit_length())
        nonce = pow(s, -1, order) * (h + r * d) % order
        if number == 0:  # it is the nonce
            assert ec.derive_private_key(nonce, private.curve).public_key().public_numbers().x % order == r
        always, ever = always & nonce, ever | nonce
    top = ((1 << 16) - 1) << (order.bit_length() - 16)
    assert always & top == 0
    assert ever & top == top


ORDERS = {
    256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    384: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    521: (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
}
"""Of the base points: SEC 2 §2."""


# -- what a KEXINIT tells --------------------------------------------------------------------------------------------------------------


async def offered_to(host: str, known: trio_ssh.KnownHosts) -> KexInit:
    """What our client's KEXINIT says to that host."""
    ours, theirs = memory_stream_pair()
    raw = RawPeer(theirs, Role.SERVER)
    async with trio.open_nursery() as nursery:

        async def connect() -> None:
            with pytest.raises(trio_ssh.SSHError):
                async with trio_ssh.connect(host, stream=ours, username="ada", credentials=[], host_keys=known):
                    pytest.fail("connected")

        nursery.start_soon(connect)
        await raw.identify()
        kexinit = decode(KexInit, await raw.expect(M.KEXINIT))
        await raw.stream.aclose()
    return kexinit


async def test_a26_the_order_of_host_key_types_tells_which_are_known_and_nothing_else(autojump_clock, tmp_path):
    """Two unknown hosts are asked for the same, cookie apart; so are two hosts with a key of the same type, whatever the key."""
    rsa = trio_ssh.PrivateKey.generate("rsa", 2048).public_key
    ecdsa = [trio_ssh.PrivateKey.generate("ecdsa", 256).public_key for _ in range(2)]
    file = tmp_path / "known_hosts"
    lines = [("one.test", ecdsa[0]), ("other.test", ecdsa[1]), ("rsa.test", rsa), ("many.test", rsa), ("many.test", ecdsa[0])]
    file.write_text("".join(f"{host} {key.to_openssh_line()}\n" for host, key in lines))
    known = trio_ssh.KnownHosts([file])
    found = {name: await offered_to(name, known) for name in ("unknown.test", "stranger.test", "one.test", "other.test", "rsa.test")}
    without_cookie = {name: encode(kexinit)[17:] for name, kexinit in found.items()}
    assert without_cookie["unknown.test"] == without_cookie["stranger.test"]
    assert without_cookie["one.test"] == without_cookie["other.test"] != without_cookie["unknown.test"]
    assert found["one.test"].server_host_key_algorithms[0] == "ecdsa-sha2-nistp256"
    assert found["rsa.test"].server_host_key_algorithms[0].startswith("rsa-sha2")
    orders = {tuple(sorted(kexinit.server_host_key_algorithms)) for kexinit in found.values()}
    assert len(orders) == 1  # the same ones are offered to all
