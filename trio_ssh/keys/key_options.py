"""The options before a key in authorized_keys, and before a name in a file of principals (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

Options stand in the order in which they count: ``restrict`` takes everything away that stands before it, ``restrict,pty`` gives the
terminal back. They are taken whole or not at all: whatever is unknown or malformed refuses the line.

Where sshd takes something that cannot be held, or that is surely a mistake, the line is refused here: names of hosts that ``from`` leaves
out (nobody looks names up), items of ``from`` with blanks, days such as February 31, names of services instead of ports, an empty host.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from ..errors import KeyFileError, printable
from ..wire.addresses import AddressList, address_of
from .certificate_times import parse_absolute_time
from .permissions import RESTRICTED, Permissions

TUNNEL_MAX = 0x7FFFFFFD

_CERT_AUTHORITY = "cert-authority"
_NAME = re.compile(r'[^=," \t]*+')
_VALUE = re.compile(r'"((?:\\"|[^"])*+)"')  # possessive: nothing is tried twice
_VARIABLE = re.compile(r"([A-Za-z0-9_]+)=(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^][ \t]+\]|[^][:/ \t]+)[:/](\*|[0-9]{1,5})", re.ASCII)
_BARE_PORT = re.compile(r"\*|[0-9]{1,5}", re.ASCII)
_ADDRESS = re.compile(r"([0-9.*?]+|[0-9A-Fa-f.*?]*+:[0-9A-Fa-f.:*?]*)(/[0-9]{1,3})?", re.ASCII)  # letters need a colon beside them
_HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_.*?-]+", re.ASCII)


@attrs.frozen(kw_only=True)
class KeyOptions:
    """What a line says about its key, beside the key. The default is a line without options."""

    permissions: Permissions = attrs.field(factory=Permissions)
    cert_authority: bool = False
    """The key signs certificates; it lets nobody in itself."""
    principals: tuple[str, ...] | None = None
    """Of an authority's line: whom its certificates must be for. None is the account's name."""
    sources: AddressList | None = None
    """Where its holder must come from. None is anywhere."""
    expires: int | None = None
    """The last second at which it counts, since 1970."""

    def refusal(self, address: str, now: float) -> str:
        """Why it does not count for a client from `address` at `now` (seconds since 1970); "" if it does.

        A client without an address ("") comes from nowhere that could be allowed.
        """
        if self.expires is not None and now > self.expires:
            return "it has expired (expiry-time)"
        if self.sources is None:
            return ""
        found = address_of(address)
        if found is None or not self.sources.matches(found):
            return f"it does not count for a client from {printable(address, 64) or 'an unknown address'} (from)"
        return ""


def read_key_options(text: str) -> tuple[KeyOptions, str]:
    """The options that `text` begins with, up to the first blank that is not in quotes, and what stands behind that blank.

    Raises `KeyFileError` (without a path). Bytes that are no UTF-8 are expected as surrogate escapes.
    """
    reading, at = _Reading(), 0
    while True:
        name, value, at = _read_option(text, at)
        reading.take(name, value)
        if at == len(text) or text[at] in " \t":
            break
        if text[at] != ",":
            raise KeyFileError(f"the option {_shown(name)} ends in {printable(text[at])!r}; put a comma between options")
        at += 1
    return reading.options(), text[at:].lstrip(" \t")


def parse_key_options(text: str) -> KeyOptions:
    """As `read_key_options`, where nothing may follow."""
    options, rest = read_key_options(text)
    if rest:
        raise KeyFileError(f"{printable(rest, 64)!r} follows the options; a blank outside of quotes ends them")
    return options


def _read_option(text: str, start: int) -> tuple[str, str | None, int]:
    """Name in small letters, value without its quotes (None: there is none), and where it ends."""
    found = _NAME.match(text, start)
    assert found is not None  # it matches the empty string as well
    name, at = found.group().lower(), found.end()
    if not text.startswith("=", at):
        return name, None, at
    quoted = _VALUE.match(text, at + 1)
    if quoted is None:
        fault = "has a quote that is never closed" if text.startswith('"', at + 1) else "needs its value in quotes"
        raise KeyFileError(f"the option {_shown(name)} {fault}")
    return name, quoted[1].replace('\\"', '"'), quoted.end()


@attrs.define(eq=False)
class _Reading:
    """What has been read of a line so far: the fields that differ from the default."""

    permissions: dict[str, Any] = attrs.field(factory=dict)
    others: dict[str, Any] = attrs.field(factory=dict)
    environ: dict[str, str] = attrs.field(factory=dict)
    given: set[str] = attrs.field(factory=set)

    def take(self, name: str, value: str | None) -> None:
        if value is None:
            self._take_flag(name)
            return
        reader = _VALUES.get(name)
        if reader is None:
            known = name in _FLAGS or name == _CERT_AUTHORITY
            raise KeyFileError(f"the option {_shown(name)} takes no value" if known else f"unknown option {_shown(name)}")
        if name in _ONCE and name in self.given:
            raise KeyFileError(f"the option {name} is there twice")
        self.given.add(name)
        reader(self, value)

    def _take_flag(self, name: str) -> None:
        if name in _FLAGS:
            self.permissions.update(_FLAGS[name])
        elif name == _CERT_AUTHORITY:
            self.others["cert_authority"] = True
        elif name in _VALUES:
            raise KeyFileError(f'the option {name} needs a value: {name}="…"')
        elif name:  # sshd, too, lets a comma too many pass
            raise KeyFileError(f"unknown option {_shown(name)}")

    def options(self) -> KeyOptions:
        if "principals" in self.others and "cert_authority" not in self.others:
            raise KeyFileError("the option principals is for the line of an authority: it needs cert-authority beside it")
        limits: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in self.permissions.items()}
        return KeyOptions(permissions=Permissions(environ=tuple(self.environ.items()), **limits), **self.others)


def _shown(name: str) -> str:
    return repr(printable(name, 64))


# --- options without a value: what each changes --------------------------------------------------------------------------------

_SWITCHES = {
    "agent-forwarding": "agent_forwarding",
    "port-forwarding": "port_forwarding",
    "x11-forwarding": "x11_forwarding",
    "pty": "terminal",
    "user-rc": "user_rc",
    "touch-required": "touch_required",
    "verify-required": "verify_required",
}
_FLAGS: dict[str, dict[str, bool]] = {
    **{name: {field: True} for name, field in _SWITCHES.items()},
    **{f"no-{name}": {field: False} for name, field in _SWITCHES.items()},
    "restrict": {field: False for field in _SWITCHES.values() if getattr(RESTRICTED, field) != getattr(Permissions(), field)},
}


# --- options with a value ----------------------------------------------------------------------------------------------------------------


def _command(reading: _Reading, value: str) -> None:
    reading.permissions["force_command"] = value


def _environment(reading: _Reading, value: str) -> None:
    found = _VARIABLE.fullmatch(value)
    if found is None:
        raise KeyFileError(f"environment {printable(value, 64)!r} is not NAME=value with letters, digits and underlines in the name")
    reading.environ.setdefault(found[1], found[2])  # the first one counts


def _permit_open(reading: _Reading, value: str) -> None:
    reading.permissions.setdefault("permit_open", []).append(_host_and_port("permitopen", value))


def _permit_listen(reading: _Reading, value: str) -> None:
    full = f"*:{value}" if _BARE_PORT.fullmatch(value) else value
    reading.permissions.setdefault("permit_listen", []).append(_host_and_port("permitlisten", full))


def _host_and_port(name: str, value: str) -> str:
    found = _HOST_AND_PORT.fullmatch(value)
    if found is None or not (found[2] == "*" or 0 < int(found[2]) <= 0xFFFF):
        hint = "with a number or * for the port; IPv6 addresses need brackets"
        raise KeyFileError(f"{name} {printable(value, 64)!r} is not HOST:PORT, {hint}")
    return f"{found[1]}:{found[2] if found[2] == '*' else int(found[2])}"


def _tunnel(reading: _Reading, value: str) -> None:
    if value.lower() == "any":
        return
    if not re.fullmatch(r"[0-9]{1,10}", value, re.ASCII) or int(value) > TUNNEL_MAX:
        raise KeyFileError(f"tunnel {printable(value, 64)!r} is not the number of a device, nor any")
    reading.permissions["tunnel"] = int(value)


def _principals(reading: _Reading, value: str) -> None:
    reading.others["principals"] = tuple(name for name in value.split(",") if name)


def _from(reading: _Reading, value: str) -> None:
    """Names of hosts match nobody, as with sshd's ``UseDNS no``; that one is left out could not be held, so it is refused."""
    addresses = []
    for item in value.split(",") if value else ():
        bare = item.removeprefix("!")
        if _is_address(bare):
            addresses.append(item)
        elif _HOST_NAME.fullmatch(bare) is None:
            raise KeyFileError(f"from has {printable(item, 64)!r} in it, no address, network such as 192.0.2.0/24, pattern or name")
        elif item != bare:
            raise KeyFileError(f"from leaves out {printable(bare, 64)!r}, but names of hosts are not looked up; write addresses")
    reading.others["sources"] = AddressList.of(addresses)


def _is_address(text: str) -> bool:
    if _ADDRESS.fullmatch(text) is None:
        return False
    try:
        AddressList.of([text])
    except ValueError:
        return False
    return True


def _expiry_time(reading: _Reading, value: str) -> None:
    """Of several the earliest counts."""
    try:
        expires = parse_absolute_time(value)
    except ValueError as error:
        raise KeyFileError(f"expiry-time {error}") from None
    if expires <= 0:
        raise KeyFileError(f"expiry-time {printable(value, 64)!r} is before 1970")
    reading.others["expires"] = min(expires, reading.others.get("expires", expires))


_VALUES: dict[str, Callable[[_Reading, str], None]] = {
    "command": _command,
    "environment": _environment,
    "expiry-time": _expiry_time,
    "from": _from,
    "permitlisten": _permit_listen,
    "permitopen": _permit_open,
    "principals": _principals,
    "tunnel": _tunnel,
}
_ONCE = {"command", "from", "principals", "tunnel"}
