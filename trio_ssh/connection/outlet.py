"""`Outlet`: the sending half of a channel. HOT PATH: `send` runs its loop once a packet; its only waits are for credit and for room.

A caller's cancellation is noticed before a packet is sealed, never after (law 4): what was sealed stays sent, and the channel, its window
and every other channel go on as if the caller had asked for less.
"""

from __future__ import annotations

import trio

from ..errors import ConnectionLost, RequestDenied, SSHError
from ..protocol.channel_state import ChannelState, Side
from ..protocol.flow_window import SendWindow
from ..protocol.limits import Limits
from ..wire.codec import encode
from ..wire.connection import ChannelClose, ChannelEof
from .transport import Transport

NO_TYPE = 0


class Outlet:
    """`recipient` is the peer's number of the channel; it and the window are known when the channel is open."""

    __slots__ = ("_credit_wanted", "_limits", "_transport", "closed", "packet_bytes_max", "recipient", "state", "window")

    def __init__(self, transport: Transport, state: ChannelState, limits: Limits) -> None:
        self._transport = transport
        self._limits = limits
        self._credit_wanted = trio.lowlevel.ParkingLot()
        self.state = state
        self.window = SendWindow(0)
        self.recipient = 0
        self.packet_bytes_max = 0
        self.closed = False

    def opened(self, recipient: int, window: int, packet_bytes_max: int) -> None:
        self.recipient = recipient
        self.window = SendWindow(window)
        self.packet_bytes_max = min(packet_bytes_max, self._limits.channel_packet_bytes_out)

    def adjust(self, size: int) -> None:
        """A WINDOW_ADJUST of the peer."""
        self.window.add(size)
        if size:
            self.wake()

    def wake(self) -> None:
        """Something has changed that a sender may wait for."""
        self._credit_wanted.unpark_all()

    def interrupt(self) -> None:
        """Senders must look whether they still may send, whatever they wait for."""
        self.wake()
        self._transport.nudge()

    def check(self) -> None:
        """May we send? Raises what trio's streams raise."""
        if self.closed:
            raise trio.ClosedResourceError("this channel was closed")
        if self._transport.cause is not None:
            raise trio.BrokenResourceError(f"the connection is gone: {self._transport.cause}") from self._transport.cause
        if self.state.theirs is Side.CLOSED:
            raise trio.BrokenResourceError("the peer has closed the channel") from ConnectionLost("the peer has closed the channel")
        if self.state.ours is not Side.OPEN:
            raise trio.ClosedResourceError("send_eof was called on this channel")

    async def send(self, data: bytes | bytearray | memoryview, data_type: int = NO_TYPE) -> None:
        """All of `data`; `data_type` is that of extended data. Cancelled, what was sealed so far is sent and nothing else."""
        await trio.lowlevel.checkpoint_if_cancelled()  # first: a caller who is cancelled is not told that the connection is gone
        self.check()
        transport = self._transport
        window = self.window
        quantum = self._limits.send_quantum_bytes
        packet_bytes_max = self.packet_bytes_max
        offset, turn, waited = 0, quantum, False
        with memoryview(data) as given, given.cast("B") as view:
            total = len(view)
            while offset < total:
                size = min(total - offset, window.credit, packet_bytes_max)
                if size == 0:
                    await self._credit_wanted.park()
                elif transport.room and (turn > 0 or not transport.contended):
                    if data_type == NO_TYPE:
                        transport.send_channel_data_nowait(self.recipient, view, offset, size)
                    else:
                        transport.send_extended_data_nowait(self.recipient, data_type, view, offset, size)
                    window.credit -= size
                    offset += size
                    turn -= size
                    continue
                else:
                    await transport.wait_room()
                turn, waited = quantum, True
                self.check()
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()  # now the writer may run

    async def wait_writable(self) -> None:
        """Until `send` of one byte would probably not wait."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self.check()
        if self.window.credit and self._transport.room:
            await trio.lowlevel.checkpoint()
        while not (self.window.credit and self._transport.room):
            await (self._transport.wait_room() if self.window.credit else self._credit_wanted.park())
            self.check()

    def send_eof_nowait(self) -> None:
        """EOF, once; data can still come in (RFC 4254 §5.3)."""
        if self.state.ours is Side.OPEN:
            self._transport.send_nowait(encode(ChannelEof(self.recipient)))
            self.state.sent_eof()
            self.interrupt()

    def send_close_nowait(self) -> None:
        """CLOSE, once, unless there is no connection to send it on."""
        if self.state.ours is not Side.CLOSED:
            if self._transport.cause is None:
                self._transport.send_nowait(encode(ChannelClose(self.recipient)))
            self.state.sent_close()
            self.interrupt()


def closed_before_answer() -> SSHError:
    return RequestDenied("the channel was closed before the request was answered")
