"""Packets that no honest peer sends, in clear and under each kind of cipher: SM-019 to SM-033."""

from __future__ import annotations

from tests.interop.oracle.outcomes import IGNORED
from tests.interop.oracle.steps import (
    Run,
    Script,
    Step,
    after_login,
    authenticate,
    before_service,
    exchange_service,
    lax,
    nothing,
    script_of,
    settle,
)
from tests.interop.oracle.talk import Talk
from trio_ssh.crypto.compression import ZlibCompressor
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import Debug, Ignore, Unimplemented

CIPHERS = {
    "gcm": ("aes128-gcm@openssh.com", "hmac-sha2-256"),
    "chacha": ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
    "etm": ("aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
    "ctr": ("aes128-ctr", "hmac-sha2-256"),
}
IGNORE = encode(Ignore(b"for nobody"))


def under(cipher: str, act: Step) -> Run:
    """`act` where a packet of noise is legal, as the first under these keys."""

    async def choose(talk: Talk) -> None:
        name, mac = CIPHERS[cipher]
        talk.offer(ciphers=(name,), macs=(mac,))

    return script_of(choose, Talk.handshake, act, settle, quiet=IGNORED)


def in_clear(act: Step) -> Run:
    """`act` before KEXINIT, without strict key exchange."""
    return script_of(lax, Talk.identify, act, Talk.kexinits, Talk.finish_exchange, settle)


def fitting(talk: Talk, least: int) -> int:
    """A packet_length that is legal here."""
    key = talk.sealing_key
    head = 4 if key.length_is_aligned else 0
    return next(length for length in range(least, least + 32) if (length + head) % key.alignment == 0)


def announces(packet_length: int, body_bytes: int = 60) -> Step:
    """That length, whatever follows."""

    async def act(talk: Talk) -> None:
        await talk.send_packet(packet_length, (b"\x04" + IGNORE + bytes(body_bytes))[: fitting(talk, body_bytes)])

    return act


def unaligned(off: int) -> Step:
    """So much more than would fit the block."""

    async def act(talk: Talk) -> None:
        length = fitting(talk, 32) + off
        await talk.send_packet(length, (b"\x08" + IGNORE + bytes(64))[:length])

    return act


def padded(amount: int, least: int = 32) -> Step:
    """A packet of IGNORE that says it has so much padding; its string is as long as is left."""

    async def act(talk: Talk) -> None:
        length = fitting(talk, least)
        payload = encode(Ignore(bytes(max(0, length - 1 - amount - 5))))
        await talk.send_packet(length, (bytes([amount]) + payload + bytes(256))[:length])

    return act


def only_padding(short: int) -> Step:
    """A packet that is all padding, or says that it has even more."""

    async def act(talk: Talk) -> None:
        length = fitting(talk, 12)
        await talk.send_packet(length, bytes([length - short]) + bytes(length - 1))

    return act


async def flipped(talk: Talk) -> None:
    """The last bit of the tag."""
    wire = bytearray(talk.sealed(IGNORE))
    wire[-1] ^= 1
    await talk.send_bytes(bytes(wire))


async def lost(talk: Talk) -> None:
    talk.sealed(IGNORE)
    await talk.send(IGNORE)


async def twice(talk: Talk) -> None:
    await talk.send_bytes(2 * talk.sealed(IGNORE))


async def swapped(talk: Talk) -> None:
    first, second = talk.sealed(IGNORE), talk.sealed(IGNORE)
    await talk.send_bytes(second + first)


async def in_bytes(talk: Talk) -> None:
    for byte in talk.sealed(IGNORE):
        await talk.send_bytes(bytes([byte]))


def compressing(begin: Step) -> Run:
    """With what we send compressed from the login on, as far as `begin` sees to it."""

    async def kexinits(talk: Talk) -> None:
        way = "client_to_server" if talk.peer.role is Role.CLIENT else "server_to_client"
        await talk.kexinits(talk.kexinit(**{f"compression_algorithms_{way}": ("zlib@openssh.com",)}))

    return script_of(Talk.identify, kexinits, Talk.finish_exchange, exchange_service, authenticate, begin, Talk.probe)


async def compress(talk: Talk) -> None:
    talk.peer.sealer.compress_with(ZlibCompressor())


async def compress_bomb(talk: Talk) -> None:
    """1 MiB in about a thousand bytes."""
    await compress(talk)
    await talk.send(Ignore(bytes(1 << 20)))


ACTS = {
    "sm_019-0": announces(0),
    "sm_019-1": announces(1),
    "sm_019-4": announces(4),
    "sm_020": announces(5, 8),
    "sm_021-70_000": padded(8, 70_000),
    "sm_021-0x7fffffff": announces(0x7FFFFFFF),
    "sm_021-0xffffffff": announces(0xFFFFFFFF),
    "sm_022-less": unaligned(-1),
    "sm_022-more": unaligned(1),
    "sm_023-0": padded(0),
    "sm_023-3": padded(3),
    "sm_024-all": only_padding(0),
    "sm_024-beyond": padded(255),
    "sm_025": padded(255, 300),
    "sm_026": only_padding(1),
    "sm_030": in_bytes,
}
ACTS_ON_TAGS = {"sm_028": flipped, "sm_029-lost": lost, "sm_029-twice": twice, "sm_029-swapped": swapped}

MALFORMED = {
    "sm_027": b"\0",
    "sm_033-ignore": b"\x02\0\0\0\x09cut",
    "sm_033-debug": b"\x04\0\0\0\0\x09cut",
    "sm_033-unimplemented": b"\x03\0",
}

TO_BOTH = (
    Script("sm_031-right", compressing(compress)),
    Script("sm_031-not_compressed", compressing(nothing)),
    Script("sm_031-bomb", compressing(compress_bomb)),
    *(Script(f"{name}-gcm", under("gcm", act)) for name, act in {**ACTS, **ACTS_ON_TAGS}.items()),
    *(Script(name, after_login(payload)) for name, payload in MALFORMED.items()),
)

TO_SERVERS = (
    *(Script(f"{name}-clear", in_clear(act)) for name, act in ACTS.items()),
    *(
        Script(f"{name}-{cipher}", under(cipher, act))
        for cipher in ("chacha", "etm", "ctr")
        for name, act in {**ACTS, **ACTS_ON_TAGS}.items()
    ),
    *(Script(f"{name}-before_service", before_service(payload)) for name, payload in MALFORMED.items()),
    Script("sm_021-0x40001", after_login(encode(Ignore(bytes(0x40001))))),
    Script("sm_032", after_login(*(1000 * [IGNORE, encode(Debug(False, "hm")), encode(Unimplemented(0))]))),
)
