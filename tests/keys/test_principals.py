"""Files of principals: names with options before them, and which line of them a certificate gets its permissions from."""

from __future__ import annotations

import logging

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import CertificateRequest, PrivateKey, sign_certificate
from trio_ssh.keys.authorized_keys import Claim, Refusal
from trio_ssh.keys.key_options import KeyOptions, parse_key_options
from trio_ssh.keys.permissions import RESTRICTED, Permissions
from trio_ssh.keys.principals import (
    AuthorizedPrincipal,
    parse_authorized_principals,
    permissions_by_principals,
    read_authorized_principals,
)

AUTHORITY, USER = PrivateKey.generate(), PrivateKey.generate()


def claim(*principals: str, address: str = "192.0.2.7", extensions: tuple[str, ...] = ("permit-pty",)) -> Claim:
    request = CertificateRequest(public_key=USER.public_key, principals=principals, extensions=dict.fromkeys(extensions, b""))
    return Claim(username="ada", address=address, now=1.9e9, certificate=sign_certificate(AUTHORITY, request))


def answer(text: str, asked: Claim) -> Permissions | Refusal:
    return permissions_by_principals(parse_authorized_principals(text, "principals").entries, asked)


def names(text: str | bytes) -> list[str]:
    parsed = parse_authorized_principals(text, "principals")
    assert not parsed.skipped
    return [entry.name for entry in parsed.entries]


def test_names_comments_blanks_and_line_ends():
    text = "\ufeff# a comment\r\n\r\n ops \t\r\nadmins # who may do more\nada#x\n\tü*,%\nzone-é"
    assert names(text) == ["ops", "admins", "ada", "ü*,%", "zone-é"]
    assert [entry.line for entry in parse_authorized_principals(text, "p").entries] == [3, 4, 5, 6, 7]


def test_options_before_a_name():
    text = 'restrict,command="echo \\"#1\\" a b"\t ops # comment "with a quote'
    (entry,) = parse_authorized_principals(text, "p").entries
    assert entry == AuthorizedPrincipal("ops", parse_key_options('restrict,command="echo \\"#1\\" a b"'), 1)
    assert names("restrict") == ["restrict"], "one field is a name"
    assert names("restrict restrict") == ["restrict"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ops admins", "unknown option 'ops'"),
        ("restrict ops admins", "it is not the name of a principal"),
        ("restrict,unknown ops", "unknown option 'unknown'"),
        ('command="a b"', "it is not the name of a principal"),
        ('command="a b" "ops"', "it is not the name of a principal"),
        ('command="a ops', "a quote that is never closed"),
        ('command="a # ops', "a quote that is never closed"),
        ("cert-authority ops", "cert-authority is for keys"),
        ('cert-authority,principals="x" ops', "cert-authority is for keys"),
        ('principals="x" ops', "principals is for the line of an authority"),
        ("restrict # ops", None),
        ("restrict\x01 ops", "control character"),
        ("ops\0", "control character"),
        ("ops\radmins", "control character"),
        ("x" * 16385, "longer than 16384 bytes"),
    ],
)
def test_b18_a_bad_line_is_skipped_whole(line, reason, caplog):
    with caplog.at_level(logging.WARNING, logger="trio_ssh.authorized_principals"):
        parsed = parse_authorized_principals(f"first\n{line}\nthird", "principals")
    if reason is None:
        assert [entry.name for entry in parsed.entries] == ["first", "restrict", "third"]
        return
    assert [entry.name for entry in parsed.entries] == ["first", "third"]
    (skipped,) = parsed.skipped
    assert skipped.line == 2
    assert reason in skipped.reason
    assert skipped.reason.isprintable()
    assert [record.getMessage() for record in caplog.records] == [f"skipped: {skipped}"]


def test_the_certificate_must_have_the_name_as_an_item():
    found = answer("ops\nadmins\n", claim("x", "admins"))
    assert found == attrs.evolve(RESTRICTED, terminal=True)
    assert isinstance(answer("", claim("ada")), Refusal), "an empty file lets nobody in"
    for principals in (("ada",), ("ops,admins",), ("OPS",), ("*",), ("op*",), ()):
        assert answer("ops\nadmins\n", claim(*principals)) == Refusal("the certificate has no principal that is let into this account")
    assert isinstance(answer("*\nop?\nops,admins\n", claim("ops")), Refusal), "there are no patterns and no lists in the file"


def test_b06_the_first_line_of_a_name_counts_together_with_the_certificate():
    text = 'restrict,command="x",environment="A=b" ops\nfrom="10.0.0.0/8" admins\nops\n'
    found = answer(text, claim("ops", "admins"))
    assert found == attrs.evolve(RESTRICTED, force_command="x", environ=(("A", "b"),))
    assert answer(text, claim("admins", address="10.0.0.1")) == attrs.evolve(RESTRICTED, terminal=True)
    refused = answer(text, claim("admins"))
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("principal 'admins', line 2: it does not count for a client from 192.0.2.7")


def test_reading_the_file(tmp_path):
    path = tmp_path / "principals"
    path.write_text("ops\n")
    assert read_authorized_principals(path).entries == (AuthorizedPrincipal("ops", KeyOptions(), 1),)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_authorized_principals(tmp_path / "none")
    with pytest.raises(KeyFileError, match="not a regular file"):
        read_authorized_principals("/dev/zero")


@given(st.binary(max_size=100) | st.text(alphabet='opsty, \t"\\#=-commanderict\n', max_size=80))
def test_any_text_parses(content):
    parsed = parse_authorized_principals(content, "p")
    assert all(skipped.reason.isprintable() for skipped in parsed.skipped)
    for entry in parsed.entries:
        assert entry.name
        assert not set(' \t"#\n\0') & set(entry.name)
        assert not entry.options.cert_authority
