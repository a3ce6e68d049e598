"""Cutting configuration text into lines and words, and which files are read at all."""

from __future__ import annotations

import grp
import os
import pwd
import re
from pathlib import Path

import pytest

from trio_ssh.config.lines import COMMAND_LINE, CONFIG_FILE_BYTES_MAX, Place, file_lines, option_lines, split_words, text_lines
from trio_ssh.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a b\tc", ("a", "b", "c")),
        ('"a b" c', ("a b", "c")),
        ("'a b' c", ("a b", "c")),
        ("a\\ b", ("a b",)),
        ('"a\\ b"', ("a\\ b",)),  # a blank needs no backslash inside of quotes
        ('a\\"b', ('a"b',)),
        ("a\\\\b", ("a\\b",)),
        ("a\\nb", ("a\\nb",)),
        ('pre"fix ed"post', ("prefix edpost",)),
        ("a # b", ("a",)),
        ("a#b", ("a#b",)),
        ('"#" b', ("#", "b")),
        ('""', ("",)),
    ],
)
def test_words(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize("text", ['"a', "a'b", '"a\\"'])
def test_open_quote(text):
    with pytest.raises(ValueError, match="quote is not closed"):
        split_words(text)


@pytest.mark.parametrize("text", ["Port 22", "Port=22", "Port = 22", "Port =22", "  Port\t22  \r", 'Port "22"', 'Port="22" # why'])
def test_keyword_and_value(text):
    [line] = text_lines(f"# comment\n\n{text}\n", "file")
    assert (line.keyword, line.words, line.place) == ("Port", ("22",), Place("file", 3))


def test_an_option_has_its_place():
    [line] = option_lines(["User=a b"])
    assert (line.words, line.place, str(line.place)) == (("a", "b"), COMMAND_LINE, "command line")


@pytest.mark.parametrize(
    ("option", "text"), [("", "is empty"), ("# x", "is empty"), ("User=a\nPort=1", "control character"), ("U=\0", "control")]
)
def test_bad_options(option, text):
    with pytest.raises(ConfigError, match=text):
        list(option_lines([option]))


def test_byte_order_mark_and_odd_bytes(tmp_path: Path):
    path = tmp_path / "config"
    path.write_bytes(b"\xef\xbb\xbfIdentityFile /k\xff\n")
    [line] = file_lines(path)
    assert (line.keyword, os.fsencode(line.words[0])) == ("IdentityFile", b"/k\xff")


def test_only_regular_files(tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, text in [(fifo, "not a regular file"), (tmp_path, "a directory"), (Path("/dev/zero"), "not a regular file")]:
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: it is {text}"):
            list(file_lines(path))


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        list(file_lines(tmp_path / "none"))


def test_size(tmp_path: Path):
    path = tmp_path / "big"
    path.write_bytes(b"#" * CONFIG_FILE_BYTES_MAX)
    assert list(file_lines(path)) == []
    path.write_bytes(b"#" * (CONFIG_FILE_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        list(file_lines(path))


def test_a_file_that_others_can_write(tmp_path: Path):
    path = tmp_path / "config"
    path.write_text("Port 22")
    path.chmod(0o666)
    assert len(list(file_lines(path))) == 1
    with pytest.raises(ConfigError, match="others than you may write"):
        list(file_lines(path, ours=True))
    path.chmod(0o644)
    assert len(list(file_lines(path, ours=True))) == 1


def test_a_file_that_a_group_can_write(tmp_path: Path):
    """A group of one's own is nobody else; of who is in a group that does not exist nothing is known."""
    path = tmp_path / "config"
    path.write_text("Port 22")
    path.chmod(0o664)
    group = path.stat().st_gid
    members = {*grp.getgrgid(group).gr_mem, *(account.pw_name for account in pwd.getpwall() if account.pw_gid == group)}
    if members <= {pwd.getpwuid(os.getuid()).pw_name}:
        assert len(list(file_lines(path, ours=True))) == 1
    if os.getuid() == 0:
        os.chown(path, 0, 2**30)
        with pytest.raises(ConfigError, match="others than you may write"):
            list(file_lines(path, ours=True))


def test_the_null_device_is_an_empty_file():
    assert list(file_lines("/dev/null", ours=True)) == []
