"""authorized_keys: a line is obeyed whole or not at all, and whatever is not obeyed is logged with its number."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import parse_authorized_keys, read_authorized_keys


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
    assert [entry.line for entry in parsed.entries] == [4, 5, 6, 7, 8]
    assert {entry.options for entry in parsed.entries} == {""}
    assert not parsed.skipped
    assert parse_authorized_keys(text.encode(), "ak") == parsed


@pytest.mark.parametrize(
    "options",
    [
        "restrict",
        "no-pty,no-port-forwarding",
        'command="echo hi there"',
        r'command="echo \"ssh-ed25519 AAAA\" # x",restrict',
        'from="10.0.0.0/8,!10.1.*" ',
        "unknown-option=1",
        "cert-authority",
        'environment="A=b c"\t',
        "\u2028",
    ],
)
def test_a_line_with_options_is_refused_and_logged(line, options, caplog):
    with caplog.at_level(logging.WARNING, logger="trio_ssh.authorized_keys"):
        parsed = parse_authorized_keys(f"# first\n{options} {line} me\n{line}\n", "/home/ada/.ssh/authorized_keys")
    assert [entry.line for entry in parsed.entries] == [3]
    (skipped,) = parsed.skipped
    assert skipped.line == 2
    assert "options are not supported yet, so the key is refused" in skipped.reason
    (record,) = caplog.records
    assert record.name == "trio_ssh.authorized_keys"
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("skipped: /home/ada/.ssh/authorized_keys line 2: it has options (")
    assert record.getMessage().isprintable()


def test_what_follows_the_key_is_a_comment(line):
    (entry,) = parse_authorized_keys(f"{line} restrict,command=\"x\" \u2028 ü", "ak").entries
    assert entry.comment == 'restrict,command="x" \u2028 ü'


def test_bad_lines_are_skipped_whole(line, keys):
    kind, encoded = line.split()
    other = keys["nistp256"].public_key.to_openssh_line().split()[1]
    no_key = "it does not start with a key, nor with options and a key"
    for text, reason in [
        ("ssh-ed25519", "the key is missing behind its type"),
        (f"restrict {encoded}", no_key),
        (encoded, no_key),
        (f'command="echo {line}', no_key),
        (f'command="a" "{line}', no_key),
        (f'command="a\\" {line}', no_key),
        (f"restrict  restrict {line}", no_key),
        (f"no-pty, no-x11 {line}", no_key),
        (f"{kind}\u00a0{encoded}", no_key),
        (f"\u00a0{line}", no_key),
        (f"{kind} {encoded[:-8]}", "a string says it has 32 bytes"),
        (f"{kind} {encoded}=", "base64"),
        (f"{kind} {encoded[:40]}", "a string says it has 32 bytes"),
        (f"{kind} {encoded[:41]}", "the base64 text of the key is malformed"),
        (f"{kind} {other}", "is of another type or damaged"),
        (f"ecdsa-sha2-nistp256 {encoded}", "is of another type or damaged"),
        (f"restrict {kind} {other}", "is of another type or damaged"),
        (f"{kind} {encoded}\r{line}", "the line has a control character in it"),
        (f"{kind} \0{encoded}", "the line has a control character in it"),
        (f"{line} comment\x1b[2J", "the line has a control character in it"),
        (f"{line}\x0b", "the line has a control character in it"),
        ("ssh-dss AAAAB3NzaC1kc3M= x", "key type 'ssh-dss' is not supported"),
        ("1024 35 1234567 user@host", no_key),
        ('"', no_key),
        ("\\", no_key),
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


def test_limits(line, caplog):
    parsed = parse_authorized_keys("\n" * 999 + f"{line}\n{line}\n{line}\n", "ak")
    assert [entry.line for entry in parsed.entries] == [1000]
    assert [(skipped.line, skipped.reason) for skipped in parsed.skipped] == [
        (1001, "only 1000 lines are read: this one and all behind it are not")
    ]
    long = f"{line} {'x' * (16 * 1024 - len(line) - 1)}"
    assert len(parse_authorized_keys(long, "ak").entries) == 1
    assert reasons(long + "x") == ["the line is longer than 16384 bytes"]
    start = time.process_time()
    assert reasons(f"{line} " + "x" * (1 << 20)) == ["the line is longer than 16384 bytes"]
    assert reasons('"' * 16000) == reasons('a"b"' * 4000) == reasons("a" * 16000 + '"')
    assert reasons('"\\' * 8000 + " x") == reasons('a,"' * 5000)
    assert time.process_time() - start < 1


def test_a_thousand_bad_lines_make_few_log_records(caplog):
    with caplog.at_level(logging.WARNING):
        parsed = parse_authorized_keys("bad\n" * 900, "ak")
    assert len(parsed.skipped) == 900
    assert len(caplog.records) == 21
    assert "880 more lines" in caplog.records[-1].getMessage()


def test_reading_the_file(tmp_path, line):
    path = tmp_path / "authorized_keys"
    path.write_text(f"{line}\nrestrict {line}\n")
    parsed = read_authorized_keys(path)
    assert len(parsed.entries) == 1
    assert parsed.skipped[0].path == str(path)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_authorized_keys(tmp_path / "none")
    with pytest.raises(KeyFileError, match="not a regular file"):
        read_authorized_keys("/dev/zero")


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_text_parses(content):
    parsed = parse_authorized_keys(content, "ak")
    assert all(skipped.reason.isprintable() for skipped in parsed.skipped)


@given(st.text(alphabet=' \t"\\,=a#\x00\r\n', max_size=30))
def test_nothing_before_a_key_is_half_obeyed(line, head):
    """Whatever stands before a key on its line, the key counts only if it is nothing but white space."""
    last = head.rpartition("\n")[2]
    parsed = parse_authorized_keys(head + line, "ak")
    assert len(parsed.entries) == (not last.strip(" \t"))
