"""Public key files: OpenSSH's line, RFC 4716 and PEM, read and written; whatever else stands in a file is a KeyFileError."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.conftest import ALL_KINDS
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import CommentedPublicKey, PrivateKey, PublicKey, PublicKeyFormat
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

BEGIN, END = b"---- BEGIN SSH2 PUBLIC KEY ----", b"---- END SSH2 PUBLIC KEY ----"
EVERY_KIND = [*ALL_KINDS, *SECURITY_KEY_TYPES]
COMMENTS = ["", "ada@example.com", "two words", 'she said "no"', "ends in a backslash\\", "ü" * 120, "x" * 500, ": colon"]


@pytest.fixture
def public(keys) -> PublicKey:
    return keys["ed25519"].public_key


def rfc4716(*lines: bytes, public: PublicKey | None = None, newline: bytes = b"\n") -> bytes:
    body = [base64.b64encode(public.blob)] if public else []
    return newline.join([BEGIN, *lines, *body, END, b""])


@pytest.mark.parametrize("comment", COMMENTS)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_round_trips_of_text_formats(keys, software_keys, kind, comment):
    file = CommentedPublicKey((keys | software_keys)[kind].public_key, comment)
    for form in (PublicKeyFormat.OPENSSH, PublicKeyFormat.RFC4716):
        text = file.to_bytes(form)
        assert CommentedPublicKey.from_bytes(text) == file
        assert CommentedPublicKey.from_bytes(text.replace(b"\n", b"\r\n")) == file
    assert all(len(line) <= 72 for line in file.to_bytes(PublicKeyFormat.RFC4716).split(b"\n"))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_round_trips_of_pem(keys, kind):
    file = CommentedPublicKey(keys[kind].public_key)
    assert CommentedPublicKey.from_bytes(file.to_bytes(PublicKeyFormat.PKCS8)) == file
    if file.key.algorithm in ("ssh-ed25519", "ssh-ed448"):
        with pytest.raises(KeyFileError, match=f"type {file.key.algorithm} cannot be written in this format: PEM"):
            file.to_bytes(PublicKeyFormat.PEM)
    else:
        assert CommentedPublicKey.from_bytes(file.to_bytes(PublicKeyFormat.PEM)) == file


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
def test_security_keys_have_no_pem(software_keys, key_type):
    file = CommentedPublicKey(software_keys[key_type].public_key)
    for form in (PublicKeyFormat.PEM, PublicKeyFormat.PKCS8):
        with pytest.raises(KeyFileError, match="cannot be written in this format"):
            file.to_bytes(form)


def test_files(tmp_path, public):
    file = CommentedPublicKey(public, "a comment", (("Subject", "ada"),))
    old = os.umask(0o022)
    try:
        for form in (PublicKeyFormat.OPENSSH, PublicKeyFormat.RFC4716):
            file.write_file(tmp_path / "key.pub", form)
            assert (tmp_path / "key.pub").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)
    assert CommentedPublicKey.from_file(tmp_path / "key.pub") == file
    with pytest.raises(KeyFileError, match="cannot be written: File exists; choose another path, or remove what is there"):
        file.write_file(tmp_path / "key.pub", replace=False)
    assert os.listdir(tmp_path) == ["key.pub"]
    (tmp_path / "bad.pub").write_text("hello\n")
    with pytest.raises(KeyFileError) as caught:
        CommentedPublicKey.from_file(tmp_path / "bad.pub")
    assert str(caught.value).startswith(f"{tmp_path}/bad.pub: not a public key")
    assert caught.value.path == str(tmp_path / "bad.pub")
    for path in (tmp_path, tmp_path / "none", "/dev/zero"):
        with pytest.raises(KeyFileError):
            CommentedPublicKey.from_file(path)


# The line


def test_lines_around_the_line(public):
    line = public.to_openssh_line("a comment").encode()
    for text in (b"# a remark\n\n" + line, b"\xef\xbb\xbf" + line + b"\r\n", line.replace(b" ", b" \t ", 2)):
        assert CommentedPublicKey.from_bytes(text) == CommentedPublicKey(public, "a comment")
    spaced = line.replace(b"a comment", b"a  comment ")
    assert CommentedPublicKey.from_bytes(spaced).comment == "a  comment"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "there is no key in it"),
        (b"# nothing\n", "there is no key in it"),
        (b"hello", "the key type is missing|another type or damaged|base64"),
        (b"ssh-ed25519 AAAA\0", "control character"),
        (b"ssh-ed25519 " + b"A" * 20_000, "the line is longer than"),
        (b"x" * (64 * 1024 + 1), "larger than 65536 bytes"),
    ],
)
def test_what_is_no_line(text, reason):
    with pytest.raises(KeyFileError, match=reason):
        CommentedPublicKey.from_bytes(text)


@pytest.mark.parametrize("mark", ["-----BEGIN PUBLIC KEY-----", BEGIN.decode(), END.decode()])
def test_a_comment_that_looks_like_another_format(public, mark):
    for comment in (mark, f"x {mark}", "y" * 61 + mark):
        for form in (PublicKeyFormat.OPENSSH, PublicKeyFormat.RFC4716):
            file = CommentedPublicKey(public, comment)
            assert CommentedPublicKey.from_bytes(file.to_bytes(form)) == file


def test_a_header_of_which_a_line_looks_like_the_end(public):
    with pytest.raises(KeyFileError, match="a line of it looks like the end of the key"):
        CommentedPublicKey(public, headers=(("X-Long", "y" * 63 + END.decode()),)).to_bytes(PublicKeyFormat.RFC4716)


def test_two_keys_are_no_key(public):
    line = public.to_openssh_line().encode()
    with pytest.raises(KeyFileError, match="more than one line in it; leave one key only"):
        CommentedPublicKey.from_bytes(line + b"\n" + line)


# RFC 4716


def test_rfc_4716_headers(public):
    """§3.3: tags in any case, unknown ones kept, continuation lines, quotes that belong to no comment."""
    text = rfc4716(
        b"x-private: of ours",
        b"SUBJECT: ada",
        b'comment: "first \\',
        b"second \\",
        b'third"',
        b"Comment: only the first counts",
        b"Empty: ",
        public=public,
    )
    for newline in (b"\n", b"\r\n", b"\r"):
        file = CommentedPublicKey.from_bytes(text.replace(b"\n", newline))
        assert file.key == public
        assert file.comment == "first second third"
        assert file.headers == (("x-private", "of ours"), ("SUBJECT", "ada"), ("Empty", ""))


@pytest.mark.parametrize(
    ("header", "comment"),
    [
        (b"Comment: plain", "plain"),
        (b'Comment: "quoted"', "quoted"),
        (b'Comment: "one sided', '"one sided'),
        (b'Comment: "', '"'),
        (b'Comment: ""', ""),
        (b"Comment:without a blank", "without a blank"),
        (b"Comment: \xff", "\\xff"),
        (b"Comment: \xc3\xbc", "ü"),
        (b"Comment: \xc3\\\n\xbc", "ü"),
    ],
)
def test_rfc_4716_comments(public, header, comment):
    assert CommentedPublicKey.from_bytes(rfc4716(header, public=public)).comment == comment


def test_rfc_4716_headers_are_written_and_folded(public):
    file = CommentedPublicKey(public, "c" * 200, (("X-Long", "ü" * 100), ("X-Empty", "")))
    text = file.to_bytes(PublicKeyFormat.RFC4716)
    assert CommentedPublicKey.from_bytes(text) == file
    for line in text.split(b"\n"):
        assert len(line) <= 72
        line.decode()  # no character is cut in two
    assert CommentedPublicKey(public, "a\nb\0c").to_bytes(PublicKeyFormat.RFC4716).split(b"\n")[1] == b'Comment: "a b c"'


@pytest.mark.parametrize("header", [("", "x"), ("a b", "x"), ("a:b", "x"), ("ü", "x"), ("x" * 65, "x"), ("X", "y" * 1025), ("X", "y\\")])
def test_rfc_4716_headers_that_cannot_be_written(public, header):
    with pytest.raises(KeyFileError, match="cannot be written: its tag or its value is too long or malformed"):
        CommentedPublicKey(public, headers=(header,)).to_bytes(PublicKeyFormat.RFC4716)


def test_rfc_4716_comments_that_are_too_long_are_cut_by_nobody(public):
    CommentedPublicKey(public, "x" * 1022).to_bytes(PublicKeyFormat.RFC4716)
    with pytest.raises(KeyFileError, match="the header 'Comment' cannot be written"):
        CommentedPublicKey(public, "x" * 1023).to_bytes(PublicKeyFormat.RFC4716)


def test_rfc_4716_bad_text(public):
    good = rfc4716(public=public)
    body = base64.b64encode(public.blob)
    for text, reason in [
        (good.replace(END, b""), "it must have one line '---- END"),
        (good.replace(BEGIN, BEGIN + b"x"), "it must have one line '---- BEGIN"),
        (good + good, "must have one line '---- BEGIN SSH2 PUBLIC KEY ----', and has 2"),
        (END + b"\n" + BEGIN + b"\n", "something stands before its BEGIN line or behind its END line"),
        (b"hello\n" + good, "something stands before its BEGIN line"),
        (good + b"hello", "behind its END line"),
        (rfc4716(), "uint32 is cut off"),
        (rfc4716(b"!" + body), "base64 text of the key is malformed"),
        (rfc4716(body[:-4]), "not a public key"),
        (rfc4716(body, b"Comment: behind the key"), "base64 text of the key is malformed"),
        (rfc4716(*[b"X: y"] * 65, public=public), "more than 64 header lines"),
        (rfc4716(b"X" * 65 + b": y", public=public), "a header line is malformed or too long"),
        (rfc4716(b": y", public=public), "a header line is malformed or too long"),
        (rfc4716(b"a b: y", public=public), "a header line is malformed or too long"),
        (rfc4716(b"X: " + b"y" * 1025, public=public), "a header line is malformed or too long"),
        (rfc4716(b"X: y" + b"z" * 2000, public=public), "a line is far longer than the 72 bytes"),
        (rfc4716(*[b"X: " + b"y" * 60 + b"\\", *[b"y" * 60 + b"\\"] * 100], public=public), "a header line is malformed or too long"),
        (rfc4716(b"X: goes on\\"), "uint32 is cut off"),
        (rfc4716(b"A" * 70_000), "larger than 65536 bytes"),
    ]:
        with pytest.raises(KeyFileError, match=reason) as caught:
            CommentedPublicKey.from_bytes(text)
        assert str(caught.value).isprintable()


def test_rfc_4716_as_in_the_rfc():
    """§3.6, its second example: the header lines and their folding; the key is not one that we take."""
    text = rfc4716(b"Comment: This is my public key for use on \\", b"servers which I don't like.", b"AAAAB3NzaC1kc3MAAAAA")
    with pytest.raises(KeyFileError, match="key type 'ssh-dss' is not supported"):
        CommentedPublicKey.from_bytes(text)


# PEM


def test_pem_of_other_kinds(keys):
    for text, reason in [
        (keys["rsa"].export(), "it is a private key; give the file of the public one, mostly that with .pub"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged or of a kind of key that is not supported"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged or of a kind of key that is not supported"),
        (pem_of(dsa.generate_private_key(1024).public_key()), "its type of key is not supported"),
        (pem_of(x25519.X25519PrivateKey.generate().public_key()), "its type of key is not supported"),
    ]:
        with pytest.raises(KeyFileError, match=reason):
            CommentedPublicKey.from_bytes(text)


def pem_of(key: dsa.DSAPublicKey | x25519.X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_a_key_file_error(data):
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(data) + b"-----END PUBLIC KEY-----\n"
    for text in (data, rfc4716(data), rfc4716(b"Comment: " + data), rfc4716(base64.b64encode(data)), b"ssh-rsa " + data, pem):
        try:
            CommentedPublicKey.from_bytes(text)
        except KeyFileError as error:
            assert str(error).isprintable()  # noqa: PT017


@given(st.text(max_size=300))
def test_any_comment_can_be_written_and_is_one_line(text):
    file = CommentedPublicKey(KEY.public_key, text)
    for form in (PublicKeyFormat.OPENSSH, PublicKeyFormat.RFC4716):
        again = CommentedPublicKey.from_bytes(file.to_bytes(form))
        assert again.key == KEY.public_key
        assert again.comment.isprintable()


KEY = PrivateKey.generate()
