"""authorized_keys: a line is obeyed whole or not at all, and whatever is not obeyed is logged with its number."""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import (
    CertificateRequest,
    parse_authorized_keys,
    read_authorities,
    read_authorized_keys,
    read_authorized_principals,
    sign_certificate,
)
from trio_ssh.keys.key_options import KeyOptions, parse_key_options


@pytest.fixture(scope="module")
def line(keys) -> str:
    return keys["ed25519"].public_key.to_openssh_line()


def reasons(text: str | bytes) -> list[str]:
    parsed = parse_authorized_keys(text, "ak")
    assert not parsed.entries
    return [skipped.reason for skipped in parsed.skipped]


def test_every_type_comments_blanks_and_line_ends(keys):
    text = "\ufeff# a comment\r\n\r\n   \t\n"
    text += "".join(f" \t{key.public_key.to_openssh_line()}\t{name} and more \r\n" for name, key in keys.items())
    parsed = parse_authorized_keys(text.rstrip("\n"), "ak")
    assert [entry.key for entry in parsed.entries] == [key.public_key for key in keys.values()]
    assert [entry.comment for entry in parsed.entries] == [f"{name} and more" for name in keys]
    assert [entry.line for entry in parsed.entries] == list(range(4, 4 + len(keys)))
    assert {entry.options for entry in parsed.entries} == {KeyOptions()}
    assert not parsed.skipped
    assert parse_authorized_keys(text.encode(), "ak") == parsed


@pytest.mark.parametrize("blank", [" ", "\t", " \t\t "])
@pytest.mark.parametrize(
    "options",
    [
        "restrict",
        "no-pty,no-port-forwarding",
        'command="echo hi there"',
        r'command="echo \"ssh-ed25519 AAAA\" # x",restrict',
        'from="10.0.0.0/8,!10.1.*"',
        "cert-authority",
        'environment="A=b c"',
        'command="tab\there, separators\u2028, dots ü"',
    ],
)
def test_options_before_the_key(line, options, blank):
    (entry,) = parse_authorized_keys(f"{options}{blank}{line} me", "ak").entries
    assert entry.options == parse_key_options(options)
    assert entry.key.to_openssh_line() == line
    assert entry.comment == "me"


def test_bytes_of_a_command_come_through(line):
    (entry,) = parse_authorized_keys(b'command="\xff\xc3\xa9" ' + line.encode(), "ak").entries
    assert entry.options.permissions.force_command == b"\xff\xc3\xa9".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("options", ["unknown-option=1", "pty,unknown", "\u2028", 'command="a",command="b"', 'principals="a"'])
def test_b18_a_line_with_bad_options_is_skipped_and_logged(line, options, caplog):
    with caplog.at_level(logging.WARNING, logger="trio_ssh.authorized_keys"):
        parsed = parse_authorized_keys(f"# first\n{options} {line} me\n{line}\n", "/home/ada/.ssh/authorized_keys")
    assert [entry.line for entry in parsed.entries] == [3]
    (skipped,) = parsed.skipped
    assert skipped.line == 2
    (record,) = caplog.records
    assert record.name == "trio_ssh.authorized_keys"
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"skipped: /home/ada/.ssh/authorized_keys line 2: {skipped.reason}"
    assert record.getMessage().isprintable()


def test_b18_an_option_after_the_key_is_a_comment(line):
    (entry,) = parse_authorized_keys(f'{line} restrict,command="x" \u2028 ü', "ak").entries
    assert entry.options == KeyOptions()
    assert entry.comment == 'restrict,command="x" \u2028 ü'


def test_b18_bad_lines_are_skipped_whole(line, keys):
    kind, encoded = line.split()
    other = keys["nistp256"].public_key.to_openssh_line().split()[1]
    certificate = sign_certificate(keys["rsa"], CertificateRequest(public_key=keys["ed25519"].public_key)).to_openssh_line()
    no_key = "there is no key behind the options"
    open_quote = "the option 'command' has a quote that is never closed"
    for text, reason in [
        ("ssh-ed25519", "the key is missing behind its type"),
        (f"restrict {encoded}", no_key),
        ("restrict", no_key),
        (f"restrict ssh-ed25519{encoded}", no_key),
        (f"restrict\u00a0{line}", "unknown option"),
        (f"restrict\u2028{line}", "unknown option"),
        (encoded, "unknown option"),
        (f'command="echo {line}', open_quote),
        (f'command="a\\" {line}', open_quote),
        (f'command="a" "{line}', no_key),
        (f"restrict  restrict {line}", no_key),
        (f"no-pty, no-x11-forwarding {line}", no_key),
        (f"{kind}\u00a0{encoded}", "unknown option"),
        (f"\u00a0{line}", "unknown option"),
        (f"{kind} {encoded[:-8]}", "a string says it has 32 bytes"),
        (f"{kind} {encoded}=", "base64"),
        (f"{kind} {encoded[:40]}", "a string says it has 32 bytes"),
        (f"{kind} {encoded[:41]}", "the base64 text of the key is malformed"),
        (f"{kind} {other}", "is of another type or damaged"),
        (f"ecdsa-sha2-nistp256 {encoded}", "is of another type or damaged"),
        (f"restrict {kind} {other}", "is of another type or damaged"),
        (f"restrict {kind}", "the key is missing behind its type"),
        (f"{kind} {encoded}\r{line}", "the line has a control character in it"),
        (f"restrict\r {line}", "the line has a control character in it"),
        (f"{kind} \0{encoded}", "the line has a control character in it"),
        (f'command="a\0b" {line}', "the line has a control character in it"),
        (f"{line} comment\x1b[2J", "the line has a control character in it"),
        (f"{line}\x0b", "the line has a control character in it"),
        ("ssh-dss AAAAB3NzaC1kc3M= x", "key type 'ssh-dss' is not supported"),
        ("restrict ssh-dss AAAAB3NzaC1kc3M= x", "key type 'ssh-dss' is not supported"),
        (certificate, "key type 'ssh-ed25519-cert-v01@openssh.com' is not supported"),
        ("1024 35 1234567 user@host", "unknown option '1024'"),
        ('"', "the option '' ends in"),
        ("\\", "unknown option"),
    ]:
        found = reasons(text)
        assert len(found) == 1, text
        assert reason in found[0], text
        assert found[0].isprintable()


def test_a_bad_line_shifts_nothing(line):
    parsed = parse_authorized_keys(f"{line} 1\nssh-ed25519\n{line} 3\n\0\n{line} 5", "ak")
    assert [(entry.comment, entry.line) for entry in parsed.entries] == [("1", 1), ("3", 3), ("5", 5)]
    assert [skipped.line for skipped in parsed.skipped] == [2, 4]
    assert str(parsed.skipped[0]) == "ak line 2: the key is missing behind its type"


def test_b18_limits(line, caplog):
    parsed = parse_authorized_keys("\n" * 999 + f"{line}\n{line}\n{line}\n", "ak")
    assert [entry.line for entry in parsed.entries] == [1000]
    assert [(skipped.line, skipped.reason) for skipped in parsed.skipped] == [
        (1001, "only 1000 lines are read: this one and all behind it are not")
    ]
    long = f"{line} {'x' * (16 * 1024 - len(line) - 1)}"
    assert len(parse_authorized_keys(long, "ak").entries) == 1
    assert reasons(long + "x") == ["the line is longer than 16384 bytes"]
    assert reasons(f"{line} " + "x" * (1 << 20)) == ["the line is longer than 16384 bytes"]
    assert reasons('command="' + "x" * (1 << 20)) == ["the line is longer than 16384 bytes"]


@pytest.mark.parametrize("text", ['"' * 16000, 'a"b"' * 4000, "a" * 16000 + '"', '"\\' * 8000 + " x", 'a,"' * 5000, "pty," * 4000])
def test_b18_long_lines_are_read_in_one_go(text, line):
    """Sixty-four times a line of 16 KiB: an expression that tried things twice would not come back."""
    content = "\n".join([f"{text} {line}", f'command="{text}', f'from="{text.replace(chr(34), "*")[:16000]}" {line}'] * 64)
    assert len(parse_authorized_keys(content, "ak").skipped) >= 64


def test_a_thousand_bad_lines_make_few_log_records(caplog):
    with caplog.at_level(logging.WARNING):
        parsed = parse_authorized_keys("bad\n" * 900, "ak")
    assert len(parsed.skipped) == 900
    assert len(caplog.records) == 21
    assert "880 more lines" in caplog.records[-1].getMessage()


def test_reading_the_file(tmp_path, line):
    path = tmp_path / "authorized_keys"
    path.write_text(f"{line}\nrestrict {line}\nstrict {line}\n")
    parsed = read_authorized_keys(path)
    assert len(parsed.entries) == 2
    assert parsed.skipped[0].path == str(path)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_authorized_keys(tmp_path / "none")


def test_res_31_what_is_no_file_of_keys_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 30)
    for read in (read_authorized_keys, read_authorities, read_authorized_principals):
        for path in ("/dev/zero", tmp_path / "fifo", tmp_path):
            with pytest.raises(KeyFileError, match="regular file"):
                read(path)
        with pytest.raises(KeyFileError, match="larger than"):
            read(tmp_path / "huge")


def test_a_file_of_authorities(tmp_path, keys):
    path = tmp_path / "authorities"
    lines = [key.public_key.to_openssh_line() for key in keys.values()]
    path.write_text("\n".join(["# ours", *lines, f"cert-authority {lines[0]}", "nonsense", ""]))
    assert read_authorities(path) == {key.public_key for key in keys.values()}
    path.write_text(f"restrict {lines[0]}\n")
    assert read_authorities(path) == frozenset()


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_text_parses(content):
    parsed = parse_authorized_keys(content, "ak")
    assert all(skipped.reason.isprintable() for skipped in parsed.skipped)


@given(st.text(alphabet=' \t"\\,=a#pty-no\x00\r\n', max_size=30))
def test_b18_nothing_before_a_key_is_half_obeyed(line, head):
    """Whatever stands before a key on its line: it is nothing but white space, or it is options and a blank, or the line is skipped."""
    last = head.rpartition("\n")[2].lstrip(" \t")
    parsed = parse_authorized_keys(head + line, "ak")
    if not last:
        assert [entry.options for entry in parsed.entries] == [KeyOptions()]
    elif parsed.entries:
        assert [parse_key_options(last.rstrip(" \t"))] == [entry.options for entry in parsed.entries]
        assert last[-1] in " \t"
