"""KEXINITs: SM-034 to SM-053."""

from __future__ import annotations

from typing import Any

from tests.interop.oracle.outcomes import ACCEPTED
from tests.interop.oracle.steps import Run, Script, before_kexinit, lax, log_in, nothing, offering, script_of, settle
from tests.interop.oracle.talk import Talk
from trio_ssh.protocol.negotiation import EXT_INFO_MARKER, STRICT_MARKER
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.transport import Debug, Ignore, KexEcdhInit, KexInit, NewKeys, Unimplemented

NOISE: dict[str, object] = {"ignore": Ignore(b"x"), "unimplemented": Unimplemented(0), "debug": Debug(False, "hm")}
CURVE, P256 = "curve25519-sha256", "ecdh-sha2-nistp256"
EXT_C, EXT_S = (EXT_INFO_MARKER[role] for role in (Role.CLIENT, Role.SERVER))
STRICT_C, STRICT_S = (STRICT_MARKER[role] for role in (Role.CLIENT, Role.SERVER))


def changed(**fields: Any) -> Run:
    return offering(lambda talk: talk.kexinit(**fields))


def cut(size: int) -> Run:
    return offering(lambda talk: talk.kexinit()[:size])


def more_kex(before: bytes = b"", behind: bytes = b"") -> Run:
    """These bytes before or behind the usual names of the first list: no codec would write some of them."""

    def kexinit(talk: Talk) -> bytes:
        payload = talk.kexinit()
        size = int.from_bytes(payload[17:21], "big")
        names = before + payload[21 : 21 + size] + behind
        return payload[:17] + len(names).to_bytes(4, "big") + names + payload[21 + size :]

    return offering(kexinit)


def marked(role: Role, *names: str) -> tuple[str, ...]:
    """These and the right markers."""
    return (*names, EXT_INFO_MARKER[role], STRICT_MARKER[role])


async def say_kexinit_again(talk: Talk) -> None:
    await talk.send(talk.ours)


def twice(*, strict: bool) -> Run:
    return script_of(nothing if strict else lax, Talk.meet, say_kexinit_again, Talk.finish_exchange, settle, quiet=ACCEPTED)


def first_follows(byte: int) -> Run:
    """The guess is right: the method's message counts."""
    return offering(lambda talk: talk.kexinit()[:-5] + bytes([byte]) + bytes(4))


def wrong_guess(guess: object) -> Run:
    """A method that is not the server's first, and this packet for it."""

    async def kexinits(talk: Talk) -> None:
        talk.offer(kex=(P256, CURVE))
        talk.ours = talk.kexinit(first_kex_packet_follows=True)
        await talk.send(talk.ours, guess)
        talk.theirs = await talk.expect(20)

    return script_of(Talk.identify, kexinits, Talk.finish_exchange, settle, quiet=ACCEPTED)


async def rekey_with_marker(talk: Talk) -> None:
    """Too late: sequence numbers go on, and noise stays legal."""
    kex = decode(KexInit, talk.kexinit()).kex_algorithms
    await talk.kexinits(talk.kexinit(kex_algorithms=(*kex, STRICT_MARKER[talk.peer.role])))
    await talk.send(Ignore(b"x"))
    await talk.finish_exchange()


async def no_mac(talk: Talk) -> None:
    """With an AEAD cipher none is needed."""
    talk.offer(ciphers=("aes128-gcm@openssh.com",))
    nothing = ("hmac@oracle",)
    await talk.kexinits(talk.kexinit(mac_algorithms_client_to_server=nothing, mac_algorithms_server_to_client=nothing))


NOTHING_COMMON: dict[str, dict[str, tuple[str, ...]]] = {
    "kex": {"kex_algorithms": ("kex@oracle", STRICT_C, STRICT_S)},
    "host_key": {"server_host_key_algorithms": ("key@oracle",)},
    "cipher": {"encryption_algorithms_client_to_server": ("cipher@oracle",)},
    "mac": {"encryption_algorithms_server_to_client": ("aes128-ctr",), "mac_algorithms_server_to_client": ("hmac@oracle",)},
    "compression": {"compression_algorithms_client_to_server": ("zip@oracle",)},
}
ONLY: dict[str, tuple[str, ...]] = {"none": (), "ext_info": (EXT_C, EXT_S), "strict": (STRICT_C, STRICT_S)}
MANY = ",".join(f"{n}@oracle" for n in range(1025)).encode()
LONG = ",".join(f"{n:050}@oracle" for n in range(300)).encode()

TO_BOTH = (
    *(Script(f"sm_034-{name}", before_kexinit(message)) for name, message in NOISE.items()),
    *(Script(f"sm_035-{name}", before_kexinit(message, strict=False)) for name, message in NOISE.items()),
    Script("sm_036-strict", twice(strict=True)),
    Script("sm_036-lax", twice(strict=False)),
    Script("sm_037-40", cut(40)),
    Script("sm_038", offering(lambda talk: talk.kexinit() + b"x")),
    Script("sm_041-utf8", more_kex(before="ä,".encode())),
    Script("sm_042-65", more_kex(before=58 * b"x" + b"@oracle,")),
    Script("sm_042-empty", more_kex(before=b"a@oracle,,")),
    Script("sm_044-names", more_kex(behind=b"," + MANY)),
    *(Script(f"sm_045-{name}", changed(**fields)) for name, fields in NOTHING_COMMON.items()),
    Script("sm_049", script_of(lax, Talk.handshake, log_in, rekey_with_marker, Talk.probe, quiet=ACCEPTED)),
)

TO_SERVERS = (
    *(Script(f"sm_037-{size}", cut(size)) for size in (1, 16, 20, 200, -1)),
    Script("sm_039", changed(reserved=7)),
    Script("sm_040-2", first_follows(2)),
    Script("sm_040-255", first_follows(255)),
    Script("sm_041-nul", more_kex(before=b"a\0b,")),
    Script("sm_042-64", more_kex(before=57 * b"x" + b"@oracle,")),
    Script("sm_042-leading", more_kex(before=b",")),
    Script("sm_042-trailing", more_kex(behind=b",")),
    Script("sm_043", more_kex(before=b"a@oracle,a@oracle,curve25519-sha256,")),
    Script("sm_044-bytes", more_kex(behind=b"," + LONG)),
    Script("sm_046", script_of(Talk.identify, no_mac, Talk.finish_exchange, settle, quiet=ACCEPTED)),
    *(Script(f"sm_047-{name}", changed(kex_algorithms=names)) for name, names in ONLY.items()),
    Script("sm_048", changed(kex_algorithms=marked(Role.CLIENT, CURVE, EXT_S, STRICT_S))),
    Script("sm_050", changed(languages_client_to_server=("de", "la"), languages_server_to_client=("la",))),
    Script("sm_051-share", wrong_guess(KexEcdhInit(bytes(32)))),
    Script("sm_051-other_number", wrong_guess(b"\x5a" + bytes(100))),
    Script("sm_052", first_follows(1)),
    Script("sm_053", wrong_guess(encode(NewKeys()))),
)

TO_CLIENTS = (
    Script("sm_047-strict", changed(kex_algorithms=ONLY["strict"])),
    Script("sm_048", changed(kex_algorithms=marked(Role.SERVER, CURVE, EXT_C, STRICT_C))),
)
