"""Key exchanges, first and later: SM-054 to SM-077."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import attrs

from tests.interop.oracle.negotiation import CURVE, NOISE, P256
from tests.interop.oracle.outcomes import ACCEPTED, IGNORED, Outcome
from tests.interop.oracle.steps import (
    Run,
    Script,
    Step,
    after_login,
    authenticate,
    before_kexinit,
    before_newkeys,
    before_service,
    before_share,
    exchange_service,
    open_session,
    request,
    run_command,
    says,
    script_of,
    settle,
    start,
)
from tests.interop.oracle.talk import Talk
from trio_ssh import PrivateKey
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelData, ChannelOpen, GlobalRequest
from trio_ssh.wire.transport import KexEcdhInit, KexEcdhReply, NewKeys, ServiceAccept, ServiceRequest

GROUP14, GROUP_EXCHANGE = "diffie-hellman-group14-sha256", "diffie-hellman-group-exchange-sha256"
POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""The generator of P-256 (SEC 2 §2.4.2)."""

OUT_OF_TURN: dict[str, object] = {
    "service_request": ServiceRequest("ssh-userauth"),
    "service_accept": ServiceAccept("ssh-userauth"),
    "ext_info": b"\x07\0\0\0\0",
    "newkeys": NewKeys(),
    "kex_reply": b"\x1f" + bytes(12),
}
INIT = {"kex_init": KexEcdhInit(bytes(32))}
LATER: dict[str, object] = {
    "userauth": request(),
    "success": b"\x34",
    "global_request": GlobalRequest("probe@oracle", True),
    "open": ChannelOpen("session", 0, 1000, 1000),
    "request": b"\x62\0\0\0\0\0\0\0\x04exec\0\0\0\0\0",
}
UNKNOWN: dict[str, object] = {"150": b"\x96", "ping": b"\xc0\0\0\0\0", "200": b"\xc8"}
NOT_INIT = {**NOISE, **OUT_OF_TURN, **UNKNOWN}
UNKNOWN_KEX = (22, 29, 35, 49)
BAD_X25519 = {"zero": bytes(32), "order_1": b"\x01" + bytes(31), "short": b"\x09" + bytes(30), "long": b"\x09" + bytes(32)}
BAD_P256 = {"off_curve": POINT[:-1] + b"\xf4", "compressed": b"\x03" + POINT[1:33], "infinity": b"\0", "p384": b"\x04" + bytes(96)}
BAD_GROUP14 = {"0": b"", "1": b"\x01", "2": b"\x02", "negative": b"\xff", "20_000": b"\x01" + bytes(2500)}


# -- shares ------------------------------------------------------------------------------------------------------------------------------


def init_with(share: bytes, method: str, *, trailing: bytes = b"") -> Run:
    """This share. A server that takes it answers with KEX_REPLY."""

    async def run(talk: Talk) -> Outcome:
        talk.offer(kex=(method,))
        await talk.meet()
        await talk.send(encode(KexEcdhInit(share)) + trailing)
        await talk.expect(31)
        return ACCEPTED

    return run


def reply_with(change: Callable[[KexEcdhReply], Any], method: str = CURVE) -> Run:
    """A server's reply, changed. A client that takes it goes on."""

    async def run(talk: Talk) -> Outcome:
        talk.offer(kex=(method,))
        await talk.meet()
        await talk.share(lambda payload: change(decode(KexEcdhReply, payload)))
        await talk.change_keys()
        await settle(talk)
        return ACCEPTED

    return run


def evolving(**fields: bytes) -> Callable[[Any], Any]:
    return lambda reply: attrs.evolve(reply, **fields)


OTHER_KEY = PrivateKey.generate()
RSA_KEY = PrivateKey.generate("rsa", 2048)


def sizes(least: int, wanted: int, most: int) -> bytes:
    return b"\x22" + struct.pack(">III", least, wanted, most)


def asks_for_group(*messages: bytes) -> Run:
    """Group exchange; a group is the answer."""

    async def run(talk: Talk) -> Outcome:
        await talk.identify()
        await talk.kexinits(talk.kexinit(kex_algorithms=(GROUP_EXCHANGE, "kex-strict-c-v00@openssh.com")))
        await talk.send(*messages)
        await talk.expect(31)
        return ACCEPTED

    return run


def gives_group(prime: bytes, generator: bytes = b"\x02", *, times: int = 1) -> Run:
    """As a server. A client that takes it answers with its share."""

    async def run(talk: Talk) -> Outcome:
        await talk.identify()
        await talk.kexinits(talk.kexinit(kex_algorithms=(GROUP_EXCHANGE, "kex-strict-s-v00@openssh.com")))
        await talk.expect(34)
        group = b"\x1f" + struct.pack(">I", len(prime)) + prime + struct.pack(">I", len(generator)) + generator
        await talk.send(*(times * [group]))
        await talk.expect(32)
        if times > 1:
            await talk.wait_for_end()
        return ACCEPTED

    return run


# -- later exchanges ---------------------------------------------------------------------------------------------------------------------


def in_rekey(act: Step) -> Run:
    """Behind our KEXINIT of a rekey that we began."""
    return script_of(start, Talk.kexinits, act, Talk.finish_exchange, Talk.probe)


async def data_in_rekey(talk: Talk) -> Outcome:
    await start(talk)
    channel = await open_session(talk)
    await run_command(talk, channel, "cat > /dev/null")  # one that answers may answer before the rekey is over, or not
    await talk.kexinits()
    await talk.send(ChannelData(channel, b"under way"))
    await talk.finish_exchange()
    await talk.probe()
    return talk.outcome(IGNORED)


async def say_kexinit_again(talk: Talk) -> None:
    await talk.send(talk.ours)


async def say_kexinit(talk: Talk) -> None:
    await talk.send(talk.kexinit())


def rekey_offering(cipher: str) -> Run:
    async def kexinits(talk: Talk) -> None:
        await talk.kexinits(talk.kexinit(encryption_algorithms_client_to_server=(cipher,)))

    return script_of(start, kexinits, Talk.finish_exchange, Talk.probe, quiet=ACCEPTED)


async def rekey_with_other_key(talk: Talk) -> None:
    """A server that has another host key all of a sudden."""
    talk.host_key = OTHER_KEY
    await talk.rekey()


async def sealing_in_clear(talk: Talk) -> None:
    await talk.change_keys(sealing=False)


TO_BOTH = (
    *(Script(f"sm_054-{name}", before_kexinit(message)) for name, message in {**OUT_OF_TURN, **INIT}.items()),
    *(Script(f"sm_056-{name}", before_share(message)) for name, message in NOISE.items()),
    *(Script(f"sm_057-{name}", before_share(message, strict=False)) for name, message in NOISE.items()),
    Script("sm_057-service_accept", before_share(OUT_OF_TURN["service_accept"], strict=False)),
    *(Script(f"sm_059-{name}", before_newkeys(message)) for name, message in NOISE.items()),
    Script("sm_060-22", before_share(b"\x16")),
    Script("sm_060-22_lax", before_share(b"\x16", strict=False)),
    Script("sm_061", before_newkeys(b"\x15x")),
    Script("sm_066-global_request", in_rekey(says(GlobalRequest("request@oracle", True)))),
    Script("sm_066-data", data_in_rekey),
    Script("sm_071-same", script_of(start, Talk.rekey, Talk.probe, quiet=ACCEPTED)),
    Script("sm_071-nothing", rekey_offering("cipher@oracle")),
    Script("sm_072", after_login(NewKeys())),
    Script("sm_073-30", after_login(b"\x1e" + bytes(12))),
    Script("sm_075", in_rekey(say_kexinit_again)),
    Script("sm_076-before_service", script_of(Talk.handshake, say_kexinit, exchange_service, authenticate, Talk.probe)),
    Script("sm_076-before_login", script_of(Talk.handshake, exchange_service, say_kexinit, authenticate, Talk.probe)),
    Script("sm_077", script_of(Talk.meet, Talk.share, sealing_in_clear, settle, quiet=ACCEPTED)),
)

TO_SERVERS = (
    *(Script(f"sm_054-{name}_lax", before_kexinit(message, strict=False)) for name, message in {**OUT_OF_TURN, **INIT}.items()),
    *(Script(f"sm_055-{name}", before_kexinit(message)) for name, message in LATER.items()),
    *(Script(f"sm_055-{name}_in_kex", before_share(message)) for name, message in LATER.items()),
    *(Script(f"sm_055-{name}_lax", before_share(message, strict=False)) for name, message in LATER.items()),
    *(Script(f"sm_056-{name}", before_share(message)) for name, message in NOT_INIT.items() if name not in NOISE),
    *(
        Script(f"sm_057-{name}", before_share(message, strict=False))
        for name, message in NOT_INIT.items()
        if name not in {**NOISE, "service_accept": 0}
    ),
    Script("sm_058", before_newkeys(KexEcdhInit(b"\x09" + bytes(31)))),
    *(Script(f"sm_059-{name}_lax", before_newkeys(message, strict=False)) for name, message in NOISE.items()),
    *(Script(f"sm_060-{number}", before_share(bytes([number]))) for number in UNKNOWN_KEX[1:]),
    *(Script(f"sm_060-{number}_lax", before_share(bytes([number]), strict=False)) for number in UNKNOWN_KEX[1:]),
    *(Script(f"sm_063-{name}", init_with(share, CURVE)) for name, share in BAD_X25519.items()),
    Script("sm_063-trailing", init_with(b"\x09" + bytes(31), CURVE, trailing=b"x")),
    *(Script(f"sm_064-{name}", init_with(share, P256)) for name, share in BAD_P256.items()),
    Script("sm_064-good", init_with(POINT, P256)),
    *(Script(f"sm_065-{name}", init_with(share, GROUP14)) for name, share in BAD_GROUP14.items()),
    Script("sm_068-good", asks_for_group(sizes(2048, 2048, 8192))),
    Script("sm_068-small", asks_for_group(sizes(100, 200, 300))),
    Script("sm_068-backwards", asks_for_group(sizes(4096, 3072, 2048))),
    Script("sm_068-init_first", asks_for_group(b"\x20\0\0\0\x01\x09")),
    Script("sm_068-old", asks_for_group(b"\x1e\0\0\x08\0")),
    Script("sm_071-none", rekey_offering("none")),
    Script("sm_072-before_service", before_service(NewKeys())),
    *(Script(f"sm_073-{number}", after_login(bytes([number]) + bytes(12))) for number in range(31, 35)),
    Script("sm_073-30_before_service", before_service(b"\x1e\0\0\0\0")),
)

TO_CLIENTS = (
    Script("sm_062", before_share(NewKeys())),
    Script("sm_063-zero", reply_with(evolving(server_public=bytes(32)))),
    Script("sm_063-short", reply_with(evolving(server_public=b"\x09" + bytes(30)))),
    Script("sm_063-trailing", reply_with(lambda reply: encode(reply) + b"x")),
    Script("sm_064-off_curve", reply_with(evolving(server_public=BAD_P256["off_curve"]), P256)),
    Script("sm_065-1", reply_with(evolving(server_public=b"\x01"), GROUP14)),
    Script("sm_068-small", gives_group(b"\0" + bytes(127) + b"\x0b")),
    Script("sm_069-type", reply_with(evolving(host_key=RSA_KEY.public_key.blob))),
    Script("sm_069-stranger", reply_with(evolving(host_key=OTHER_KEY.public_key.blob))),
    Script("sm_069-signature", reply_with(evolving(signature=b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + bytes(64)))),
    Script("sm_069-no_signature", reply_with(evolving(signature=b""))),
    Script("sm_070", script_of(start, rekey_with_other_key, Talk.probe, quiet=ACCEPTED)),
)
