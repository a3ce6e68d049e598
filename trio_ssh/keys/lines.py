"""Text files of one entry a line, as known_hosts and authorized_keys are: a line is taken whole or skipped whole. And their base64."""

from __future__ import annotations

import binascii
import logging
import re
from collections.abc import Iterator, Sequence

import attrs

from ..errors import printable

_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LOGGED_MAX = 20


@attrs.frozen
class SkippedLine:
    """A line that is not obeyed, and why. Lines are counted from 1."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.path)} line {self.line}: {self.reason}"


def entry_lines(content: bytes, line_bytes_max: int) -> Iterator[tuple[int, bytes, str]]:
    """Number, text without blanks at its ends, and reason to skip it ("" if none) of each line that is neither empty nor a comment.

    Only LF ends a line; a CR before it is dropped. In a good text, spaces and tabs are the only white space of ASCII, so that
    ``bytes.split()`` splits at nothing else.
    """
    lines = content.removeprefix(_BOM).split(b"\n")
    for number, line in enumerate(lines, 1):
        if len(line) > line_bytes_max:
            yield number, b"", f"the line is longer than {line_bytes_max} bytes"
            continue
        text = line.removesuffix(b"\r").strip(b" \t")
        if not text or text.startswith(b"#"):
            continue
        yield number, text, "the line has a control character in it" if _CONTROL.search(text) else ""


def read_base64(text: str | bytes) -> bytes:
    """Base64 without blanks, with its padding and nothing behind it; `ValueError` otherwise."""
    if len(text) % 4:
        raise ValueError("not whole groups of four characters")  # binascii lets "AAAA=" pass
    return binascii.a2b_base64(text, strict_mode=True)


def log_skipped(logger: logging.Logger, skipped: Sequence[SkippedLine]) -> None:
    """One warning for each skipped line, but never a flood of them."""
    for line in skipped[:_LOGGED_MAX]:
        logger.warning("skipped: %s", line)
    if len(skipped) > _LOGGED_MAX:
        logger.warning("skipped: %s: %d more lines", printable(skipped[-1].path), len(skipped) - _LOGGED_MAX)
