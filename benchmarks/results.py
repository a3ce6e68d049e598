"""What was measured: values of all contenders, round by round, and the ratios between them."""

from __future__ import annotations

from enum import Enum
from statistics import median

import attrs

OURS = "trio_ssh"


class Unit(Enum):
    """How an amount of work and the seconds it took become a figure: its text, a factor, and whether more is better."""

    MEGABYTES = ("MB/s", 1e-6, True)
    TIMES = ("/s", 1.0, True)
    MILLISECONDS = ("ms", 1e3, False)
    MICROSECONDS = ("µs", 1e6, False)
    KIBIBYTES = ("KiB", 1.0, False)

    def __init__(self, text: str, factor: float, more_is_better: bool) -> None:
        self.text = text
        self.factor = factor
        self.more_is_better = more_is_better

    def figure(self, amount: float, seconds: float) -> float:
        """`amount` pieces in `seconds`: a rate where more is better, a time for each piece otherwise."""
        return self.factor * (amount / seconds if self.more_is_better else seconds / amount)

    def show(self, figure: float) -> str:
        digits = 0 if figure >= 100 else 1 if figure >= 10 else 2
        return f"{figure:,.{digits}f} {self.text}"


@attrs.frozen(kw_only=True)
class Goal:
    """At least `times` better than `against` (0.4: at most 2.5 times as slow), or, without `against`, at most `limit` in the row's unit."""

    text: str
    against: str = ""
    times: float = 0
    limit: float = 0


@attrs.frozen(kw_only=True)
class Result:
    """One line of the table. `values` holds each contender's figures, one a round, in the order of the rounds."""

    row: str
    work: str
    unit: Unit
    values: dict[str, list[float]]
    goal: Goal | None = None
    ours: str = OURS
    cpu: dict[str, list[float]] = attrs.field(factory=dict)
    """Processor seconds of both ends for one piece, likewise; empty where that was not measured."""

    def figure(self, contender: str) -> float:
        return median(self.values[contender])

    def ratio(self, contender: str) -> float:
        """How many times better we are than `contender`: the median of the rounds' ratios, so that slow minutes of the machine cancel."""
        return _ratio(self.values[self.ours], self.values[contender], self.unit.more_is_better)

    def cpu_ratio(self, contender: str) -> float | None:
        """The same of the processor time, which suffers less when others use the machine."""
        if contender not in self.cpu or not all(self.cpu[contender]):
            return None  # not measured, or less than the kernel's clock shows
        return _ratio(self.cpu[self.ours], self.cpu[contender], more_is_better=False)

    @property
    def others(self) -> list[str]:
        return [contender for contender in self.values if contender != self.ours]

    @property
    def reached(self) -> bool | None:
        """None: there is no goal, or the peer that it is about is not on this machine."""
        goal = self.goal
        if goal is None or (goal.against and goal.against not in self.values):
            return None
        if goal.against:
            return self.ratio(goal.against) >= goal.times
        return self.figure(self.ours) <= goal.limit


def _ratio(ours: list[float], theirs: list[float], more_is_better: bool) -> float:
    return median(our / their if more_is_better else their / our for our, their in zip(ours, theirs, strict=True))
