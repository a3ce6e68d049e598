"""The ``*`` and ``?`` patterns of known_hosts, configuration and authorized_keys, matched in time linear in the text.

Theory of operation: a pattern is an automaton whose states are "the first i items are matched". All states live in the bits of one int, so
each character of the text costs a handful of int operations whatever the pattern is, and nothing ever backtracks: ``*a*a*a*b`` is as
cheap as any other pattern of its length. A ``*`` is not an item of its own; it lets the state before it stay.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs


@attrs.frozen
class Pattern:
    """One compiled pattern. `advance[c]` has bit i set where item i accepts the character c; `anything` where item i is ``?``."""

    advance: dict[str, int]
    anything: int
    stay: int
    accept: int

    def matches(self, text: str) -> bool:
        """Does the whole of `text` match? Upper and lower case differ: fold both before, where they should not."""
        states = 1
        advance, anything, stay = self.advance, self.anything, self.stay
        for character in text:
            states = ((states & advance.get(character, anything)) << 1) | (states & stay)
            if not states:
                return False
        return bool(states & self.accept)


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern: ``*`` stands for any run of characters, also an empty one, ``?`` for exactly one. There is no escape."""
    advance: dict[str, int] = {}
    anything = stay = 0
    bit = 1
    for character in text:
        if character == "*":
            stay |= bit
            continue
        if character == "?":
            anything |= bit
        else:
            advance[character] = advance.get(character, 0) | bit
        bit <<= 1
    return Pattern({character: bits | anything for character, bits in advance.items()}, anything, stay, bit)


@attrs.frozen
class PatternList:
    """Patterns of which those written with a ``!`` before them exclude."""

    included: tuple[Pattern, ...]
    excluded: tuple[Pattern, ...]

    def matches(self, text: str) -> bool:
        """Does any pattern match, and none of the excluding ones? A list of excluding ones only matches nothing."""
        return any(p.matches(text) for p in self.included) and not any(p.matches(text) for p in self.excluded)


def compile_pattern_list(patterns: Iterable[str]) -> PatternList:
    """Compile patterns, each perhaps with a ``!`` before it."""
    texts = tuple(patterns)
    included = tuple(compile_pattern(text) for text in texts if not text.startswith("!"))
    return PatternList(included, tuple(compile_pattern(text[1:]) for text in texts if text.startswith("!")))


def matches_pattern(text: str, pattern: str) -> bool:
    """Does the whole of `text` match the one `pattern`?"""
    return compile_pattern(pattern).matches(text)


def matches_pattern_list(text: str, patterns: Iterable[str]) -> bool:
    """`PatternList.matches` for patterns that are used once."""
    return compile_pattern_list(patterns).matches(text)
