"""What became of a conversation, in terms that hold for any implementation."""

from __future__ import annotations

from enum import Enum

import attrs

from trio_ssh.wire.numbers import message_name


class Kind(Enum):
    ACCEPTED = "accepted"
    """It did what it was meant to do."""
    ANSWERED = "answered"
    """A message says what became of it, and the connection goes on."""
    IGNORED = "ignored"
    """The connection goes on as if nothing had come."""
    TERMINATED = "terminated"


@attrs.frozen
class Outcome:
    kind: Kind
    number: int = 0
    """Answered: of the first message that came for it."""
    code: int | None = None
    """Terminated: the reason in DISCONNECT, None where there was none. Answered by CHANNEL_OPEN_FAILURE: the reason in that."""

    def is_like(self, other: Outcome) -> bool:
        """The same class; where both give a code, the same code."""
        codes = {self.code, other.code} - {None}
        return (self.kind, self.number) == (other.kind, other.number) and len(codes) < 2

    def __str__(self) -> str:
        if self.kind is Kind.TERMINATED:
            return "closed" if self.code is None else f"DISCONNECT {self.code}"
        if self.kind is Kind.ANSWERED:
            return message_name(self.number) + ("" if self.code is None else f" {self.code}")
        return self.kind.value


ACCEPTED = Outcome(Kind.ACCEPTED)
IGNORED = Outcome(Kind.IGNORED)
CLOSED = Outcome(Kind.TERMINATED)


def disconnected(reason: int) -> Outcome:
    return Outcome(Kind.TERMINATED, code=reason)


def answered(number: int, code: int | None = None) -> Outcome:
    return Outcome(Kind.ANSWERED, number, code)


UNIMPLEMENTED = answered(3)
