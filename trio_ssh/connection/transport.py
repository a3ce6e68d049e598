"""`Transport`: the one door by which packets leave. Its holder has passed the stage before (law of `connection/__init__`).

Everything here but `wait_room` and `flush` is synchronous. While a key exchange runs (`hold`), channel senders find no room and small
messages wait as plaintext in a bounded list; `change_keys` seals NEWKEYS, switches and lets them go, in one synchronous act.

Answers that the peer causes are counted until the peer has read them: one that asks without reading is cut off, and the reader need never
wait for it (hardening TRI-13).
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..crypto.compression import Compressor
from ..crypto.packet_key import SealingKey
from ..errors import ConnectionLost, RemoteProtocolError, SSHError
from ..protocol.key_budget import KeyBudget
from ..protocol.limits import Limits
from ..protocol.sealer import Gate, Sealer
from ..wire.codec import encode
from ..wire.transport import Disconnect, NewKeys


class Transport:
    """Sending, for everybody who may send."""

    __slots__ = (
        "_busy",
        "_data_room_bytes",
        "_held",
        "_held_bytes",
        "_idle",
        "_key_is_spent",
        "_limits",
        "_replies_in_flight",
        "_replies_waiting",
        "_room",
        "_sealer",
        "_writer",
        "_writer_ended",
        "bytes_handed",
        "cause",
    )

    def __init__(self, sealer: Sealer, limits: Limits) -> None:
        self._sealer = sealer
        self._limits = limits
        self._busy = False
        self._writer: trio.lowlevel.Task | None = None
        self._writer_ended = False
        self._room = trio.lowlevel.ParkingLot()
        self._idle = trio.lowlevel.ParkingLot()
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._key_is_spent = False
        self._replies_waiting = 0
        self._replies_in_flight = 0
        self._data_room_bytes = limits.out_buffer_bytes
        self.bytes_handed = 0
        self.cause: SSHError | None = None

    # -- sending -----------------------------------------------------------------------------------------------------------------

    def send_nowait(self, payload: bytes) -> None:
        """Seal one message, or keep it for the end of the key exchange that runs. Raises `ConnectionLost` when there is no connection."""
        if self.cause is not None:
            raise lost(self.cause)
        if self._held is not None and not self._sealer.gate.lets(payload[0]):
            self._hold_back(payload)
            return
        self._sealer.seal(payload)
        if not self._busy:
            self._wake_writer()

    def send_reply_nowait(self, payload: bytes) -> None:
        """`send_nowait` for what the peer caused. More than `reply_queue_bytes` unread raise `RemoteProtocolError`."""
        self._replies_waiting += len(payload) + 32  # what a packet costs beside its payload, roughly
        if self._replies_waiting + self._replies_in_flight > self._limits.reply_queue_bytes:
            raise RemoteProtocolError("the peer causes answers and does not read them")
        self.send_nowait(payload)

    def send_channel_data_nowait(self, recipient_channel: int, data: memoryview, offset: int, size: int) -> None:
        """CHANNEL_DATA; the caller has found `room` and credit."""
        self._sealer.seal_channel_data(recipient_channel, data, offset, size)
        if self._key_is_spent and self._held is None:
            self._held = []
        if not self._busy:
            self._wake_writer()

    def send_extended_data_nowait(self, recipient_channel: int, data_type: int, data: memoryview, offset: int, size: int) -> None:
        """CHANNEL_EXTENDED_DATA, likewise."""
        self._sealer.seal_extended_data(recipient_channel, data_type, data, offset, size)
        if self._key_is_spent and self._held is None:
            self._held = []
        if not self._busy:
            self._wake_writer()

    def send_line_nowait(self, line: bytes) -> None:
        """Our identification, before the first packet."""
        self._sealer.append_plain(line)
        self.bytes_handed -= len(line)  # which counts packets only, as `bytes_sent` does
        if not self._busy:
            self._wake_writer()

    def _wake_writer(self) -> None:
        self._busy = True
        if self._writer is not None:
            writer, self._writer = self._writer, None
            trio.lowlevel.reschedule(writer)

    def _hold_back(self, payload: bytes) -> None:
        assert self._held is not None
        self._held.append(payload)
        self._held_bytes += len(payload)
        if self._held_bytes > self._limits.rekey_out_bytes + self._limits.reply_queue_bytes:
            raise RemoteProtocolError("the peer does not finish its key exchange, and too much waits behind it", reason=3)

    # -- waiting -----------------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> bool:
        """May channel data be sealed now?"""
        return self._held is None and self._sealer.pending < self._data_room_bytes and self.cause is None

    @property
    def contended(self) -> bool:
        """Does another sender wait for room?"""
        return bool(self._room)

    @property
    def crowded(self) -> bool:
        """Should a task wait before it adds a small message of its own?"""
        if self._held is not None:
            return self._held_bytes > self._limits.rekey_out_bytes
        return self._sealer.pending > self._data_room_bytes

    async def wait_room(self) -> None:
        """Until the outbox was emptied or the key exchange is over; the caller looks again. Nothing is lost by a cancellation."""
        if self.cause is not None:
            await trio.lowlevel.checkpoint()
            return
        await self._room.park()

    async def wait_uncrowded(self) -> None:
        """Back-pressure for tasks that cause small messages: opens, requests."""
        while self.crowded and self.cause is None:
            await self._room.park()

    def nudge(self) -> None:
        """Everybody who waits for room looks again: one of them may have nothing to send any more."""
        self._room.unpark_all()

    async def flush(self) -> None:
        """Until all that is sealed has been handed to the stream. Returns as well when the connection's writer has ended."""
        while self._busy and not self._writer_ended:
            await self._idle.park()

    # -- the writer's side -------------------------------------------------------------------------------------------------------

    async def next_batch(self) -> memoryview:
        """All that is sealed; waits until there is something. To be called when the batch before has been sent.

        The writer parks itself here instead of listening to a memory channel: a wake-up is all there is to tell, and it comes once a batch.
        """
        while not self._sealer.pending:
            self._replies_in_flight = 0
            self._busy = False
            if self._idle:
                self._idle.unpark_all()
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_writer)
        self._replies_in_flight, self._replies_waiting = self._replies_waiting, 0
        batch = self._sealer.take_batch()
        if self._held is None and self._room:
            self._room.unpark_all()
        return batch

    def _forget_writer(self, _: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED

    def handed(self, size: int) -> None:
        """The stream has taken so many bytes more."""
        self.bytes_handed += size

    def writer_ended(self) -> None:
        """Nothing will be sent any more: let go whoever flushes."""
        self._writer_ended = True
        self._idle.unpark_all()

    # -- key exchange ------------------------------------------------------------------------------------------------------------

    def hold(self, gate: Gate) -> None:
        """From here to `change_keys` only what `gate` lets pass is sealed."""
        self._held = self._held if self._held is not None else []
        self._sealer.gate = gate

    def hold_data_soon(self) -> None:
        """The key has done its work: one more piece of channel data may leave, the next waits for the exchange that is about to begin.

        One, because a small limit can be spent by what waited behind the last exchange, and data must get on all the same.
        """
        self._key_is_spent = True

    def change_keys(
        self,
        key: SealingKey,
        budget: KeyBudget,
        on_spent: Callable[[], None],
        *,
        reset_sequence: bool,
        compressor: Compressor | None = None,
        first_payload: bytes = b"",
    ) -> None:
        """NEWKEYS leaves, then what waited under the new key; `first_payload` (an EXT_INFO) before all."""
        self._sealer.seal(encode(NewKeys()))
        self._key_is_spent = False
        self._sealer.switch_keys(key, budget, on_spent, reset_sequence=reset_sequence, compressor=compressor)
        self._sealer.gate = Gate.OPEN
        if first_payload:
            self._sealer.seal(first_payload)
        held, self._held, self._held_bytes = self._held or [], None, 0
        for payload in held:
            self._sealer.seal(payload)
        if not self._busy:
            self._wake_writer()
        self._room.unpark_all()

    def compress_with(self, compressor: Compressor | None) -> None:
        """Delayed compression begins with the next message."""
        self._sealer.compress_with(compressor)

    @property
    def packets_under_key(self) -> int:
        """How many packets went out under the present key."""
        return self._sealer.packets_under_key

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def disconnect_nowait(self, reason: int, text: str) -> None:
        """DISCONNECT is the last packet that is ever sealed."""
        if self._sealer.gate is Gate.CLOSED:
            return
        self._sealer.seal(encode(Disconnect(reason, text)))
        self._sealer.gate = Gate.CLOSED
        if not self._busy:
            self._wake_writer()

    def fail(self, cause: SSHError) -> None:
        """No connection any more: every call that sends raises, every waiter wakes."""
        if self.cause is None:
            self.cause = cause
        self._room.unpark_all()

    @property
    def bytes_sent(self) -> int:
        return self._sealer.bytes_sealed

    @property
    def packets_sent(self) -> int:
        return self._sealer.packets_sealed

    @property
    def bytes_waiting(self) -> int:
        return self._sealer.pending + self._held_bytes


def lost(cause: SSHError) -> SSHError:
    """A fresh exception for one caller, of the cause's own kind where that is a `ConnectionLost`; its ``__cause__`` is the first one.

    Every waiter needs an instance of its own: one exception raised in many tasks would collect all their tracebacks.
    """
    fresh = ConnectionLost(str(cause))
    if isinstance(cause, ConnectionLost):
        fresh = type(cause).__new__(type(cause))
        fresh.__dict__.update(cause.__dict__)
        fresh.args = cause.args
    fresh.__cause__ = cause
    return fresh
