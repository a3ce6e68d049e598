"""Messages over a stream: each with its length before it (RFC 9987 §5, four bytes, most significant first).

What has been received of a message stays here when `receive` is cancelled, so that receiving can be taken up again. A cancelled `send` may
have sent a part: what is on the stream then is no longer whole, and whoever sent must give the stream up.
"""

from __future__ import annotations

import attrs
import trio

from ..errors import DecodeError, LocalProtocolError

LENGTH_BYTES = 4
RECEIVE_BYTES = 65536


@attrs.define(eq=False)
class FrameStream:
    """One end of a connection between an agent and its client: whole messages in and out. `frame_bytes` bounds both ways."""

    stream: trio.abc.Stream
    frame_bytes: int
    _received: bytearray = attrs.field(factory=bytearray, init=False)

    @property
    def has_more(self) -> bool:
        """Have bytes been received that nobody has taken yet?"""
        return bool(self._received)

    async def send(self, message: bytes) -> None:
        """Raises `LocalProtocolError` for a message that is too large (nothing is sent), else what the stream raises."""
        if len(message) > self.frame_bytes:
            raise LocalProtocolError(f"a message of {len(message)} bytes is too large for an agent: {self.frame_bytes} is the most")
        await self.stream.send_all(len(message).to_bytes(LENGTH_BYTES, "big") + message)

    async def receive(self) -> bytes | None:
        """The next message, or None when the stream ended between two of them.

        Raises `DecodeError` for a message that is empty, too large or cut off, else what the stream raises.
        """
        if not await self._fill(LENGTH_BYTES):
            return None
        size = int.from_bytes(self._received[:LENGTH_BYTES], "big")
        if not 0 < size <= self.frame_bytes:
            raise DecodeError(f"a message says that it has {size} bytes; 1 to {self.frame_bytes} are taken")
        await self._fill(LENGTH_BYTES + size)
        message = bytes(self._received[LENGTH_BYTES : LENGTH_BYTES + size])
        del self._received[: LENGTH_BYTES + size]
        return message

    async def _fill(self, size: int) -> bool:
        """Receive until so many bytes are here. False: the stream ended, and there are none."""
        while len(self._received) < size:
            chunk = await self.stream.receive_some(RECEIVE_BYTES)
            if not chunk and not self._received:
                return False
            if not chunk:
                raise DecodeError("the stream ended in the middle of a message")
            self._received += chunk
        return True
