"""The usual way of a connection, in a `Talk` of either role; and how a script is made of what is sent at some point of it."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from tests import pairs
from tests.interop.oracle.outcomes import ACCEPTED, IGNORED, Outcome
from tests.interop.oracle.talk import Talk
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenConfirmation, ChannelRequest, ChannelSuccess, Exec
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import PublicKeyFields, SignedPublicKeyRequest, UserauthRequest, UserauthSuccess, string_field

Run = Callable[[Talk], Awaitable[Outcome]]
Step = Callable[[Talk], Awaitable[object]]

USERNAME = getpass.getuser()
CONNECTION = "ssh-connection"


@attrs.frozen
class Script:
    """`name` begins with the case's id, as in the names of tests; what follows tells the variants of a case apart."""

    name: str
    run: Run


async def exchange_service(talk: Talk) -> None:
    """As a client: ask for it. As a server: give it."""
    if talk.peer.role is Role.CLIENT:
        await talk.send(ServiceRequest("ssh-userauth"))
        await talk.expect(M.SERVICE_ACCEPT)
    else:
        await talk.expect(M.SERVICE_REQUEST)
        await talk.send(ServiceAccept("ssh-userauth"))


def request(method: str = "none", fields: bytes = b"", *, username: str = USERNAME, service: str = CONNECTION) -> bytes:
    return encode(UserauthRequest(username, service, method, fields))


def key_request(talk: Talk) -> bytes:
    """The one that lets in."""
    key = pairs.USER_KEY
    fields: Any = PublicKeyFields(True, "ssh-ed25519", key.public_key.blob)
    unsigned = request("publickey", encode(fields))
    signature = key.sign("ssh-ed25519", encode(SignedPublicKeyRequest(talk.peer.session_id, unsigned)))
    return request("publickey", encode(attrs.evolve(fields, signature_field=string_field(signature))))


async def authenticate(talk: Talk) -> None:
    """As a client: with the right key. As a server: whoever it is."""
    if talk.peer.role is Role.CLIENT:
        await talk.send(key_request(talk))
        await talk.expect(M.USERAUTH_SUCCESS)
    else:
        await talk.expect(M.USERAUTH_REQUEST)
        await talk.send(UserauthSuccess())


async def log_in(talk: Talk) -> None:
    """The service, and in, and shown to work."""
    await exchange_service(talk)
    await authenticate(talk)
    await talk.probe()


async def settle(talk: Talk) -> None:
    """As much of that as shows what became of the messages before: a client has asked for its service long before it reads them."""
    await (exchange_service if talk.peer.role is Role.CLIENT else log_in)(talk)


async def start(talk: Talk) -> None:
    """All that, from the very beginning."""
    await talk.handshake()
    await log_in(talk)


async def open_session(talk: Talk, number: int = 0) -> int:
    """The peer's number of a session channel. A client of OpenSSH asks for one by itself, and ours is made to."""
    if talk.peer.role is Role.CLIENT:
        await talk.send(ChannelOpen("session", number, 1 << 20, 32768))
        return decode(ChannelOpenConfirmation, await talk.expect(M.CHANNEL_OPEN_CONFIRMATION)).sender_channel
    theirs = decode(ChannelOpen, await talk.expect(M.CHANNEL_OPEN)).sender_channel
    await talk.send(ChannelOpenConfirmation(theirs, number, 1 << 20, 32768))
    return theirs


async def run_command(talk: Talk, channel: int, command: str = "cat") -> None:
    """As a server: whichever the client wants."""
    if talk.peer.role is Role.CLIENT:
        await talk.send(ChannelRequest(channel, "exec", True, encode(Exec(command.encode()))))
        await talk.expect(M.CHANNEL_SUCCESS)
    else:
        await talk.expect(M.CHANNEL_REQUEST)
        await talk.send(ChannelSuccess(channel))


# -- scripts that are one message, or one act, somewhere ---------------------------------------------------------------------------------


def says(*messages: object) -> Step:
    async def act(talk: Talk) -> None:
        await talk.send(*messages)

    return act


async def nothing(talk: Talk) -> None:
    """No more to be done."""


def script_of(*steps: Step, quiet: Outcome = IGNORED) -> Run:
    """These one after another; when the last is done and nothing was answered, the outcome is `quiet`."""

    async def run(talk: Talk) -> Outcome:
        for step in steps:
            await step(talk)
        return talk.outcome(quiet)

    return run


async def lax(talk: Talk) -> None:
    """From here on we know nothing of strict key exchange."""
    talk.strict = False


def _handshake(*, strict: bool, before_kexinit: Step = nothing, before_share: Step = nothing, before_newkeys: Step = nothing) -> Run:
    usual = (Talk.identify, before_kexinit, Talk.kexinits, before_share, Talk.share, before_newkeys, Talk.change_keys, settle)
    return script_of(nothing if strict else lax, *usual)


def before_kexinit(*messages: object, strict: bool = True) -> Run:
    return _handshake(strict=strict, before_kexinit=says(*messages))


def before_share(*messages: object, strict: bool = True) -> Run:
    """Where the method's message is due."""
    return _handshake(strict=strict, before_share=says(*messages))


def before_newkeys(*messages: object, strict: bool = True) -> Run:
    return _handshake(strict=strict, before_newkeys=says(*messages))


def before_service(*messages: object) -> Run:
    """Under the first keys."""
    return script_of(Talk.handshake, says(*messages), log_in)


def before_login(*messages: object) -> Run:
    """Where USERAUTH_REQUEST, or the answer to it, is due."""
    return script_of(Talk.handshake, exchange_service, says(*messages), authenticate, Talk.probe)


def after_login(*messages: object) -> Run:
    return script_of(start, says(*messages), Talk.probe)


def offering(make: Callable[[Talk], bytes]) -> Run:
    """A whole handshake with this KEXINIT."""

    async def offer(talk: Talk) -> None:
        await talk.kexinits(make(talk))

    return script_of(Talk.identify, offer, Talk.finish_exchange, settle, quiet=ACCEPTED)


def in_session(*make: Callable[[int], object], command: str | None = "cat", quiet: Outcome = IGNORED) -> Run:
    """Messages to a session channel, made from its number, while a command runs in it, or before one does (None)."""

    async def act(talk: Talk) -> None:
        channel = await open_session(talk)
        if command is not None:
            await run_command(talk, channel, command)
        await talk.send(*(one(channel) for one in make))

    return script_of(start, act, Talk.probe, quiet=quiet)
