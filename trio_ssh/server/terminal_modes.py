"""Encoded terminal modes (RFC 4254 §8): from and to the settings of a terminal of this machine.

A string of (opcode, uint32) pairs. Opcode 0 ends it; 160 to 255 end it too, because nobody knows how long their arguments are. One flag,
character or speed is one row of the tables; what this system has no name for is passed over.
"""

from __future__ import annotations

import errno
import os
import struct
import termios
from collections.abc import Iterator
from typing import Any

_pair = struct.Struct(">BI")

END = 0
FIRST_UNDEFINED = 160
DISABLED = 255  # RFC 4254 §8: no character does this
INPUT_SPEED, OUTPUT_SPEED = 128, 129

IFLAG, OFLAG, CFLAG, LFLAG, ISPEED, OSPEED, CC = range(7)  # the order of termios.tcgetattr

CHARACTERS = {
    1: "VINTR", 2: "VQUIT", 3: "VERASE", 4: "VKILL", 5: "VEOF", 6: "VEOL", 7: "VEOL2", 8: "VSTART", 9: "VSTOP", 10: "VSUSP",
    11: "VDSUSP", 12: "VREPRINT", 13: "VWERASE", 14: "VLNEXT", 15: "VFLUSH", 16: "VSWTC", 17: "VSTATUS", 18: "VDISCARD",
}  # fmt: skip

FLAGS = {
    30: (IFLAG, "IGNPAR"), 31: (IFLAG, "PARMRK"), 32: (IFLAG, "INPCK"), 33: (IFLAG, "ISTRIP"), 34: (IFLAG, "INLCR"),
    35: (IFLAG, "IGNCR"), 36: (IFLAG, "ICRNL"), 37: (IFLAG, "IUCLC"), 38: (IFLAG, "IXON"), 39: (IFLAG, "IXANY"),
    40: (IFLAG, "IXOFF"), 41: (IFLAG, "IMAXBEL"), 42: (IFLAG, "IUTF8"),  # 42: RFC 8160
    50: (LFLAG, "ISIG"), 51: (LFLAG, "ICANON"), 52: (LFLAG, "XCASE"), 53: (LFLAG, "ECHO"), 54: (LFLAG, "ECHOE"),
    55: (LFLAG, "ECHOK"), 56: (LFLAG, "ECHONL"), 57: (LFLAG, "NOFLSH"), 58: (LFLAG, "TOSTOP"), 59: (LFLAG, "IEXTEN"),
    60: (LFLAG, "ECHOCTL"), 61: (LFLAG, "ECHOKE"), 62: (LFLAG, "PENDIN"),
    70: (OFLAG, "OPOST"), 71: (OFLAG, "OLCUC"), 72: (OFLAG, "ONLCR"), 73: (OFLAG, "OCRNL"), 74: (OFLAG, "ONOCR"), 75: (OFLAG, "ONLRET"),
    92: (CFLAG, "PARENB"), 93: (CFLAG, "PARODD"),
}  # fmt: skip

CHARACTER_SIZES = {90: "CS7", 91: "CS8"}  # two values of one field, not two flags

_BY_NUMBER = {"IUTF8": 0x4000}  # the same on Linux, macOS and FreeBSD; Python's termios has no name for it

SPEEDS = {int(name[1:]): value for name, value in vars(termios).items() if name[0] == "B" and name[1:].isdigit() and name != "B0"}
"""Bits a second -> what this system calls that speed. Without 0, which would mean to hang up."""


def decode_modes(modes: bytes) -> dict[int, int]:
    """The pairs; the last one of an opcode counts. Total: of any bytes, what is well-formed before the first fault counts."""
    found: dict[int, int] = {}
    for offset in range(0, len(modes) - _pair.size + 1, _pair.size):
        opcode, argument = _pair.unpack_from(modes, offset)
        if opcode == END or opcode >= FIRST_UNDEFINED:
            break
        found[opcode] = argument
    return found


def apply_modes(terminal: int, modes: bytes) -> None:
    """Set the terminal with that file descriptor as the client asked; what it did not name stays as it is. Raises `termios.error`."""
    wanted = decode_modes(modes)
    settings = termios.tcgetattr(terminal)
    for opcode in wanted.keys() & FLAGS.keys():
        _set_flag(settings, *FLAGS[opcode], on=wanted[opcode] != 0)
    for opcode in wanted.keys() & CHARACTERS.keys():
        _set_character(settings, CHARACTERS[opcode], wanted[opcode], os.fpathconf(terminal, "PC_VDISABLE"))
    for opcode in sorted(wanted.keys() & CHARACTER_SIZES.keys()):
        if wanted[opcode]:
            settings[CFLAG] = settings[CFLAG] & ~termios.CSIZE | getattr(termios, CHARACTER_SIZES[opcode])
    settings[ISPEED] = SPEEDS.get(wanted.get(INPUT_SPEED, 0), settings[ISPEED])
    settings[OSPEED] = SPEEDS.get(wanted.get(OUTPUT_SPEED, 0), settings[OSPEED])
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
    except termios.error as error:
        # A pseudo-terminal is 8 bits wide without parity, whatever it is told. glibc looks whether it is as asked and complains; by then
        # all the rest is set.
        if error.args[0] != errno.EINVAL:
            raise


def encode_modes(terminal: int) -> bytes:
    """The settings of the terminal with that file descriptor, for a client's pty request. Raises `termios.error`."""
    settings = termios.tcgetattr(terminal)
    pairs = [*_characters_of(settings, os.fpathconf(terminal, "PC_VDISABLE")), *_flags_of(settings), *_speeds_of(settings)]
    return b"".join(_pair.pack(opcode, argument) for opcode, argument in pairs) + bytes([END])


def _set_flag(settings: list[Any], field: int, name: str, *, on: bool) -> None:
    mask = _number(name) or 0
    settings[field] = settings[field] | mask if on else settings[field] & ~mask


def _set_character(settings: list[Any], name: str, argument: int, disabled: int) -> None:
    index = _number(name)
    if index is not None and argument <= 0xFF:
        settings[CC][index] = bytes([disabled if argument == DISABLED else argument])


def _characters_of(settings: list[Any], disabled: int) -> Iterator[tuple[int, int]]:
    for opcode, name in CHARACTERS.items():
        index = _number(name)
        if index is not None and isinstance(settings[CC][index], bytes):
            character = settings[CC][index][0]
            yield opcode, DISABLED if character == disabled else character


def _flags_of(settings: list[Any]) -> Iterator[tuple[int, int]]:
    for opcode, (field, name) in FLAGS.items():
        mask = _number(name)
        if mask is not None:
            yield opcode, int(settings[field] & mask != 0)
    for opcode, name in CHARACTER_SIZES.items():
        yield opcode, int(settings[CFLAG] & termios.CSIZE == getattr(termios, name))


def _speeds_of(settings: list[Any]) -> Iterator[tuple[int, int]]:
    rates = {value: rate for rate, value in SPEEDS.items()}
    for opcode, field in ((INPUT_SPEED, ISPEED), (OUTPUT_SPEED, OSPEED)):
        if settings[field] in rates:
            yield opcode, rates[settings[field]]


def _number(name: str) -> int | None:
    """What this system calls it; None where it has no such thing."""
    found = getattr(termios, name, _BY_NUMBER.get(name))
    return found if isinstance(found, int) else None
