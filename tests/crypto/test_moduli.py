"""Which groups a server has, and which of them it chooses (RFC 4419 §3, hardening A17, moduli(5))."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.test_group_exchange import ffdhe
from trio_ssh.crypto.group_exchange import BUILT_IN, Group, check_group
from trio_ssh.crypto.moduli import MODULI_FILE_BYTES_MAX, Moduli
from trio_ssh.errors import KeyExchangeError, KeyFileError

SYSTEM_FILE = Path("/etc/ssh/moduli")
PRIME = f"{ffdhe(2048).prime:X}"
GOOD = f"20220714110357 2 6 100 2047 2 {PRIME}"


def zeros(count: int) -> bytes:
    return bytes(count)


def parsed(*lines: str) -> tuple[Group, ...]:
    """What is taken from `lines`, behind one line that is always good."""
    return Moduli.from_text("\n".join([f"20220714110357 2 6 100 3071 5 {ffdhe(3072).prime:X}", *lines]), "moduli").groups[1:]


# -- reading ----------------------------------------------------------------------------------------------------------------------------


def test_a_line_is_read():
    assert parsed(GOOD) == (Group(ffdhe(2048).prime, 2),)
    assert parsed(GOOD.lower(), GOOD, f"  {GOOD.replace(' ', chr(9))}\r") == (Group(ffdhe(2048).prime, 2),)
    assert parsed(GOOD.replace(" 2047 ", " 2048 ")) != ()  # what old files have


BAD_LINES = {
    "no line": "x",
    "cut": GOOD.rsplit(" ", 1)[0],
    "one field more": f"{GOOD} x",
    "type 4, a safe prime's half": GOOD.replace(" 2 6 ", " 4 6 "),
    "type 0": GOOD.replace(" 2 6 ", " 0 6 "),
    "untested": GOOD.replace(" 2 6 ", " 2 0 "),
    "only sieved": GOOD.replace(" 2 6 ", " 2 2 "),
    "found composite": GOOD.replace(" 2 6 ", " 2 7 "),
    "too few trials": GOOD.replace(" 100 ", " 3 "),
    "another size": GOOD.replace(" 2047 ", " 3071 "),
    "generator 0": GOOD.replace(" 2047 2 ", " 2047 0 "),
    "generator 1": GOOD.replace(" 2047 2 ", " 2047 1 "),
    "a negative generator": GOOD.replace(" 2047 2 ", " 2047 -2 "),
    "even": f"{GOOD[:-1]}0",
    "not hexadecimal": f"{GOOD[:-1]}G",
    "too small": f"20220714110357 2 6 100 1023 2 {(1 << 1023) + 1:X}",
    "too big": f"20220714110357 2 6 100 16383 2 {(1 << 16383) + 1:X}",
    "enormous": f"20220714110357 2 6 100 99999 2 {'F' * 25_000}",
    "underscores": GOOD.replace(" 2047 ", " 2_047 "),
    "NUL": f"{GOOD}\0",
    "not ASCII": GOOD.replace(" 2 6 ", " \u0662 6 "),
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_skipped_and_counted(line, caplog):
    with caplog.at_level(logging.WARNING, "trio_ssh.moduli"):
        assert parsed(line, "", "# a comment", GOOD) == (Group(ffdhe(2048).prime, 2),)
    assert [record.getMessage() for record in caplog.records] == ["moduli: skipped 1 of 3 lines: no tested safe prime of a size to use"]


def test_nothing_is_said_about_a_good_file(caplog):
    parsed(GOOD)
    assert caplog.records == []


@pytest.mark.parametrize("text", ["", "# nothing here\n", BAD_LINES["too small"]])
def test_a_file_without_any_group_is_an_error_that_says_what_to_do(text):
    with pytest.raises(KeyFileError, match=r"^/some/where: no group of 2048 to 8192 bits in it; make some with: ssh-keygen -M") as caught:
        Moduli.from_text(text, "/some/where")
    assert caught.value.path == "/some/where"


def test_files_that_cannot_be_read(tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"#" * (MODULI_FILE_BYTES_MAX + 1))
    os.mkfifo(tmp_path / "fifo")  # must not block
    reasons = {
        tmp_path / "missing": "cannot be read: No such file or directory",
        tmp_path: "(not a regular file|Is a directory)",
        tmp_path / "fifo": "not a regular file",
        big: "longer than 1048576 bytes",
        Path("/dev/zero"): "not a regular file",
    }
    for path, reason in reasons.items():
        with pytest.raises(KeyFileError, match=reason) as caught:
            Moduli.from_file(path)
        assert caught.value.path == str(path)
    with pytest.raises(KeyFileError, match="not a path"):
        Moduli.from_file("with\0nul")


def test_a_file_as_large_as_may_be_is_read(tmp_path):
    path = tmp_path / "moduli"
    path.write_bytes(f"{GOOD}\n".encode().ljust(MODULI_FILE_BYTES_MAX, b"\n"))
    assert Moduli.from_file(path).groups == (Group(ffdhe(2048).prime, 2),)


@pytest.mark.skipif(not SYSTEM_FILE.is_file() and os.environ.get("CI") != "true", reason="no moduli file of the system")
def test_the_file_of_the_system_is_taken_as_it_is(caplog):
    moduli = Moduli.from_file(SYSTEM_FILE)
    lines = [line for line in SYSTEM_FILE.read_text().splitlines() if line and not line.startswith("#")]
    assert len(moduli.groups) == len(lines)
    assert caplog.records == []
    for group in moduli.groups[::100]:
        if group.bits <= 3072:
            check_group(group, 2048, 8192)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        moduli = Moduli.from_text(text, "moduli")
    except KeyFileError:
        return
    assert moduli.groups


def test_the_built_in_ones():
    assert Moduli.built_in() is Moduli.built_in()
    assert Moduli.built_in().groups == BUILT_IN
    assert hash(Moduli.built_in()) == hash(Moduli(BUILT_IN))  # they are part of `Algorithms`, which is hashed
    assert len(repr(Moduli.built_in())) < 100


# -- choosing ---------------------------------------------------------------------------------------------------------------------------

CHOICES: dict[tuple[int, int, int], int] = {
    (2048, 2048, 8192): 2048,
    (1024, 2048, 8192): 2048,  # what older clients say
    (0, 2049, 8192): 3072,
    (2048, 3072, 8192): 3072,
    (2048, 7680, 8192): 8192,
    (2048, 8192, 8192): 8192,
    (3072, 3072, 3072): 3072,
    (2048, 4095, 4095): 3072,  # nothing as big as wanted: the biggest that is allowed
    (2048, 3000, 0xFFFFFFFF): 3072,
}


@pytest.mark.parametrize(("request_", "bits"), CHOICES.items(), ids=str)
def test_a17_the_smallest_size_that_is_as_big_as_wanted(request_, bits):
    bits_min, wanted, bits_max = request_
    assert Moduli.built_in().choose(bits_min, wanted, bits_max, zeros).bits == bits


REFUSED: list[tuple[int, int, int]] = [
    (1024, 1024, 1024),
    (8192, 4096, 2048),
    (0, 0, 0),
    (2048, 2047, 8192),
    (2048, 8193, 16384),
    (2048, 1024, 8192),
    (4096, 3072, 8192),
    (2048, 4096, 3072),
    (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    (2048, 0, 8192),
    (2049, 2500, 3000),  # it makes sense, but there is none
]


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_sm_068_a17_a_request_out_of_range_is_refused(request_):
    bits_min, wanted, bits_max = request_
    with pytest.raises(KeyExchangeError) as caught:
        Moduli.built_in().choose(bits_min, wanted, bits_max, zeros)
    assert caught.value.reason == 3


def test_one_of_many_is_chosen_at_random():
    groups = tuple(Group(ffdhe(2048).prime, generator) for generator in range(2, 12))
    moduli = Moduli((*groups, *BUILT_IN[1:]))
    source = random.Random(1)
    chosen = [moduli.choose(2048, 2048, 8192, source.randbytes) for _ in range(300)]
    assert set(chosen) == set(groups)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a17_whatever_is_chosen_lies_within_what_was_asked_for(bits_min, wanted, bits_max):
    try:
        group = Moduli.built_in().choose(bits_min, wanted, bits_max, zeros)
    except KeyExchangeError:
        return
    assert max(2048, bits_min) <= group.bits <= min(bits_max, 8192)
    assert bits_min <= wanted <= bits_max
