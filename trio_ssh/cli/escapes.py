"""The escape character of an interactive session: ``~`` at the beginning of a line (ssh(1), ESCAPE CHARACTERS)."""

from __future__ import annotations

import enum

import attrs

HELP = b"""~?
Supported escape sequences:\r
 ~.   - terminate the connection\r
 ~R   - renew the keys\r
 ~?   - this message\r
 ~~   - send the escape character by typing it twice\r
(Escapes are only recognised at the beginning of a line.)\r
"""


class Escape(enum.Enum):
    """What the user asked for."""

    TERMINATE = ord(".")
    REKEY = ord("R")
    HELP = ord("?")


_TILDE = ord("~")
_LINE_ENDS = b"\r\n"


@attrs.define(eq=False)
class EscapeFilter:
    """Takes what is typed, in any pieces, and gives what is to be sent, with the escapes between at their places."""

    _at_line_start: bool = True
    _after_tilde: bool = False

    def feed(self, typed: bytes) -> list[bytes | Escape]:
        """Pieces to send and escapes to obey, in the order in which they were typed."""
        found: list[bytes | Escape] = []
        sent = bytearray()
        for character in typed:
            if self._after_tilde:
                self._after_tilde = False
                escape = _ESCAPES.get(character)
                if escape is not None:
                    if sent:
                        found.append(bytes(sent))
                        sent.clear()
                    found.append(escape)
                    self._at_line_start = True
                    continue
                if character != _TILDE:
                    sent.append(_TILDE)  # it was none: both are sent
            elif self._at_line_start and character == _TILDE:
                self._after_tilde = True
                continue
            sent.append(character)
            self._at_line_start = character in _LINE_ENDS
        if sent:
            found.append(bytes(sent))
        return found


_ESCAPES = {escape.value: escape for escape in Escape}
