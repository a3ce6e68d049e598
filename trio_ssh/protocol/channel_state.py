"""The life of a channel as two sides that go the same way (RFC 4254 §5.1, §5.3).

    OPENING ──> OPEN ── EOF ──> EOF ── CLOSE ──> CLOSED          (CLOSE may come without EOF)

Each side has its own state; together they say what is legal: JOINT has a row for every pair. A channel is forgotten, and its number free
again, when both sides are CLOSED.
"""

from __future__ import annotations

from enum import Enum

import attrs

from ..errors import RemoteProtocolError
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name


class Side(Enum):
    OPENING = "opening"
    OPEN = "open"
    EOF = "eof"
    CLOSED = "closed"


class Verdict(Enum):
    """What to do with a message for a channel."""

    TAKE = "take"
    DROP = "drop"
    ILLEGAL = "illegal"


_DATA = (M.CHANNEL_DATA, M.CHANNEL_EXTENDED_DATA)
_OTHERS = (M.CHANNEL_WINDOW_ADJUST, M.CHANNEL_REQUEST, M.CHANNEL_SUCCESS, M.CHANNEL_FAILURE)
_ANSWERS = (M.CHANNEL_OPEN_CONFIRMATION, M.CHANNEL_OPEN_FAILURE)
CHANNEL_NUMBERS = (*_ANSWERS, M.CHANNEL_WINDOW_ADJUST, *_DATA, M.CHANNEL_EOF, M.CHANNEL_CLOSE, M.CHANNEL_REQUEST, *_OTHERS[2:])


def _row(ours: Side, theirs: Side) -> dict[int, Verdict]:
    """A missing number is illegal."""
    if Side.OPENING in (ours, theirs):
        # We asked and wait for the answer: nothing else may come (hardening SM-132).
        return dict.fromkeys(_ANSWERS, Verdict.TAKE) if ours is Side.OPENING else {}
    if theirs is Side.CLOSED:
        return {}  # SM-145, SM-147
    row: dict[int, Verdict] = {M.CHANNEL_CLOSE: Verdict.TAKE}
    dropped_after_close = Verdict.DROP if ours is Side.CLOSED else Verdict.TAKE  # SM-148
    row.update(dict.fromkeys(_OTHERS, dropped_after_close))
    if theirs is Side.OPEN:
        row.update(dict.fromkeys(_DATA, dropped_after_close))
        row[M.CHANNEL_EOF] = Verdict.TAKE
    else:
        row[M.CHANNEL_EOF] = Verdict.DROP  # a second EOF, SM-144
    return row


JOINT: dict[tuple[Side, Side], dict[int, Verdict]] = {(ours, theirs): _row(ours, theirs) for ours in Side for theirs in Side}


@attrs.define(eq=False)
class ChannelState:
    """Both sides of one channel. `data_in` is kept beside them: may CHANNEL_DATA be taken? It is asked once a packet."""

    ours: Side
    theirs: Side
    data_in: bool = False

    @property
    def is_over(self) -> bool:
        return self.ours is Side.CLOSED and self.theirs is Side.CLOSED

    def opened(self) -> None:
        self.ours = self.theirs = Side.OPEN
        self._note()

    def refused(self) -> None:
        self.ours = self.theirs = Side.CLOSED
        self._note()

    def sent_eof(self) -> None:
        self.ours = Side.EOF

    def sent_close(self) -> None:
        self.ours = Side.CLOSED
        self._note()

    def received(self, number: int) -> bool:
        """May the message be acted on? False drops it; what is illegal raises `RemoteProtocolError`."""
        verdict = JOINT[self.ours, self.theirs].get(number, Verdict.ILLEGAL)
        if verdict is Verdict.ILLEGAL:
            raise RemoteProtocolError(
                f"the peer sent {message_name(number)} on a channel that is {self.theirs.value} on its side and {self.ours.value} on ours",
                received=message_name(number),
            )
        if number == M.CHANNEL_EOF and verdict is Verdict.TAKE:
            self.theirs = Side.EOF
        elif number == M.CHANNEL_CLOSE:
            self.theirs = Side.CLOSED
        self._note()
        return verdict is Verdict.TAKE

    def _note(self) -> None:
        self.data_in = self.theirs is Side.OPEN and self.ours in (Side.OPEN, Side.EOF)
