"""What values mean, good and bad."""

from __future__ import annotations

import pytest

from trio_ssh.config.algorithm_list import choose_algorithms
from trio_ssh.config.tokens import expand_path, expand_tokens
from trio_ssh.config.values import (
    ListenAddress,
    LogLevel,
    RekeyLimit,
    StrictHostKeyChecking,
    listen_address,
    log_level,
    rekey_limit,
    seconds,
    seconds_or_none,
    strict_host_key_checking,
    subsystem,
    yes_no,
)
from trio_ssh.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("90", 90), ("90s", 90), ("1h30m", 5400), ("1W2D", 777600), ("10m5", 605), ("2147483647", 2147483647)],
)
def test_times(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "1y", "-1", "1.5", "2147483648", "s", "1 s", "9" * 400, "１"])
def test_bad_times(text):
    with pytest.raises(ValueError, match="is not a time"):
        seconds(text)


def test_no_time():
    assert seconds_or_none("none") is seconds_or_none("0") is None


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("1G", "1h"), RekeyLimit(1 << 30, 3600)),
        (("16",), RekeyLimit(16, None)),
        (("500m",), RekeyLimit(500 << 20, None)),
        (("none",), RekeyLimit(None, None)),
        (("default", "none"), RekeyLimit(None, 0)),
        (("default", "30"), RekeyLimit(None, 30)),
    ],
)
def test_rekey_limits(words, value):
    assert rekey_limit(words) == value


@pytest.mark.parametrize("words", [("15",), ("1T",), ("1.5G",), ("",), ("-1",), ("1G", "x"), ("1G", "1h", "1"), ("9" * 30,)])
def test_bad_rekey_limits(words):
    with pytest.raises(ValueError):
        rekey_limit(words)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("127.0.0.1", ListenAddress("127.0.0.1", None)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("::1", ListenAddress("::1", None)),
        ("[::1]", ListenAddress("::1", None)),
        ("[::1]:2222", ListenAddress("::1", 2222)),
        ("example:22", ListenAddress("example", 22)),
    ],
)
def test_listen_addresses(text, value):
    assert listen_address(text) == value


@pytest.mark.parametrize("text", ["", ":22", "[::1", "[::1]22", "[]:22", "host:x", "host:65536"])
def test_bad_listen_addresses(text):
    with pytest.raises(ValueError):
        listen_address(text)


def test_words_of_choice():
    assert (yes_no("YES"), yes_no("false")) == (True, False)
    assert strict_host_key_checking("off") is StrictHostKeyChecking.NO
    assert log_level("debug") is LogLevel.DEBUG1
    with pytest.raises(ValueError, match=r"'\\x1b' is not yes or no"):  # what a terminal would obey is not shown as it is
        yes_no("\x1b")


def test_subsystems():
    [sftp] = subsystem(("sftp", "/usr/lib/sftp-server", "-l", "INFO"))
    assert (sftp.name, sftp.command) == ("sftp", "/usr/lib/sftp-server -l INFO")
    for words in [("sftp",), ("sftp", "internal-sftp")]:
        with pytest.raises(ValueError):
            subsystem(words)


SUPPORTED = ("a1", "a2", "b1", "b2", "c")
DEFAULT = ("a1", "a2", "c")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("c,a1", ("c", "a1")),
        ("c,c", ("c",)),
        ("b*", ("b1", "b2")),
        ("?1", ("a1", "b1")),
        ("+b1", ("a1", "a2", "c", "b1")),
        ("+b*,a1", ("a1", "a2", "c", "b1", "b2")),
        ("-a*", ("c",)),
        ("-nothing,a2", ("a1", "c")),
        ("^c", ("c", "a1", "a2")),
        ("^b?", ("b1", "b2", "a1", "a2", "c")),
    ],
)
def test_algorithm_lists(text, chosen):
    assert choose_algorithms("cipher", text, DEFAULT, SUPPORTED) == chosen


@pytest.mark.parametrize(
    ("text", "error"), [("x", "no cipher 'x'"), ("+x*", "no cipher 'x\\*'"), ("a1,,c", "no cipher ''"), ("-*", "leaves no")]
)
def test_bad_algorithm_lists(text, error):
    with pytest.raises(ValueError, match=error):
        choose_algorithms("cipher", text, DEFAULT, SUPPORTED)


TOKENS = {"h": "host.example", "p": "22", "r": "ada", "d": "/home/x"}


def test_tokens():
    assert expand_tokens("%%/%h-%p%%h", TOKENS, "Name") == "%/host.example-22%h"
    for bad in ("%z", "a%"):
        with pytest.raises(ConfigError, match="Name"):
            expand_tokens(bad, TOKENS, "Name")


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/%h")  # a token is one only where somebody wrote it
    assert expand_path("~/k_%h", TOKENS, "IdentityFile") == "/home/%h/k_host.example"
    assert expand_path("%d/.ssh/%r", TOKENS, "IdentityFile") == "/home/x/.ssh/ada"
    with pytest.raises(ConfigError, match="no such user"):
        expand_path("~nobody-has-this-name/x", TOKENS, "IdentityFile")


@pytest.mark.parametrize("user", ["../../etc/x", "..", "", "a/b", "a\0b"])
def test_a_token_cannot_lead_elsewhere(user):
    with pytest.raises(ConfigError, match="cannot stand in a path"):
        expand_path("/keys/%r", {**TOKENS, "r": user}, "IdentityFile")
    assert expand_path("/keys/%h", {**TOKENS, "r": user}, "IdentityFile") == "/keys/host.example"
