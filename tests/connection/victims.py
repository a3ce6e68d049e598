"""One of our sides against `RawPeer`: what it says, whom it calls and how it ends, all of it on record (hardening §3).

Every callback of the application that can be called is there and noted in `called`, so that a test can say that none was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORD, RawPeer
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.key_exchange import ExpectNewKeys, Transcript, start_client, start_server
from trio_ssh.protocol.opener import Opener
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Sealer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, KexInit, ServiceAccept, ServiceRequest


def opening_words(role: Role, *, markers: bool = True) -> list[int]:
    """What our `role` says by itself behind its first NEWKEYS, to a peer whose KEXINIT had the `markers`."""
    words: list[int] = [M.EXT_INFO] if markers else []
    return words if role is Role.SERVER else [*words, M.SERVICE_REQUEST]


BOTH_ROLES = pytest.mark.parametrize("role", list(Role), ids=lambda role: f"our-{role.value}")
"""Which side is ours."""

PATIENCE = 300
"""Virtual seconds: every limit's default has been met by then."""

Body = Callable[[trio_ssh.Client], Awaitable[object]]


@attrs.define(eq=False)
class Victim:
    """`role` is ours, `raw` the peer's, which the test plays."""

    role: Role
    raw: RawPeer
    stream: pairs.MisbehavingStream
    called: list[str] = attrs.field(factory=list)
    """The application's callbacks, by name, in order."""
    events: list[trio_ssh.Event] = attrs.field(factory=list)
    error: BaseException | None = None
    """What the application got: out of `connect` or its block, or out of `serve_stream`."""
    done: trio.Event = attrs.field(factory=trio.Event)
    sealer: Sealer | None = None
    """Our side's, for tests that set its counters."""
    opener: Opener | None = None

    @property
    def cause(self) -> Exception | None:
        """What the observer was told about the end."""
        ends = [event.cause for event in self.events if isinstance(event, trio_ssh.ConnectionEnded)]
        assert len(ends) == 1, f"the end was told {len(ends)} times"
        return ends[0]

    @property
    def sent(self) -> bytes:
        """All that our side has put on the wire."""
        return bytes(self.stream._wire.recorded)

    def forget_wires(self) -> None:
        """For tests that count bytes of memory: what was recorded so far is none of our side's."""
        self.stream._wire.recorded.clear()
        self.stream._incoming.recorded.clear()

    async def ends(
        self, reason: int | None, *before: int, kind: type[Exception] = trio_ssh.RemoteProtocolError, match: str = ""
    ) -> list[bytes]:
        """From here on exactly the messages `before` come, then DISCONNECT with `reason` (None: none), then nothing; the cause is a `kind`.

        Gives the payloads.
        """
        payloads = await self.raw.drain()
        assert [payload[0] for payload in payloads] == [*before, *([M.DISCONNECT] if reason is not None else [])]
        if reason is not None:
            message = decode(Disconnect, payloads[-1])
            assert message.reason_code == reason, message
        await self.check_cause(kind, match)
        return payloads

    async def check_cause(self, kind: type[Exception], match: str = "") -> None:
        """The end is here, its cause is of that very kind, and the application was told of it or of its own."""
        with trio.fail_after(PATIENCE):
            await self.done.wait()
        assert type(self.cause) is kind or (kind is trio_ssh.RemoteProtocolError and isinstance(self.cause, kind)), repr(self.cause)
        assert match in str(self.cause)
        assert isinstance(self.error, trio_ssh.SSHError | None), repr(self.error)
        if self.error is not None:
            assert self.cause in (self.error, self.error.__cause__)
        else:
            assert self.role is Role.SERVER
        assert self.stream.closed

    async def read_newkeys(self, new: ExpectNewKeys) -> None:
        """Take the other side's NEWKEYS, and open what follows."""
        await self.raw.take_newkeys(new)

    async def until_auth(self) -> None:
        """Behind the first keys and the service request: authentication may begin."""
        await self.raw.handshake()
        await self.ask_for_service()

    async def ask_for_service(self) -> None:
        if self.role is Role.SERVER:
            await self.raw.send(ServiceRequest("ssh-userauth"))
            await self.raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        else:
            await self.raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
            await self.raw.send(ServiceAccept("ssh-userauth"))
            await self.raw.expect(M.USERAUTH_REQUEST)

    @property
    def forbidden(self) -> list[str]:
        """Whom the peer's misbehaviour must not have called: a client's host key check is not among them."""
        return [name for name in self.called if name != "trust"]


async def exchange_without_strict(raw: RawPeer, ours: KexInit, theirs: bytes = b"") -> None:
    """A whole exchange for a peer that knows no strict key exchange, whatever the other side may offer: its numbers go on."""
    payload = encode(ours)
    await raw.send(payload)
    new = await raw.method(payload, theirs or await raw.wait_for(M.KEXINIT))
    negotiated = raw.negotiator.current = attrs.evolve(new.negotiated, strict_kex=False)
    await raw.change_keys(attrs.evolve(new, negotiated=negotiated))


def kexinit(raw: RawPeer, *, markers: bool = True, **fields: Any) -> KexInit:
    """What `raw` would offer, with other values in some fields; without `markers` it knows neither strict kex nor EXT_INFO."""
    return attrs.evolve(raw.kexinit(markers=markers), **fields)  # type: ignore[misc]  # mypy does not know what @message makes


@asynccontextmanager
async def attacked(
    role: Role,
    *,
    limits: trio_ssh.Limits | None = None,
    algorithms: trio_ssh.Algorithms = pairs.QUICK,
    peer: trio_ssh.Algorithms | None = None,
    body: Body = trio_ssh.Client.wait_closed,
    handler: trio_ssh.Handler | None = None,
    wire: pairs.Wire | None = None,
    raw_wire: pairs.Wire | None = None,
    **options: Any,
) -> AsyncIterator[Victim]:
    """Our `role`, at the other end of ``victim.raw``. `peer` is what the raw side offers; `wire` and `raw_wire` are what each side's bytes
    go through. Behind the block our side has ended by itself."""
    pairs.same_schedule_each_time()
    ours, theirs = pairs.misbehaving(wire, raw_wire)
    raw = RawPeer(theirs, role.peer, host_key=pairs.HOST_KEY)
    if peer is not None:
        raw.negotiator.algorithms = attrs.evolve(peer, host_keys=raw.host_key.public_key.signature_algorithms)
    victim = Victim(role, raw, ours)
    options = {"limits": limits, "algorithms": algorithms, **options}
    outer = TAP.get()

    def tap(role: Role, sealer: Sealer, opener: Opener) -> tuple[Sealer, Opener]:
        victim.sealer, victim.opener = sealer, opener
        return (sealer, opener) if outer is None else outer(role, sealer, opener)

    TAP.set(tap)
    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            if role is Role.SERVER:
                nursery.start_soon(serve, victim, options, handler or pairs.commands)
            else:
                nursery.start_soon(connect, victim, options, body)
            TAP.set(outer)
            yield victim
            await raw.stream.aclose()
            with trio.fail_after(PATIENCE):
                await victim.done.wait()


async def serve(victim: Victim, options: dict[str, Any], handler: trio_ssh.Handler) -> None:
    """Our server, with every callback noted; for `attacked` and its like."""

    async def policy(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        victim.called.append(f"authenticate {attempt.method}")
        return trio_ssh.ACCEPT if attempt.password == PASSWORD else trio_ssh.REFUSE

    async def handle(session: trio_ssh.ServerSession) -> int | None:
        victim.called.append(f"handler {session.command}")
        return await handler(session)

    options = {"host_keys": [pairs.HOST_KEY], "authenticate": policy, **options}
    try:
        await trio_ssh.serve_stream(handle, victim.stream, observer=victim.events.append, **options)
    except trio_ssh.SSHError as error:
        victim.error = error
    finally:
        victim.done.set()


@attrs.frozen(eq=False)
class NotedPolicy:
    """Takes our tests' host key and no other, and notes that it was asked."""

    called: list[str]

    async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
        self.called.append("trust")
        if key != pairs.HOST_KEY.public_key:
            raise trio_ssh.HostKeyUnknown("not the tests' host key", offered=key.fingerprint())

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return ()


async def connect(victim: Victim, options: dict[str, Any], body: Body) -> None:
    """Our client, likewise; once logged in it does what `body` says."""

    async def ask() -> str:
        victim.called.append("password")
        return PASSWORD

    usual: dict[str, Any] = {
        "username": "ada",
        "credentials": [trio_ssh.Password(ask)],
        "host_keys": NotedPolicy(victim.called),
        "banner": lambda text: victim.called.append(f"banner {text}"),
    }
    try:
        async with trio_ssh.connect(
            "server.test", stream=victim.stream, observer=victim.events.append, **{**usual, **options}
        ) as client:
            victim.called.append("logged in")
            await body(client)
    except trio_ssh.SSHError as error:
        victim.error = error
    finally:
        victim.done.set()


def transcript_of(raw: RawPeer, ours: bytes, theirs: bytes) -> Transcript:
    """`ours` and `theirs` are KEXINIT payloads, seen from `raw`."""
    if raw.role is Role.CLIENT:
        return Transcript(client_line=raw.line, server_line=raw.peer_line, client_kexinit=ours, server_kexinit=theirs)
    return Transcript(client_line=raw.peer_line, server_line=raw.line, client_kexinit=theirs, server_kexinit=ours)


__all__ = ["BOTH_ROLES", "Victim", "attacked", "kexinit", "start_client", "start_server", "transcript_of"]
