"""Directives that draw the protocol's tables from the code, so that the pictures cannot say anything else.

``.. phases-table:: client`` (or ``server``): for each phase, which messages are legal and who gets them (`trio_ssh.protocol.phases.TABLE`).
``.. channel-table::``: for each pair of channel sides, what happens with each message (`trio_ssh.protocol.channel_state.JOINT`).
``.. auth-table::``: what the client's authentication makes of each answer, found out by giving it to the machine itself
(`trio_ssh.protocol.auth_client.ClientAuthentication`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.auth_client import ClientAuthentication
from trio_ssh.protocol.channel_state import JOINT, Side, Verdict
from trio_ssh.protocol.phases import TABLE, Phase, Route
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, write_extensions
from trio_ssh.wire.userauth import (
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthPasswdChangereq,
    UserauthPkOk,
    UserauthSuccess,
    write_prompts,
)


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as runs (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def words(numbers: Iterable[int]) -> str:
    """Message numbers by name where they have one, else as ranges: ``KEXINIT (20), 54-59``."""
    numbers = set(numbers)
    named = {int(m): m.name for m in MessageNumber}
    runs = ranges(numbers)
    parts: list[str] = []
    for first, last in runs:
        inside = [n for n in range(first, last + 1) if n in named]
        if len(inside) == last - first + 1:
            parts += [f"{named[n]} ({n})" for n in inside]
        else:
            span = f"{first}-{last}" if last > first else str(first)
            parts.append(f"{span} (with {', '.join(named[n] for n in inside)})" if inside else span)
    return ", ".join(parts)


def table(head: Sequence[str], widths: Sequence[int], rows: Iterable[Sequence[str]]) -> nodes.table:
    """A docutils table of plain text cells."""
    group = nodes.tgroup(cols=len(head))
    for width in widths:
        group += nodes.colspec(colwidth=width)
    group += nodes.thead("", _row(head))
    body = nodes.tbody()
    for row in rows:
        body += _row(row)
    group += body
    return nodes.table("", group)


def _row(cells: Sequence[str]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph(text=cell))
    return row


def by_value(row: dict[int, Any], order: Iterable[Enum]) -> list[tuple[Enum, str]]:
    """(value, the messages that have it) for each value that some message has."""
    return [(value, words(n for n in row if row[n] is value)) for value in order if value in row.values()]


class PhasesTable(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        role = Role(directives.choice(self.arguments[0], tuple(role.value for role in Role)))
        rows = [
            (phase.value if first else "", route.name.replace("_", " ").lower(), messages)
            for phase in Phase
            for first, (route, messages) in _marked(by_value(TABLE[role, phase], Route))
        ]
        return [table(("phase", "goes to", "messages received"), (30, 15, 55), rows)]


class ChannelTable(Directive):
    def run(self) -> list[nodes.Node]:
        rows = [
            (f"ours {ours.value}, theirs {theirs.value}" if first else "", verdict.value, messages)
            for ours in Side
            for theirs in Side
            if (found := by_value(JOINT[ours, theirs], Verdict))
            for first, (verdict, messages) in _marked(found)
        ]
        return [table(("sides", "verdict", "messages received"), (25, 15, 60), rows)]


_KEY = ("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32))
AUTH_MESSAGES = (
    ServiceAccept("ssh-userauth"),
    ExtInfo(write_extensions({})),
    UserauthBanner("text"),
    UserauthFailure(("publickey",), False),
    UserauthSuccess(),
    UserauthPkOk(*_KEY),
    UserauthPasswdChangereq("text"),
    UserauthInfoRequest("", "", "", write_prompts((("Code: ", False),))),
)


def client_states() -> dict[str, ClientAuthentication]:
    """A machine in each of its states, brought there by its own calls."""

    def machine(*steps: str) -> ClientAuthentication:
        made = ClientAuthentication("ada", b"session")
        for step in steps:
            _STEPS[step](made)
        return made

    return {
        "nothing requested yet": machine(),
        "the service is requested": machine("service"),
        "the service is given, no request is out": machine("service", "accepted"),
        "none is asked for": machine("service", "accepted", "none"),
        "asked about a key": machine("service", "accepted", "question"),
        "a signature is sent": machine("service", "accepted", "signature"),
        "a password is sent": machine("service", "accepted", "password"),
        "keyboard-interactive is asked for": machine("service", "accepted", "interactive"),
        "its questions are being answered": machine("service", "accepted", "interactive", "questions"),
    }


_STEPS: dict[str, Any] = {
    "service": lambda machine: machine.request_service(),
    "accepted": lambda machine: machine.receive(encode(AUTH_MESSAGES[0])),
    "none": lambda machine: machine.request_none(),
    "question": lambda machine: machine.ask_about_key(*_KEY),
    "signature": lambda machine: machine.request_publickey(*_KEY, b"signature"),
    "password": lambda machine: machine.request_password("secret"),
    "interactive": lambda machine: machine.request_keyboard_interactive(),
    "questions": lambda machine: machine.receive(encode(AUTH_MESSAGES[-1])),
}


def taken_by(machine: ClientAuthentication) -> list[str]:
    """The messages that a machine takes as it stands."""
    found = []
    for message in AUTH_MESSAGES:
        try:
            copy.deepcopy(machine).receive(encode(message))
        except RemoteProtocolError:
            continue
        found.append(type(message).__name__.removeprefix("Userauth"))
    return found


class AuthTable(Directive):
    def run(self) -> list[nodes.Node]:
        rows = [(state, ", ".join(taken_by(machine)) or "none") for state, machine in client_states().items()]
        return [table(("state", "answers that are taken"), (40, 60), rows)]


def _marked(items: list[tuple[Enum, str]]) -> list[tuple[bool, tuple[Enum, str]]]:
    return [(number == 0, item) for number, item in enumerate(items)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("phases-table", PhasesTable)
    app.add_directive("channel-table", ChannelTable)
    app.add_directive("auth-table", AuthTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
