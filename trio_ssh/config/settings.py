"""Keywords, the settings made with them, and the rule that the first one wins.

A table of `Keyword` values is all that tells one configuration language from another. A keyword is also the key to its value:
``settings[PORT]`` is typed by what PORT's parser gives. Adding a keyword is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar, cast

import attrs

from ..errors import printable
from .lines import Line, Place

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

Words = tuple[str, ...]


@attrs.frozen(eq=False)
class Keyword(Generic[T_co]):
    """One keyword: its name as the manual writes it, what its words mean, and its value where nobody set it.

    `parse` raises `ValueError` with what is wrong. A keyword that `accumulates` has a tuple for its value, to which every line adds;
    of others the first line wins.
    """

    name: str
    parse: Callable[[Words], T_co]
    default: T_co
    accumulates: bool = False


Table = Mapping[str, Keyword[object]]


def table_of(*keywords: Keyword[object]) -> Table:
    """Keywords by their names in lower case."""
    return {keyword.name.lower(): keyword for keyword in keywords}


@attrs.frozen
class Setting:
    """One line's worth: `words` as written, `value` as its keyword's parser understood them."""

    name: str
    value: object
    words: Words
    place: Place


class Condition(Protocol):
    """When a section counts."""

    def matches(self, host: str) -> bool: ...


@attrs.frozen
class Section:
    """Settings that hold under one condition; None is always."""

    condition: Condition | None
    settings: tuple[Setting, ...]


@attrs.frozen
class Settings:
    """What holds: look up by keyword."""

    _found: Mapping[str, tuple[Setting, ...]] = attrs.field(factory=dict)

    def __getitem__(self, keyword: Keyword[T]) -> T:
        found = self._found.get(keyword.name)
        if found is None:
            return keyword.default
        if keyword.accumulates:
            return cast(T, tuple(item for setting in found for item in cast("tuple[object, ...]", setting.value)))
        return cast(T, found[0].value)

    def __contains__(self, keyword: Keyword[object]) -> bool:
        """Did somebody set it?"""
        return keyword.name in self._found

    def __iter__(self) -> Iterator[Setting]:
        """All settings that count, by keyword, in order."""
        for found in self._found.values():
            yield from found

    def places(self, keyword: Keyword[object]) -> tuple[Place, ...]:
        """Where its value comes from: one place for each line that counts; none for a default."""
        return tuple(setting.place for setting in self._found.get(keyword.name, ()))


def settings_of(sections: Iterable[Section], table: Table, host: str = "") -> Settings:
    """The settings of the sections that count for `host`, earlier ones first."""
    found: dict[str, tuple[Setting, ...]] = {}
    for section in sections:
        if section.condition is None or section.condition.matches(host):
            for setting in section.settings:
                if setting.name not in found:
                    found[setting.name] = (setting,)
                elif table[setting.name.lower()].accumulates:
                    found[setting.name] += (setting,)
    return Settings(found)


Opener = Callable[[Words], Condition]


def parse_sections(lines: Iterable[Line], table: Table, openers: Mapping[str, Opener]) -> tuple[Section, ...]:
    """Parse lines by `table`; a line whose keyword is in `openers` begins a new section. Raises `ConfigError` naming file and line."""
    sections: list[Section] = []
    condition: Condition | None = None
    settings: list[Setting] = []
    for line in lines:
        if opener := openers.get(line.keyword.lower()):
            sections.append(Section(condition, tuple(settings)))
            condition, settings = _parsed(line, line.keyword, opener), []
        else:
            settings.append(_parse_setting(line, table, openers))
    sections.append(Section(condition, tuple(settings)))
    return tuple(section for section in sections if section.settings)


def _parse_setting(line: Line, table: Table, openers: Mapping[str, Opener]) -> Setting:
    keyword = table.get(line.keyword.lower())
    if keyword is None:
        raise line.place.error(_unknown(line.keyword, [*(known.name for known in table.values()), *map(str.capitalize, openers)]))
    return Setting(keyword.name, _parsed(line, keyword.name, keyword.parse), line.words, line.place)


def _parsed(line: Line, name: str, parse: Callable[[Words], T]) -> T:
    try:
        if not line.words:
            raise ValueError("its value is missing")
        return parse(line.words)
    except ValueError as error:
        raise line.place.error(f"{printable(name, 64)}: {error}") from None


def _unknown(name: str, known: list[str]) -> str:
    import difflib  # for this one text only

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, 1, 0.75)
    return f"the option '{printable(name, 64)}' is not supported" + (f" (did you mean {by_lower[close[0]]}?)" if close else "")
