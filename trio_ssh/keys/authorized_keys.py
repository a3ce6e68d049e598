"""authorized_keys text (sshd(8), AUTHORIZED_KEYS FILE FORMAT): which keys may log in.

A line is obeyed whole or not at all. Options are not supported yet; a line that has any is refused, because obeying its key without its
options would grant more than its writer meant to.
"""

from __future__ import annotations

import logging
import re

import attrs

from ..errors import DecodeError, printable
from .blobs import is_key_type
from .files import Path, read_regular_file
from .key import PublicKey, blob_of_fields
from .lines import SkippedLine, entry_lines, log_skipped

AUTHORIZED_KEYS_LINES_MAX = 1000
AUTHORIZED_KEYS_LINE_BYTES_MAX = 16 * 1024

_logger = logging.getLogger("trio_ssh.authorized_keys")

# Runs of characters that are neither blank nor quote, and quoted strings in which \" stands for a quote. Every repetition is
# possessive (the second +): nothing is ever tried twice, whatever the line.
_OPTIONS = re.compile(rb'(?:[^" \t]++|"(?:\\"|[^"])*+")++(?=[ \t])')


@attrs.frozen
class AuthorizedKey:
    """One line: the key, its options as text (always empty for now), its comment, and the number of the line, from 1."""

    key: PublicKey
    options: str
    comment: str
    line: int


@attrs.frozen
class ParsedAuthorizedKeys:
    """The lines that count, and those that do not with the reason."""

    entries: tuple[AuthorizedKey, ...]
    skipped: tuple[SkippedLine, ...]


def read_authorized_keys(path: Path) -> ParsedAuthorizedKeys:
    """Parse a file. Raises `KeyFileError` if it cannot be read, is not a regular file, or is larger than any that would be obeyed."""
    content = read_regular_file(path, AUTHORIZED_KEYS_LINES_MAX * AUTHORIZED_KEYS_LINE_BYTES_MAX)
    return parse_authorized_keys(content, str(path))


def parse_authorized_keys(text: str | bytes, path: str) -> ParsedAuthorizedKeys:
    """Parse the content of an authorized_keys file; `path` is only named in the report. Raises nothing.

    Skipped lines are logged to ``trio_ssh.authorized_keys``. At most 1,000 lines of 16 KiB each are obeyed.
    """
    content = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    entries: list[AuthorizedKey] = []
    skipped: list[SkippedLine] = []
    for number, line, reason in entry_lines(content, AUTHORIZED_KEYS_LINE_BYTES_MAX):
        if number > AUTHORIZED_KEYS_LINES_MAX:
            reason = f"only {AUTHORIZED_KEYS_LINES_MAX} lines are read: this one and all behind it are not"
            skipped.append(SkippedLine(path, number, reason))
            break
        try:
            entries.append(_parse_line(number, line, reason))
        except DecodeError as error:
            skipped.append(SkippedLine(path, number, str(error)))
    log_skipped(_logger, skipped)
    return ParsedAuthorizedKeys(tuple(entries), tuple(skipped))


def _parse_line(number: int, line: bytes, reason: str) -> AuthorizedKey:
    if reason:
        raise DecodeError(reason)
    if _starts_with_key_type(line):
        return AuthorizedKey(*_parse_key(line), line=number)
    options = _OPTIONS.match(line)
    if options is not None:
        rest = line[options.end() :].lstrip(b" \t")
        if _starts_with_key_type(rest):
            _parse_key(rest)
            shown = printable(options.group(), 200)
            raise DecodeError(f"it has options ({shown}); options are not supported yet, so the key is refused")
    raise _unknown_line(line)


def _starts_with_key_type(line: bytes) -> bool:
    return is_key_type(line.split(None, 1)[0].decode("ascii", "replace"))


def _parse_key(line: bytes) -> tuple[PublicKey, str, str]:
    fields = line.split(None, 2)
    if len(fields) < 2:
        raise DecodeError("the key is missing behind its type")
    key = PublicKey.from_blob(blob_of_fields(fields[0].decode("ascii"), fields[1].decode("ascii", "replace")))
    comment = fields[2].decode("utf-8", "backslashreplace") if len(fields) > 2 else ""
    return key, "", comment


def _unknown_line(line: bytes) -> DecodeError:
    """Say more than "bad" where the line is a sound key of a type that we do not support."""
    fields = line.split(None, 2)
    try:
        blob_of_fields(fields[0].decode("ascii", "replace"), fields[1].decode("ascii", "replace") if len(fields) > 1 else "")
    except DecodeError:
        return DecodeError("it does not start with a key, nor with options and a key")
    return DecodeError(f"key type {printable(fields[0], 64)!r} is not supported")
