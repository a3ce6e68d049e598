"""SM-054 to SM-065, SM-069 and SM-077: the first key exchange said wrongly or out of turn, to both of our roles (A03, A04, A06, A11)."""

from __future__ import annotations

import attrs
import pytest

import trio_ssh
from tests import pairs
from tests.connection.victims import BOTH_ROLES, Victim, attacked, kexinit, opening_words, start_server, transcript_of
from tests.raw_peer import PASSWORD
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, KexEcdhInit, KexEcdhReply, NewKeys, Ping, ServiceRequest, Unimplemented
from trio_ssh.wire.userauth import UserauthSuccess

EACH_STRICTNESS = pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])

WELL_FORMED: dict[int, bytes] = {
    2: encode(Ignore(b"x")),
    3: encode(Unimplemented(0)),
    4: encode(Debug(False, "x")),
    5: encode(ServiceRequest("ssh-userauth")),
    6: b"\x06\0\0\0\x0cssh-userauth",
    7: b"\x07\0\0\0\0",
    21: encode(NewKeys()),
    30: encode(KexEcdhInit(bytes(32))),
    50: b"\x32\0\0\0\3ada\0\0\0\x0essh-connection\0\0\0\4none",
    52: encode(UserauthSuccess()),
    90: encode(ChannelOpen("session", 0, 1000, 1000)),
    192: encode(Ping(b"x")),
}


def message(number: int) -> bytes:
    """One of that number, well formed where that can be."""
    return WELL_FORMED.get(number, bytes([number]) + bytes(8))


def wanted_by(role: Role) -> int:
    """What is due from the peer behind its KEXINIT."""
    return 30 if role is Role.SERVER else 31


async def in_kex(victim: Victim, *, strict: bool = True) -> bytes:
    """Both KEXINITs are exchanged, and a client of ours has sent its share; gives our side's KEXINIT."""
    raw = victim.raw
    await raw.identify()
    await raw.send(kexinit(raw, markers=strict))
    theirs = await raw.expect(M.KEXINIT)
    if victim.role is Role.CLIENT:
        await raw.expect(30)
    return theirs


async def ended(victim: Victim, reason: int = 2) -> None:
    """DISCONNECT and nothing else, and nobody but a client's host key check was called; the password is not among what was said."""
    await victim.ends(reason)
    assert victim.forbidden == []
    assert PASSWORD.encode() not in victim.sent


@BOTH_ROLES
@pytest.mark.parametrize(
    "number",
    [pytest.param(n, id=f"sm_054-{n}") for n in (5, 6, 7, 21, 30, 31, 32, 33, 34)]
    + [pytest.param(n, id=f"sm_055-a03-a05-{n}") for n in (50, 52, 80, 90, 98)]
    + [pytest.param(n, id=f"sm_060-{n}") for n in (*range(22, 30), *range(35, 50))]
    + [pytest.param(n, id=f"sm_159-{n}") for n in (0, 8, 19, 54, 83, 101, 128, 191, 192, 193, 200, 255)],
)
async def test_sm_054_sm_055_sm_060_sm_159_a03_a05_before_kexinit(autojump_clock, role, number):
    async with attacked(role) as victim:
        await victim.raw.identify()
        await victim.raw.expect(M.KEXINIT)
        await victim.raw.send(message(number), kexinit(victim.raw))
        await ended(victim)


DUE = [2, 3, 4, 5, 6, 7, 20, 21, 32, 33, 34, 50, 52, 53, 60, 80, 90, 94, 98, 150, 192, 193, 200, *range(22, 30), *range(35, 50)]


@BOTH_ROLES
@pytest.mark.parametrize("number", [*DUE, "the other role's"])
async def test_sm_055_sm_056_sm_060_sm_062_a03_a04_a05_a06_where_the_share_is_due(autojump_clock, role, number):
    """Strict: nothing else is taken, NEWKEYS without the server's answer included."""
    if number == "the other role's":
        number = wanted_by(role.peer)
    async with attacked(role) as victim:
        await in_kex(victim)
        await victim.raw.send(message(number), message(wanted_by(role)))
        await ended(victim)


@BOTH_ROLES
@pytest.mark.parametrize("number", DUE)
async def test_sm_055_sm_057_sm_060_sm_062_the_same_in_an_exchange_that_is_not_strict(autojump_clock, role, number):
    """2, 3 and 4 are taken, and the exchange goes on; all else is the end."""
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("chacha20-poly1305@openssh.com",))
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        raw = victim.raw
        if number not in (2, 3, 4):
            await in_kex(victim, strict=False)
            await raw.send(message(number), message(wanted_by(role)))
            await ended(victim)
            return
        await raw.identify()
        ours = encode(kexinit(raw, markers=False))
        await raw.send(ours, message(number))
        new = await raw.method(ours, await raw.expect(M.KEXINIT))
        await raw.send(message(number))
        await raw.change_keys(attrs.evolve(new, negotiated=attrs.evolve(new.negotiated, strict_kex=False)))
        await victim.ask_for_service()
        await raw.stream.aclose()


@BOTH_ROLES
@EACH_STRICTNESS
@pytest.mark.parametrize("number", [*DUE[1:], 30, 31], ids=str)
async def test_sm_055_sm_058_sm_059_sm_060_a03_a04_where_newkeys_is_due(autojump_clock, role, strict, number):
    """The method's messages again, or anything else between them and NEWKEYS; without strictness 2, 3 and 4 are taken."""
    if not strict and number in (3, 4):
        return
    if number == 21:
        return
    async with attacked(role) as victim:
        new = await share_keys(victim, strict=strict)
        await victim.raw.send(message(number))
        await victim.read_newkeys(new)
        await victim.ends(2, *opening_words(role, markers=strict))
        assert victim.forbidden == []
        assert PASSWORD.encode() not in victim.sent


async def share_keys(victim: Victim, *, strict: bool = True):
    """The exchange up to where NEWKEYS is due from the peer."""
    raw = victim.raw
    await raw.identify()
    ours = encode(kexinit(raw, markers=strict))
    await raw.send(ours)
    new = await raw.method(ours, await raw.expect(M.KEXINIT))
    return attrs.evolve(new, negotiated=attrs.evolve(new.negotiated, strict_kex=strict))


@BOTH_ROLES
async def test_sm_059_ignore_before_newkeys(autojump_clock, role):
    for strict in (True, False):
        async with attacked(role) as victim:
            new = await share_keys(victim, strict=strict)
            await victim.raw.send(message(2), message(2))
            if strict:
                await victim.read_newkeys(new)
                await victim.ends(2, *opening_words(role))
            else:
                await victim.raw.change_keys(new)
                await victim.ask_for_service()
                await victim.raw.stream.aclose()


@BOTH_ROLES
@EACH_STRICTNESS
@pytest.mark.parametrize("body", [b"\0", b"x" * 100])
async def test_sm_061_newkeys_with_a_body(autojump_clock, role, strict, body):
    async with attacked(role) as victim:
        new = await share_keys(victim, strict=strict)
        await victim.raw.send(encode(NewKeys()) + body)
        await victim.read_newkeys(new)
        await victim.ends(2, *opening_words(role, markers=strict))
        assert victim.forbidden == []


@EACH_STRICTNESS
async def test_sm_062_a06_newkeys_instead_of_the_servers_answer(autojump_clock, strict):
    """Our client has no keys to change to, and says nothing but DISCONNECT."""
    async with attacked(Role.CLIENT) as victim:
        await in_kex(victim, strict=strict)
        await victim.raw.send(message(21), b"\x06\0\0\0\x0cssh-userauth", message(52))
        await ended(victim)
        assert victim.called == []


# -- shares ----------------------------------------------------------------------------------------------------------------------------


def mpint(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True) if number else b""


GROUP14 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374F"
    "E1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA"
    "48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E77"
    "2C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
"""RFC 3526 §3."""

LOW_ORDER = (325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(32, "little")

SHARES: list[tuple[str, str, bytes]] = [
    ("sm_063-zero", "curve25519-sha256", bytes(32)),
    ("sm_063-order 1", "curve25519-sha256", (1).to_bytes(32, "little")),
    ("sm_063-low order", "curve25519-sha256", LOW_ORDER),
    ("sm_063-31 bytes", "curve25519-sha256", b"\x09" + bytes(30)),
    ("sm_063-33 bytes", "curve25519-sha256", b"\x09" + bytes(32)),
    ("sm_064-off the curve", "ecdh-sha2-nistp256", b"\4" + bytes(31) + b"\1" + bytes(31) + b"\1"),
    ("sm_064-compressed", "ecdh-sha2-nistp256", b"\2" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")),
    ("sm_064-infinity", "ecdh-sha2-nistp256", b"\0"),
    ("sm_064-length of another curve", "ecdh-sha2-nistp256", b"\4" + bytes(96)),
    ("sm_065-0", "diffie-hellman-group14-sha256", mpint(0)),
    ("sm_065-1", "diffie-hellman-group14-sha256", mpint(1)),
    ("sm_065-2", "diffie-hellman-group14-sha256", mpint(2)),
    ("sm_065-three bits set", "diffie-hellman-group14-sha256", mpint(7 << 500)),
    ("sm_065-p-1", "diffie-hellman-group14-sha256", mpint(GROUP14 - 1)),
    ("sm_065-p", "diffie-hellman-group14-sha256", mpint(GROUP14)),
    ("sm_065-p+1", "diffie-hellman-group14-sha256", mpint(GROUP14 + 1)),
    ("sm_065-negative", "diffie-hellman-group14-sha256", mpint(-12345)),
    ("sm_065-20,000 bits", "diffie-hellman-group14-sha256", mpint((1 << 20_000) - 1)),
]


@BOTH_ROLES
@pytest.mark.parametrize(("kex", "share"), [pytest.param(kex, share, id=name) for name, kex, share in SHARES])
async def test_sm_063_sm_064_sm_065_a14_shares_that_are_none(role, kex, share):
    """Q_C or e to a server, Q_S or f to a client: DISCONNECT 3 before anything is computed from them. (Real clock: threads are at work.)"""
    algorithms = trio_ssh.Algorithms(kex=(kex,))
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        theirs = await in_kex(victim)
        assert theirs
        if role is Role.SERVER:
            await victim.raw.send(KexEcdhInit(share))
        else:
            blob = pairs.HOST_KEY.public_key.blob
            await victim.raw.send(KexEcdhReply(blob, share, pairs.HOST_KEY.sign("ssh-ed25519", bytes(32))))
        await ended(victim, 3)
        assert victim.called == []


@BOTH_ROLES
async def test_sm_063_bytes_behind_the_share(autojump_clock, role):
    async with attacked(role) as victim:
        if role is Role.SERVER:
            await in_kex(victim)
            await victim.raw.send(encode(KexEcdhInit(b"\x09" + bytes(31))) + b"more")
        else:
            reply = await good_reply(victim)
            await victim.raw.send(encode(reply) + b"more")
        await ended(victim, 3)
        assert victim.called == []


# -- what a server shows ---------------------------------------------------------------------------------------------------------------


async def good_reply(victim: Victim, key: trio_ssh.PrivateKey = pairs.HOST_KEY) -> KexEcdhReply:
    """What the peer of our client would answer, signed with `key`; not sent."""
    raw = victim.raw
    await raw.identify()
    ours = await raw.send_kexinit()
    theirs = await raw.expect(M.KEXINIT)
    negotiated = raw.negotiator.receive(theirs).negotiated
    reply, _ = start_server(transcript_of(raw, ours, theirs), negotiated, key).receive(await raw.expect(30))
    return decode(KexEcdhReply, reply)


def string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


RSA = trio_ssh.PrivateKey.generate("rsa", 2048)
ECDSA = trio_ssh.PrivateKey.generate("ecdsa", 256)
OTHER = trio_ssh.PrivateKey.generate()

FORGED_REPLIES = {
    "a host key of another type": lambda r: attrs.evolve(r, host_key=RSA.public_key.blob),
    "a key and signature of another type": lambda r: attrs.evolve(
        r, host_key=ECDSA.public_key.blob, signature=ECDSA.sign("ecdsa-sha2-nistp256", bytes(32))
    ),
    "a host key that is none": lambda r: attrs.evolve(r, host_key=b"junk"),
    "a host key that is empty": lambda r: attrs.evolve(r, host_key=b""),
    "a host key cut": lambda r: attrs.evolve(r, host_key=r.host_key[:-1]),
    "a host key and more": lambda r: attrs.evolve(r, host_key=r.host_key + b"\0"),
    "another key than signed": lambda r: attrs.evolve(r, host_key=OTHER.public_key.blob),
    "signed by another key": lambda r: attrs.evolve(r, signature=OTHER.sign("ssh-ed25519", bytes(32))),
    "signed over another hash": lambda r: attrs.evolve(r, signature=pairs.HOST_KEY.sign("ssh-ed25519", bytes(32))),
    "a signature cut": lambda r: attrs.evolve(r, signature=r.signature[:-1]),
    "a signature and more": lambda r: attrs.evolve(r, signature=r.signature + b"\0"),
    "an empty signature": lambda r: attrs.evolve(r, signature=b""),
    "a signature of 63 bytes": lambda r: attrs.evolve(r, signature=string(b"ssh-ed25519") + string(r.signature[-64:-1])),
    "a signature under another name": lambda r: attrs.evolve(r, signature=string(b"rsa-sha2-512") + string(r.signature[-64:])),
    "a signature under no name": lambda r: attrs.evolve(r, signature=string(b"") + string(r.signature[-64:])),
    "a signature with a bit flipped": lambda r: attrs.evolve(r, signature=r.signature[:-1] + bytes([r.signature[-1] ^ 1])),
}


@pytest.mark.parametrize("forge", FORGED_REPLIES.values(), ids=list(FORGED_REPLIES))
async def test_sm_069_a07_host_keys_and_signatures_that_are_wrong(autojump_clock, forge):
    """DISCONNECT 3; the policy is not even asked, and no service is."""
    async with attacked(Role.CLIENT) as victim:
        await victim.raw.send(forge(await good_reply(victim)))
        await ended(victim, 3)
        assert victim.called == []
        assert victim.raw.numbers == [M.KEXINIT, 30, M.DISCONNECT]


async def test_a07_the_wrong_key_signed_rightly(autojump_clock):
    """A man in the middle with a key of his own: the policy says no, DISCONNECT 9, and no service was asked for."""
    async with attacked(Role.CLIENT) as victim:
        await victim.raw.send(await good_reply(victim, OTHER))
        await victim.ends(9, kind=trio_ssh.HostKeyUnknown)
        assert victim.called == ["trust"]
        assert victim.raw.numbers == [M.KEXINIT, 30, M.DISCONNECT]
        assert PASSWORD.encode() not in victim.sent


# -- the change of keys ----------------------------------------------------------------------------------------------------------------


@BOTH_ROLES
async def test_sm_077_in_clear_behind_newkeys(autojump_clock, role):
    async with attacked(role) as victim:
        new = await share_keys(victim)
        await victim.raw.send(NewKeys(), Ignore(bytes(100)), *[Ignore(bytes(1000))] * 100)
        await victim.read_newkeys(new)
        payloads = await victim.raw.drain()
        assert payloads[-1][0] == M.DISCONNECT
        assert payloads[-1][4] in (2, 5)
        await victim.check_cause(trio_ssh.RemoteProtocolError)
        assert victim.forbidden == []


@BOTH_ROLES
@pytest.mark.parametrize("cipher", trio_ssh.Algorithms().ciphers)
async def test_sm_077_under_the_old_keys_behind_the_newkeys_of_a_rekey(autojump_clock, role, cipher):
    """What opens under the old key does not under the new one, and is never delivered."""
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,))
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        raw = victim.raw
        await raw.log_in()
        ours = await raw.send_kexinit()
        new = await raw.method(ours, await raw.wait_for(M.KEXINIT))
        await raw.send(NewKeys(), Ping(b"under the old key"), *[Ignore(bytes(1000))] * 100)
        await victim.read_newkeys(new)
        payloads = await raw.drain()
        assert M.PONG not in [payload[0] for payload in payloads]
        assert payloads[-1][0] == M.DISCONNECT
        assert payloads[-1][4] in (2, 5)
        await victim.check_cause(trio_ssh.RemoteProtocolError)
