"""`SSHConfig`: a client's configuration, read and parsed, and `resolve`, which asks everything that decides what holds for a host.

Order of events as with ssh: the command line, the user's file, the system's file, in a first pass by the name that the user gave. Then the
host's name is replaced (HostName) and perhaps looked up (CanonicalizeHostname), and if that is so, or a ``Match final`` wants it, the files
are gone through a second time by the new name; what the first pass found stays.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

import attrs

from ..errors import ConfigError
from . import ssh_config
from .canonical import Resolver, canonical_name, looks_like_address, no_resolver, numeric_address
from .include import Includer
from .lines import Line, Path, option_lines, text_lines
from .match import HostPatterns, MatchLine, Opener
from .settings import ActiveItem, Ignored, Section, Settings, parse_sections
from .ssh_other import other_line
from .ssh_values import Canonicalize
from .ssh_walk import MATCH, Query, Walk, tokens_of, wants_final_pass

SYSTEM_FILE = "/etc/ssh/ssh_config"
SYSTEM_FOLDER = "/etc/ssh"
USER_FOLDER = "~/.ssh"

_OPENERS: Mapping[str, Opener] = {"host": HostPatterns.of, "match": MATCH.parse}

RunCommand: TypeAlias = Callable[[str], Awaitable[bool]]
"""Does this command, given to the user's shell, end with status 0?"""


async def no_commands(command: str) -> bool:
    raise ConfigError("Match: exec: no command is run here")


@attrs.frozen
class SSHConfig:
    """Sections of settings, most important first; reading one costs the files, `for_host` no I/O."""

    sections: tuple[Section, ...] = ()

    @classmethod
    def from_file(cls, path: Path, *, ours: bool = False, system: bool = False) -> SSHConfig:
        """Read a file and what it includes; a ``~`` at its beginning is the home. With `ours` a file that others could have written is
        refused; included files always are, and so is ``Match exec`` in such a file.

        Names in Include lines are relative to ``~/.ssh``, with `system` to ``/etc/ssh``, and in a `system` file a feature or an
        algorithm that is missing here is no error. Raises `ConfigError` that names the file and, where it has one, the line.
        """
        name = os.path.expanduser(os.fspath(path))
        sections = _includer(system=system).read(name, ours=ours)
        if not ours and _runs_commands(sections):
            sections = _includer(system=system).read(name, ours=True)
        return cls(sections)

    @classmethod
    def from_text(cls, content: str, path: str = "text") -> SSHConfig:
        """Parse text, which can include no files; `path` is only named in errors. Raises `ConfigError`."""
        return cls(_parse(text_lines(content, path), _include_nothing, _OPENERS))

    @classmethod
    def from_options(cls, options: Iterable[str]) -> SSHConfig:
        """Parse options, each ``Keyword=value`` or ``Keyword value``. Raises `ConfigError`."""
        return cls(_parse(option_lines(options), None, {}))

    def followed_by(self, other: SSHConfig) -> SSHConfig:
        """These settings, and `other`'s where these say nothing."""
        return SSHConfig(self.sections + other.sections)

    def for_host(self, host: str, *, query: Query | None = None) -> Settings:
        """The settings for a host, by the name under which the user asked for it; its final name is what HostName says.

        Raises `ConfigError`: for a line that counts and is not supported, and for a ``Match exec``, which only `resolve` can run.
        """
        walk = Walk(Query(host=host) if query is None else query)
        _drive(walk, self.sections)
        if wants_final_pass(self.sections):
            walk.final_host = normal_name(walk.host())
            _drive(walk, self.sections)
        return walk.settings()


@attrs.frozen(kw_only=True)
class Resolved:
    """What holds for a host: `host` is its name in the end, `tokens` what stands for ``%h`` and the like in paths and commands."""

    host: str
    settings: Settings
    tokens: dict[str, str]
    ignored: tuple[Ignored, ...]


async def resolve(config: SSHConfig, query: Query, *, run: RunCommand = no_commands, look_up: Resolver = no_resolver) -> Resolved:
    """Find out what holds for a host. `run` is asked for ``Match exec``, `look_up` for CanonicalizeHostname. Raises `ConfigError`."""
    walk = Walk(query)
    await _run(walk, config.sections, run)
    host = await canonical_name(walk.so_far(), normal_name(walk.host()), look_up)
    if wants_final_pass(config.sections) or walk.so_far()[ssh_config.CANONICALIZE_HOSTNAME] is not Canonicalize.NO:
        walk.final_host = host
        await _run(walk, config.sections, run)
    settings = walk.settings()
    return Resolved(host=host, settings=settings, tokens=tokens_of(query, settings, host), ignored=tuple(dict.fromkeys(walk.ignored)))


def normal_name(host: str) -> str:
    """In lower case, unless it is an address or looks like one: these have a spelling of their own."""
    return host if looks_like_address(host) or numeric_address(host) is not None else host.lower()


async def _run(walk: Walk, sections: Iterable[Section], run: RunCommand) -> None:
    steps = walk.go(sections)
    try:
        command = next(steps)
        while True:
            command = steps.send(await run(command.text))
    except StopIteration:
        pass


def _drive(walk: Walk, sections: Iterable[Section]) -> None:
    for command in walk.go(sections):
        raise command.place.error("Match: exec: whether this section counts is not known without running a command")


def _include_nothing(line: Line) -> Iterable[Section]:
    raise line.place.error("Include: no files are read for a text; read it from a file")


def _runs_commands(sections: Iterable[Section]) -> bool:
    return any(isinstance(section.condition, MatchLine) and section.condition.has("exec") for section in sections)


def _includer(*, system: bool = False) -> Includer:
    folder = SYSTEM_FOLDER if system else os.path.expanduser(USER_FOLDER)
    return Includer(parse=lambda lines, include: _parse(lines, include, _OPENERS, system=system), folder=folder, home=not system, ours=True)


def _parse(
    lines: Iterable[Line],
    include: Callable[[Line], Iterable[Section]] | None,
    openers: Mapping[str, Opener],
    *,
    system: bool = False,
) -> tuple[Section, ...]:
    def other(line: Line) -> ActiveItem:
        return other_line(line, ssh_config.OPTION_NAMES, system=system)

    table = ssh_config.SYSTEM_TABLE if system else ssh_config.TABLE
    return parse_sections(lines, table, openers, include=include, other=other)
