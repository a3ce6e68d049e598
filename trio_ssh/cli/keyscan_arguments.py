"""The command line of ``trio-ssh-keyscan``, understood: which hosts, and which of their keys (ssh-keyscan(1))."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import attrs

from ..config.values import seconds
from ..errors import SSHError, printable
from ..keys.known_hosts import SSH_PORT, hash_name, host_name
from .keygen_files import read_text_file
from .options import UsageError, read_options

USAGE = """usage: trio-ssh-keyscan [-46cDHqv] [-f file] [-O option] [-p port] [-T timeout]
                        [-t type] [host | addrlist namelist]"""

_KNOWN = "cDHqv46O:p:T:t:f:"
SUPPORTED = "46cDHqvfOpTt"
DEFAULT_TYPES = ("rsa", "ecdsa", "ed25519", "ecdsa-sk", "ed25519-sk")
DEFAULT_SECONDS = 5

ALGORITHMS = {
    "rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ed25519": ("ssh-ed25519",),
    "ed448": ("ssh-ed448",),
    "ecdsa-sk": ("sk-ecdsa-sha2-nistp256@openssh.com",),
    "ed25519-sk": ("sk-ssh-ed25519@openssh.com",),
}
"""-t: the signature algorithms by which a server shows that it has a key of that type."""

_OTHER_NAMES = {name: kind for kind, names in ALGORITHMS.items() for name in names}
_HASHES = {"sha1": 1, "sha256": 2}


class BadScan(SSHError):
    """The value of an option cannot be used: the text says why, and what can be."""


@attrs.frozen
class Target:
    """Names to connect to, one after another until one answers, and the names to print its keys under."""

    addresses: tuple[str, ...]
    names: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Scan:
    """One command line."""

    words: tuple[str, ...]
    files: tuple[str, ...] = ()
    """-f, in order."""
    types: tuple[str, ...] = DEFAULT_TYPES
    family: int = 0
    """4 or 6; 0 for either."""
    port: int = SSH_PORT
    timeout_seconds: int = DEFAULT_SECONDS
    """-T"""
    certificates: bool = False
    """-c"""
    dns: bool = False
    """-D: as SSHFP records."""
    dns_hashes: tuple[int, ...] = (1, 2)
    hashed: bool = False
    """-H"""
    quiet: bool = False
    verbosity: int = 0

    def targets(self) -> Iterator[Target]:
        """Those of the files, then those of the command line. Raises `KeyFileError` for a file that cannot be read, `BadScan`."""
        for path in self.files:
            yield from text_targets(read_text_file(path))
        for word in self.words:
            yield from _targets(word, "")

    def heading(self, name: str) -> str:
        """What a key is printed behind: a host as known_hosts names it."""
        shown = host_name(name, self.port)
        return hash_name(shown) if self.hashed else printable(shown, 300)


def parse_arguments(words: Sequence[str]) -> Scan:
    """Understand the words behind the program's name. Raises `UsageError`, `BadScan`."""
    options, rest = read_options(words, _KNOWN, SUPPORTED)
    flags = "".join(letter for letter, _ in options)
    last = dict(options)
    files = tuple(value for letter, value in options if letter == "f")
    if not rest and not files:
        raise UsageError("name a host, or a file of hosts with -f")
    return Scan(
        words=tuple(rest),
        files=files,
        types=_types(last["t"]) if "t" in last else DEFAULT_TYPES,
        family=next((int(flag) for flag in reversed(flags) if flag in "46"), 0),
        port=_port(last["p"]) if "p" in last else SSH_PORT,
        timeout_seconds=_seconds(last["T"]) if "T" in last else DEFAULT_SECONDS,
        certificates="c" in flags,
        dns="D" in flags,
        dns_hashes=_dns_hashes(value for letter, value in options if letter == "O"),
        hashed="H" in flags,
        quiet="q" in flags,
        verbosity=flags.count("v"),
    )


def text_targets(content: bytes) -> Iterator[Target]:
    """Those of a file with one on each line: addresses, and names for them if they are to be printed under others."""
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        words = line.partition("#")[0].split()
        if words:
            yield from _targets(words[0], words[1] if len(words) > 1 else "")


def _types(text: str) -> tuple[str, ...]:
    kinds = []
    for name in text.lower().split(","):
        kind = _OTHER_NAMES.get(name, name)
        if kind not in ALGORITHMS:
            raise BadScan(f"-t {printable(name, 60)}: there is no such type of host keys; use {', '.join(ALGORITHMS)}")
        kinds.append(kind)
    return tuple(dict.fromkeys(kinds))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise UsageError(f"-p {printable(text, 40)}: there is no such port")
    return int(text)


def _seconds(text: str) -> int:
    try:
        total = seconds(text)
    except ValueError as error:
        raise UsageError(f"-T: {error}") from None
    if not total:
        raise UsageError("-T 0 leaves no time for an answer")
    return total


def _dns_hashes(options: Iterable[str]) -> tuple[int, ...]:
    chosen: tuple[int, ...] = tuple(_HASHES.values())
    for option in options:
        name, _, value = option.lower().partition("=")
        if name != "hashalg" or value not in _HASHES:
            raise BadScan(f"-O {printable(option, 60)}: the only option is hashalg=sha1 or hashalg=sha256")
        chosen = (_HASHES[value],)
    return chosen


def _targets(addresses: str, names: str) -> Iterator[Target]:
    """A list of addresses or names with commas; the address of a network stands for all addresses in it."""
    listed = tuple(name for name in addresses.split(",") if name)
    aliases = tuple(name for name in names.split(",") if name)
    network = _network(listed[0]) if len(listed) == 1 else None
    if network is not None:
        for address in network:
            yield Target((str(address),), aliases or (str(address),))
    elif listed:
        yield Target(listed, aliases or listed)


def _network(text: str) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address] | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadScan(f"{printable(text, 100)} is not a network such as 192.0.2.0/28") from None
