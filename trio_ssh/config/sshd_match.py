"""``Match`` in sshd_config(5): for whom a block counts, which keywords may stand in one, and that blocks stand above the rest.

Of a keyword that is set in a block that counts, nothing that is set outside of all blocks (or on the command line) is left; of several such
blocks the first that sets it counts. What an included file says inside a block, counts when that block does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import attrs

from ..wire.addresses import AddressList, address_of
from ..wire.patterns import matches_pattern_list
from .lines import Place
from .match import Criterion, MatchLine, MatchNames, Words
from .settings import Found, Included, Item, Section, Setting, Settings, Table
from .values import port, shown

_NAMES = MatchNames(
    taking=frozenset({"user", "group", "host", "address", "localaddress", "localport", "rdomain"}), bare=frozenset({"invalid-user"})
)


@attrs.frozen(kw_only=True)
class Subject:
    """One login, as far as it is known: of what is None nothing holds, not even its opposite."""

    user: str | None = None
    groups: tuple[str, ...] = ()
    """The names of all groups of the account."""
    exists: bool = True
    """There is such an account."""
    host: str | None = None
    """The client's name, or its address where names are not looked up."""
    address: str | None = None
    local_address: str | None = None
    local_port: int | None = None
    rdomain: str | None = None


def open_match(words: Words, place: Place) -> MatchLine:
    """The condition that the words behind ``Match`` make. Raises `ValueError`."""
    line = _NAMES.parse(words, place)
    for criterion in line.criteria:
        if criterion.name == "localport":
            port(criterion.argument)
        elif criterion.name in ("address", "localaddress"):
            AddressList.of(criterion.argument.split(","))
        elif criterion.argument and not all(criterion.argument.split(",")):
            raise ValueError(f"{criterion.name} {shown(criterion.argument)}: a pattern in it is empty")
    return line


def holds(criterion: Criterion, subject: Subject) -> bool:
    """Does one criterion hold?"""
    argument = criterion.argument
    match criterion.name:
        case "user":
            return _matches(subject.user, argument)
        case "group":
            return any(_matches(group, argument) for group in subject.groups) and not _excludes(subject.groups, argument)
        case "host":
            return _matches(None if subject.host is None else subject.host.lower(), argument.lower())
        case "address":
            return _contains(argument, subject.address)
        case "localaddress":
            return _contains(argument, subject.local_address)
        case "localport":
            return subject.local_port == int(argument)
        case "rdomain":
            return _matches(subject.rdomain, argument)
        case _:  # invalid-user
            return subject.user is not None and not subject.exists


def _matches(text: str | None, patterns: str) -> bool:
    return text is not None and matches_pattern_list(text, patterns.split(","))


def _excludes(names: Iterable[str], patterns: str) -> bool:
    """Does a pattern with a ``!`` match any of the names?"""
    excluding = [pattern[1:] for pattern in patterns.split(",") if pattern.startswith("!")]
    return any(matches_pattern_list(name, excluding) for name in names)


def _contains(networks: str, address: str | None) -> bool:
    parsed = None if address is None else address_of(address)
    return parsed is not None and AddressList.of(networks.split(",")).matches(parsed)


@attrs.frozen
class Placed:
    """A setting, and the Match lines, from outside to inside, that must all hold for it."""

    conditions: tuple[MatchLine, ...]
    setting: Setting

    def counts(self, subject: Subject) -> bool:
        return all(condition.holds(lambda criterion: holds(criterion, subject)) for condition in self.conditions)


def placed_settings(sections: Iterable[Section], conditions: tuple[MatchLine, ...] = ()) -> Iterator[Placed]:
    """All settings in the order of the files."""
    for section in sections:
        inside = (*conditions, section.condition) if isinstance(section.condition, MatchLine) else conditions
        for item in section.items:
            yield from _placed(item, inside)


def _placed(item: Item, conditions: tuple[MatchLine, ...]) -> Iterator[Placed]:
    if isinstance(item, Included):
        yield from placed_settings(item.sections, conditions)
    elif isinstance(item, Setting):
        yield Placed(conditions, item)


def check_places(settings: Iterable[Placed], allowed: Collection[str]) -> None:
    """Raise `ConfigError` for a keyword inside a Match block that is not one of `allowed`."""
    for one in settings:
        if one.conditions and one.setting.name not in allowed:
            raise one.setting.place.error(f"{one.setting.name}: it cannot stand in a Match block; put it above the first one")


def settings_for(settings: Iterable[Placed], table: Table, subject: Subject | None) -> Settings:
    """What holds for `subject`; without one, what holds where no block counts."""
    blocks, rest = Found(table), Found(table)
    for one in settings:
        if not one.conditions:
            rest.add(one.setting)
        elif subject is not None and one.counts(subject):
            blocks.add(one.setting)
    names = {setting.name for setting in blocks.settings()}
    for setting in rest.settings():
        if setting.name not in names:
            blocks.add(setting)
    return blocks.settings()
