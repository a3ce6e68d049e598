"""``trio-ssh-keygen`` finds, hashes and removes hosts in known_hosts files (-F, -H, -R)."""

from __future__ import annotations

from pathlib import Path

from .. import DecodeError, PublicKey, printable
from ..keys import Marker
from ..keys.known_hosts_edit import FoundLine, find_host, hash_hosts, hashed_text, remove_host
from .keygen_arguments import Request
from .keygen_showing import family, picture
from .prompts import show
from .report import say

_TEXT_CHARACTERS_MAX = 1 << 16
_MARKS = {Marker.TRUSTED: "", Marker.CERT_AUTHORITY: "CA", Marker.REVOKED: "REVOKED"}


def _path(request: Request) -> str:
    return str(Path.home() / ".ssh" / "known_hosts") if request.path is None else request.path


def find(request: Request) -> int:
    """-F: the lines for a host, or with -l their fingerprints; status 1 if there is none. Raises `SSHError`."""
    found = find_host(_path(request), request.host)
    for line in found:
        if not request.quiet:
            show(f"# Host {printable(request.host)} found: line {line.entry.line} {_MARKS[line.entry.marker]}\n")
        if "l" in request.flags:
            _show_fingerprint(line, request)
        else:
            text = hashed_text(line) if "H" in request.flags else line.text
            show("".join(f"{_shown(part)}\n" for part in text.split("\n")))
    return 0 if found else 1


def _show_fingerprint(line: FoundLine, request: Request) -> None:
    try:
        key = PublicKey.from_blob(line.entry.blob)
    except DecodeError as error:
        say(f"line {line.entry.line}: {error}")
        return
    before = 3 if line.entry.marker is Marker.TRUSTED else 4  # a marker stands before hosts, type and key
    comment = "".join(line.text.split(None, before)[before:]).strip()
    words = [printable(request.host), family(key), key.fingerprint(request.digest), _shown(comment)]
    show(" ".join(word for word in words if word) + "\n")
    if request.verbose:
        show(picture(key, request.digest) + "\n")


def _shown(text: str) -> str:
    """A line as it stands, but for what could steer a terminal."""
    return "\t".join(printable(part, _TEXT_CHARACTERS_MAX) for part in text.split("\t"))


def remove(request: Request) -> int:
    """-R: without the host's lines; what the file was is kept beside it. Raises `SSHError`."""
    path = _path(request)
    removed = remove_host(path, request.host)
    if not removed:
        say(f"Host {printable(request.host)} not found in {printable(path)}")
        return 0
    if not request.quiet:
        show("".join(f"# Host {printable(request.host)} found: line {entry.line}\n" for entry in removed))
    _show_updated(path)
    return 0


def hash_all(request: Request) -> int:
    """-H: with all names hashed; what the file was is kept beside it. Raises `SSHError`."""
    path = _path(request)
    done = hash_hosts(path)
    for entry in done.kept:
        if set(entry.hosts) & set("*?!"):
            say(f"{printable(path)}:{entry.line}: ignoring host name with wildcard: {printable(entry.hosts)}")
    for line in done.skipped:
        say(f"{line}; the line is kept as it is")
    if not done.hashed:
        return 0
    _show_updated(path)
    say(f"WARNING: {printable(path)}.old contains unhashed entries\nDelete this file to ensure privacy of hostnames")
    return 0


def _show_updated(path: str) -> None:
    show(f"{printable(path)} updated.\nOriginal contents retained as {printable(path)}.old\n")
