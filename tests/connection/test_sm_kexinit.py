"""SM-034 to SM-053: KEXINITs that are refused and KEXINITs that are taken, by both of our roles, with what the peer gets for them."""

from __future__ import annotations

import attrs
import pytest
import trio

import trio_ssh
from tests.connection.victims import Victim, attacked, exchange_without_strict, kexinit
from tests.raw_peer import RawPeer
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, Unimplemented

NOISE = {"IGNORE": Ignore(b"x"), "DEBUG": Debug(False, "x"), "UNIMPLEMENTED": Unimplemented(0)}
EACH_NOISE = pytest.mark.parametrize("noise", NOISE.values(), ids=list(NOISE))

COUNTED = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("chacha20-poly1305@openssh.com",))
"""With a cipher whose nonce is the packet's number: a number miscounted is a packet that does not open."""

LISTS = 10
KEX, HOST_KEY, CIPHER_UP, CIPHER_DOWN, MAC_UP, MAC_DOWN, COMPRESSION_UP, COMPRESSION_DOWN, LANGUAGE_UP, LANGUAGE_DOWN = range(LISTS)


def lists_of(payload: bytes) -> tuple[list[bytes], bytes]:
    """The contents of a KEXINIT's ten lists, and what stands behind them."""
    found, offset = [], 17
    for _ in range(LISTS):
        size = int.from_bytes(payload[offset : offset + 4], "big")
        found.append(payload[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return found, payload[offset:]


def with_lists(payload: bytes, changes: dict[int, bytes]) -> bytes:
    """The same with other contents in some lists, whether or not they are lists of names."""
    found, rest = lists_of(payload)
    parts = [changes.get(index, content) for index, content in enumerate(found)]
    return payload[:17] + b"".join(len(part).to_bytes(4, "big") + part for part in parts) + rest


async def refused(role: Role, payload: bytes | None, reason: int, *before: bytes, **options) -> Victim:
    """`before` and then `payload` are the peer's first packets: DISCONNECT, typed, at once, with nobody called."""
    async with attacked(role, **options) as victim:
        raw = victim.raw
        started = trio.current_time()
        await raw.identify()
        await raw.send(*before, *([payload] if payload is not None else []))
        kind = trio_ssh.RemoteProtocolError if reason == 2 or payload is None else trio_ssh.SSHError
        payloads = await raw.drain()
        assert [payload[0] for payload in payloads] == [M.KEXINIT, M.DISCONNECT]
        assert payloads[-1][1:5] == reason.to_bytes(4, "big")
        await victim.done.wait()
        assert trio.current_time() - started <= 1
    assert isinstance(victim.cause, kind)
    assert victim.error is victim.cause
    assert victim.called == []
    return victim


async def taken(victim: Victim, ours: bytes, *behind: bytes) -> None:
    """The exchange goes on to its end, and the keys fit: what comes then is legal and understood."""
    raw = victim.raw
    await raw.identify()
    await raw.send(ours, *behind)
    await raw.exchange_keys(ours=ours)
    await victim.ask_for_service()


@pytest.fixture(params=list(Role), ids=lambda role: f"our-{role.value}")
def role(request) -> Role:
    role: Role = request.param
    return role


def plain(role: Role, **fields) -> bytes:
    """A good KEXINIT of the peer of our `role`."""
    return encode(kexinit(RawPeer(None, role.peer), **fields))  # type: ignore[arg-type]  # it is not to send anything


@EACH_NOISE
async def test_sm_034_noise_before_a_strict_kexinit(autojump_clock, role, noise):
    await refused(role, plain(role), 2, encode(noise))
    await refused(role, plain(role), 2, encode(noise), encode(noise))


@EACH_NOISE
async def test_sm_035_noise_before_one_that_is_not_strict(autojump_clock, role, noise):
    """Taken and counted: the keys fit behind it."""
    async with attacked(role, algorithms=COUNTED, peer=COUNTED) as victim:
        await victim.raw.identify()
        await victim.raw.send(noise, noise)
        await exchange_without_strict(victim.raw, kexinit(victim.raw, markers=False))
        await victim.ask_for_service()
        await victim.raw.stream.aclose()


@pytest.mark.parametrize("markers", [True, False], ids=["strict", "not strict"])
async def test_sm_036_a11_kexinit_twice(autojump_clock, role, markers):
    """Also where the second is a good one, and the same as the first."""
    async with attacked(role) as victim:
        await victim.raw.identify()
        ours = encode(kexinit(victim.raw, markers=markers))
        await victim.raw.send(ours, ours)
        payloads = await victim.raw.drain()
        numbers = [payload[0] for payload in payloads]
        assert numbers in ([M.KEXINIT, M.DISCONNECT], [M.KEXINIT, 30, M.DISCONNECT])  # a client's share may be under way already
        assert payloads[-1][1:5] == bytes([0, 0, 0, 2])
        await victim.check_cause(trio_ssh.RemoteProtocolError)
    assert victim.called == []


async def test_sm_037_cut_at_every_byte(autojump_clock, role):
    whole = plain(role)
    for size in range(1, len(whole), 3):
        await refused(role, whole[:size], 2)


async def test_sm_038_bytes_behind_it(autojump_clock, role):
    for more in (b"\0", b"more", bytes(1000)):
        await refused(role, plain(role) + more, 2)


GOOD = {
    "sm_039-reserved is not 0": {"reserved": 2**32 - 1},
    "sm_043-duplicate names": {"encryption_algorithms_client_to_server": ("aes128-gcm@openssh.com",) * 40},
    "sm_046-no MAC in common but an AEAD cipher": {
        "mac_algorithms_client_to_server": ("hmac-nobody",),
        "mac_algorithms_server_to_client": (),
    },
    "sm_050-languages": {"languages_client_to_server": ("en-GB", "de"), "languages_server_to_client": ("fr",)},
    "sm_052-a right guess": {"first_kex_packet_follows": True},
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=list(GOOD))
async def test_kexinits_that_are_taken(autojump_clock, role, fields):
    async with attacked(role) as victim:
        await taken(victim, encode(kexinit(victim.raw, **fields)))
        await victim.raw.stream.aclose()


@pytest.mark.parametrize("byte", [1, 2, 127, 255])
async def test_sm_040_sm_051_any_byte_but_0_means_that_a_guess_follows(autojump_clock, role, byte):
    """A wrong guess, so that the packet that follows, a junk one, is skipped; with 0 it is not."""
    peer = trio_ssh.Algorithms(kex=("ecdh-sha2-nistp256", "curve25519-sha256"))
    async with attacked(role, peer=peer) as victim:
        ours = encode(kexinit(victim.raw))
        ours = ours[:-5] + bytes([byte]) + ours[-4:]
        await taken(victim, ours, b"\x1ejunk" if role is Role.SERVER else b"\x1fjunk")
        await victim.raw.stream.aclose()
    ours = ours[:-5] + b"\0" + ours[-4:]
    async with attacked(role, peer=peer) as victim:
        await victim.raw.identify()
        await victim.raw.send(ours, b"\x1ejunk" if role is Role.SERVER else b"\x1fjunk")
        numbers = [payload[0] for payload in await victim.raw.drain()]
        assert numbers in ([M.KEXINIT, M.DISCONNECT], [M.KEXINIT, 30, M.DISCONNECT])


async def test_sm_051_the_junk_is_skipped_exactly_once(autojump_clock, role):
    """A second packet of junk is the peer's share, and none."""
    peer = trio_ssh.Algorithms(kex=("ecdh-sha2-nistp256", "curve25519-sha256"))
    async with attacked(role, peer=peer) as victim:
        await victim.raw.identify()
        junk = b"\x1ejunk" if role is Role.SERVER else b"\x1fjunk"
        await victim.raw.send(encode(kexinit(victim.raw, first_kex_packet_follows=True)), junk, junk)
        numbers = [payload[0] for payload in await victim.raw.drain()]
        assert numbers in ([M.KEXINIT, M.DISCONNECT], [M.KEXINIT, 30, M.DISCONNECT])
        await victim.check_cause(trio_ssh.RemoteProtocolError)


async def test_sm_053_newkeys_as_the_guess(autojump_clock, role):
    """Skipped, and counted: the keys of what follows fit. Said once more it is out of turn."""
    peer = trio_ssh.Algorithms(kex=("ecdh-sha2-nistp256", "curve25519-sha256"))
    peer = attrs.evolve(peer, ciphers=COUNTED.ciphers)
    for markers in (True, False):
        async with attacked(role, algorithms=COUNTED, peer=peer) as victim:
            raw = victim.raw
            ours = kexinit(raw, markers=markers, first_kex_packet_follows=True)
            await raw.identify()
            if markers:
                await raw.send(ours, b"\x15")
                await raw.exchange_keys(ours=encode(ours))
            else:
                await raw.send(ours, b"\x15")
                new = await raw.method(encode(ours), await raw.expect(M.KEXINIT))
                await raw.change_keys(attrs.evolve(new, negotiated=attrs.evolve(new.negotiated, strict_kex=False)))
            await victim.ask_for_service()
            await raw.stream.aclose()
        async with attacked(role, peer=peer) as victim:
            await victim.raw.identify()
            await victim.raw.send(ours, b"\x15", b"\x15")
            payloads = await victim.raw.drain()
            assert payloads[-1][:5] == bytes([M.DISCONNECT, 0, 0, 0, 2])
            await victim.check_cause(trio_ssh.RemoteProtocolError)


NAMES = {
    "sm_041-NUL": b"a\0b",
    "sm_041-NUL at the end": b"ab\0",
    "sm_041-a byte over 0x7f": b"a\x80b",
    "sm_041-UTF-8": "é".encode(),
    "sm_042-65 characters": b"x" * 65,
    "sm_042-an empty name": b"a,,b",
    "sm_042-a leading comma": b",a",
    "sm_042-two trailing commas": b"a,,",
    "sm_042-a comma alone": b",",
    "sm_044-1,025 names": b",".join([b"a"] * 1025),
    "sm_044-a list over 16 KiB": b",".join([b"x" * 60] * 275),
}


@pytest.mark.parametrize("content", NAMES.values(), ids=list(NAMES))
async def test_lists_that_are_none(autojump_clock, role, content):
    """In each of the ten lists, behind the names that are there."""
    whole = plain(role)
    for index, there in enumerate(lists_of(whole)[0]):
        joined = content if content.startswith(b",") or not there else b",".join([there, content])
        await refused(role, with_lists(whole, {index: joined}), 2)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"x" * 64, id="sm_042-64 characters"),
        pytest.param(b"a,", id="sm_042-one trailing comma"),
        pytest.param(b",".join([b"a"] * 1000), id="sm_044-1,000 names"),
    ],
)
async def test_lists_that_are_one(autojump_clock, role, content):
    for index in (KEX, CIPHER_UP, MAC_DOWN, LANGUAGE_UP):
        async with attacked(role) as victim:
            whole = encode(kexinit(victim.raw))
            there = lists_of(whole)[0][index]
            await taken(victim, with_lists(whole, {index: b",".join([there, content]) if there else content}))
            await victim.raw.stream.aclose()


NOTHING_IN_COMMON: dict[str, dict[int, bytes]] = {
    "sm_045-key exchange": {KEX: b"nobody,ext-info-c,ext-info-s"},
    "sm_045-host key": {HOST_KEY: b"nobody"},
    "sm_045-cipher up": {CIPHER_UP: b"nobody"},
    "sm_045-cipher down": {CIPHER_DOWN: b"nobody"},
    "sm_045-MAC up": {CIPHER_UP: b"aes128-ctr", MAC_UP: b"nobody"},
    "sm_045-MAC down": {CIPHER_DOWN: b"aes128-ctr", MAC_DOWN: b"nobody"},
    "sm_045-compression up": {COMPRESSION_UP: b"nobody"},
    "sm_045-compression down": {COMPRESSION_DOWN: b"nobody"},
    "sm_045-empty compression": {COMPRESSION_DOWN: b""},
    "sm_047-no methods": {KEX: b""},
    "sm_047-ext-info-c alone": {KEX: b"ext-info-c"},
    "sm_047-ext-info-s alone": {KEX: b"ext-info-s"},
    "sm_047-strict markers alone": {KEX: b"kex-strict-c-v00@openssh.com,kex-strict-s-v00@openssh.com"},
    "a01-a CBC cipher alone": {CIPHER_UP: b"aes128-cbc,aes256-cbc,3des-cbc", CIPHER_DOWN: b"aes128-cbc,aes256-cbc,3des-cbc"},
    "a20-undelayed zlib alone": {COMPRESSION_UP: b"zlib", COMPRESSION_DOWN: b"zlib"},
}


@pytest.mark.parametrize("changes", NOTHING_IN_COMMON.values(), ids=list(NOTHING_IN_COMMON))
async def test_nothing_in_common(autojump_clock, role, changes):
    """Against all that we offer by default. The error names the kind, what we have and what the peer has."""
    victim = await refused(role, with_lists(plain(role), changes), 3, algorithms=trio_ssh.Algorithms())
    assert isinstance(victim.error, trio_ssh.NegotiationError)
    assert victim.error.ours
    assert not any("ext-info" in name or "kex-strict" in name for name in victim.error.theirs)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
async def test_sm_048_markers_of_the_wrong_role(autojump_clock, role, strict):
    """They are as good as none: no EXT_INFO is sent for them, and no exchange is strict by them."""
    ours = "c" if role is Role.CLIENT else "s"  # what our own side would say
    markers = (f"ext-info-{ours}", f"kex-strict-{ours}-v00@openssh.com") if strict else (f"ext-info-{ours}",)
    async with attacked(role, algorithms=COUNTED, peer=COUNTED) as victim:
        raw = victim.raw
        await raw.identify()
        await exchange_without_strict(raw, kexinit(raw, markers=False, kex_algorithms=(*COUNTED.kex_for(role.peer), *markers)))
        await victim.ask_for_service()
        assert M.EXT_INFO not in raw.numbers
        assert [event.negotiated.strict_kex for event in victim.events if isinstance(event, trio_ssh.PeerLacksStrictKex)] == [False]
        await raw.stream.aclose()


async def test_sm_049_the_strict_marker_in_a_rekey_only(autojump_clock, role):
    """The numbers of packets go on as they did: with the marker taken seriously the next packet would not open."""
    async with attacked(role, algorithms=COUNTED, peer=COUNTED) as victim:
        raw = victim.raw
        await raw.identify()
        await exchange_without_strict(raw, kexinit(raw, markers=False))
        await victim.ask_for_service()
        await finish_login(victim)
        again = kexinit(raw, markers=True)
        assert "kex-strict" in str(again.kex_algorithms)
        await exchange_without_strict(raw, again)
        await raw.send(GlobalRequest("fits@test", True))
        await raw.wait_for(M.REQUEST_FAILURE)
        assert raw.sealer.sequence_number > 6
        await raw.stream.aclose()


async def finish_login(victim: Victim) -> None:
    """Behind `ask_for_service`."""
    from tests.raw_peer import PASSWORD, password_request
    from trio_ssh.wire.userauth import UserauthSuccess

    if victim.role is Role.SERVER:
        await victim.raw.send(password_request(PASSWORD))
        await victim.raw.expect(M.USERAUTH_SUCCESS)
    else:
        await victim.raw.send(UserauthSuccess())
