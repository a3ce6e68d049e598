"""sshd_config with Match blocks: any text is settings for any login, printed and taken as values, or a `ConfigError`."""

from __future__ import annotations

from tests.fuzz.choices import Choices, check_text
from trio_ssh.config import SSHDConfig, server_limits, sshd_config
from trio_ssh.config.sshd_dump import dump
from trio_ssh.config.sshd_match import Subject
from trio_ssh.errors import ConfigError

SUBJECTS = (
    Subject(),
    Subject(user="root", groups=("root", "wheel"), host="a.example", address="192.0.2.7", local_address="::1", local_port=22),
    Subject(user="\udcff", exists=False, address="no address", rdomain="x"),
)


def target(data: bytes) -> None:
    choices = Choices(data)
    subject = SUBJECTS[choices.byte() % len(SUBJECTS)]
    text = choices.rest().decode("utf-8", "surrogateescape")
    try:
        config = SSHDConfig.from_text(text)
    except ConfigError as error:
        check_text(error)
        return
    for settings in (config.settings, config.for_subject(subject)):
        server_limits(settings)
        for keyword in (sshd_config.ALLOW_USERS, sshd_config.DENY_USERS):
            for pattern in settings[keyword]:
                pattern.matches("root", "a.example", "192.0.2.7")
    if "ListenAddress" not in {setting.name for setting in config.settings}:  # whose names would be looked up
        for line in dump(config.for_subject(subject)):
            assert " " in line
    for warning in config.warnings:
        check_text(ConfigError(warning))


LINES = [
    "Match User a*,!b Group wheel",
    "Match Address 192.0.2.0/24,!192.0.2.7 LocalPort 22",
    "Match Host=*.example LocalAddress ::1/128",
    "Match all",
    "Match Invalid-User",
    "Match RDomain x",
    "AllowUsers a@192.0.2.0/24,!*.x b *@h",
    "AuthenticationMethods publickey,password keyboard-interactive:pam",
    'ForceCommand /bin/echo "a  b" # c',
    'AuthorizedKeysCommand /bin/x "%u" %%',
    'SetEnv A=1 "B=c d"',
    "PermitRootLogin without-password",
    "PubkeyAuthOptions touch-required none",
    "PermitUserEnvironment A,B*",
    "AcceptEnv LANG LC_*",
    "MaxAuthTries 2",
    "X11Forwarding yes",
    "GSSAPIAuthentication no",
    "Include x",
    "PerSourcePenalties authfail:9s max:10m",
    "RekeyLimit 1G 1h",
    "LogLevel debug",
]


def seeds() -> list[bytes]:
    whole = "\n".join(line for line in LINES if not line.startswith("Include"))
    return [*(b"\1" + line.encode() for line in LINES), b"\1" + whole.encode(), b"\2" + "\n".join(reversed(LINES[:18])).encode()]
