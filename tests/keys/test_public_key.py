"""PublicKey: what is taken, what is refused, and that no bytes raise anything but DecodeError."""

from __future__ import annotations

import base64
import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.conftest import ALL_KINDS
from tests.keys.counting import calls_during
from trio_ssh import keys as keys_room
from trio_ssh.errors import DecodeError, KeyFileError, LocalProtocolError
from trio_ssh.keys import DEFAULT_HOST_KEY_ALGORITHMS, DEFAULT_USER_KEY_ALGORITHMS, KEY_TYPES, PrivateKey, PublicKey, prefer_key_types
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES
from trio_ssh.wire.primitives import write_mpint, write_string


def blob_of(*fields: bytes | int) -> bytes:
    out = bytearray()
    for field in fields:
        if isinstance(field, int):
            write_mpint(out, field)
        else:
            write_string(out, field)
    return bytes(out)


MODULUS = (1 << 2047) | 1
POINT_256 = b"\4" + bytes(64)
SK_ED, SK_EC = b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com"


@pytest.mark.parametrize("kind", [*ALL_KINDS, *SECURITY_KEY_TYPES])
def test_round_trips_and_equality(keys, software_keys, kind):
    public = (keys | software_keys)[kind].public_key
    again = PublicKey.from_blob(public.blob)
    assert again == public
    assert hash(again) == hash(public)
    assert again.algorithm in KEY_TYPES
    assert PublicKey.from_openssh_line(public.to_openssh_line("some comment")) == public
    assert PublicKey.from_openssh_line(f"  {public.to_openssh_line()}\r\n") == public
    assert PublicKey.from_openssh_line(public.to_openssh_line().replace(" ", " \t ")) == public


def test_sizes_and_algorithms(keys, software_keys):
    assert {key.public_key.bits for key in software_keys.values()} == {256}
    assert software_keys[SK_EC.decode()].public_key.signature_algorithms == (SK_EC.decode(), "webauthn-" + SK_EC.decode())
    assert {name: key.public_key.bits for name, key in keys.items()} == {
        "ed25519": 256, "nistp256": 256, "nistp384": 384, "nistp521": 521, "rsa": 2048, "ed448": 456,
    }  # fmt: skip
    assert keys["rsa"].public_key.signature_algorithms == ("rsa-sha2-512", "rsa-sha2-256")
    assert keys["nistp384"].public_key.signature_algorithms == ("ecdsa-sha2-nistp384",)


def test_a_comment_cannot_break_out_of_its_line(keys):
    line = keys["ed25519"].public_key.to_openssh_line("a\nssh-ed25519 AAAA\r\x00b")
    assert line.endswith(" a ssh-ed25519 AAAA  b")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "uint32 is cut off"),
        (b"\0\0\0\x0bssh-ed2551", "says it has 11 bytes"),
        (blob_of(b"ssh-dss", 1, 2, 3, 4), "'ssh-dss' is not supported"),
        (blob_of(b"ssh-\x1b[2J"), r"'ssh-\\\\x1b\[2J' is not supported"),
        (blob_of(b"ssh-ed25519-cert-v01@openssh.com", bytes(32)), "is not supported here: it is a certificate"),
        (blob_of(b"ssh-ed25519", bytes(31)), "32 bytes, not 31"),
        (blob_of(b"ssh-ed25519", bytes(33)), "32 bytes, not 33"),
        (blob_of(b"ssh-ed25519", bytes(32)) + b"\0", "1 bytes follow"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp384", POINT_256), "curve field says 'nistp384'"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(96)), "not an uncompressed one of nistp256"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(32)), "not an uncompressed one"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\6" + bytes(64)), "not an uncompressed one"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\0"), "not an uncompressed one"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", POINT_256), "not on the curve"),
        (blob_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"\xff" * 64), "not on the curve"),
        (blob_of(b"ssh-rsa", 65537, MODULUS >> 1), "2048 to 16384 bits, not 2047"),
        (blob_of(b"ssh-rsa", 65537, (1 << 16384) | 1), "not 16385"),
        (blob_of(b"ssh-rsa", 65537, (1 << (1 << 17)) | 1), "not 131073"),
        (blob_of(b"ssh-rsa", 65537, -MODULUS), "modulus must have"),
        (blob_of(b"ssh-rsa", 1, MODULUS), "exponent must be odd"),
        (blob_of(b"ssh-rsa", 65536, MODULUS), "exponent must be odd"),
        (blob_of(b"ssh-rsa", -3, MODULUS), "exponent must be odd"),
        (blob_of(b"ssh-rsa", (1 << 24) + 1, MODULUS), "exponent must be odd"),
        (blob_of(b"ssh-rsa", 65537, MODULUS - 1), "cannot be even"),
        (blob_of(b"ssh-rsa", b"\0\1\0\1", MODULUS), "shortest form"),
        (blob_of(b"ssh-rsa", MODULUS, 65537), "modulus must have"),
        (blob_of(b"rsa-sha2-256", 65537, MODULUS), "not supported"),
        (blob_of(b"ssh-ed448", bytes(56)), "57 bytes, not 56"),
        (blob_of(b"ssh-ed448", bytes(58)), "57 bytes, not 58"),
        (blob_of(b"ssh-ed448", bytes(57), b""), "4 bytes follow"),
        (blob_of(SK_ED, bytes(31), b"ssh:"), "32 bytes, not 31"),
        (blob_of(SK_ED, bytes(32)), "uint32 is cut off"),
        (blob_of(SK_ED, bytes(32), b"ssh:", b""), "4 bytes follow"),
        (blob_of(SK_ED, bytes(32), b"\xff"), "not UTF-8"),
        (blob_of(SK_ED, bytes(32), b"ssh:\0x"), "has a NUL in it"),
        (blob_of(SK_ED, bytes(32), b"x" * 1025), "is too long"),
        (blob_of(SK_EC, b"nistp384", b"\4" + bytes(96), b"ssh:"), "curve field says 'nistp384'"),
        (blob_of(SK_EC, b"nistp256", b"\2" + bytes(32), b"ssh:"), "not an uncompressed one"),
        (blob_of(SK_EC, b"nistp256", POINT_256, b"ssh:"), "not on the curve"),
        (blob_of(b"sk-ssh-ed25519", bytes(32), b"ssh:"), "not supported"),
        (blob_of(b"webauthn-" + SK_EC, b"nistp256", POINT_256, b"ssh:"), "not supported"),
    ],
)
def test_b12_hostile_blobs_are_refused_at_once(blob, reason):
    """By looking at them: no key is built, but for a point, of which nothing else tells whether it is on its curve."""
    refused: list[str] = []

    def read() -> None:
        try:
            PublicKey.from_blob(blob)
        except DecodeError as error:
            refused.append(str(error))

    calls = calls_during(read)
    assert [re.search(reason, text) is not None for text in refused] == [True]
    assert calls.total() < 150
    assert "public_key" not in calls
    assert "from_public_bytes" not in calls or "on the curve" in reason


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_a_decode_error(data):
    for blob in (data, *(blob_of(name.encode()) + data for name in KEY_TYPES)):
        try:
            public = PublicKey.from_blob(blob)
        except DecodeError:
            continue
        assert public.blob == blob


@given(st.data())
def test_a_damaged_blob_is_a_key_or_a_decode_error(keys, software_keys, data):
    key = data.draw(st.sampled_from([*keys.values(), *software_keys.values()]))
    blob = bytearray(key.public_key.blob)
    position = data.draw(st.integers(0, len(blob) - 1))
    if data.draw(st.booleans()):
        blob[position] = data.draw(st.integers(0, 255))
    else:
        del blob[position:]
    try:
        public = PublicKey.from_blob(bytes(blob))
    except DecodeError:
        return
    # Whatever was let in can be asked anything and answers no.
    assert not public.verify(public.signature_algorithms[0], b"", b"data")
    assert public.bits >= 256


@given(st.text(max_size=80))
def test_any_text_line_is_a_key_or_a_key_file_error(text):
    for line in (text, f"ssh-ed25519 {text}", f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{text}"):
        try:
            PublicKey.from_openssh_line(line)
        except KeyFileError as error:
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-rsa AAAAC3NzaC1lZDI1NTE5", "ssh-ed25519 A\u00a0A", "ssh-ed25519 ===="])
def test_bad_lines(line):
    with pytest.raises(KeyFileError, match="not a public key line"):
        PublicKey.from_openssh_line(line)


def test_the_type_field_must_be_that_of_the_blob(keys):
    encoded = base64.b64encode(keys["nistp256"].public_key.blob).decode()
    with pytest.raises(KeyFileError, match="is of another type or damaged"):
        PublicKey.from_openssh_line(f"ecdsa-sha2-nistp384 {encoded}")


@pytest.mark.parametrize(
    ("kind", "bits"), [("ed25519", 512), ("ecdsa", 224), ("rsa", 1024), ("rsa", 16385), ("dsa", None), ("ssh-rsa", 2048), ("", None)]
)
def test_generate_refuses_other_kinds_and_sizes(kind, bits):
    with pytest.raises(ValueError, match="there is no key of kind"):
        PrivateKey.generate(kind, bits)


def test_no_secret_shows(key):
    for text in (repr(key), str(key), repr(key.public_key)):
        assert "maths" not in text
        assert key.public_key.fingerprint() in text


def test_a_key_signs_only_by_its_own_algorithms(keys):
    with pytest.raises(LocalProtocolError, match="a key of type ssh-rsa cannot sign by 'ssh-ed25519'"):
        keys["rsa"].sign("ssh-ed25519", b"data")
    with pytest.raises(LocalProtocolError, match="cannot sign by"):
        keys["nistp256"].sign("ecdsa-sha2-nistp384", b"data")


def test_a26_known_types_come_first_and_all_else_keeps_its_order():
    offered = prefer_key_types(DEFAULT_HOST_KEY_ALGORITHMS, ("ssh-rsa",))
    assert offered[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert offered[2:] == (*DEFAULT_HOST_KEY_ALGORITHMS[:4], "ssh-ed448")
    assert prefer_key_types(DEFAULT_HOST_KEY_ALGORITHMS, ()) == DEFAULT_HOST_KEY_ALGORITHMS


def test_default_algorithms():
    assert DEFAULT_HOST_KEY_ALGORITHMS == (
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256", "ssh-ed448",
    )  # fmt: skip
    assert DEFAULT_USER_KEY_ALGORITHMS == (
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        "rsa-sha2-512", "rsa-sha2-256", "ssh-ed448",
    )  # fmt: skip


def test_pain_26_what_is_public_says_its_types():
    """Every public function and method of keys: each parameter and result has a type, and none is Any or object."""
    found = 0
    for name in keys_room.__all__:
        thing = getattr(keys_room, name)
        members = vars(thing).values() if isinstance(thing, type) else [thing]
        for member in members:
            function = getattr(member, "__func__", member.fget if isinstance(member, property) else member)
            if inspect.isfunction(function) and not function.__name__.startswith("_") and function.__module__.startswith("trio_ssh"):
                hints = function.__annotations__
                parameters = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
                assert set(hints) == {*parameters, "return"}, function.__qualname__
                assert not {"Any", "Unknown"} & set(re.findall(r"\w+", " ".join(map(str, hints.values())))), function.__qualname__
                found += 1
    assert found > 60
