"""`RekeySupervisor.supervise_keys`: the task that runs every key exchange, the first one included (RFC 4253 §7, §9).

It sleeps on one memory channel. What arrives there are the turning points the reader sees (the peer's identification, KEXINIT, the
method's messages, "NEWKEYS taken") and requests for fresh keys: from a budget's soft limit, from the application. The hour is its own.

One exchange, whoever began it:

    hold ── KEXINIT leaves ── the peer's KEXINIT ── the method's messages ── [slow maths in a thread] ── [host key policy]
         ── in one synchronous act: NEWKEYS leaves, the sealer switches, what waited leaves
         ── the reader takes its key at the peer's NEWKEYS

What must stay true: the reader is never waited for except for its "NEWKEYS taken"; a request for fresh keys carries the generation of the
key it is about, so that a late one about an old key starts nothing; no exchange begins before authentication is complete, except the
first; the peer's time is bounded, the time our own policy takes is not counted against it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

import attrs
import trio

from ..crypto.kex import KEX
from ..crypto.packet_key import OpeningKey
from ..errors import RemoteProtocolError
from ..keys.key import PrivateKey, PublicKey
from ..protocol.identification import Identification
from ..protocol.key_budget import KeyBudget, budget_for
from ..protocol.key_exchange import ExpectNewKeys, Transcript, start_client, start_server
from ..protocol.limits import Limits
from ..protocol.negotiation import Negotiated
from ..protocol.negotiator import Negotiator, PeerKexInit
from ..protocol.phases import PhaseTracker
from ..protocol.role import Role
from ..protocol.sealer import Gate
from ..wire.numbers import DisconnectReason
from .events import ConnectionOpened, KeyExchangeDone, Observer, PeerLacksStrictKex, RekeyCause
from .transport import Transport, lost

T = TypeVar("T")

KEX_NEWS_WAITING = 8
"""More than one exchange can put into the channel at once; a peer that fills it breaks the protocol."""

_threads: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("trio_ssh key exchange threads")
THREADS = 2


class Turn(Enum):
    """Turning points without contents."""

    SWITCHED = "the reader has taken the new key"
    AUTHENTICATED = "rekeys may begin"


@attrs.frozen
class FreshKeysWanted:
    """`generation` counts the exchanges: a wish about an older key than the present one is out of date."""

    cause: RekeyCause
    generation: int


@attrs.frozen
class InboundKeys:
    """What the reader needs behind NEWKEYS."""

    key: OpeningKey
    budget: KeyBudget
    on_spent: Callable[[], None]
    reset_sequence: bool


KexNews = Identification | PeerKexInit | bytes | Turn | FreshKeysWanted


@attrs.frozen(kw_only=True, eq=False)
class OurIdentity:
    """What we show the other side, and what we ask of it, in a key exchange."""

    line: bytes
    """Our identification without CR LF."""
    host_keys: dict[str, PrivateKey] = attrs.field(factory=dict)
    """A server's own, by host key algorithm."""
    trust: Callable[[PublicKey], Awaitable[None]] | None = None
    """A client's policy."""
    first_payload: bytes = b""
    """Sealed right behind the first NEWKEYS when the peer takes EXT_INFO."""


@attrs.define(eq=False)
class RekeySupervisor:
    """One connection's keys."""

    negotiator: Negotiator
    phases: PhaseTracker
    transport: Transport
    limits: Limits
    us: OurIdentity
    random: Callable[[int], bytes]
    observer: Observer
    news_in: trio.MemorySendChannel[KexNews]
    news: trio.MemoryReceiveChannel[KexNews]
    keys_out: trio.MemorySendChannel[InboundKeys]
    transports_out: trio.MemorySendChannel[Transport]
    """Gets the transport, once, when the first keys are in use for what we send."""
    wishes: list[FreshKeysWanted] = attrs.field(factory=list)
    state: KeyState = attrs.field(factory=lambda: KeyState())
    may_rekey: bool = False
    done: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def supervise_keys(self) -> None:
        """Run until cancelled."""
        self.transport.hold(Gate.STRICT_KEX)
        self.transport.send_line_nowait(self.us.line + b"\r\n")
        # A client's KEXINIT rides along with its line. A server's waits until it knows that SSH is spoken to it.
        ours = self._send_kexinit() if self.negotiator.role is Role.CLIENT else b""
        with _Patience(self.limits.identification_seconds, "identify itself") as patience:
            peer = await self._expect(Identification)
        patience.check(reason=None)  # who has not spoken SSH yet is not answered in it
        self.state.peer_line = peer.line
        self.observer(ConnectionOpened(self.negotiator.role, peer.software))
        await self._exchange(RekeyCause.FIRST, self.limits.kex_seconds, ours, None)
        await self._expect(Turn)
        self.may_rekey = True
        while True:
            cause, peer_kexinit = await self._next_cause()
            await self._exchange(cause, self.limits.rekey_answer_seconds, b"", peer_kexinit)

    async def rekey(self) -> None:
        """Agree on fresh keys now, or wait for the exchange that runs already. Cancelling the wait does not stop the exchange.

        Raises `ConnectionLost`.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        state = self.state
        generation = state.generation
        self.ask(RekeyCause.USER, generation)
        while state.generation_complete <= generation:
            if self.transport.cause is not None:
                raise lost(self.transport.cause)
            await self.done.park()

    def allow_rekeys(self) -> None:
        """Somebody is logged in: from now on keys may be changed (hardening POL-02)."""
        self.news_in.send_nowait(Turn.AUTHENTICATED)

    def ask(self, cause: RekeyCause, generation: int) -> None:
        """Fresh keys are wanted for the key of `generation`. Never blocks; asking twice is asking once."""
        wish = FreshKeysWanted(cause, generation)
        if any(earlier.generation == generation for earlier in self.wishes):
            return
        self.wishes.append(wish)
        try:
            self.news_in.send_nowait(wish)
        except trio.WouldBlock:
            pass  # the supervisor is about to wake anyway, and finds the wish in the list

    def _sent_enough(self, generation: int) -> None:
        """Called in the midst of sealing: data waits behind the next packet, so that small limits are kept to."""
        if self.may_rekey:
            self.transport.hold_data_soon()
        self.ask(RekeyCause.SENT, generation)

    # -- waiting -----------------------------------------------------------------------------------------------------------------

    async def _expect(self, kind: type[T]) -> T:
        """The next turning point, which must be of one kind. Wishes stay in their list meanwhile."""
        while True:
            news = await self.news.receive()
            if isinstance(news, FreshKeysWanted):
                continue
            if not isinstance(news, kind):
                raise RemoteProtocolError("the peer sent a key exchange message out of turn", reason=3)
            return news

    def _wish(self) -> FreshKeysWanted | None:
        """A wish that is still about the present keys."""
        generation = self.state.generation
        self.wishes = [wish for wish in self.wishes if wish.generation >= generation]
        return self.wishes[0] if self.wishes else None

    async def _next_cause(self) -> tuple[RekeyCause, PeerKexInit | None]:
        with trio.move_on_at(self.state.fresh_until):
            while True:
                if wish := self._wish():
                    return wish.cause, None
                news = await self.news.receive()
                if isinstance(news, PeerKexInit):
                    return RekeyCause.PEER, news
                if not isinstance(news, FreshKeysWanted):
                    raise RemoteProtocolError("the peer sent a key exchange message with no exchange running")
        return RekeyCause.TIME, None

    # -- one exchange ------------------------------------------------------------------------------------------------------------

    async def _exchange(self, cause: RekeyCause, seconds: float, ours: bytes, peer: PeerKexInit | None) -> None:
        """`ours` and `peer` are the KEXINITs that are out, or in, already."""
        started = trio.current_time()
        # A cancellation here is the end of the connection, so there is no half-done exchange to go back from.
        with _Patience(seconds, "finish a key exchange") as patience:
            ours = ours or self._send_kexinit()
            if peer is None:
                peer = await self._expect(PeerKexInit)
            negotiated = peer.negotiated
            transcript = self._transcript(ours, peer.payload)
            if self.negotiator.role is Role.CLIENT:
                new = await self._exchange_as_client(transcript, negotiated, patience)
            else:
                new = await self._exchange_as_server(transcript, negotiated)
            self._install(new)
            await self._expect(Turn)
        patience.check()
        state = self.state
        state.generation_complete = state.generation
        state.fresh_until = trio.current_time() + self.limits.rekey_seconds
        self.done.unpark_all()
        self.observer(KeyExchangeDone(cause, trio.current_time() - started, negotiated))
        if cause is RekeyCause.FIRST and not negotiated.strict_kex:
            self.observer(PeerLacksStrictKex(negotiated))

    def _send_kexinit(self) -> bytes:
        first = self.state.session_id is None
        payload = self.negotiator.our_kexinit(self.random(16), first=first)
        self.transport.hold(Gate.STRICT_KEX if first else Gate.KEX)
        self.transport.send_nowait(payload)
        self.phases.sent_kexinit()
        return payload

    def _transcript(self, ours: bytes, theirs: bytes) -> Transcript:
        peer_line = self.state.peer_line
        if self.negotiator.role is Role.CLIENT:
            return Transcript(client_line=self.us.line, server_line=peer_line, client_kexinit=ours, server_kexinit=theirs)
        return Transcript(client_line=peer_line, server_line=self.us.line, client_kexinit=theirs, server_kexinit=ours)

    async def _exchange_as_client(self, transcript: Transcript, negotiated: Negotiated, patience: _Patience) -> ExpectNewKeys:
        slow, queue_max = KEX[negotiated.kex].slow, self.limits.crypto_queue
        payload, expect_reply = await _run(slow, lambda: start_client(transcript, negotiated), queue_max)
        self.transport.send_nowait(payload)
        reply = await self._expect(bytes)
        await_trust = await _run(slow, lambda: expect_reply.receive(reply), queue_max)
        state = self.state
        if state.host_key is None or state.host_key.blob != await_trust.host_key.blob:
            assert self.us.trust is not None
            with patience.suspended():
                await self.us.trust(await_trust.host_key)
        return await_trust.trusted()

    async def _exchange_as_server(self, transcript: Transcript, negotiated: Negotiated) -> ExpectNewKeys:
        expect_init = start_server(transcript, negotiated, self.us.host_keys[negotiated.host_key])
        payload = await self._expect(bytes)
        reply, new = await _run(KEX[negotiated.kex].slow, lambda: expect_init.receive(payload), self.limits.crypto_queue)
        self.transport.send_nowait(reply)
        return new

    def _install(self, new: ExpectNewKeys) -> None:
        """Change over, outbound at once and inbound at the peer's NEWKEYS. Synchronous: nothing can come between."""
        state = self.state
        role = self.negotiator.role
        first = state.session_id is None
        if state.session_id is None:
            state.session_id = new.exchange_hash
        state.generation += 1
        state.host_key = new.host_key
        generation = state.generation
        up, down = new.negotiated.cipher_client_to_server, new.negotiated.cipher_server_to_client
        out_cipher, in_cipher = (up, down) if role is Role.CLIENT else (down, up)
        self.keys_out.send_nowait(
            InboundKeys(
                new.opening_key(role, state.session_id),
                budget_for(in_cipher, self.limits),
                lambda: self.ask(RekeyCause.RECEIVED, generation),
                new.negotiated.strict_kex,
            )
        )
        self.transport.change_keys(
            new.sealing_key(role, state.session_id),
            budget_for(out_cipher, self.limits),
            lambda: self._sent_enough(generation),
            reset_sequence=new.negotiated.strict_kex,
            first_payload=self.us.first_payload if first and new.negotiated.ext_info else b"",
        )
        if first:
            self.transports_out.send_nowait(self.transport)


@attrs.define(eq=False)
class KeyState:
    """What one exchange leaves for the next."""

    peer_line: bytes = b""
    session_id: bytes | None = None
    host_key: PublicKey | None = None
    generation: int = 0
    generation_complete: int = 0
    fresh_until: float = float("inf")


class _Patience:
    """A deadline for the peer, which our own waiting can suspend."""

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._scope = trio.CancelScope(deadline=trio.current_time() + seconds)

    def __enter__(self) -> _Patience:
        self._scope.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> bool | None:
        return self._scope.__exit__(*exc_info)  # type: ignore[arg-type]  # the three of the protocol

    def check(self, reason: int | None = DisconnectReason.KEY_EXCHANGE_FAILED) -> None:
        """After the block: was the peer too slow? `reason` is what it is told."""
        if self._scope.cancelled_caught:
            raise RemoteProtocolError(f"the peer did not {self._what} within {self._seconds:g} s", reason=reason)

    def suspended(self) -> _Suspension:
        return _Suspension(self._scope)


class _Suspension:
    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope
        self._left = scope.deadline - trio.current_time()

    def __enter__(self) -> None:
        self._scope.deadline = float("inf")

    def __exit__(self, *exc_info: object) -> None:
        self._scope.deadline = trio.current_time() + self._left


async def _run(slow: bool, maths: Callable[[], T], queue_max: int) -> T:
    """Maths over 5 ms runs in one of a few threads of its own, so that neither the loop nor other people's threads wait for it.

    With more than `queue_max` waiting for a thread the connection ends: who floods us must not make everybody wait (hardening RES-07).
    """
    if not slow:
        return maths()
    try:
        threads = _threads.get()
    except LookupError:
        threads = trio.CapacityLimiter(THREADS)
        _threads.set(threads)
    load = threads.statistics()
    if load.borrowed_tokens >= load.total_tokens and load.tasks_waiting >= queue_max:
        raise RemoteProtocolError("too many key exchanges wait to be computed", reason=DisconnectReason.TOO_MANY_CONNECTIONS)
    return await trio.to_thread.run_sync(maths, limiter=threads, abandon_on_cancel=True)
