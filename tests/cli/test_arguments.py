"""The command lines of trio-ssh and trio-sshd."""

from __future__ import annotations

import os
import re

import pytest

from trio_ssh.cli.options import UsageError
from trio_ssh.cli.queries import answer
from trio_ssh.cli.ssh_arguments import parse_arguments, split_destination
from trio_ssh.cli.sshd_arguments import ConnectionSpec
from trio_ssh.cli.sshd_arguments import parse_arguments as parse_server_arguments
from trio_ssh.config import LogLevel, ssh_config, sshd_config
from trio_ssh.config.ssh_values import AddressFamily, SessionType, TerminalRequest
from trio_ssh.errors import ConfigError


def settings_of(*words: str):
    invocation = parse_arguments(words)
    return invocation.options.for_host(invocation.host)


def test_plain():
    invocation = parse_arguments(["host"])
    assert (invocation.host, invocation.command, invocation.config_path) == ("host", "", None)
    assert not list(invocation.options.for_host("host"))


def test_everything():
    words = "-4nTq -E log -F cfg -l ada -p22 -i k1 -ik2 -c aes128-ctr -m hmac-sha2-256 -B eth0 -b ::1 -e ^B -P lab -C host"
    invocation = parse_arguments(words.split())
    settings = invocation.options.for_host("host")
    assert settings[ssh_config.USER] == "ada"
    assert settings[ssh_config.PORT] == 22
    assert settings[ssh_config.IDENTITY_FILE] == ("k1", "k2")
    assert settings[ssh_config.CIPHERS] == ("aes128-ctr",)
    assert settings[ssh_config.MACS] == ("hmac-sha2-256",)
    assert settings[ssh_config.LOG_LEVEL] is LogLevel.QUIET
    assert settings[ssh_config.ADDRESS_FAMILY] is AddressFamily.INET
    assert settings[ssh_config.REQUEST_TTY] is TerminalRequest.NO
    assert settings[ssh_config.STDIN_NULL]
    assert settings[ssh_config.COMPRESSION]
    assert (settings[ssh_config.BIND_INTERFACE], settings[ssh_config.BIND_ADDRESS]) == ("eth0", "::1")
    assert (settings[ssh_config.ESCAPE_CHAR], settings[ssh_config.TAG]) == ("\x02", "lab")
    assert (invocation.log_path, invocation.config_path, invocation.show_settings) == ("log", "cfg", False)


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
        (["-t"], TerminalRequest.YES),
        (["-tt"], TerminalRequest.FORCE),
        (["-t", "-t"], TerminalRequest.FORCE),
        (["-tT"], TerminalRequest.NO),
        (["-o", "RequestTTY=no", "-t"], TerminalRequest.YES),
        ([], TerminalRequest.AUTO),
    ],
)
def test_terminals(flags, wish):
    assert settings_of(*flags, "host", "ls")[ssh_config.REQUEST_TTY] is wish


def test_what_kind_of_session():
    assert settings_of("-N", "host")[ssh_config.SESSION_TYPE] is SessionType.NONE
    assert settings_of("-N", "host")[ssh_config.REQUEST_TTY] is TerminalRequest.NO
    assert settings_of("-s", "host", "sftp")[ssh_config.SESSION_TYPE] is SessionType.SUBSYSTEM
    assert settings_of("host")[ssh_config.SESSION_TYPE] is SessionType.DEFAULT
    assert parse_arguments(["-G", "host"]).show_settings


def test_what_stands_first_wins():
    assert settings_of("-l", "first", "second@host")[ssh_config.USER] == "first"
    assert settings_of("-p", "1", "ssh://host:2")[ssh_config.PORT] == 1
    assert settings_of("user@host", "-l", "other")[ssh_config.USER] == "user"
    assert settings_of("-o", "Port 3", "-p", "4", "host")[ssh_config.PORT] == 3


def test_these_flags_stand_above_options_and_the_last_counts():
    assert settings_of("-oLogLevel=ERROR", "-vv", "host")[ssh_config.LOG_LEVEL] is LogLevel.DEBUG2
    assert settings_of("-vvvv", "host")[ssh_config.LOG_LEVEL] is LogLevel.DEBUG3
    assert settings_of("-oCompression=no", "-C", "host")[ssh_config.COMPRESSION]
    assert settings_of("-6", "-4", "-oAddressFamily=any", "host")[ssh_config.ADDRESS_FAMILY] is AddressFamily.INET
    assert settings_of("-c", "aes128-ctr", "-c", "aes256-ctr", "host")[ssh_config.CIPHERS] == ("aes256-ctr",)
    assert settings_of("-e", "a", "host", "-e", "none")[ssh_config.ESCAPE_CHAR] is None


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
        (["-N", "-s", "host", "x"], "-N asks for no session and -s for one"),
        (["-l", "-oProxyCommand=x", "host"], "cannot be the name of a user"),
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
        settings_of(*words)


def test_queries():
    assert parse_arguments(["-Q", "cipher"]).query == "cipher"
    assert "aes128-ctr" in answer("cipher")
    assert answer("Ciphers") == answer("cipher")
    assert "aes128-ctr" not in answer("cipher-auth")
    assert {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"} <= set(answer("key"))
    assert not any("cert" in name for name in answer("sig"))
    assert answer("protocol-version") == ("2",)
    for kind in answer("help"):
        assert answer(kind)
    with pytest.raises(UsageError, match="-Q 'x': there are cipher, "):
        answer("x")
    with pytest.raises(UsageError, match="-Q is not supported"):
        parse_arguments(["host", "-Q", "cipher"])


def test_a_server():
    invocation = parse_server_arguments(["-De", "-p", "0", "-h", "k1", "-h", "k2", "-f", "cfg", "-E", "log", "-o", "PermitTTY=no"])
    settings = invocation.options.settings
    assert settings[sshd_config.PORT] == (0,)
    assert settings[sshd_config.HOST_KEY] == (os.path.abspath("k1"), os.path.abspath("k2"))
    assert settings[sshd_config.PERMIT_TTY] is False
    assert (invocation.config_path, invocation.log_path) == ("cfg", "log")
    assert invocation.foreground
    assert invocation.log_to_stderr
    assert not invocation.debug
    assert not invocation.inetd
    assert not invocation.test_only
    assert parse_server_arguments(["-dd"]).options.settings[sshd_config.LOG_LEVEL] is LogLevel.DEBUG2


def test_a_servers_settings_by_flags():
    invocation = parse_server_arguments(["-4", "-c", "/cert", "-g", "1m", "-T", "-C", "user=ada,addr=192.0.2.7", "-C", "lport=22"])
    settings = invocation.options.settings
    assert settings[sshd_config.ADDRESS_FAMILY] is AddressFamily.INET
    assert settings[sshd_config.HOST_CERTIFICATE] == ("/cert",)
    assert settings[sshd_config.LOGIN_GRACE_TIME] == 60
    assert invocation.subject == ConnectionSpec(user="ada", addr="192.0.2.7", lport=22)
    assert (invocation.show_settings, invocation.check_settings) == (True, True)
    invocation = parse_server_arguments(["-6", "-G", "-C", "user=x,invalid-user,host=h,laddr=::1,rdomain=r"])
    assert invocation.options.settings[sshd_config.ADDRESS_FAMILY] is AddressFamily.INET6
    assert (invocation.show_settings, invocation.check_settings) == (True, False)
    assert invocation.subject == ConnectionSpec(user="x", host="h", laddr="::1", rdomain="r", invalid_user=True)
    assert parse_server_arguments([]).subject is None


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-R"], "the option -R is not supported"),
        (["-T", "-C", "port=22"], "-C: 'port=22' is not user=, host=, addr=, laddr=, lport= or rdomain= and its value"),
        (["-T", "-C", "lport=x"], "-C: 'lport=x' is not user="),
        (["-T", "-C", "user="], "-C: 'user=' is not user="),
        (["-x"], "there is no option -x"),
        (["word"], "there is nothing to do with the word 'word'"),
    ],
)
def test_bad_command_lines_of_a_server(words, error):
    with pytest.raises(UsageError, match=re.escape(error)):
        parse_server_arguments(words)
