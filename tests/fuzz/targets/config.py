"""Lines of ssh_config and sshd_config: any text is settings, or a `ConfigError`."""

from __future__ import annotations

from tests.fuzz.choices import Choices, check_text
from trio_ssh.config import SSHConfig, SSHDConfig, client_algorithms, client_limits, server_limits, ssh_config, sshd_config
from trio_ssh.errors import ConfigError


def target(data: bytes) -> None:
    choices = Choices(data)
    way = choices.byte() % 3
    text = choices.rest().decode("utf-8", "surrogateescape")
    try:
        if way == 0:
            settings = SSHConfig.from_text(text).for_host("host.example")
            client_algorithms(settings)
            client_limits(settings)
        elif way == 1:
            server_limits(SSHDConfig.from_text(text).settings)
        else:
            SSHConfig.from_options(text.split("\n")).for_host("")
    except ConfigError as error:
        check_text(error)


VALUES = [
    "yes",
    "no",
    "22",
    "1G 1h",
    '"a b" c',
    "+aes*",
    "-hmac-*",
    "^none",
    "[::1]:22",
    "none",
    "~/x %h",
    "DEBUG",
    "sftp internal-sftp",
    "",
]


def seeds() -> list[bytes]:
    found = [b'\0Host *.example !x\n\tPort = 2222 # c\nHost "a\\"b"\nUser x\r\n', b"\2Port=1\nPort 2\nPort", b"\1Match all\nPort 1"]
    for way, table in ((0, ssh_config.TABLE), (1, sshd_config.TABLE)):
        lines = [f"{keyword} {VALUES[index % len(VALUES)]}" for index, keyword in enumerate(table)]
        found += [bytes([way]) + line.encode() for line in lines]
        found += [bytes([way]) + f"{keyword} {value}".encode() for keyword in ("Ciphers", "RekeyLimit") for value in VALUES]
    return found
