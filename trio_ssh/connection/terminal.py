"""`Terminal`: what a pty-req and a window-change say (RFC 4254 §6.2, §6.7)."""

from __future__ import annotations

import attrs

from ..wire.codec import encode
from ..wire.connection import PtyReq, WindowChange


@attrs.frozen
class Terminal:
    """A terminal's name and size: characters, then pixels (0 where unknown). `modes` is the encoded string of RFC 4254 §8."""

    term: str = "xterm"
    columns: int = 80
    rows: int = 24
    width_pixels: int = 0
    height_pixels: int = 0
    modes: bytes = attrs.field(default=b"\0", repr=False)

    def pty_request(self) -> bytes:
        """The fields of a pty-req."""
        return encode(PtyReq(self.term, self.columns, self.rows, self.width_pixels, self.height_pixels, self.modes))

    def window_change(self) -> bytes:
        """The fields of a window-change."""
        return encode(WindowChange(self.columns, self.rows, self.width_pixels, self.height_pixels))
