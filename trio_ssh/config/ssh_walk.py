"""One way through a client's configuration: which sections count for whom (ssh_config(5), Host and Match).

The walk goes line by line, as ssh does: whether a ``Match`` line holds depends on what was found above it (``Match user`` after ``User``).
It does no I/O. For ``Match exec`` it stops and gives a `Command`; whoever drives it sends back whether the command succeeded.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import pwd
import socket
from collections.abc import Callable, Generator, Iterable, Sequence

import attrs

from ..errors import ConfigError, printable
from ..wire.addresses import AddressList
from ..wire.patterns import matches_pattern_list
from . import ssh_config
from .lines import Place
from .match import Condition, Criterion, HostPatterns, MatchLine, MatchNames
from .names import check_host_name, check_user_name
from .settings import ActiveItem, Found, Ignored, Included, Refused, Section, Setting, Settings
from .ssh_other import still_refused
from .tokens import expand_tokens

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MATCH = MatchNames(
    taking=frozenset(["exec", "host", "originalhost", "user", "localuser", "tagged", "command", "version", "localnetwork", "sessiontype"]),
    bare=frozenset({"canonical", "final"}),
    empty=frozenset({"tagged", "command"}),
    before_all=frozenset({"canonical", "final"}),
    negation=True,
)


@attrs.frozen
class Local:
    """This machine and the user that we run as."""

    user: str
    uid: int
    home: str
    host_name: str

    @classmethod
    def current(cls) -> Local:
        """Without an account of our number the user's name is empty."""
        uid = os.getuid()
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = ""
        return cls(user, uid, os.path.expanduser("~"), socket.gethostname())


@attrs.frozen(kw_only=True)
class Query:
    """For whom the settings are: a host, by the name under which the user asked for it, and what is to be done there.

    `command` is the remote command or the subsystem; `session_type` one of shell, exec, subsystem and none; `version` what
    ``Match version`` looks at; `addresses` gives those of this machine's interfaces.
    """

    host: str
    command: str = ""
    session_type: str = "shell"
    version: str = ""
    local: Local = attrs.field(factory=Local.current)
    addresses: Callable[[], Sequence[IPAddress]] = tuple


@attrs.frozen
class Command:
    """A question of the walk: does this command succeed in the user's shell?"""

    text: str
    place: Place


def connection_hash(local: Local, host: str, port: int, user: str) -> str:
    """``%C``: one name for all connections from here to there as that user (without a jump host)."""
    return hashlib.sha1(f"{local.host_name}{host}{port}{user}".encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def tokens_of(query: Query, settings: Settings, host: str) -> dict[str, str]:
    """The tokens of paths and commands (ssh_config(5), TOKENS); `host` is what the host is called in the end."""
    local = query.local
    port = settings[ssh_config.PORT]
    user = settings[ssh_config.USER]
    if user is None:
        user = local.user
    alias = settings[ssh_config.HOST_KEY_ALIAS]
    return {
        "C": connection_hash(local, host, port, user),
        "L": local.host_name.partition(".")[0],
        "d": local.home,
        "h": host,
        "i": str(local.uid),
        "j": "",
        "k": query.host if alias is None else alias,
        "l": local.host_name,
        "n": query.host,
        "p": str(port),
        "r": user,
        "u": local.user,
    }


@attrs.define(eq=False)
class Walk:
    """`go` through the sections, perhaps a second time once the host's final name is known; then take the `settings`."""

    query: Query
    found: Found = attrs.field(factory=lambda: Found(ssh_config.TABLE))
    ignored: list[Ignored] = attrs.field(factory=list)
    refused: list[Refused] = attrs.field(factory=list)
    final_host: str | None = None
    """None during the first pass."""

    def go(self, sections: Iterable[Section]) -> Generator[Command, bool, None]:
        """Collect what counts. Raises `ConfigError`."""
        for section in sections:
            counts = section.condition is None or (yield from self._holds(section.condition))
            for item in section.items:
                if isinstance(item, Included):
                    yield from (self.go(item.sections) if counts else self._pass_by(item.sections))
                elif counts:
                    self._take(item)
                else:
                    self._take_if_unknown(item)

    def _take(self, item: ActiveItem) -> None:
        match item:
            case Setting():
                self.found.add(item)
            case Ignored():
                self.ignored.append(item)
            case Refused():
                self.refused += still_refused([item], self.so_far()[ssh_config.IGNORE_UNKNOWN], no_forwardings=False)

    def _take_if_unknown(self, item: ActiveItem) -> None:
        """A keyword that nobody knows is an error wherever it stands: it is mistyped."""
        if isinstance(item, Refused) and not item.known:
            self._take(item)

    def _pass_by(self, sections: Iterable[Section]) -> Generator[Command, bool, None]:
        """No section of an included file counts where the ``Include`` line does not."""
        for section in sections:
            for item in section.items:
                if isinstance(item, Included):
                    yield from self._pass_by(item.sections)
                else:
                    self._take_if_unknown(item)

    def settings(self) -> Settings:
        """What was found. Raises `ConfigError` for the first line that counts, but is not supported."""
        settings = self.so_far()
        for line in still_refused(self.refused, (), no_forwardings=settings[ssh_config.CLEAR_ALL_FORWARDINGS]):
            raise line.place.error(line.error)
        return settings

    def host(self) -> str:
        """The host as it is called so far. Raises `ConfigError`."""
        if self.final_host is not None:
            return self.final_host
        name = self.so_far()[ssh_config.HOST_NAME]
        return self.query.host if name is None else expand_tokens(name, {"h": self.query.host}, "HostName")

    def so_far(self) -> Settings:
        """What was found, whether it may stand there or not."""
        return self.found.settings()

    def _holds(self, condition: Condition) -> Generator[Command, bool, bool]:
        if isinstance(condition, HostPatterns):
            return condition.matches(self.query.host if self.final_host is None else self.final_host)
        for criterion in condition.criteria:
            if criterion.name == "exec":
                holds = yield self._command(criterion, condition.place)
            else:
                holds = self._test(criterion, condition.place)
            if holds is criterion.negated:
                return False
        return True

    def _test(self, criterion: Criterion, place: Place) -> bool:
        query = self.query
        match criterion.name:
            case "all":
                return True
            case "canonical" | "final":
                return self.final_host is not None
            case "host":
                return _in_list(self.host().lower(), criterion.argument.lower())
            case "originalhost":
                return _in_list(query.host.lower(), criterion.argument.lower())
            case "user":
                user = self.so_far()[ssh_config.USER]
                return _in_list(query.local.user if user is None else user, criterion.argument)
            case "localuser":
                return _in_list(query.local.user, criterion.argument)
            case "tagged":
                return _in_list(self.so_far()[ssh_config.TAG] or "", criterion.argument)
            case "command":
                return _in_list(query.command, criterion.argument)
            case "sessiontype":
                return _in_list(query.session_type, criterion.argument.lower())
            case "version":
                return _in_list(query.version, criterion.argument)
            case _:
                return self._is_in_network(criterion.argument, place)

    def _is_in_network(self, text: str, place: Place) -> bool:
        try:
            networks = AddressList.of(text.split(","))
        except ValueError as error:
            raise place.error(f"Match: localnetwork: {error}") from None
        return any(networks.matches(address) for address in self.query.addresses())

    def _command(self, criterion: Criterion, place: Place) -> Command:
        """What a shell will read. The names in it must be such that it takes them for nothing but names (hardening E11)."""
        settings = self.so_far()
        tokens = tokens_of(self.query, settings, self.host())
        if settings[ssh_config.HOST_KEY_ALIAS] is None:
            tokens["k"] = tokens["h"]
        for letter, check in _CHECKS.items():
            if f"%{letter}" in criterion.argument:
                try:
                    check(tokens[letter])
                except ValueError as error:
                    raise place.error(f"Match: exec '{printable(criterion.argument, 200)}': %{letter}: {error}") from None
        try:
            return Command(expand_tokens(criterion.argument, tokens, "Match: exec"), place)
        except ConfigError as error:
            raise place.error(str(error)) from None


_CHECKS = {"h": check_host_name, "k": check_host_name, "n": check_host_name, "r": check_user_name}


def _in_list(text: str, patterns: str) -> bool:
    if not patterns:
        return not text
    return matches_pattern_list(text, patterns.split(","))


def wants_final_pass(sections: Iterable[Section]) -> bool:
    """Does any ``Match`` line speak of the final pass?"""
    for section in sections:
        if isinstance(section.condition, MatchLine) and section.condition.has("final"):
            return True
        if wants_final_pass(inner for item in section.items if isinstance(item, Included) for inner in item.sections):
            return True
    return False
