"""Names of hosts and users with a shell's, an option's or a terminal's words in them (hardening E11, E13), and a watch for what they do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

HOSTILE = [
    "$(touch /tmp/x)", "`id`", "a;b", "a&b", "a&&b", "a|b", "a||b", "a>b", "a<b", "a(b", "a)b", "a{b", "a}b", "a'b", 'a"b', "a\\",
    "a\nb", "a\rb", "a\tb", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb", "a\x9bb", "a\ufeffb", "$(a\n)", "\n", "\r\n",
    "-oProxyCommand=touch /tmp/x", "-oProxyCommand=id", "-", "--", "-l", "-x@b", "-\n", "",
    "$(", "a$(b)", "x;", ";x", "|x", "$(id)b", "`", "'", '"', "(", ")", "{}", "<x", ">x", "&", "x' -o'", "x;reboot", "a|sh",
    "a b", "a\u00a0b", " x", "x ", "a\0b", "\0", "%0a;id", "${IFS}id",
]  # fmt: skip
"""More than sixty."""

PATHS = [
    "../../x", "../../../etc/passwd", "~root", "~", "$HOME", "C:x", "C:\\x", "", ".", "..", "/etc", "a/b", "a/../b",
    "%u", "%h", "\\\\host\\x",
]  # fmt: skip
"""Names that are, or could become, paths."""

STARTED = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"})
"""Events by which a program is started."""

_heard: list[tuple[str, str]] | None = None
_WATCHED = STARTED | {"open", "os.listdir", "os.scandir", "socket.connect"}


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _heard is not None and event in _WATCHED:
        _heard.append((event, ascii(arguments[:3])))


sys.addaudithook(_hook)  # for ever; it hears only inside `audited`


@contextmanager
def audited() -> Iterator[list[tuple[str, str]]]:
    """What files are opened, programs started and addresses dialled meanwhile, in this process and all its threads."""
    global _heard
    found: list[tuple[str, str]] = []
    _heard = found
    try:
        yield found
    finally:
        _heard = None
