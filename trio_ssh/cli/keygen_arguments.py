"""The command line of ``trio-ssh-keygen``, understood: what is to be done, and with what (ssh-keygen(1))."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence

import attrs

from ..errors import SSHError, printable
from .options import UsageError, read_options

USAGE = """usage: trio-ssh-keygen [-q] [-a rounds] [-b bits] [-C comment] [-f output_keyfile]
                       [-m format] [-N new_passphrase]
                       [-t ecdsa | ed25519 | ed448 | rsa] [-Z cipher]
       trio-ssh-keygen -p [-a rounds] [-f keyfile] [-m format] [-N new_passphrase]
                       [-P old_passphrase] [-Z cipher]
       trio-ssh-keygen -i [-f input_keyfile] [-m key_format]
       trio-ssh-keygen -e [-f input_keyfile] [-m key_format]
       trio-ssh-keygen -y [-f input_keyfile] [-P passphrase]
       trio-ssh-keygen -c [-a rounds] [-C comment] [-f keyfile] [-P passphrase]
       trio-ssh-keygen -l [-v] [-E fingerprint_hash] [-f input_keyfile]
       trio-ssh-keygen -B [-f input_keyfile]
       trio-ssh-keygen -F hostname [-lv] [-f known_hosts_file]
       trio-ssh-keygen -H [-f known_hosts_file]
       trio-ssh-keygen -R hostname [-f known_hosts_file]
       trio-ssh-keygen -I certificate_identity -s ca_key [-hU] [-n principals]
                       [-O option] [-t signature_algorithm] [-V validity_interval]
                       [-z serial_number] file ...
       trio-ssh-keygen -L [-f input_keyfile]
       trio-ssh-keygen -A [-a rounds] [-f prefix_path]"""

_KNOWN = "ABHKLQUXceghiklopquvyC:D:E:F:I:M:N:O:P:R:V:Y:Z:a:b:f:m:n:r:s:t:w:z:"
SUPPORTED = "ABHLUcehilopqvyCEFINOPRVZabfmnstz"  # -o asks for the format that is the only one here

SERIAL_MAX = (1 << 64) - 1
_DIGESTS = ("md5", "sha1", "sha256", "sha384", "sha512")


class KeygenFailed(SSHError):
    """It cannot be done: the text says why, and what can be done about it; `status` is the exit status that scripts expect then."""

    def __init__(self, text: str, status: int = 255) -> None:
        super().__init__(text)
        self.status = status


class BadValue(KeygenFailed):
    """The value of an option cannot be used: the text says why, and what can be."""


class Action(enum.Enum):
    """What is to be done; the values are the options that ask for it."""

    MAKE_KEY = ""
    MAKE_HOST_KEYS = "-A"
    SIGN = "-s"
    SHOW_CERTIFICATES = "-L"
    FIND_HOST = "-F"
    HASH_HOSTS = "-H"
    REMOVE_HOST = "-R"
    SHOW_FINGERPRINTS = "-l"
    SHOW_BABBLE = "-B"
    CHANGE_PASSPHRASE = "-p"
    CHANGE_COMMENT = "-c"
    EXPORT = "-e"
    IMPORT = "-i"
    SHOW_PUBLIC_KEY = "-y"


_PRECEDENCE = (
    Action.SIGN,
    Action.SHOW_CERTIFICATES,
    Action.FIND_HOST,
    Action.REMOVE_HOST,
    Action.HASH_HOSTS,
    Action.SHOW_FINGERPRINTS,
    Action.SHOW_BABBLE,
    Action.CHANGE_PASSPHRASE,
    Action.CHANGE_COMMENT,
    Action.EXPORT,
    Action.IMPORT,
    Action.SHOW_PUBLIC_KEY,
    Action.MAKE_HOST_KEYS,
)


class KeyFormat(enum.Enum):
    """-m: a form of key files. Private keys are written in OpenSSH's own form unless it is PKCS8 or PEM."""

    RFC4716 = "RFC4716"
    PKCS8 = "PKCS8"
    PEM = "PEM"


@attrs.frozen(kw_only=True)
class Saving:
    """How a private key is written: None is what is usual."""

    rounds: int | None = None
    """-a: the cost of trying a passphrase."""
    cipher: str | None = None
    """-Z"""
    format: KeyFormat | None = None
    """-m"""


@attrs.frozen(kw_only=True)
class CertificateWish:
    """What -s is to sign, and how."""

    ca_path: str
    ca_in_agent: bool = False
    """-U: the path is that of the public key, the agent has the private one."""
    key_id: str
    for_host: bool = False
    """-h"""
    principals: tuple[str, ...] = ()
    validity: str | None = None
    """-V, as it was given."""
    serial: int = 0
    increment: bool = False
    """-z with a +: the serial number grows from one certificate to the next."""
    options: tuple[str, ...] = ()
    """-O, in order."""


@attrs.frozen(kw_only=True)
class Request:
    """One command line. `words` are what stands behind its options; paths are as they were given."""

    action: Action
    flags: str = ""
    words: tuple[str, ...] = ()
    path: str | None = None
    """-f"""
    host: str = ""
    """Of -F or -R."""
    kind: str | None = None
    """-t, as it was given."""
    bits: int | None = None
    digest: str = "sha256"
    comment: str | None = None
    old_passphrase: str | None = None
    """-P"""
    new_passphrase: str | None = None
    """-N"""
    saving: Saving = Saving()
    certificate: CertificateWish | None = None

    @property
    def quiet(self) -> bool:
        """-q"""
        return "q" in self.flags

    @property
    def verbose(self) -> bool:
        """-v"""
        return "v" in self.flags


def parse_arguments(words: Sequence[str]) -> Request:
    """Understand the words behind the program's name. Raises `UsageError`, `BadValue`."""
    options, rest = read_options(words, _KNOWN, SUPPORTED)
    flags = "".join(letter for letter, _ in options)
    last = dict(options)
    action = _action(flags)
    _check_words(action, flags, rest)
    return Request(
        action=action,
        flags=flags,
        words=tuple(rest),
        path=last.get("f"),
        host=last.get("F", last.get("R", "")),
        kind=last.get("t"),
        bits=_number("-b", last["b"], 1 << 32) if "b" in last else None,
        digest=_digest(last.get("E", "sha256")),
        comment=last.get("C"),
        old_passphrase=last.get("P"),
        new_passphrase=last.get("N"),
        saving=_saving(last),
        certificate=_certificate(options, last) if action is Action.SIGN else None,
    )


def _action(flags: str) -> Action:
    if "p" in flags and "c" in flags:
        raise UsageError("there can be only one of -p and -c")
    if ("l" in flags or "B" in flags) and "R" in flags:
        raise UsageError("-l and -B cannot stand beside -R")
    if "l" in flags and "H" in flags and "F" not in flags:
        raise UsageError("-l cannot stand beside -H")
    return next((action for action in _PRECEDENCE if action.value[1:] in flags), Action.MAKE_KEY)


def _check_words(action: Action, flags: str, words: Sequence[str]) -> None:
    if action is Action.SIGN and not words:
        raise UsageError("name the public key files that -s is to sign")
    if action is not Action.SIGN and words:
        raise UsageError(f"there is nothing to do with the word '{printable(words[0], 100)}'")
    if action is not Action.SIGN and "U" in flags:
        raise UsageError("-U is for signing certificates (-s)")
    if action is not Action.SIGN and "O" in flags:
        raise UsageError("-O is for signing certificates (-s); keys that live on security keys cannot be made here")


def _number(option: str, text: str, ceiling: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or not 0 < int(text) < ceiling:
        raise BadValue(f"{option} {printable(text, 40)}: that is no number between 1 and {ceiling - 1}")
    return int(text)


def _digest(name: str) -> str:
    if name.lower() not in _DIGESTS or name.lower() not in hashlib.algorithms_available:
        raise BadValue(f"-E {printable(name, 40)}: there is no such hash; use sha256 or md5 (or sha1, sha384, sha512)")
    return name.lower()


def _saving(last: Mapping[str, str]) -> Saving:
    rounds = _number("-a", last["a"], 1 << 31) if "a" in last else None
    return Saving(rounds=rounds, cipher=last.get("Z"), format=_format(last["m"]) if "m" in last else None)


def _format(name: str) -> KeyFormat:
    upper = {"SSH2": "RFC4716"}.get(name.upper(), name.upper())
    if upper not in KeyFormat.__members__:
        raise BadValue(f"-m {printable(name, 40)}: there is no such format; use RFC4716, PKCS8 or PEM")
    return KeyFormat[upper]


def _certificate(options: Sequence[tuple[str, str]], last: Mapping[str, str]) -> CertificateWish:
    if "I" not in last:
        raise BadValue("give the certificate an identity with -I: a text that logs will show")
    serial = last.get("z", "0")
    return CertificateWish(
        ca_path=last["s"],
        ca_in_agent="U" in last,
        key_id=last["I"],
        for_host="h" in last,
        principals=_principals(last["n"]) if "n" in last else (),
        validity=last.get("V"),
        serial=_serial(serial.removeprefix("+"), serial),
        increment=serial.startswith("+"),
        options=tuple(value for letter, value in options if letter == "O"),
    )


def _principals(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names):
        raise BadValue(f"-n {printable(text, 100)}: there is an empty name in this list")
    return names


def _serial(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20) or int(digits) > SERIAL_MAX:
        raise BadValue(f"-z {printable(text, 40)}: a serial number is between 0 and {SERIAL_MAX}, with a + before it to count up")
    return int(digits)
