"""When a section counts: ``Host`` and ``Match`` lines, of which both configuration languages have the latter.

What a criterion means is the language's business: it gives `MatchLine.holds` a function that answers for one criterion at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..errors import printable
from ..wire.patterns import PatternList, compile_pattern_list
from .lines import Place

Words: TypeAlias = tuple[str, ...]


@attrs.frozen
class HostPatterns:
    """The condition of a ``Host`` line: any pattern matches, and none of those with a ``!``."""

    patterns: tuple[str, ...]
    _compiled: PatternList = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(lambda self: compile_pattern_list(self.patterns), takes_self=True)
    )

    @classmethod
    def of(cls, words: Words, place: Place) -> HostPatterns:
        return cls(words)

    def matches(self, host: str) -> bool:
        return self._compiled.matches(host)


@attrs.frozen
class Criterion:
    """One test of a ``Match`` line: `name` in lower case, `argument` as it was written, "" where there is none."""

    name: str
    argument: str = ""
    negated: bool = False


@attrs.frozen(kw_only=True)
class MatchNames:
    """The criteria that a language has, in lower case; ``all`` is always one of them.

    `taking` have an argument, `bare` none; of `taking` those in `empty` take also an empty one (``""``). ``all`` must stand alone, or
    behind the ones in `before_all`. `negation` is whether a ``!`` before a name turns its answer round.
    """

    taking: frozenset[str]
    bare: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    before_all: frozenset[str] = frozenset()
    negation: bool = False

    def parse(self, words: Words, place: Place) -> MatchLine:
        """The condition that the words behind ``Match`` make. Raises `ValueError`."""
        criteria: list[Criterion] = []
        rest = words
        while rest:
            criterion, rest = self._parse_one(rest)
            criteria.append(criterion)
        if any(one.name == "all" for one in criteria):
            self._check_all(criteria)
        return MatchLine(tuple(criteria), place)

    def _parse_one(self, words: Words) -> tuple[Criterion, Words]:
        written, equals, argument = words[0].partition("=")
        rest: Words = words[1:]
        negated = self.negation and written.startswith("!")
        name = written[negated:].lower()
        if name == "all" or name in self.bare:
            if equals:
                raise ValueError(f"{name} takes no value")
            return Criterion(name, negated=negated), rest
        if name not in self.taking:
            known = ", ".join(sorted({"all", *self.taking, *self.bare}))
            raise ValueError(f"there is no criterion '{printable(written, 64)}'; there are {known}")
        if not argument:  # "name value", "name = value", "name =value", "name= value"
            argument, rest = _next_value(name, rest, equals)
        if not argument and name not in self.empty:
            raise ValueError(f"the value of {name} is empty")
        return Criterion(name, argument, negated), rest

    def _check_all(self, criteria: list[Criterion]) -> None:
        *before, last = criteria
        if last.name != "all" or len(before) > 1 or any(one.name not in self.before_all for one in before):
            behind = f", or behind {' or '.join(sorted(self.before_all))}" if self.before_all else ""
            raise ValueError(f"all must stand alone{behind}")


def _next_value(name: str, rest: Words, equals: str) -> tuple[str, Words]:
    if not equals and rest and rest[0].startswith("="):
        rest = (rest[0][1:], *rest[1:]) if len(rest[0]) > 1 else rest[1:]
    if not rest:
        raise ValueError(f"{name} needs a value")
    return rest[0], rest[1:]


@attrs.frozen
class MatchLine:
    """The condition of a ``Match`` line: every criterion holds."""

    criteria: tuple[Criterion, ...]
    place: Place

    def holds(self, test: Callable[[Criterion], bool]) -> bool:
        """Ask `test` for each criterion but ``all`` until one does not hold; `test` need not look at `negated`."""
        return all((one.name == "all" or test(one)) is not one.negated for one in self.criteria)

    def has(self, name: str) -> bool:
        """Is this one of its criteria?"""
        return any(one.name == name for one in self.criteria)


Condition: TypeAlias = HostPatterns | MatchLine
Opener: TypeAlias = Callable[[Words, Place], Condition]
"""Makes a condition of the words behind a keyword that begins a section. Raises `ValueError`."""
