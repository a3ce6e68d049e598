"""Terminal modes on a pseudo-terminal of this machine."""

from __future__ import annotations

import os
import struct
import termios
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trio_ssh.server.terminal_modes import CHARACTERS, FLAGS, SPEEDS, apply_modes, decode_modes, encode_modes


@pytest.fixture
def terminal() -> Iterator[int]:
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def _modes(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">BI", *pair) for pair in pairs)


def test_pairs_up_to_the_end() -> None:
    assert decode_modes(_modes((1, 3), (53, 0), (1, 4)) + b"\0" + _modes((2, 2))) == {1: 4, 53: 0}


def test_nobody_knows_how_long_later_opcodes_are() -> None:
    assert decode_modes(_modes((1, 3), (159, 1), (160, 2), (2, 2))) == {1: 3, 159: 1}


def test_what_is_cut_off_is_left_out() -> None:
    assert decode_modes(_modes((1, 3), (2, 4))[:-1]) == {1: 3}
    assert decode_modes(b"") == {}


@pytest.mark.parametrize("opcode", FLAGS)
@pytest.mark.parametrize("value", [0, 1])
def test_each_flag_is_set_and_read_back(terminal: int, opcode: int, value: int) -> None:
    apply_modes(terminal, _modes((opcode, value)))
    kept = decode_modes(encode_modes(terminal)).get(opcode, value)
    # A pseudo-terminal is 8 bits wide without parity, whatever it is told (Linux: pty_set_termios).
    assert kept == (0 if opcode == 92 else value)


@pytest.mark.parametrize("opcode", [n for n, name in CHARACTERS.items() if hasattr(termios, name)])
@pytest.mark.parametrize("value", [1, 26, 254, 255])
def test_each_character_is_set_and_read_back(terminal: int, opcode: int, value: int) -> None:
    apply_modes(terminal, _modes((opcode, value)))
    assert decode_modes(encode_modes(terminal))[opcode] == value


def test_speeds_are_set_where_the_system_has_them(terminal: int) -> None:
    apply_modes(terminal, _modes((128, 19200), (129, 19200)))
    apply_modes(terminal, _modes((128, 12345), (129, 0)))
    assert {128: 19200, 129: 19200}.items() <= decode_modes(encode_modes(terminal)).items()
    assert 0 not in SPEEDS


def test_what_is_not_named_stays(terminal: int) -> None:
    before = termios.tcgetattr(terminal)
    apply_modes(terminal, b"")
    assert termios.tcgetattr(terminal) == before


@given(st.binary(max_size=200) | st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1))).map(lambda pairs: _modes(*pairs)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_taken(terminal: int, modes: bytes) -> None:
    apply_modes(terminal, modes)
