"""The data types of RFC 4251 §5: the RFC's own examples, round trips, and strictness both ways."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import VALUES, WITH_LENGTH
from trio_ssh.errors import DecodeError, LocalProtocolError
from trio_ssh.wire import primitives as p


def written(write, value) -> bytes:
    out = bytearray(b"before")
    write(out, value)
    assert out.startswith(b"before")
    return bytes(out[6:])


def string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


# RFC 4251 §5: the examples under "uint32", "mpint" and "name-list".
EXAMPLES = [
    (p.read_uint32, p.write_uint32, 699921578, "29b7f4aa"),
    (p.read_mpint, p.write_mpint, 0, "00000000"),
    (p.read_mpint, p.write_mpint, 0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"),
    (p.read_mpint, p.write_mpint, 0x80, "000000020080"),
    (p.read_mpint, p.write_mpint, -0x1234, "00000002edcc"),
    (p.read_mpint, p.write_mpint, -0xDEADBEEF, "00000005ff21524111"),
    (p.read_name_list, p.write_name_list, (), "00000000"),
    (p.read_name_list, p.write_name_list, ("zlib",), "000000047a6c6962"),
    (p.read_name_list, p.write_name_list, ("zlib", "none"), "000000097a6c69622c6e6f6e65"),
    (p.read_name, p.write_name, "testing", "0000000774657374696e67"),
    (p.read_boolean, p.write_boolean, True, "01"),
    (p.read_boolean, p.write_boolean, False, "00"),
    (p.read_uint64, p.write_uint64, 2**64 - 2, "fffffffffffffffe"),
    (p.read_byte, p.write_byte, 255, "ff"),
    (p.read_mpint, p.write_mpint, -1, "00000001ff"),
    (p.read_mpint, p.write_mpint, -128, "0000000180"),
    (p.read_mpint, p.write_mpint, -129, "00000002ff7f"),
    (p.read_mpint, p.write_mpint, 127, "000000017f"),
    (p.read_mpint, p.write_mpint, 255, "0000000200ff"),
    (p.read_utf8, p.write_utf8, "ä", "00000002c3a4"),
    (p.read_text, p.write_text, "\udcff", "00000001ff"),
]


@pytest.mark.parametrize(("read", "write", "value", "wire"), EXAMPLES)
def test_examples(read, write, value, wire):
    assert written(write, value).hex() == wire
    data = bytes.fromhex(wire)
    assert read(data, 0) == (value, len(data))
    assert read(b"xx" + data + b"yyy", 2) == (value, 2 + len(data))


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.read.__name__)
def test_what_is_written_is_read_and_nothing_less(kind):
    @given(VALUES[kind], st.binary(max_size=9))
    def check(value, before):
        data = before + written(kind.write, value)
        assert kind.read(data, len(before)) == (value, len(data))

        for end in range(len(before), len(data)) if kind.read is not p.read_rest else ():
            with pytest.raises(DecodeError):
                kind.read(data[:end], len(before))

    check()


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.read.__name__)
def test_any_bytes_are_read_or_refused(kind):
    @given(st.binary(max_size=60), st.integers(0, 70))
    def check(data, offset):
        try:
            value, end = kind.read(data, min(offset, len(data)))
        except DecodeError:
            return
        assert end <= len(data)
        assert kind.read(written(kind.write, value), 0)[0] == value

    check()


def test_a_length_beyond_the_end_is_refused():
    for kind in WITH_LENGTH:
        for length in (4, 2**31 - 1, 2**31, 2**32 - 1):
            with pytest.raises(DecodeError):
                kind.read(struct.pack(">I", length) + b"\x01ab", 0)


@given(st.integers(1, 255))
def test_sm_040_every_byte_but_zero_is_true(byte):
    assert p.read_boolean(bytes([byte]), 0) == (True, 1)


@pytest.mark.parametrize("content", ["00", "0000", "007f", "000102", "ffff", "ff80", "ffffff", "ffff7f00"])
def test_mpints_have_one_form_only(content):
    """RFC 4251 §5: unnecessary leading bytes MUST NOT be included, and zero is the empty string."""
    with pytest.raises(DecodeError):
        p.read_mpint(string(bytes.fromhex(content)), 0)


@given(st.binary(max_size=12))
def test_every_mpint_that_is_read_is_written_back_the_same(content):
    try:
        value, _ = p.read_mpint(string(content), 0)
    except DecodeError:
        return
    assert p.mpint_bytes(value) == content


@given(st.integers(-(2**300), 2**300))
def test_mpint_bytes_are_the_shortest_that_hold_the_value(value):
    raw = p.mpint_bytes(value)
    assert int.from_bytes(raw, "big", signed=True) == value
    assert len(raw) == next(size for size in range(50) if -(1 << (8 * size)) <= 2 * value < 1 << (8 * size))


# SM-041, SM-042 -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"a\0b", b"\0", "ä".encode(), b"\xff", b"a,\x80", b"a b", b"a,\t", b"a\n", b"\x7f"],
)
def test_sm_041_name_lists_are_printable_ascii(content):
    with pytest.raises(DecodeError):
        p.read_name_list(string(content), 0)


@pytest.mark.parametrize("content", [b"a" * 65, b"ok," + b"a" * 65, b"a,,b", b",a", b",", b",,", b"a,,", b",a,"])
def test_sm_042_names_that_are_empty_or_too_long(content):
    with pytest.raises(DecodeError):
        p.read_name_list(string(content), 0)


@pytest.mark.parametrize(
    ("content", "names"), [(b"a,", ("a",)), (b"a,b,", ("a", "b")), (b"a" * 64, ("a" * 64,)), (b"a,a", ("a", "a")), (b"~,!", ("~", "!"))]
)
def test_sm_042_sm_043_one_trailing_comma_and_equal_names_pass(content, names):
    assert p.read_name_list(string(content), 0)[0] == names


@pytest.mark.parametrize("content", [b"\x80", "é".encode(), b"session\xff"])
def test_sm_118_names_are_ascii(content):
    with pytest.raises(DecodeError):
        p.read_name(string(content), 0)


@pytest.mark.parametrize("content", [b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc3"])
def test_utf8_is_strict_where_it_must_be_and_kept_where_people_read_it(content):
    with pytest.raises(DecodeError):
        p.read_utf8(string(content), 0)
    text, _ = p.read_text(string(content), 0)
    assert written(p.write_text, text) == string(content)


# What does not fit ---------------------------------------------------------------------------------------------------------------------

DOES_NOT_FIT = [
    (p.write_byte, -1),
    (p.write_byte, 256),
    (p.write_uint32, -1),
    (p.write_uint32, 2**32),
    (p.write_uint64, -1),
    (p.write_uint64, 2**64),
    (p.write_bytes16, b""),
    (p.write_bytes16, bytes(15)),
    (p.write_bytes16, bytes(17)),
    (p.write_name, "ä"),
    (p.write_name, "\udc80"),
    (p.write_utf8, "\ud800"),
    (p.write_utf8, "\udcff"),
    (p.write_name_list, ("",)),
    (p.write_name_list, ("a", "")),
    (p.write_name_list, ("a,b",)),
    (p.write_name_list, ("a b",)),
    (p.write_name_list, ("a" * 65,)),
    (p.write_name_list, ("a\0",)),
    (p.write_name_list, ("ä",)),
    (p.write_name_list, ("a\n",)),
]


@pytest.mark.parametrize(("write", "value"), DOES_NOT_FIT)
def test_writers_refuse_what_does_not_fit(write, value):
    with pytest.raises(LocalProtocolError):
        write(bytearray(), value)


def test_text_that_no_bytes_could_have_become_is_refused():
    """A lone surrogate that is no escape of a byte: it has no UTF-8 form."""
    with pytest.raises(LocalProtocolError):
        p.write_text(bytearray(), "\ud800")


@given(st.text(max_size=30))
def test_a_name_list_is_refused_or_read_back(name):
    try:
        wire = written(p.write_name_list, (name, "other"))
    except LocalProtocolError:
        return
    assert p.read_name_list(wire, 0)[0] == (name, "other")
