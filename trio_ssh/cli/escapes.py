"""The escape character of an interactive session: ``~`` at the beginning of a line (ssh(1), ESCAPE CHARACTERS)."""

from __future__ import annotations

import enum

import attrs

_HELP = """{0}?
Supported escape sequences:\r
 {0}.   - terminate the connection\r
 {0}R   - renew the keys\r
 {0}?   - this message\r
 {0}{0}   - send the escape character by typing it twice\r
(Escapes are only recognised at the beginning of a line.)\r
"""


def help_text(character: str) -> bytes:
    """What ``~?`` shows, with the escape character that is in use."""
    shown = character if character.isprintable() else f"^{chr(ord(character) | 64)}"
    return _HELP.format(shown).encode("ascii")


class Escape(enum.Enum):
    """What the user asked for."""

    TERMINATE = ord(".")
    REKEY = ord("R")
    HELP = ord("?")


_LINE_ENDS = b"\r\n"


@attrs.define(eq=False)
class EscapeFilter:
    """Takes what is typed, in any pieces, and gives what is to be sent, with the escapes between at their places.

    `character` is what begins an escape; None, and there are none.
    """

    character: str | None = "~"
    _at_line_start: bool = True
    _after_mark: bool = False

    def feed(self, typed: bytes) -> list[bytes | Escape]:
        """Pieces to send and escapes to obey, in the order in which they were typed."""
        found: list[bytes | Escape] = []
        sent = bytearray()
        mark = -1 if self.character is None else ord(self.character)
        for character in typed:
            if self._after_mark:
                self._after_mark = False
                escape = _ESCAPES.get(character)
                if escape is not None:
                    if sent:
                        found.append(bytes(sent))
                        sent.clear()
                    found.append(escape)
                    self._at_line_start = True
                    continue
                if character != mark:
                    sent.append(mark)  # it was none: both are sent
            elif self._at_line_start and character == mark:
                self._after_mark = True
                continue
            sent.append(character)
            self._at_line_start = character in _LINE_ENDS
        if sent:
            found.append(bytes(sent))
        return found


_ESCAPES = {escape.value: escape for escape in Escape}
