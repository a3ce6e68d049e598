"""Keywords, the settings made with them, and the rule that the first one wins.

A table of `Keyword` values is all that tells one configuration language from another. A keyword is also the key to its value:
``settings[PORT]`` is typed by what PORT's parser gives. Adding a keyword is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar, cast

import attrs

from ..errors import printable
from .lines import Line, Place
from .match import Condition, Opener, Words

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@attrs.frozen(eq=False)
class Keyword(Generic[T_co]):
    """One keyword: its name as the manual writes it, what its words mean, and its value where nobody set it.

    `parse` raises `ValueError` with what is wrong. A keyword that `accumulates` has a tuple for its value, to which every line adds;
    of others the first line wins. One that takes the `whole_line` is given what stands behind it as one word, quotes and all.
    """

    name: str
    parse: Callable[[Words], T_co]
    default: T_co
    accumulates: bool = False
    whole_line: bool = False


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


@attrs.frozen
class Refused:
    """A line that must not count: its keyword is `known`, but not supported, or not even known. `error` says so."""

    place: Place
    keyword: str
    known: bool
    error: str


@attrs.frozen
class Ignored:
    """A line without effect: it tunes what we do not have. `quiet`: nobody need be told."""

    place: Place
    keyword: str
    quiet: bool = False


@attrs.frozen
class Included:
    """What an ``Include`` line brings: it counts where that line does."""

    sections: tuple[Section, ...]


@attrs.frozen
class Section:
    """Lines that hold under one condition; None is always, or in an included file: whenever its ``Include`` line counts."""

    condition: Condition | None
    items: tuple[Item, ...]


ActiveItem: TypeAlias = Setting | Refused | Ignored
Item: TypeAlias = ActiveItem | Included


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
        return tuple(dict.fromkeys(setting.place for setting in self._found.get(keyword.name, ())))


def settings_of(sections: Iterable[Section], table: Table, holds: Callable[[Condition], bool]) -> Settings:
    """The settings of the sections whose conditions hold, earlier ones first. Raises `ConfigError` for a `Refused` line that counts."""
    found = Found(table)
    for item in active_items(sections, holds):
        if isinstance(item, Refused):
            raise item.place.error(item.error)
        if isinstance(item, Setting):
            found.add(item)
    return found.settings()


def active_items(sections: Iterable[Section], holds: Callable[[Condition], bool]) -> Iterator[ActiveItem]:
    """The lines that count, in order; `holds` is asked when the walk has come to the condition."""
    for section in sections:
        if section.condition is None or holds(section.condition):
            for item in section.items:
                if isinstance(item, Included):
                    yield from active_items(item.sections, holds)
                else:
                    yield item


@attrs.define(eq=False)
class Found:
    """Settings as they are found one after the other."""

    table: Table
    _found: dict[str, tuple[Setting, ...]] = attrs.field(factory=dict)

    def add(self, setting: Setting) -> None:
        """The first of a keyword counts, of one that accumulates all."""
        if setting.name not in self._found:
            self._found[setting.name] = (setting,)
        elif self.table[setting.name.lower()].accumulates:
            self._found[setting.name] += (setting,)

    def settings(self) -> Settings:
        """What has been found so far."""
        return Settings(dict(self._found))


def parse_sections(
    lines: Iterable[Line],
    table: Table,
    openers: Mapping[str, Opener],
    *,
    include: Callable[[Line], Iterable[Section]] | None = None,
    other: Callable[[Line], Item] | None = None,
) -> tuple[Section, ...]:
    """Parse lines by `table`; a line whose keyword is in `openers` begins a new section. Raises `ConfigError` naming file and line.

    `include` reads what an ``Include`` line names; without it there is no such line. `other` says what to do with a keyword that is not
    in the table; without it such a line is an error.
    """
    sections: list[Section] = []
    condition: Condition | None = None
    items: list[Item] = []
    for line in lines:
        if opener := openers.get(line.keyword.lower()):
            sections.append(Section(condition, tuple(items)))
            condition, items = _opened(line, opener), []
        elif include is not None and line.keyword.lower() == "include":
            items.append(_included(line, include))
        elif keyword := table.get(line.keyword.lower()):
            line = attrs.evolve(line, words=(line.rest,)) if keyword.whole_line and line.words else line
            items.append(Setting(keyword.name, parsed(line, keyword.name, keyword.parse), line.words, line.place))
        elif other is not None:
            items.append(other(line))
        else:
            raise line.place.error(unknown_option(line.keyword, [*(known.name for known in table.values()), *map(str.capitalize, openers)]))
    sections.append(Section(condition, tuple(items)))
    return tuple(section for section in sections if section.condition is not None or section.items)


def _opened(line: Line, opener: Opener) -> Condition:
    return parsed(line, line.keyword, lambda words: opener(words, line.place))


def _included(line: Line, include: Callable[[Line], Iterable[Section]]) -> Included:
    if not line.words:
        raise line.place.error("Include: its value is missing")
    return Included(tuple(include(line)))


def parsed(line: Line, name: str, parse: Callable[[Words], T]) -> T:
    """What `parse` makes of a line's words. Raises `ConfigError` that names the line and the keyword."""
    try:
        if not line.words:
            raise ValueError("its value is missing")
        return parse(line.words)
    except ValueError as error:
        raise line.place.error(f"{printable(name, 64)}: {error}") from None


def unknown_option(name: str, known: list[str]) -> str:
    """What is wrong, perhaps with the keyword that was meant."""
    import difflib  # for this one text only

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, 1, 0.75)
    return f"the option '{printable(name, 64)}' is not supported" + (f" (did you mean {by_lower[close[0]]}?)" if close else "")
