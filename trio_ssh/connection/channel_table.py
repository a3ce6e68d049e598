"""`ChannelTable`: which channels there are, under which numbers, and how much window is given away (RFC 4254 §5.1)."""

from __future__ import annotations

from ..errors import RemoteProtocolError
from ..protocol.limits import Limits
from ..wire.numbers import message_name
from .channel import Channel
from .transport import Transport


class ChannelTable:
    """`channels` is by our numbers. A number is free again when both sides have closed, and not before: no message is ever misread."""

    __slots__ = ("_free_numbers", "_granted_bytes", "_limits", "_transport", "channels", "peer_numbers")

    def __init__(self, transport: Transport, limits: Limits) -> None:
        self._transport = transport
        self._limits = limits
        self._free_numbers: list[int] = []
        self._granted_bytes = 0
        self.channels: dict[int, Channel] = {}
        self.peer_numbers: set[int] = set()
        """The peer's numbers in use, those of undecided opens included."""

    def add(self, channel_type: str) -> Channel | None:
        """A new channel under a free number, with as large a window as there is; None when a limit is reached."""
        window = self._next_window()
        if len(self.channels) >= self._limits.channels or not window:
            return None
        limits = self._limits
        # The numbers in use and the free ones are together 0 to k-1, so without a free one the next is their count.
        number = self._free_numbers.pop() if self._free_numbers else len(self.channels)
        channel = self.channels[number] = Channel(self._transport, limits, channel_type, number, window)
        self._granted_bytes += window
        return channel

    def _next_window(self) -> int:
        """Later channels get smaller windows: a quarter of what is free beyond one packet for each channel that may still come.

        0 when not even the least window is left (hardening RES-10).
        """
        limits = self._limits
        least = min(limits.channel_packet_bytes, limits.window_bytes)
        left = limits.window_total_bytes - self._granted_bytes
        spare = left - least * (limits.channels - len(self.channels))
        return 0 if left < least else min(limits.window_bytes, max(spare // 4, least))

    def remove(self, channel: Channel) -> bool:
        """Forget a channel that is over. False if it was forgotten before."""
        if self.channels.pop(channel.number, None) is None:
            return False
        self._free_numbers.append(channel.number)
        self._granted_bytes -= channel.receive_window.size
        return True

    def expect(self, number: int, message: int) -> Channel:
        """The channel that a message is for. Raises `RemoteProtocolError` if there is none."""
        channel = self.channels.get(number)
        if channel is None:
            raise RemoteProtocolError(f"the peer sent {message_name(message)} for channel {number}, which does not exist")
        return channel

    def sessions(self) -> int:
        return sum(channel.channel_type == "session" for channel in self.channels.values())
