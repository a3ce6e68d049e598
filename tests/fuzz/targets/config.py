"""Lines of ssh_config and sshd_config: any text is settings that can be shown, or a `ConfigError`."""

from __future__ import annotations

from tests.fuzz.choices import Choices, check_text
from trio_ssh.config import (
    Local,
    Query,
    Resolved,
    SSHConfig,
    SSHDConfig,
    client_algorithms,
    client_limits,
    expand_path,
    server_limits,
    ssh_config,
    sshd_config,
)
from trio_ssh.config.ssh_dump import settings_text
from trio_ssh.config.ssh_walk import tokens_of
from trio_ssh.errors import ConfigError

LOCAL = Local("me", 1000, "/home/me", "desk.example")


def target(data: bytes) -> None:
    choices = Choices(data)
    way = choices.byte() % 3
    text = choices.rest().decode("utf-8", "surrogateescape")
    try:
        if way == 0:
            query = Query(host="host.example", local=LOCAL, version="trio_ssh_1")
            settings = SSHConfig.from_text(text).for_host(query.host, query=query)
            client_algorithms(settings)
            client_limits(settings)
            ssh_config.environment(settings, {"LANG": "C"})
            resolved = Resolved(host=query.host, settings=settings, tokens=tokens_of(query, settings, query.host), ignored=())
            settings_text(resolved, query.host, lambda value, keyword: expand_path(value, resolved.tokens, keyword, {"X": "%h"}))
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
    "confirm 1h",
    "^]",
    "*.a:*.b,c none",
    "A=1 -LC_* B",
    "${X}/%C%%",
    "af21 0x10",
    "",
]


def seeds() -> list[bytes]:
    found = [b'\0Host *.example !x\n\tPort = 2222 # c\nHost "a\\"b"\nUser x\r\n', b"\2Port=1\nPort 2\nPort", b"\1Match all\nPort 1"]
    conditions = ["all", "canonical all", "!final", 'host=a,!b* user "x y"', "exec 'x %h'", "localnetwork 10.0.0.0/8,!::1", 'tagged ""']
    found += [b"\0Match " + condition.encode() + b"\nPort 1\nMatch final\nUser %u" for condition in conditions]
    found += [b"\0IgnoreUnknown X*\nXyz 1\nProxyJump none\nHostName %h.x\nHost host.example.x\nForwardAgent yes", b"\0Include /x"]
    for way, table in ((0, ssh_config.TABLE), (1, sshd_config.TABLE)):
        lines = [f"{keyword} {VALUES[index % len(VALUES)]}" for index, keyword in enumerate(table)]
        found += [bytes([way]) + line.encode() for line in lines]
        found += [bytes([way]) + f"{keyword} {value}".encode() for keyword in ("Ciphers", "RekeyLimit") for value in VALUES]
    return found
