"""The command lines of trio-ssh and trio-sshd."""

from __future__ import annotations

import re

import pytest

from trio_ssh.cli.options import UsageError
from trio_ssh.cli.ssh_arguments import Family, TerminalWish, parse_arguments, split_destination
from trio_ssh.cli.sshd_arguments import parse_arguments as parse_server_arguments
from trio_ssh.config import LogLevel, ssh_config, sshd_config
from trio_ssh.errors import ConfigError


def settings_of(*words: str):
    invocation = parse_arguments(words)
    return invocation.options.for_host(invocation.host)


def test_plain():
    invocation = parse_arguments(["host"])
    assert (invocation.host, invocation.command, invocation.terminal) == ("host", "", TerminalWish.FOR_A_SHELL)
    assert invocation.family is Family.ANY
    assert not list(invocation.options.for_host("host"))


def test_everything():
    words = "-4nNTq -E log -F cfg -l ada -p22 -i k1 -ik2 -c aes128-ctr -m hmac-sha2-256 host"
    invocation = parse_arguments(words.split())
    settings = invocation.options.for_host("host")
    assert settings[ssh_config.USER] == "ada"
    assert settings[ssh_config.IDENTITY_FILE] == ("k1", "k2")
    assert settings[ssh_config.CIPHERS] == ("aes128-ctr",)
    assert settings[ssh_config.MACS] == ("hmac-sha2-256",)
    assert settings[ssh_config.LOG_LEVEL] is LogLevel.QUIET
    assert (invocation.log_path, invocation.config_path, invocation.family) == ("log", "cfg", Family.IPV4)
    assert invocation.no_input
    assert invocation.no_command
    assert invocation.terminal is TerminalWish.NEVER


def test_the_command_is_joined_by_blanks_and_keeps_its_own_options():
    assert parse_arguments(["host", "ls", "-l", "a b"]).command == "ls -l a b"
    assert parse_arguments(["host", "--", "-x"]).command == "-x"


def test_options_may_stand_behind_the_host():
    invocation = parse_arguments(["host", "-p", "23", "ls", "-p"])
    assert invocation.options.for_host("host")[ssh_config.PORT] == 23
    assert invocation.command == "ls -p"


@pytest.mark.parametrize(
    ("flags", "wish"),
    [
        (["-t"], TerminalWish.IF_WE_HAVE_ONE),
        (["-tt"], TerminalWish.ALWAYS),
        (["-t", "-t"], TerminalWish.ALWAYS),
        (["-tT"], TerminalWish.NEVER),
    ],
)
def test_terminals(flags, wish):
    assert parse_arguments([*flags, "host", "ls"]).terminal is wish


def test_what_stands_first_wins():
    assert settings_of("-l", "first", "second@host")[ssh_config.USER] == "first"
    assert settings_of("-p", "1", "ssh://host:2")[ssh_config.PORT] == 1
    assert settings_of("user@host", "-l", "other")[ssh_config.USER] == "user"
    assert settings_of("-o", "Port 3", "-p", "4", "host")[ssh_config.PORT] == 3
    assert settings_of("-vv", "-oLogLevel=ERROR", "host")[ssh_config.LOG_LEVEL] is LogLevel.ERROR
    assert settings_of("-vvvv", "host")[ssh_config.LOG_LEVEL] is LogLevel.DEBUG3


def test_values_with_blanks_and_quotes():
    assert settings_of("-i", 'my "key" \\ 1', "host")[ssh_config.IDENTITY_FILE] == ('my "key" \\ 1',)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("host", (None, "host", None)),
        ("ada@host", ("ada", "host", None)),
        ("a@b@host", ("a@b", "host", None)),
        ("::1", (None, "::1", None)),
        ("ssh://host", (None, "host", None)),
        ("ssh://ada@host:2222/", ("ada", "host", 2222)),
        ("SSH://a%40b@[::1]:22", ("a@b", "::1", 22)),
    ],
)
def test_destinations(text, parts):
    assert split_destination(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@host",
        "user@",
        "-oProxyCommand=x@host",
        "a b",
        "a\nb",
        "x\0y",
        "user@-host",
        "h\x1b[2J",
        "ssh://",
        "ssh://h:x",
        "ssh://h:0",
        "ssh://h/path",
    ],
)
def test_bad_destinations(text):
    with pytest.raises(UsageError):
        split_destination(text)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "name a host to connect to"),
        (["-A", "host"], "the option -A is not supported"),
        (["-L", "1:h:2", "host"], "the option -L is not supported"),
        (["-J", "jump", "host"], "the option -J is not supported"),
        (["-z", "host"], "there is no option -z"),
        (["-p"], "the option -p needs a value"),
        (["-s", "host"], "-s needs the name of a subsystem"),
    ],
)
def test_bad_command_lines(words, error):
    with pytest.raises(UsageError, match=re.escape(error)):
        parse_arguments(words)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-o", "ProxyCommand=x", "host"], "command line: the option 'ProxyCommand' is not supported"),
        (["-p", "x", "host"], "command line: Port: 'x' is not a number from 1 to 65535"),
        (["-c", "3des", "host"], "command line: Ciphers: there is no cipher '3des'"),
    ],
)
def test_bad_settings(words, error):
    with pytest.raises(ConfigError, match=re.escape(error)):
        parse_arguments(words)


def test_a_server():
    invocation = parse_server_arguments(["-De", "-p", "0", "-h", "k1", "-h", "k2", "-f", "cfg", "-E", "log", "-o", "PermitTTY=no"])
    settings = invocation.options.settings
    assert settings[sshd_config.PORT] == (0,)
    assert settings[sshd_config.HOST_KEY] == ("k1", "k2")
    assert settings[sshd_config.PERMIT_TTY] is False
    assert (invocation.config_path, invocation.log_path) == ("cfg", "log")
    assert invocation.foreground
    assert invocation.log_to_stderr
    assert not invocation.debug
    assert not invocation.inetd
    assert not invocation.test_only
    assert parse_server_arguments(["-dd"]).options.settings[sshd_config.LOG_LEVEL] is LogLevel.DEBUG2


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-R"], "the option -R is not supported"),
        (["-x"], "there is no option -x"),
        (["word"], "there is nothing to do with the word 'word'"),
    ],
)
def test_bad_command_lines_of_a_server(words, error):
    with pytest.raises(UsageError, match=re.escape(error)):
        parse_server_arguments(words)
