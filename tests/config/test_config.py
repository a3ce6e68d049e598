"""SSHConfig and SSHDConfig: which setting wins, where it came from, and how each fault is told."""

from __future__ import annotations

import pytest

from trio_ssh.config import (
    ListenAddress,
    LogLevel,
    Place,
    RekeyLimit,
    SSHConfig,
    SSHDConfig,
    StrictHostKeyChecking,
    ssh_config,
    sshd_config,
)
from trio_ssh.errors import ConfigError

TEXT = """
User first
Host *.example !secret.example
    Port 2222
    IdentityFile ~/.ssh/example
    StrictHostKeyChecking accept-new
Host secret.example
    Port 2223
Host *
    User second
    Port 1
    IdentityFile /etc/key
    LogLevel verbose
"""


def test_the_first_value_wins_and_identity_files_add_up():
    settings = SSHConfig.from_text(TEXT, "file").for_host("build.example")
    assert settings[ssh_config.USER] == "first"
    assert settings[ssh_config.PORT] == 2222
    assert settings[ssh_config.IDENTITY_FILE] == ("~/.ssh/example", "/etc/key")
    assert settings[ssh_config.STRICT_HOST_KEY_CHECKING] is StrictHostKeyChecking.ACCEPT_NEW
    assert settings[ssh_config.LOG_LEVEL] is LogLevel.VERBOSE


@pytest.mark.parametrize(
    ("host", "port"), [("build.example", 2222), ("secret.example", 2223), ("other", 1), ("example", 1), (".example", 2222)]
)
def test_host_patterns(host, port):
    assert SSHConfig.from_text(TEXT).for_host(host)[ssh_config.PORT] == port


def test_places():
    settings = SSHConfig.from_options(["Port=9"]).followed_by(SSHConfig.from_text(TEXT, "file")).for_host("build.example")
    assert settings.places(ssh_config.PORT) == (Place(),)
    assert settings.places(ssh_config.IDENTITY_FILE) == (Place("file", 5), Place("file", 12))
    assert settings.places(ssh_config.CIPHERS) == ()
    assert ssh_config.PORT in settings
    assert ssh_config.CIPHERS not in settings
    assert {setting.name for setting in settings} == {"Port", "User", "IdentityFile", "StrictHostKeyChecking", "LogLevel"}


def test_defaults():
    settings = SSHConfig().for_host("x")
    assert settings[ssh_config.PORT] == 22
    assert settings[ssh_config.USER] is None
    assert settings[ssh_config.STRICT_HOST_KEY_CHECKING] is StrictHostKeyChecking.ASK
    assert settings[ssh_config.REKEY_LIMIT] == RekeyLimit()
    assert settings[ssh_config.SERVER_ALIVE_COUNT_MAX] == 3
    assert sshd_config.PORT in SSHDConfig.from_options(["Port=0"]).settings


def test_values_compare():
    assert SSHConfig.from_text(TEXT, "file") == SSHConfig.from_text(TEXT, "file")
    assert SSHConfig.from_text(TEXT, "file") != SSHConfig.from_text(TEXT, "other")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Prot 22", "file line 2: the option 'Prot' is not supported (did you mean Port?)"),
        ("ForwardAgent yes", "file line 2: the option 'ForwardAgent' is not supported"),
        ("Bad\x1b[31m x", "file line 2: the option 'Bad\\x1b[31m' is not supported"),
        ("Port", "file line 2: Port: its value is missing"),
        ("port 0", "file line 2: Port: '0' is not a number from 1 to 65535"),
        ("Port 22 23", "file line 2: Port: it takes one value, not 2"),
        ('User "a', "file line 2: User: a quote is not closed"),
        ("Host", "file line 2: Host: its value is missing"),
        ("Hots *", "file line 2: the option 'Hots' is not supported (did you mean Host?)"),
        ("Match", "file line 2: Match: its value is missing"),
        ("BatchMode perhaps", "file line 2: BatchMode: 'perhaps' is not yes or no"),
        ("MACs hmac-md5", "file line 2: MACs: there is no MAC 'hmac-md5'; there are hmac-sha2-256-etm@openssh.com,"),
        ("KexAlgorithms -*", "file line 2: KexAlgorithms: '-*' leaves no key exchange method"),
        ("ServerAliveCountMax 0", "file line 2: ServerAliveCountMax: '0' is not a number from 1 to 2147483647"),
        ("LogLevel LOUD", "file line 2: LogLevel: 'LOUD' is not QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3"),
        ('User ""', "file line 2: User: its value is empty"),
    ],
)
def test_faults(text, error):
    with pytest.raises(ConfigError) as caught:
        SSHConfig.from_text("\n" + text, "file").for_host("x")
    assert str(caught.value).startswith(error)


def test_a_fault_in_an_option():
    with pytest.raises(ConfigError, match=r"^command line: the option 'ProxyCommand' is not supported$"):
        SSHConfig.from_options(["ProxyCommand=nc"]).for_host("x")
    with pytest.raises(ConfigError, match=r"^command line: the option 'Host' is not supported"):
        SSHConfig.from_options(["Host=x"]).for_host("x")


SERVER = """
Port 2222
Port 2223
ListenAddress 127.0.0.1
ListenAddress [::1]:22
HostKey /k1
HostKey /k2
AuthorizedKeysFile .ssh/a /etc/%u
AcceptEnv LANG LC_*
AcceptEnv X?
Subsystem sftp /usr/lib/sftp-server -e
PidFile none
PermitTTY no
LoginGraceTime 2m
MaxSessions 0
RekeyLimit 1M
Ciphers aes*-ctr
"""


def test_a_server():
    settings = SSHDConfig.from_text(SERVER).settings
    assert settings[sshd_config.PORT] == (2222, 2223)
    assert settings[sshd_config.LISTEN_ADDRESS] == (ListenAddress("127.0.0.1"), ListenAddress("::1", 22))
    assert settings[sshd_config.HOST_KEY] == ("/k1", "/k2")
    assert settings[sshd_config.AUTHORIZED_KEYS_FILE] == (".ssh/a", "/etc/%u")
    assert settings[sshd_config.ACCEPT_ENV] == ("LANG", "LC_*", "X?")
    assert [(s.name, s.command) for s in settings[sshd_config.SUBSYSTEM]] == [("sftp", "/usr/lib/sftp-server -e")]
    assert settings[sshd_config.PID_FILE] is None
    assert settings[sshd_config.PERMIT_TTY] is False
    assert settings[sshd_config.LOGIN_GRACE_TIME] == 120
    assert settings[sshd_config.MAX_SESSIONS] == 0
    assert settings[sshd_config.REKEY_LIMIT] == RekeyLimit(1 << 20)
    assert settings[sshd_config.CIPHERS] == ("aes128-ctr", "aes192-ctr", "aes256-ctr")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("UseLdap yes", "file line 1: the option 'UseLdap' is not supported"),
        ("AcceptEnv A=B", "file line 1: AcceptEnv: 'A=B' is not the name of an environment variable"),
        ("MaxAuthTries 0", "file line 1: MaxAuthTries: '0' is not a number"),
        ("ListenAddress [::1", "file line 1: ListenAddress: '[::1' is not an address"),
    ],
)
def test_faults_of_a_server(text, error):
    with pytest.raises(ConfigError) as caught:
        SSHDConfig.from_text(text, "file")
    assert str(caught.value).startswith(error)
