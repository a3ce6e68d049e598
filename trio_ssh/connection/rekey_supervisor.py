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

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

import attrs
import trio

from ..crypto.compression import Decompressor
from ..crypto.kex_share import ClientShare
from ..crypto.moduli import Moduli
from ..crypto.packet_key import OpeningKey
from ..errors import KeyExchangeError, LocalProtocolError, RemoteProtocolError, failing_as
from ..protocol.identification import Identification
from ..protocol.key_budget import KeyBudget, budget_for
from ..protocol.key_exchange import (
    ExpectNewKeys,
    HostKey,
    OwnHostKey,
    Transcript,
    guess_share,
    is_group_exchange,
    is_slow,
    start_client,
    start_group_client,
    start_group_server,
    start_server,
)
from ..protocol.limits import Limits
from ..protocol.negotiation import Negotiated, new_compressor, new_decompressor
from ..protocol.negotiator import Negotiator, PeerKexInit
from ..protocol.phases import PhaseTracker
from ..protocol.role import Role
from ..protocol.sealer import Gate
from .events import ConnectionOpened, KeyExchangeDone, Observer, PeerLacksStrictKex, RekeyCause
from .patience import Lenient, Patience, Progress, Strict
from .slow_maths import run_in_turn
from .transport import Transport, lost

T = TypeVar("T")

_log = logging.getLogger("trio_ssh.rekey")

FINISH = "finish a key exchange"

KEX_NEWS_WAITING = 8
"""More than one exchange can put into the channel at once; a peer that fills it breaks the protocol."""



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
    decompressor: Decompressor | None = None


KexNews = Identification | PeerKexInit | bytes | Turn | FreshKeysWanted


@attrs.frozen(kw_only=True, eq=False)
class OurIdentity:
    """What we show the other side, and what we ask of it, in a key exchange."""

    line: bytes
    """Our identification without CR LF."""
    host_keys: dict[str, OwnHostKey] = attrs.field(factory=dict)
    """A server's own, by host key algorithm."""
    trust: Callable[[HostKey], Awaitable[None]] | None = None
    """A client's policy."""
    moduli: Moduli = attrs.field(factory=Moduli.built_in)
    """A server's groups for group exchange."""
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
    bytes_received: Callable[[], int]
    """How many have come so far."""
    observer: Observer
    news_in: trio.MemorySendChannel[KexNews]
    news: trio.MemoryReceiveChannel[KexNews]
    keys_out: trio.MemorySendChannel[InboundKeys]
    transports_out: trio.MemorySendChannel[Transport]
    """Gets the transport, once, when the first keys are in use for what we send."""
    wishes: list[FreshKeysWanted] = attrs.field(factory=list)
    state: KeyState = attrs.field(factory=lambda: KeyState())
    done: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def supervise_keys(self) -> None:
        """Run until cancelled."""
        self.transport.hold(Gate.STRICT_KEX)
        self.transport.send_line_nowait(self.us.line + b"\r\n")
        # A client's KEXINIT rides along with its line. A server's waits until it knows that SSH is spoken to it.
        ours = self._send_kexinit() if self.negotiator.role is Role.CLIENT else b""
        self._guess()
        # Who has not spoken SSH yet is not answered in it.
        with Strict(self.limits.identification_seconds, "identify itself", reason=None):
            peer = await self._expect(Identification)
        self.state.peer_line = peer.line
        self.observer(ConnectionOpened(self.negotiator.role, peer.software))
        await self._exchange(RekeyCause.FIRST, ours, None)
        await self._expect(Turn)
        self.state.may_rekey = True
        while True:
            cause, peer_kexinit = await self._next_cause()
            await self._exchange(cause, b"", peer_kexinit)

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
        if self.state.may_rekey:
            self.transport.hold_data_soon()
        self.ask(RekeyCause.SENT, generation)

    # -- waiting -----------------------------------------------------------------------------------------------------------------

    async def _expect(self, kind: type[T], patience: Patience | None = None) -> T:
        """The next turning point, which must be of one kind. Wishes stay in their list meanwhile."""
        while True:
            news = await (self.news.receive() if patience is None else patience.wait(self.news.receive))
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

    async def _exchange(self, cause: RekeyCause, ours: bytes, peer: PeerKexInit | None) -> None:
        """`ours` and `peer` are the KEXINITs that are out, or in, already.

        A cancellation in here is the end of the connection, so there is no half-done exchange to go back from.
        """
        started = trio.current_time()
        ours = ours or self._send_kexinit()
        with self._patience(cause) as patience:
            if peer is None:
                peer = await self._expect(PeerKexInit, patience)
            negotiated = peer.negotiated
            transcript = self._transcript(ours, peer.payload)
            if self.negotiator.role is Role.CLIENT:
                new = await self._exchange_as_client(transcript, peer, patience)
            else:
                new = await self._exchange_as_server(transcript, negotiated, patience)
            with failing_as("making keys"):
                self._install(new)
            await self._expect(Turn, patience)
        state = self.state
        state.generation_complete = state.generation
        state.fresh_until = trio.current_time() + self.limits.rekey_seconds
        self.done.unpark_all()
        self.observer(KeyExchangeDone(cause, trio.current_time() - started, negotiated))
        if cause is RekeyCause.FIRST and not negotiated.strict_kex:
            self.observer(PeerLacksStrictKex(negotiated))

    def _patience(self, cause: RekeyCause) -> Patience:
        if cause is RekeyCause.FIRST:
            return Strict(self.limits.kex_seconds, FINISH)
        return Lenient(self.limits.rekey_answer_seconds, FINISH, Progress(self.transport, self.bytes_received))

    def _send_kexinit(self) -> bytes:
        first = self.state.session_id is None
        payload = self.negotiator.our_kexinit(self.random(16), first=first)
        self.transport.hold(Gate.STRICT_KEX if first else Gate.KEX)
        self.transport.send_nowait(payload)
        self.phases.sent_kexinit()
        return payload

    def _guess(self) -> None:
        """Our first packet of the method we like best, if it is to go out with our KEXINIT."""
        method = self.negotiator.algorithms.guess(self.negotiator.role)
        if method is not None:
            with failing_as("exchanging keys"):
                payload, self.state.guess = guess_share(method)
            self.transport.send_nowait(payload)

    def _transcript(self, ours: bytes, theirs: bytes) -> Transcript:
        peer_line = self.state.peer_line
        if self.negotiator.role is Role.CLIENT:
            return Transcript(client_line=self.us.line, server_line=peer_line, client_kexinit=ours, server_kexinit=theirs)
        return Transcript(client_line=peer_line, server_line=self.us.line, client_kexinit=theirs, server_kexinit=ours)

    async def _exchange_as_client(self, transcript: Transcript, peer: PeerKexInit, patience: Patience) -> ExpectNewKeys:
        negotiated = peer.negotiated
        guess, self.state.guess = self.state.guess if peer.our_guess_is_right else None, None  # it counts for the first exchange only
        if is_group_exchange(negotiated.kex):
            request, expect_group = start_group_client(transcript, negotiated)
            self.transport.send_nowait(request)
            group = await self._expect(bytes, patience)
            payload, expect_reply = await self._compute(negotiated, lambda: expect_group.receive(group))
        else:
            payload, expect_reply = await self._compute(negotiated, lambda: start_client(transcript, negotiated, guess))
        if payload:
            self.transport.send_nowait(payload)
        reply = await self._expect(bytes, patience)
        await_trust = await self._compute(negotiated, lambda: expect_reply.receive(reply))
        state = self.state
        if state.host_key is None or state.host_key.blob != await_trust.host_key.blob:
            assert self.us.trust is not None
            with patience.suspended():
                await self.us.trust(await_trust.host_key)
        return await_trust.trusted()

    async def _exchange_as_server(self, transcript: Transcript, negotiated: Negotiated, patience: Patience) -> ExpectNewKeys:
        host_key = self.us.host_keys[negotiated.host_key]
        if is_group_exchange(negotiated.kex):
            expect_request = start_group_server(transcript, negotiated, host_key, self.us.moduli, self.random)
            group, expect_init = expect_request.receive(await self._expect(bytes, patience))
            self.transport.send_nowait(group)
        else:
            expect_init = start_server(transcript, negotiated, host_key)
        init = await self._expect(bytes, patience)
        try:
            reply, new = await self._compute(negotiated, lambda: expect_init.receive(init))
        except LocalProtocolError as error:
            # A faulty signature would give the key away, and was therefore checked before it could leave (hardening A24).
            _log.error("the key exchange could not be signed with our %s key: %s", negotiated.host_key, error)
            raise KeyExchangeError("we could not sign the key exchange") from error
        self.transport.send_nowait(reply)
        return new

    async def _compute(self, negotiated: Negotiated, maths: Callable[[], T]) -> T:
        stranger = self.state.session_id is None  # who is logged in is not turned away because strangers flood us
        with failing_as("exchanging keys"):
            if not is_slow(negotiated.kex):
                return maths()
            return await run_in_turn(maths, self.limits.crypto_queue if stranger else None)

    def _install(self, new: ExpectNewKeys) -> None:
        """Change over, outbound at once and inbound at the peer's NEWKEYS. Synchronous: nothing can come between."""
        state = self.state
        role = self.negotiator.role
        first = state.session_id is None
        if state.session_id is None:
            state.session_id = new.exchange_hash
        state.generation += 1
        state.host_key = new.host_key
        state.first_host_key = state.first_host_key or new.host_key
        state.first_signature = state.first_signature or new.signature
        generation = state.generation
        up, down = new.negotiated.cipher_client_to_server, new.negotiated.cipher_server_to_client
        out_cipher, in_cipher = (up, down) if role is Role.CLIENT else (down, up)
        self.keys_out.send_nowait(
            InboundKeys(
                new.opening_key(role, state.session_id),
                budget_for(in_cipher, self.limits),
                lambda: self.ask(RekeyCause.RECEIVED, generation),
                new.negotiated.strict_kex,
                new_decompressor(new.negotiated, role, authenticated=not first),
            )
        )
        self.transport.change_keys(
            new.sealing_key(role, state.session_id),
            budget_for(out_cipher, self.limits),
            lambda: self._sent_enough(generation),
            reset_sequence=new.negotiated.strict_kex,
            compressor=new_compressor(new.negotiated, role, authenticated=not first),
            first_payload=self.us.first_payload if first and new.negotiated.ext_info else b"",
        )
        if first:
            self.transports_out.send_nowait(self.transport)


@attrs.define(eq=False)
class KeyState:
    """What one exchange leaves for the next."""

    peer_line: bytes = b""
    session_id: bytes | None = None
    host_key: HostKey | None = None
    first_host_key: HostKey | None = None
    """That of the first exchange, which authentication is bound to."""
    first_signature: bytes = b""
    """The server's, over the session id."""
    guess: ClientShare | None = None
    """What went out with our first KEXINIT, if anything did."""
    may_rekey: bool = False
    """Somebody is logged in."""
    generation: int = 0
    generation_complete: int = 0
    fresh_until: float = float("inf")
