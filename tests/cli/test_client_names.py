"""UseDNS: a client's name counts only if it has the client's address."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from tests.cli.logins import login, rules_of
from trio_ssh.cli.client_names import name_of_address

ADDRESS = "192.0.2.7"


class Names(trio.abc.HostnameResolver):
    """An address has a name, and the name an address; one that never answers is asked in vain."""

    def __init__(self, name: str | None, address: str = ADDRESS, *, answers: bool = True) -> None:
        self.name, self.address, self.answers = name, address, answers

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, 0))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        if not self.answers:
            await trio.sleep_forever()
        if self.name is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.name, "0"


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (Names("Build.Example"), "build.example"),
        (Names("build.example", "192.0.2.8"), ADDRESS),
        (Names("192.0.2.99"), ADDRESS),
        (Names(None), ADDRESS),
        (Names("build.example", answers=False), ADDRESS),
    ],
)
async def test_names(names, host, autojump_clock):
    trio.socket.set_custom_hostname_resolver(names)
    assert await name_of_address(ADDRESS) == host


async def test_only_where_it_is_wanted():
    trio.socket.set_custom_hostname_resolver(Names("build.example"))
    block = "Match Host build.example\nMaxSessions 1"
    assert (await login(rules_of(f"UseDNS yes\n{block}"))).sessions == 1
    assert (await login(rules_of(block))).sessions == 10
