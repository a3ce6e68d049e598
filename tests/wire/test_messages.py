"""Every message and structure: round trips, and `DecodeError`, never another exception, for whatever is cut, stretched or lied about."""

from __future__ import annotations

import struct
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import DECLARED, MESSAGES, REST, STRUCTURES, WITH_LENGTH, kinds_of, layout_of, values_of
from trio_ssh.errors import DecodeError, LocalProtocolError
from trio_ssh.wire import transport, userauth
from trio_ssh.wire.codec import decode, decode_from, encode, message_classes, message_number
from trio_ssh.wire.numbers import MessageNumber, message_name

every_class = pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
few = settings(max_examples=8)


def ends_in_rest(cls: type) -> bool:
    return REST in kinds_of(cls)


def decoded_or_none(cls: type, data: bytes) -> Any:
    """None if refused; a value must be the same after another journey."""
    try:
        value: Any = decode(cls, data)
    except DecodeError:
        return None
    assert decode(cls, encode(value)) == value
    return value


@every_class
def test_round_trip(cls):
    @few
    @given(values_of(cls), st.binary(max_size=5), st.binary(max_size=5))
    def check(value, before, behind):
        data = encode(value)
        assert decode(cls, data) == value
        assert decode_from(cls, before + data, len(before)) == (value, len(before) + len(data))
        if not ends_in_rest(cls):
            assert decode_from(cls, data + behind, 0) == (value, len(data))

    check()


@every_class
def test_g2_cut_at_each_byte_followed_by_more_and_lengths_that_lie(cls):
    @few
    @given(values_of(cls), st.binary(min_size=1, max_size=5))
    def check(value, behind):
        check_cuts(value)
        check_trailing_bytes(value, behind)
        check_lengths(value)

    check()


def check_cuts(value: Any) -> None:
    cls, data = type(value), encode(value)
    must_be_there = layout_of(value)[-1][1] if ends_in_rest(cls) else len(data)
    for end in range(must_be_there):
        with pytest.raises(DecodeError):
            decode(cls, data[:end])
    for end in range(must_be_there, len(data)):
        assert encode(decode(cls, data[:end])) == data[:end]


def check_trailing_bytes(value: Any, behind: bytes) -> None:
    cls, data = type(value), encode(value) + behind
    if ends_in_rest(cls):
        assert encode(decode(cls, data)) == data
    else:
        with pytest.raises(DecodeError):
            decode(cls, data)


def check_lengths(value: Any) -> None:
    cls, data = type(value), encode(value)
    for kind, start, end in layout_of(value):
        if kind not in WITH_LENGTH:
            continue
        length = end - start - 4
        for lie in {length - 1, length + 1, 0} - {length, -1}:
            decoded_or_none(cls, data[:start] + struct.pack(">I", lie) + data[start + 4 :])
        for lie in (len(data) - start - 3, 2**31 - 1, 2**31, 2**32 - 1):
            with pytest.raises(DecodeError):
                decode(cls, data[:start] + struct.pack(">I", lie) + data[start + 4 :])


@settings(max_examples=200)
@given(st.sampled_from(MESSAGES), st.binary(max_size=80))
def test_any_bytes_behind_a_message_number(cls, data):
    decoded_or_none(cls, bytes([message_number(cls)]) + data)


@settings(max_examples=200)
@given(st.sampled_from(STRUCTURES), st.binary(max_size=80))
def test_any_bytes_for_a_structure(cls, data):
    decoded_or_none(cls, data)


@settings(max_examples=200)
@given(st.sampled_from(MESSAGES).flatmap(values_of), st.data())
def test_mutated_messages(value, data):
    """One to three bytes changed, anywhere but in the number."""
    wire = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3)) if len(wire) > 1 else 0):
        wire[data.draw(st.integers(1, len(wire) - 1))] = data.draw(st.integers(0, 255))
    decoded_or_none(type(value), bytes(wire))


def test_another_message_number_is_refused():
    for cls in MESSAGES:
        for other in set(range(256)) - {message_number(cls)}:
            with pytest.raises(DecodeError):
                decode(cls, bytes([other]) + bytes(100))


@given(st.sampled_from(DECLARED).flatmap(values_of))
def test_messages_are_values(value):
    """Frozen, compared and hashed by what they hold."""
    twin = attrs.evolve(value)
    assert twin == value
    assert hash(twin) == hash(value)
    with pytest.raises(AttributeError):
        value.anything = 1


def test_values_that_do_not_fit_are_refused():
    for value in (
        transport.Disconnect(2**32, ""),
        transport.Unimplemented(-1),
        transport.ServiceRequest("sshd-ä"),
        transport.KexInit(bytes(15), *((),) * 8),
        transport.KexInit(bytes(16), ("a,b",), *((),) * 7),
        userauth.UserauthRequest("\ud800", "ssh-connection", "none"),
        userauth.UserauthFailure(("", "password"), False),
    ):
        with pytest.raises(LocalProtocolError):
            encode(value)


# The tables ----------------------------------------------------------------------------------------------------------------------------

# Number -> the names of the RFCs' messages, method-specific ones included. RFC 8308's NEWCOMPRESS (8) is not spoken here.
ASSIGNED = {
    # RFC 4253 §12
    1: ["SSH_MSG_DISCONNECT"],
    2: ["SSH_MSG_IGNORE"],
    3: ["SSH_MSG_UNIMPLEMENTED"],
    4: ["SSH_MSG_DEBUG"],
    5: ["SSH_MSG_SERVICE_REQUEST"],
    6: ["SSH_MSG_SERVICE_ACCEPT"],
    # RFC 8308 §2.3
    7: ["SSH_MSG_EXT_INFO"],
    20: ["SSH_MSG_KEXINIT"],
    21: ["SSH_MSG_NEWKEYS"],
    # RFC 4253 §8, RFC 5656 §7.1
    30: ["SSH_MSG_KEXDH_INIT", "SSH_MSG_KEX_ECDH_INIT"],
    31: ["SSH_MSG_KEXDH_REPLY", "SSH_MSG_KEX_ECDH_REPLY", "SSH_MSG_KEX_DH_GEX_GROUP"],
    # RFC 4419 §5
    32: ["SSH_MSG_KEX_DH_GEX_INIT"],
    33: ["SSH_MSG_KEX_DH_GEX_REPLY"],
    34: ["SSH_MSG_KEX_DH_GEX_REQUEST"],
    # RFC 4252 §6, §7, §8, RFC 4256 §5
    50: ["SSH_MSG_USERAUTH_REQUEST"],
    51: ["SSH_MSG_USERAUTH_FAILURE"],
    52: ["SSH_MSG_USERAUTH_SUCCESS"],
    53: ["SSH_MSG_USERAUTH_BANNER"],
    60: ["SSH_MSG_USERAUTH_PK_OK", "SSH_MSG_USERAUTH_PASSWD_CHANGEREQ", "SSH_MSG_USERAUTH_INFO_REQUEST"],
    61: ["SSH_MSG_USERAUTH_INFO_RESPONSE"],
    # RFC 4254 §9
    80: ["SSH_MSG_GLOBAL_REQUEST"],
    81: ["SSH_MSG_REQUEST_SUCCESS"],
    82: ["SSH_MSG_REQUEST_FAILURE"],
    90: ["SSH_MSG_CHANNEL_OPEN"],
    91: ["SSH_MSG_CHANNEL_OPEN_CONFIRMATION"],
    92: ["SSH_MSG_CHANNEL_OPEN_FAILURE"],
    93: ["SSH_MSG_CHANNEL_WINDOW_ADJUST"],
    94: ["SSH_MSG_CHANNEL_DATA"],
    95: ["SSH_MSG_CHANNEL_EXTENDED_DATA"],
    96: ["SSH_MSG_CHANNEL_EOF"],
    97: ["SSH_MSG_CHANNEL_CLOSE"],
    98: ["SSH_MSG_CHANNEL_REQUEST"],
    99: ["SSH_MSG_CHANNEL_SUCCESS"],
    100: ["SSH_MSG_CHANNEL_FAILURE"],
    # OpenSSH PROTOCOL §1.10
    192: ["SSH2_MSG_PING"],
    193: ["SSH2_MSG_PONG"],
}


def _plain(name: str) -> str:
    name = name.removeprefix("SSH_MSG_").removeprefix("SSH2_MSG_").replace("_", "").lower()
    return "channelopenfailuremessage" if name == "channelopenfailure" else name  # the short name is that of the exception


def test_every_assigned_message_has_its_class():
    for number, names in ASSIGNED.items():
        assert {cls.__name__.lower() for cls in message_classes()[number]} == {_plain(name) for name in names}


def test_no_other_number_has_a_class_or_a_name():
    assert set(message_classes()) == set(ASSIGNED) == set(MessageNumber)
    assert [message_name(number) for number in (0, 8, 22, 255)] == ["message 0", "message 8", "message 22", "message 255"]
    assert message_name(94) == "CHANNEL_DATA"


def test_a_structure_has_no_number():
    for cls in STRUCTURES:
        with pytest.raises(TypeError):
            message_number(cls)


# Wire forms written out by hand, so that an error of both directions of the codec shows ---------------------------------------------------


def s(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


VECTORS = [
    (transport.Disconnect(2, "bye", "en"), b"\x01\0\0\0\x02" + s(b"bye") + s(b"en")),
    (transport.Debug(True, "x"), b"\x04\x01" + s(b"x") + s(b"")),
    (transport.NewKeys(), b"\x15"),
    (
        transport.KexInit(bytes(range(16)), ("k",), ("h",), ("c", "d"), ("e",), ("m",), ("n",), ("none",), ("none",), (), ("de",), True, 7),
        b"\x14" + bytes(range(16)) + b"".join(map(s, b"k h c,d e m n none none  de".split(b" "))) + b"\x01\0\0\0\x07",
    ),
    (transport.KexEcdhReply(b"K_S", b"Q_S", b"sig"), b"\x1f" + s(b"K_S") + s(b"Q_S") + s(b"sig")),
    (
        userauth.UserauthRequest("ada", "ssh-connection", "password", encode(userauth.PasswordFields(False, b"secret"))),
        b"\x32" + s(b"ada") + s(b"ssh-connection") + s(b"password") + b"\0" + s(b"secret"),
    ),
    (
        userauth.UserauthRequest(
            "ada", "ssh-connection", "publickey", encode(userauth.PublicKeyFields(True, "alg", b"blob", userauth.string_field(b"sig")))
        ),
        b"\x32" + s(b"ada") + s(b"ssh-connection") + s(b"publickey") + b"\x01" + s(b"alg") + s(b"blob") + s(b"sig"),
    ),
    (userauth.UserauthFailure(("a", "b"), True), b"\x33" + s(b"a,b") + b"\x01"),
    (
        userauth.UserauthInfoRequest("n", "i", "", userauth.write_prompts((("Password: ", False), ("Code: ", True)))),
        b"\x3c" + s(b"n") + s(b"i") + s(b"") + b"\0\0\0\x02" + s(b"Password: ") + b"\0" + s(b"Code: ") + b"\x01",
    ),
    (userauth.UserauthInfoResponse(userauth.write_responses(("a", ""))), b"\x3d\0\0\0\x02" + s(b"a") + s(b"")),
    (transport.ExtInfo(transport.write_extensions({"x": b"y"})), b"\x07\0\0\0\x01" + s(b"x") + s(b"y")),
]


@pytest.mark.parametrize(("value", "wire"), VECTORS, ids=lambda part: type(part).__name__ if not isinstance(part, bytes) else "")
def test_wire_forms(value, wire):
    assert encode(value) == wire
    assert decode(type(value), wire) == value


# Lists with a count (B08: nothing is ever allocated by a count) --------------------------------------------------------------------------

NAMED = {f"name-{n}": bytes([n]) * n for n in range(3)}
PROMPTS = (("A: ", True), ("B: ", False), ("C", True))
COUNTED = [
    (transport.read_extensions, transport.write_extensions(NAMED), NAMED),
    (userauth.read_prompts, userauth.write_prompts(PROMPTS), PROMPTS),
    (userauth.read_responses, userauth.write_responses(("x", "", "ä\udcff")), ("x", "", "ä\udcff")),
]
every_counted = pytest.mark.parametrize(("read", "wire", "value"), COUNTED, ids=["extensions", "prompts", "responses"])


@every_counted
def test_counted_lists(read, wire, value):
    assert read(wire, 3) == value
    assert len(read(b"\0\0\0\0", 0)) == 0
    with pytest.raises(DecodeError):
        read(wire, 2)
    with pytest.raises(DecodeError):
        read(wire + b"\0", 3)
    for end in range(len(wire)):
        with pytest.raises(DecodeError):
            read(wire[:end], 3)


@every_counted
def test_count_fields_that_lie(read, wire, value):
    for count in (0, 2, 4, 2**28, 2**31 - 1, 2**31, 2**32 - 1):
        for most in (16, 2**32):
            with pytest.raises(DecodeError):
                read(struct.pack(">I", count) + wire[4:], most)


@pytest.mark.parametrize("count", [65, 1024])
def test_sm_086_too_many_extensions(count):
    wire = transport.write_extensions({f"name-{n}": b"" for n in range(count)})
    with pytest.raises(DecodeError):
        transport.read_extensions(wire, 64)
    assert len(transport.read_extensions(wire, count)) == count


def test_the_first_of_two_equal_extensions_counts():
    wire = struct.pack(">I", 2) + (s(b"server-sig-algs") + s(b"first")) + (s(b"server-sig-algs") + s(b"second"))
    assert transport.read_extensions(wire, 64) == {"server-sig-algs": b"first"}


def test_an_empty_prompt_is_refused():
    with pytest.raises(LocalProtocolError):
        userauth.write_prompts((("", True),))


@given(st.binary(max_size=30))
def test_a_signature_field_is_exactly_one_string(content):
    assert userauth.read_signature_field(userauth.string_field(content)) == content
    for wrong in (userauth.string_field(content) + b"\0", userauth.string_field(content)[:-1], b""):
        with pytest.raises(DecodeError):
            userauth.read_signature_field(wrong)


@settings(max_examples=200)
@given(st.sampled_from([read for read, _, _ in COUNTED]), st.integers(0, 5), st.binary(max_size=60))
def test_any_bytes_for_a_counted_list(read, count, data):
    try:
        value = read(struct.pack(">I", count) + data, 64)
    except DecodeError:
        return
    assert len(value) <= count
