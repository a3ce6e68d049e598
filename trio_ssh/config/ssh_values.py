"""What the words behind a client's keywords mean, as far as a server's configuration has nothing like it (see `values`)."""

from __future__ import annotations

import enum
import re

import attrs

from .match import Words
from .values import choice, one, seconds, shown, text, whole_number

_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)
_VARIABLE_NAME = re.compile(r"[^=\0]+")


class AddressFamily(enum.Enum):
    """Which addresses to connect to, or to listen at."""

    ANY = "any"
    INET = "inet"
    INET6 = "inet6"


address_family = choice({member.value: member for member in AddressFamily}, "any, inet or inet6")


class Canonicalize(enum.Enum):
    """CanonicalizeHostname: whether to search for a host's full name; ALWAYS also where a proxy is used."""

    NO = "no"
    YES = "yes"
    ALWAYS = "always"


canonicalize = choice(
    {
        "no": Canonicalize.NO,
        "false": Canonicalize.NO,
        "yes": Canonicalize.YES,
        "true": Canonicalize.YES,
        "always": Canonicalize.ALWAYS,
    },
    "yes, no or always",
)


class PublicKeyUse(enum.Enum):
    """PubkeyAuthentication; the last two are without and with the host's key in what is signed."""

    NO = "no"
    YES = "yes"
    UNBOUND = "unbound"
    HOST_BOUND = "host-bound"


public_key_use = choice(
    {**{member.value: member for member in PublicKeyUse}, "true": PublicKeyUse.YES, "false": PublicKeyUse.NO},
    "yes, no, unbound or host-bound",
)


class TerminalRequest(enum.Enum):
    """RequestTTY."""

    AUTO = "auto"
    NO = "no"
    YES = "yes"
    FORCE = "force"


terminal_request = choice(
    {**{member.value: member for member in TerminalRequest}, "true": TerminalRequest.YES, "false": TerminalRequest.NO},
    "yes, no, force or auto",
)


class SessionType(enum.Enum):
    """What to ask for: a shell or command, a subsystem, or nothing at all."""

    DEFAULT = "default"
    NONE = "none"
    SUBSYSTEM = "subsystem"


session_type = choice({member.value: member for member in SessionType}, "none, subsystem or default")


class UpdateHostKeys(enum.Enum):
    """Whether to learn a server's other host keys."""

    NO = "no"
    YES = "yes"
    ASK = "ask"


update_host_keys = choice(
    {**{member.value: member for member in UpdateHostKeys}, "true": UpdateHostKeys.YES, "false": UpdateHostKeys.NO}, "yes, no or ask"
)


class AddKeysMode(enum.Enum):
    """Whether a key that was read from a file goes to the agent; CONFIRM lets the agent ask at every use."""

    NO = "no"
    YES = "yes"
    ASK = "ask"
    CONFIRM = "confirm"


@attrs.frozen
class AddKeys:
    """AddKeysToAgent; `seconds` is how long the agent keeps the key, None for ever."""

    mode: AddKeysMode = AddKeysMode.NO
    seconds: int | None = None


_add_keys_mode = choice(
    {**{member.value: member for member in AddKeysMode}, "true": AddKeysMode.YES, "false": AddKeysMode.NO}, "yes, no, ask or confirm"
)


def add_keys_to_agent(words: Words) -> AddKeys:
    """``yes``, ``no``, ``ask``, ``confirm``, ``1h``, ``confirm 1h``."""
    if len(words) == 2 and words[0].lower() == AddKeysMode.CONFIRM.value:
        return AddKeys(AddKeysMode.CONFIRM, _lifetime(words[1]))
    word = one(text)(words)
    return AddKeys(AddKeysMode.YES, _lifetime(word)) if word[0].isdigit() else AddKeys(_add_keys_mode(word))


def _lifetime(word: str) -> int | None:
    return seconds(word) or None


def time_or_none(word: str) -> int | None:
    """A time, also 0; None for ``none``."""
    return None if word.lower() == "none" else seconds(word)


def escape_character(word: str) -> str | None:
    """One character, ``^`` and a letter for a control character, or None for ``none``."""
    if word.lower() == "none":
        return None
    if len(word) == 2 and word[0] == "^" and "@" <= word[1] <= "\x7f":
        return chr(ord(word[1]) & 31)
    if len(word) == 1 and word.isascii():
        return word
    raise ValueError(f"{shown(word)} is not a character, ^ and a letter, or none")


def domains(words: Words) -> tuple[str, ...]:
    """Domains to search; ``none`` alone is none."""
    if len(words) == 1 and words[0].lower() == "none":
        return ()
    for word in words:
        if not _DOMAIN.fullmatch(word) or ".." in word:
            raise ValueError(f"{shown(word)} is not a domain")
    return words


@attrs.frozen
class CNAMERule:
    """A host in `sources` may be an alias of one in `targets`; both are lists of patterns."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]


def permitted_cnames(words: Words) -> tuple[CNAMERule, ...]:
    """``*.a.example:*.b.example,*.c.example``; ``none`` alone is no rule."""
    if len(words) == 1 and words[0].lower() == "none":
        return ()
    return tuple(_cname_rule(word) for word in words)


def _cname_rule(word: str) -> CNAMERule:
    sources, _, targets = word.partition(":")
    if not sources or not targets:
        raise ValueError(f"{shown(word)} is not of the form sources:targets")
    return CNAMERule(tuple(sources.lower().split(",")), tuple(targets.lower().split(",")))


def sent_variables(words: Words) -> Words:
    """SendEnv: names of variables, perhaps with ``*`` and ``?``; a ``-`` before one takes away what was named before."""
    for word in words:
        if "=" in word or word in ("", "-"):
            raise ValueError(f"{shown(word)} is not the name of an environment variable")
    return words


@attrs.frozen
class Variable:
    """An environment variable for the other side."""

    name: str
    value: str


def set_variables(words: Words) -> tuple[Variable, ...]:
    """SetEnv: ``NAME=value`` several times; of one name the first counts."""
    found: dict[str, Variable] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _VARIABLE_NAME.fullmatch(name):
            raise ValueError(f"{shown(word)} is not of the form NAME=value")
        found.setdefault(name, Variable(name, value))
    return tuple(found.values())


_DSCP = {
    **{f"af{group}{drop}": (group << 5) | (drop << 3) for group in (1, 2, 3, 4) for drop in (1, 2, 3)},
    **{f"cs{number}": number << 5 for number in range(8)},
    "ef": 0xB8,
    "le": 0x01,
    "lowdelay": 0x10,
    "throughput": 0x08,
    "reliability": 0x04,
}
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]{1,2}|[0-9]{1,3}")


@attrs.frozen
class ServiceClass:
    """IPQoS: what the packets of a terminal's session say of their urgency, and those of others; None leaves it to the system."""

    interactive: int | None = _DSCP["lowdelay"]
    bulk: int | None = _DSCP["throughput"]


def service_class(words: Words) -> ServiceClass:
    """``af21``, ``ef cs1``, ``0x10 none``: one for both, or two."""
    if len(words) > 2:
        raise ValueError(f"it takes one or two values, not {len(words)}")
    found = tuple(_service_class(word) for word in words)
    return ServiceClass(found[0], found[-1])


def _service_class(word: str) -> int | None:
    if word.lower() == "none":
        return None
    if word.lower() in _DSCP:
        return _DSCP[word.lower()]
    number = int(word, 16 if word[:2] in ("0x", "0X") else 10) if _NUMBER.fullmatch(word) else 256
    if number > 255:
        raise ValueError(f"{shown(word)} is not a class such as af21, ef, lowdelay or a number from 0 to 255")
    return number


def shown_service_class(number: int | None) -> str:
    """As `service_class` takes it."""
    if number is None:
        return "none"
    return next((name for name, value in _DSCP.items() if value == number), f"0x{number:02x}")


_FACILITIES = ("DAEMON", "USER", "AUTH", "AUTHPRIV", *(f"LOCAL{number}" for number in range(8)))
facility = choice({name.lower(): name for name in _FACILITIES}, ", ".join(_FACILITIES[:4]) + " or LOCAL0 to LOCAL7")
fingerprint_hash = choice({"md5": "md5", "sha256": "sha256"}, "md5 or sha256")
count = whole_number(0, 2**31 - 1)
rsa_bits = whole_number(0, 16384)


def comma_list(word: str) -> tuple[str, ...]:
    """Names with commas between them; ``none`` is one of them."""
    return tuple(text(word).split(","))


def text_or_none(word: str) -> str | None:
    """None for ``none``."""
    return None if word.lower() == "none" else text(word)


def pattern_list(word: str) -> tuple[str, ...]:
    """Patterns with commas between them."""
    return tuple(text(word).split(","))
