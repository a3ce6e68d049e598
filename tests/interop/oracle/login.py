"""Services, EXT_INFO and authentication: SM-078 to SM-109."""

from __future__ import annotations

import struct

from tests import pairs
from tests.interop.oracle.outcomes import ACCEPTED
from tests.interop.oracle.steps import (
    Run,
    Script,
    Step,
    after_login,
    authenticate,
    before_login,
    before_service,
    exchange_service,
    key_request,
    log_in,
    nothing,
    request,
    says,
    script_of,
    start,
)
from tests.interop.oracle.talk import Talk
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, ServiceRequest, write_extensions
from trio_ssh.wire.userauth import PublicKeyFields, UserauthBanner, UserauthFailure, UserauthPkOk, UserauthRequest

BLOB = pairs.USER_KEY.public_key.blob
SUCCESS, FAILURE = b"\x34", encode(UserauthFailure(("publickey",), False))


# -- services and EXT_INFO ---------------------------------------------------------------------------------------------------------------


def service(name: bytes) -> Run:
    """Ask for this one, then for the right one."""
    return before_service(b"\x05" + struct.pack(">I", len(name)) + name)


def service_accepted(name: str) -> Run:
    """As a server: this one, when another was asked for."""

    async def accept(talk: Talk) -> None:
        await talk.expect(M.SERVICE_REQUEST)
        await talk.send(ServiceAccept(name))

    return script_of(Talk.handshake, accept, authenticate, Talk.probe, quiet=ACCEPTED)


def ext_info(count: int | None = None, entries: dict[str, bytes] | None = None) -> bytes:
    """EXT_INFO; where `count` is given it says that it has so many entries."""
    whole = encode(ExtInfo(write_extensions(entries or {})))
    return whole if count is None else whole[:1] + struct.pack(">I", count) + whole[5:]


def numbered(count: int) -> dict[str, bytes]:
    return {f"{n}@oracle": b"" for n in range(count)}


# -- authentication ----------------------------------------------------------------------------------------------------------------------


async def ask_none(talk: Talk) -> None:
    """As any client does first."""
    await talk.send(request())
    await talk.expect(M.USERAUTH_FAILURE)


def requests(*messages: bytes, first: Step = nothing, last: Step = nothing) -> Run:
    """One after another, each when the one before has its answer."""
    ask = [step for message in messages for step in (says(message), Talk.receive_answer)]
    return script_of(Talk.handshake, exchange_service, first, *ask, last)


def attempt(message: bytes) -> Run:
    """Between the question for the methods and the right request."""
    return requests(message, first=ask_none, last=authenticate)


def key_fields(algorithm: str = "ssh-ed25519", blob: bytes = BLOB, *, signature: bytes | None = None) -> bytes:
    return encode(PublicKeyFields(signature is not None, algorithm, blob, signature or b""))


def signed(signature: bytes) -> bytes:
    """A right request but for the signature."""
    return request("publickey", key_fields(signature=struct.pack(">I", len(signature)) + signature))


async def sign_and_say_more(talk: Talk) -> None:
    await talk.send(key_request(talk) + b"x")
    await talk.receive_answer()


async def say_other_user(talk: Talk) -> None:
    await talk.send(request(username="somebody"))
    await talk.expect(M.USERAUTH_FAILURE)


def unknown_key(n: int) -> bytes:
    """A question about a key that nobody knows."""
    return request("publickey", key_fields(blob=BLOB[:-1] + bytes([BLOB[-1] ^ n])))


async def take_another_key(talk: Talk) -> None:
    """As a server: PK_OK for a key that nobody has asked about."""
    await talk.expect(M.USERAUTH_REQUEST)
    await talk.send(UserauthPkOk("ssh-ed25519", pairs.HOST_KEY.public_key.blob))


async def tell_requests(talk: Talk) -> None:
    """As a server: more of them than one are an answer."""
    talk.answers += [payload for payload in talk.kept if payload[0] == M.USERAUTH_REQUEST]


async def take_key(talk: Talk) -> None:
    """As a server: PK_OK to a question about a key."""
    asked = decode(UserauthRequest, await talk.expect(M.USERAUTH_REQUEST))
    fields = decode(PublicKeyFields, asked.method_fields)
    await talk.send(UserauthPkOk(fields.algorithm, fields.key_blob))


async def refuse_once(talk: Talk) -> None:
    """As a server: with names that mean nothing, before and after the one that does."""
    await talk.expect(M.USERAUTH_REQUEST)
    await talk.send(UserauthFailure(("method@oracle", "publickey", "x"), False))


UNKNOWN_METHOD, GOOD_QUESTION = request("method@oracle"), request("publickey", key_fields())
BLANK_SIGNATURE = b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + bytes(64)

ATTEMPTS = {
    "sm_089": UNKNOWN_METHOD,
    "sm_090": request(service="service@oracle"),
    "sm_091-service": request(service="ssh-userauth"),
    "sm_095-junk": request("publickey", key_fields(blob=b"junk")),
    "sm_095-mismatch": request("publickey", key_fields("ecdsa-sha2-nistp256")),
    "sm_095-unknown": request("publickey", key_fields("key@oracle")),
    "sm_096-empty": signed(b""),
    "sm_096-junk": signed(BLANK_SIGNATURE),
    "sm_096-large": signed(b"\0\0\0\x0bssh-ed25519\0\0\x80\0" + bytes(32768)),
    "sm_096-trailing": signed(BLANK_SIGNATURE + b"x"),
}
FIRST_REQUESTS = {
    "sm_090-first": request(service="service@oracle"),
    **{f"sm_092-{n}": GOOD_QUESTION[:-n] for n in (1, 30, 60, 80)},
    "sm_093-257": request(username=257 * "x"),
    "sm_093-utf8": request(username="\udcff"),
    "sm_093-control": request(username="ada\x1b[2J\n"),
    "sm_093-nul": request(username="a\0da"),
    "sm_093-nul_last": request(username="ada\0"),
    "sm_094-none": request(fields=b"x"),
    "sm_094-key": request("publickey", key_fields() + b"x"),
}

TO_SERVERS = (
    Script("sm_078", service(b"ssh-connection")),
    Script("sm_079-unknown", service(b"service@oracle")),
    Script("sm_079-large", service(60_000 * b"x")),
    Script("sm_079-utf8", service(b"\xff\xfe")),
    Script("sm_080", script_of(Talk.handshake, exchange_service, log_in, quiet=ACCEPTED)),
    Script("sm_081", after_login(ServiceRequest("ssh-userauth"))),
    Script("sm_082", before_service(ServiceAccept("ssh-userauth"))),
    Script("sm_082-in_auth", before_login(ServiceAccept("ssh-userauth"))),
    Script("sm_084", before_service(request())),
    Script("sm_085-first", before_service(ext_info())),
    Script("sm_085-not_first", before_login(ext_info())),
    Script("sm_085-twice", before_service(ext_info(), ext_info())),
    Script("sm_086-64", before_service(ext_info(entries=numbered(64)))),
    Script("sm_086-65", before_service(ext_info(entries=numbered(65)))),
    Script("sm_086-1024", before_service(ext_info(entries=numbered(1024)))),
    Script("sm_086-too_few", before_service(ext_info(2, numbered(1)))),
    Script("sm_086-too_many", before_service(ext_info(1, numbered(2)))),
    Script("sm_086-unknown", before_service(ext_info(entries={"thing@oracle": b"\xff\0"}))),
    Script("sm_086-nul", before_service(ext_info(entries={"ext-info-in-auth@openssh.com": b"0\0"}))),
    Script("sm_087", after_login(ext_info())),
    Script("sm_087-rekey", script_of(start, Talk.rekey, says(ext_info()), Talk.probe)),
    *(Script(name, attempt(message)) for name, message in ATTEMPTS.items()),
    *(Script(name, requests(message)) for name, message in FIRST_REQUESTS.items()),
    Script("sm_091-user", script_of(Talk.handshake, exchange_service, say_other_user, authenticate, quiet=ACCEPTED)),
    Script("sm_096-behind", script_of(Talk.handshake, exchange_service, sign_and_say_more)),
    Script("sm_097-5", requests(*(5 * [UNKNOWN_METHOD]))),
    Script("sm_097-6", requests(*(6 * [UNKNOWN_METHOD]))),
    Script("sm_097-questions", requests(*(unknown_key(n) for n in range(1, 7)))),
    Script("sm_097-total", requests(*(65 * [GOOD_QUESTION]))),
    Script("sm_098-first", requests(request(), *(5 * [UNKNOWN_METHOD]))),
    Script("sm_098-later", requests(*(3 * [UNKNOWN_METHOD, request()]))),
    Script("sm_100", before_login(b"\x3d\0\0\0\0")),
    Script("sm_103-failure", before_login(FAILURE)),
    Script("sm_103-success", before_login(SUCCESS)),
    Script("sm_103-banner", before_login(UserauthBanner("hello"))),
    Script("sm_103-pk_ok", before_login(UserauthPkOk("ssh-ed25519", BLOB))),
    Script("sm_104-1", after_login(request())),
    Script("sm_104-129", after_login(*(129 * [request()]))),
    Script("sm_105-open", before_login(ChannelOpen("session", 0, 1000, 1000))),
    Script("sm_105-global_request", before_login(GlobalRequest("request@oracle", True))),
)

TO_CLIENTS = (
    Script("sm_082", before_service(ServiceRequest("ssh-userauth"))),
    Script(
        "sm_083-again",
        script_of(Talk.handshake, exchange_service, says(ServiceAccept("ssh-userauth")), authenticate, Talk.probe, tell_requests),
    ),
    Script("sm_083-other", service_accepted("ssh-connection")),
    Script("sm_085-first", before_service(ext_info())),
    Script("sm_085-in_auth", before_login(ext_info())),
    Script("sm_085-3", before_service(ext_info(), ext_info(), ext_info())),
    Script("sm_086-65", before_service(ext_info(entries=numbered(65)))),
    Script("sm_086-too_few", before_service(ext_info(2, numbered(1)))),
    Script("sm_087", after_login(ext_info())),
    Script("sm_106-before_service", before_service(SUCCESS)),
    Script("sm_106-twice", after_login(SUCCESS)),
    Script("sm_107-before_request", before_service(FAILURE)),
    Script("sm_107-names", script_of(Talk.handshake, exchange_service, refuse_once, take_key, authenticate, Talk.probe, quiet=ACCEPTED)),
    Script("sm_108-large", before_login(UserauthBanner(200_000 * "x"))),
    Script("sm_108-many", before_login(*(17 * [UserauthBanner("hello\n")]))),
    Script("sm_108-late", after_login(UserauthBanner("hello\n"))),
    Script("sm_109-unasked", script_of(Talk.handshake, exchange_service, take_another_key, authenticate, Talk.probe)),
    Script("sm_109-other_key", script_of(Talk.handshake, exchange_service, refuse_once, take_another_key, authenticate, Talk.probe)),
    Script("sm_105-open", before_login(ChannelOpen("session", 0, 1000, 1000))),
)
