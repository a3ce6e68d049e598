"""What the words behind sshd_config(5)'s own keywords mean: who may log in, how, and what is executed for it."""

from __future__ import annotations

import enum
import os
import re

import attrs

from ..wire.addresses import AddressList, address_of
from ..wire.patterns import Pattern, PatternList, compile_pattern, compile_pattern_list
from .match import Words
from .values import choice, shown, text

Chain = tuple[str, ...]
"""Methods in the order in which all of them must succeed, such as ``("publickey", "keyboard-interactive:pam")``."""

_METHODS = ("publickey", "password", "keyboard-interactive")
_DEVICES = ("pam",)
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def authentication_methods(words: Words) -> tuple[Chain, ...]:
    """``any`` alone is no chain at all: one method is enough, whichever it is."""
    if any(word.lower() == "any" for word in words):
        if len(words) > 1:
            raise ValueError("'any' must stand alone")
        return ()
    return tuple(tuple(_method(name) for name in word.split(",")) for word in words)


def _method(name: str) -> str:
    method, colon, device = name.partition(":")
    if method not in _METHODS or (colon and method != "keyboard-interactive"):
        raise ValueError(f"{shown(name)} is not a method that there is here: {', '.join(_METHODS)}")
    if colon and device not in _DEVICES:
        raise ValueError(f"{shown(name)}: the only device is {_DEVICES[0]}")
    return name


class RootLogin(enum.Enum):
    """PermitRootLogin; each value is as ``sshd -T`` says it."""

    YES = "yes"
    PROHIBIT_PASSWORD = "without-password"
    FORCED_COMMANDS_ONLY = "forced-commands-only"
    NO = "no"


root_login = choice(
    {**{member.value: member for member in RootLogin}, "prohibit-password": RootLogin.PROHIBIT_PASSWORD},
    "yes, prohibit-password, forced-commands-only or no",
)


fingerprint_hash = choice({"sha256": "SHA256", "md5": "MD5"}, "sha256 or md5")
_FACILITIES = ("DAEMON", "USER", "AUTH", "AUTHPRIV", *(f"LOCAL{number}" for number in range(8)))
syslog_facility = choice({name.lower(): name for name in _FACILITIES}, f"one of {', '.join(_FACILITIES)}")


@attrs.frozen
class KeyDemands:
    """PubkeyAuthOptions: what signatures of security keys must show, whatever authorized_keys says."""

    touch: bool = False
    verify: bool = False


def key_demands(words: Words) -> KeyDemands:
    known = {"none", "touch-required", "verify-required"}
    for word in words:
        if word.lower() not in known:
            raise ValueError(f"{shown(word)} is not none, touch-required or verify-required")
    given = {word.lower() for word in words}
    return KeyDemands(touch="touch-required" in given, verify="verify-required" in given)


@attrs.frozen
class VariablePatterns:
    """Names of variables, by patterns with commas between them."""

    written: str = ""
    _compiled: PatternList = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(lambda self: compile_pattern_list(self.written.split(",")), takes_self=True)
    )

    def matches(self, name: str) -> bool:
        return bool(self.written) and self._compiled.matches(name)


def user_environment(word: str) -> VariablePatterns:
    """PermitUserEnvironment: which variables authorized_keys may set: ``yes``, ``no`` or patterns."""
    plain = {"yes": "*", "true": "*", "no": "", "false": ""}
    return VariablePatterns(plain[word.lower()] if word.lower() in plain else text(word))


def variables(words: Words) -> tuple[tuple[str, str], ...]:
    """``NAME=value`` words; of one name the first counts."""
    found: dict[str, str] = {}
    for word in words:
        parts = _VARIABLE.fullmatch(word)
        if parts is None:
            raise ValueError(f"{shown(word)} is not a variable and its value, such as LANG=C")
        found.setdefault(parts[1], parts[2])
    return tuple(found.items())


def file_name(word: str) -> str:
    """The name of a file; one that is not absolute is in the folder that we were started in. ``none`` stays."""
    return word if word.lower() == "none" else os.path.join(os.getcwd(), text(word))


def file_name_or_none(word: str) -> str | None:
    return None if word.lower() == "none" else file_name(word)


def service_name(word: str) -> str:
    """Of PAM: the name of a file, without a folder."""
    if "/" in word or word in ("", ".", ".."):
        raise ValueError(f"{shown(word)} is not the name of a service")
    return word


def command_or_none(word: str) -> str | None:
    """A command line, as it is written."""
    if word.split(None, 1)[:1] == ["internal-sftp"]:
        raise ValueError("internal-sftp is not supported; name a program")
    return None if word.lower() == "none" else text(word)


def program_or_none(word: str) -> str | None:
    """A command line that is executed without a shell: its first word is an absolute path."""
    if word.lower() == "none":
        return None
    if not word.lstrip("\"'").startswith("/"):
        raise ValueError(f"{shown(word)}: the program must be named with its whole path")
    return word


@attrs.frozen
class UserPattern:
    """``ada``, ``a*``, ``ada@192.0.2.0/24``, ``*@*.example``: who, and where from."""

    written: str
    _user: Pattern = attrs.field(eq=False, repr=False)
    _places: HostPatternsOrAddresses | None = attrs.field(eq=False, repr=False)

    @classmethod
    def of(cls, written: str) -> UserPattern:
        """Raises `ValueError` for what cannot match anybody as it was meant."""
        user, at, place = written.rpartition("@") if "@" in written else (written, "", "")
        if not user or written.startswith("!"):
            raise ValueError(f"{shown(written)} is not a user or a pattern")
        return cls(written, compile_pattern(user), HostPatternsOrAddresses.of(place.split(",")) if at else None)

    def matches(self, user: str, host: str, address: str) -> bool:
        """Is it that user, from there?"""
        return self._user.matches(user) and (self._places is None or self._places.matches(host, address))


def user_patterns(words: Words) -> tuple[UserPattern, ...]:
    return tuple(UserPattern.of(word) for word in words)


@attrs.frozen
class GroupPattern:
    """A pattern for the names of groups."""

    written: str
    _compiled: Pattern = attrs.field(eq=False, repr=False)

    def matches(self, group: str) -> bool:
        return self._compiled.matches(group)


def group_patterns(words: Words) -> tuple[GroupPattern, ...]:
    for word in words:
        if not word or word.startswith("!"):
            raise ValueError(f"{shown(word)} is not a group or a pattern")
    return tuple(GroupPattern(word, compile_pattern(word)) for word in words)


@attrs.frozen(eq=False)
class HostPatternsOrAddresses:
    """Patterns for a host's name, networks and addresses, side by side; any match of one with a ``!`` before it counts most."""

    _names: PatternList
    _addresses: AddressList
    _excluded_names: PatternList

    @classmethod
    def of(cls, items: list[str]) -> HostPatternsOrAddresses:
        """Raises `ValueError`."""
        addresses = [item for item in items if _is_address(item)]
        names = [item for item in items if item not in addresses]
        for name in names:
            if "/" in name or not name.strip("!"):
                raise ValueError(f"{shown(name)} is not a host, an address or a network such as 192.0.2.0/24")
        excluded = [name[1:] for name in names if name.startswith("!")]
        lower = [name.lower() for name in names if not name.startswith("!")]
        return cls(compile_pattern_list(lower), AddressList.of(addresses), compile_pattern_list(name.lower() for name in excluded))

    def matches(self, host: str, address: str) -> bool:
        """`host` is its name, or its address where names are not looked up."""
        parsed = address_of(address)
        if self._excluded_names.matches(host.lower()) or (parsed is not None and self._addresses.excludes(parsed)):
            return False
        return self._names.matches(host.lower()) or (parsed is not None and self._addresses.matches(parsed))


def _is_address(item: str) -> bool:
    try:
        AddressList.of([item])
    except ValueError:
        return False
    return True
