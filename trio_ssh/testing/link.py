"""`Link`: what happens to the bytes of one direction."""

from __future__ import annotations

import random

import attrs

from ..errors import LocalProtocolError

Choice = int | range
"""A number, or a range out of which the network's seed draws one."""

SOCKET_BYTES = 256 * 1024
"""About what the two kernels between two sockets hold."""


@attrs.frozen(kw_only=True, repr=False)
class Link:
    """One direction of a connection. The default takes no time, loses nothing and holds what a pair of sockets holds.

    Positions count from the first byte that is sent, 0; None means never. Where a `range` is taken, the network's seed draws from it.
    Bytes come in order whatever happens, because the streams are like TCP's: nothing in the middle is ever lost.
    """

    latency_seconds: float = 0
    """From one end to the other."""
    jitter_seconds: float = 0
    """What is sent at once takes up to so much longer, drawn anew for each 1460 bytes."""
    bytes_per_second: float | None = None
    """None: as fast as one likes."""
    buffer_bytes: float = SOCKET_BYTES
    """Sent and not taken by the receiver: past it a sender waits. 0: a sender waits until all is taken; ``math.inf``: never."""
    segment_bytes: Choice | None = None
    """The receiver gets at most so many at once; of a range, each time another number."""
    write_bytes: Choice | None = None
    """A sender's bytes go in by so many at once, and others run in between; cancelled, it has sent the ones before."""
    cut_at: Choice | None = None
    """Behind so many bytes the connection is reset: both directions end, and both ends are told."""
    cut_cleanly: bool = False
    """A cut looks like a close of the other end, to both: first the end of the stream, then a broken pipe."""
    stall_at: Choice | None = None
    """Behind so many bytes nothing arrives any more, not even the end of the stream: half-open. The sender goes on until `buffer_bytes`
    are on their way."""
    stuck: bool = False
    """From `stall_at` on a sender waits at once."""
    flip_at: Choice | None = None
    """This byte arrives changed."""
    flip_mask: int = 1
    """Which bits of it change."""

    def __attrs_post_init__(self) -> None:
        """Raises `LocalProtocolError` for what no link can be."""
        for name in ("latency_seconds", "jitter_seconds", "buffer_bytes"):
            _check(name, getattr(self, name), 0)
        for name in ("segment_bytes", "write_bytes", "cut_at", "stall_at", "flip_at"):
            choice = getattr(self, name)
            _check(name, min(choice, default=-1) if isinstance(choice, range) else choice, 0 if name.endswith("_at") else 1)
        if self.bytes_per_second is not None and self.bytes_per_second <= 0:
            raise LocalProtocolError(f"Link.bytes_per_second is {self.bytes_per_second!r}: nothing would ever arrive; use `stall_at=0`")
        if not 1 <= self.flip_mask <= 255:
            raise LocalProtocolError(f"Link.flip_mask is {self.flip_mask!r}: it is the bits of one byte, 1 to 255")

    def __repr__(self) -> str:
        values = {field.name: (getattr(self, field.name), field.default) for field in attrs.fields(Link)}
        return f"Link({', '.join(f'{name}={value!r}' for name, (value, usual) in values.items() if value != usual)})"

    def drawn(self, chance: random.Random) -> Link:
        """The same with one position drawn for each range of positions; sizes are drawn again and again."""
        return attrs.evolve(
            self, cut_at=_one(self.cut_at, chance), stall_at=_one(self.stall_at, chance), flip_at=_one(self.flip_at, chance)
        )

    @property
    def takes_time(self) -> bool:
        """Does it matter how large a piece travels at once?"""
        return bool(self.jitter_seconds or self.bytes_per_second)


def _check(name: str, value: float | None, least: int) -> None:
    if value is not None and not value >= least:
        raise LocalProtocolError(f"Link.{name} is {value!r}: it must be at least {least}")


def _one(choice: Choice | None, chance: random.Random) -> int | None:
    return chance.choice(choice) if isinstance(choice, range) else choice


def draw_size(choice: Choice | None, chance: random.Random, otherwise: int) -> int:
    """How many bytes this time: at least 1."""
    found = _one(choice, chance)
    return otherwise if found is None else max(1, found)
