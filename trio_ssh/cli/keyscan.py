"""``trio-ssh-keyscan``: prints the host keys of servers, as lines for known_hosts; as ssh-keyscan(1) does.

Each key costs one connection, which goes just far enough for the server to show the key and to prove that it has it: then it is closed,
without any login. All connections to one host are made at once, and so are those to many hosts; none outlives its time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import trio

from .. import Algorithms, ConnectionLost, ConnectionOpened, Event, HostKeyError, NegotiationError, PublicKey, SSHError, connect, printable
from ..config import LogLevel
from ..keys.certificates import CERTIFICATE_ALGORITHMS, KEY_TYPE_OF_CERTIFICATE_ALGORITHM, Certificate
from .event_text import event_text
from .keyscan_arguments import ALGORITHMS, USAGE, Scan, Target, parse_arguments
from .options import UsageError
from .prompts import show
from .report import log, log_to_stderr, run_tool, say

TOOL = "trio-ssh-keyscan"
HOSTS_AT_ONCE = 64

_DNS_ALGORITHMS = {"ssh-rsa": 1, "ssh-ed25519": 4, "ssh-ed448": 6}  # RFC 4255 §3.1.1, RFC 6594, RFC 7479, RFC 8709 §7
_DNS_ECDSA = 3
_DNS_DIGESTS = {1: "sha1", 2: "sha256"}


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 0 if any key was found, else 1, or 255."""
    return run_tool(TOOL, run, words)


def run(words: Sequence[str]) -> int:
    """The same; what goes wrong is raised as `SSHError` and `OSError` (status 255)."""
    try:
        scan = parse_arguments(words)
    except UsageError as error:
        log.error("%s", error)
        say(USAGE)
        return 1
    level = LogLevel.QUIET if scan.quiet else LogLevel.INFO
    log_to_stderr(TOOL, LogLevel(min(LogLevel.INFO + 1 + scan.verbosity, LogLevel.DEBUG3)) if scan.verbosity else level)
    return trio.run(scan_all, scan)


async def scan_all(scan: Scan) -> int:
    """Scan all targets, many at once. The exit status."""
    scanner = Scanner(scan)
    room = trio.Semaphore(HOSTS_AT_ONCE)
    async with trio.open_nursery() as nursery:
        for target in scan.targets():
            await room.acquire()
            nursery.start_soon(scanner.scan_target, target, room)
    return 0 if scanner.found else 1


@attrs.define(eq=False)
class Noted:
    """A host key policy that notes what it is shown, and accepts nothing."""

    certificate_types: tuple[str, ...] = ()
    """Those to be shown a certificate of; with any, plain keys are not asked for."""
    key: PublicKey | Certificate | None = None

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return self.certificate_types

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        self._note(key)

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> None:
        self._note(certificate)

    def _note(self, key: PublicKey | Certificate) -> None:
        self.key = key
        raise HostKeyError("the host key is noted; that was all")


@attrs.frozen
class Place:
    """A name or address to connect to, and the socket addresses it stands for."""

    name: str
    port: int
    found: Sequence[tuple[int, Any]]
    """Family and address, in the resolver's order."""

    def __str__(self) -> str:
        return f"{printable(self.name, 300)} port {self.port}"


@attrs.define(eq=False)
class Scanner:
    """Finds keys and prints them; `found` counts them."""

    scan: Scan
    found: int = 0
    offered: Algorithms = attrs.field(factory=Algorithms.everything)
    """A key may be looked at whatever else the server can do."""

    async def scan_target(self, target: Target, room: trio.Semaphore) -> None:
        """The addresses of the target one after another, until one has shown a key."""
        try:
            for address in target.addresses:
                if await self._scan_address(address, target.names):
                    return
        finally:
            room.release()

    async def _scan_address(self, address: str, names: Sequence[str]) -> bool:
        """Was any key found? If not, what was wrong is logged, once for all types of keys."""
        before = self.found
        failures: list[str] = []
        place = await self._resolve(address, failures)
        if place is not None:
            async with trio.open_nursery() as nursery:
                for kind in self.scan.types:
                    nursery.start_soon(self._scan_kind, place, names, kind, failures)
        for failure in dict.fromkeys(failures):
            log.warning("%s", failure)
        return self.found > before

    async def _resolve(self, address: str, failures: list[str]) -> Place | None:
        families = {0: trio.socket.AF_UNSPEC, 4: trio.socket.AF_INET, 6: trio.socket.AF_INET6}
        with trio.move_on_after(self.scan.timeout_seconds):
            try:
                found = await trio.socket.getaddrinfo(address, self.scan.port, families[self.scan.family], trio.socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                failures.append(f"{printable(address, 300)}: its address was not found: {_reason(error)}")
                return None
            return Place(address, self.scan.port, [(int(family), numbers) for family, _, _, _, numbers in found])
        failures.append(f"{printable(address, 300)}: its address was not found within {self.scan.timeout_seconds} s")
        return None

    async def _scan_kind(self, place: Place, names: Sequence[str], kind: str, failures: list[str]) -> None:
        noted, algorithms = self._wanted(kind)
        if algorithms is None:
            return
        with trio.move_on_after(self.scan.timeout_seconds) as scope:
            try:
                await self._look(place, noted, algorithms)
            except NegotiationError as error:
                log.info("%s has no such key (%s): %s", place, kind, error)  # no failure: most servers have one or two types
            except (SSHError, OSError, trio.BrokenResourceError) as error:
                if noted.key is None:
                    failures.append(f"{place}: {_reason(error)}")
        if noted.key is not None:
            self._show(names, noted.key)
        elif scope.cancelled_caught:
            failures.append(f"{place}: no answer within {self.scan.timeout_seconds} s; -T gives it more time")

    def _wanted(self, kind: str) -> tuple[Noted, Algorithms | None]:
        """A policy, and what to negotiate so that the server shows a key of that kind; None if there is no such thing."""
        names = ALGORITHMS[kind]
        noted = Noted()
        if self.scan.certificates:
            names = tuple(name for name, signature in CERTIFICATE_ALGORITHMS.items() if signature in names)
            noted = Noted(tuple(dict.fromkeys(KEY_TYPE_OF_CERTIFICATE_ALGORITHM[name] for name in names)))
        names = tuple(name for name in names if name in self.offered.host_keys)
        return noted, attrs.evolve(self.offered, host_keys=names) if names else None

    async def _look(self, place: Place, noted: Noted, algorithms: Algorithms) -> None:
        """Connect as far as the host key. Raises `SSHError`, also when all went well: then the key is noted."""
        stream = await _dial(place)
        async with connect(
            place.name,
            place.port,
            username="nobody",  # it never comes to a login
            credentials=[],
            host_keys=noted,
            algorithms=algorithms,
            stream=stream,
            observer=partial(self._observe, place),
        ):
            raise AssertionError("the policy accepts nothing")

    def _observe(self, place: Place, event: Event) -> None:
        log.debug("%s: %s", place, event_text(event))
        if isinstance(event, ConnectionOpened) and not self.scan.quiet:
            mark = ";" if self.scan.dns else "#"
            say(f"{mark} {printable(place.name, 300)}:{place.port} SSH-2.0-{printable(event.peer_software, 255)}")

    def _show(self, names: Sequence[str], key: PublicKey | Certificate) -> None:
        self.found += 1
        line = key.to_openssh_line()
        for name in names:
            if self.scan.dns:
                show("".join(self._dns_lines(name, key)))
            elif isinstance(key, Certificate):
                show(f"{line}\n")  # as ssh-keyscan has it: a certificate names its hosts itself
            else:
                show(f"{self.scan.heading(name)} {line}\n")

    def _dns_lines(self, name: str, key: PublicKey | Certificate) -> list[str]:
        """SSHFP records (RFC 4255 §3)."""
        plain = key.public_key if isinstance(key, Certificate) else key
        number = _DNS_ECDSA if plain.algorithm.startswith("ecdsa-") else _DNS_ALGORITHMS.get(plain.algorithm)
        if number is None:
            log.warning("%s: there are no SSHFP records for keys of type %s", printable(name), plain.algorithm)
            return []
        digests = ((kind, hashlib.new(_DNS_DIGESTS[kind], plain.blob, usedforsecurity=False)) for kind in self.scan.dns_hashes)
        return [f"{printable(name, 300)} IN SSHFP {number} {kind} {digest.hexdigest()}\n" for kind, digest in digests]


async def _dial(place: Place) -> trio.SocketStream:
    """The first of the addresses that takes the connection. Raises `ConnectionLost`."""
    reason = "it has no such address"
    for family, numbers in place.found:
        socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
        try:
            await socket.connect(numbers)
            return trio.SocketStream(socket)
        except OSError as error:
            socket.close()
            reason = _reason(error)
        except BaseException:
            socket.close()
            raise
    raise ConnectionLost(f"cannot connect: {reason}")


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) and error.__cause__ is not None else error
    if isinstance(cause, OSError) and cause.errno is not None:
        # Trio puts a sentence of its own where the system's text belongs; a resolver's errors have negative numbers.
        return os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or str(cause)
    return str(cause)


if __name__ == "__main__":
    sys.exit(main())
