"""Passwords checked against the system's shadow database, without PAM: what ``UsePAM no`` means (shadow(5), crypt(5)).

Who does not exist, has no password or may not use one costs the same hash as everybody else: a stand-in is hashed in the way in which the
passwords of this machine are (hardening B09).
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import pwd
import threading
import time
from collections.abc import Callable

import attrs
import trio

from ..connection.authenticator import ACCEPT, REFUSE, Verdict
from ..errors import ConfigError
from ..protocol.auth_attempt import AuthAttempt

PASSWORD_BYTES_MAX = 1024
_DAY = 86400
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
_CRYPT_DATA_BYTES = 256 * 1024  # more than the struct crypt_data of any libcrypt
_ENTRY_BYTES = 64 * 1024
_STAND_IN = "$6$standinsalt$"
_ENTRIES_MAX = 1000


@attrs.frozen
class ShadowEntry:
    """What shadow(5) says of an account. Days are counted from 1970; -1 is none."""

    password: str = attrs.field(repr=False)
    last_change: int = -1
    maximum: int = -1
    expires: int = -1

    @property
    def is_usable(self) -> bool:
        """There is a password that somebody may know, or none is needed."""
        return not self.password.startswith(("!", "*")) and self.password != "x"  # "x": it is in shadow(5), which we cannot read

    def fault(self, now: float) -> str:
        """Why the account cannot be used, or "": it has expired, or its password has."""
        today = int(now // _DAY)
        if 0 <= self.expires <= today:
            return "the account has expired"
        if self.last_change == 0:
            return "the password must be changed first"
        if self.last_change > 0 and self.maximum >= 0 and today > self.last_change + self.maximum:
            return "the password has expired"
        return ""


_one_reader = threading.Lock()


class _Entry(ctypes.Structure):
    """struct spwd."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        *((name, ctypes.c_long) for name in ("last_change", "minimum", "maximum", "warning", "inactive", "expires")),
        ("flag", ctypes.c_ulong),
    )


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "getspnam_r"):
        raise ConfigError("passwords cannot be checked: the C library of this machine has no shadow database")
    entry = ctypes.POINTER(_Entry)
    libc.getspnam_r.argtypes = (ctypes.c_char_p, entry, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(entry))
    libc.getspent_r.argtypes = (entry, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(entry))
    return libc


@functools.cache
def _libcrypt() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
        library.crypt_r.restype = ctypes.c_char_p
        return library
    raise ConfigError(f"passwords cannot be checked: there is no crypt library ({', '.join(_LIBRARIES)}) on this machine")


def shadow_entry(username: str) -> ShadowEntry | None:
    """The account's entry, that of passwd(5) where it has none in shadow(5); None for a name that does not exist. Blocks."""
    try:
        account = pwd.getpwnam(username)
        name = username.encode("utf-8")
    except (KeyError, ValueError):  # ValueError: a NUL, or half a surrogate pair
        return None
    entry, found, buffer = _Entry(), ctypes.POINTER(_Entry)(), ctypes.create_string_buffer(_ENTRY_BYTES)
    _libc().getspnam_r(name, ctypes.byref(entry), buffer, _ENTRY_BYTES, ctypes.byref(found))
    if _is_null(found):
        return ShadowEntry(account.pw_passwd)
    return _value_of(entry)


def _is_null(pointer: object) -> bool:
    return not pointer


def _value_of(entry: _Entry) -> ShadowEntry:
    password = (entry.password or b"").decode("utf-8", "surrogateescape")
    return ShadowEntry(password, entry.last_change, entry.maximum, entry.expires)


@functools.cache
def usual_way() -> str:
    """A hash whose way is that of the first password in the shadow database: for those who have none. Blocks."""
    libc = _libc()
    entry, found, buffer = _Entry(), ctypes.POINTER(_Entry)(), ctypes.create_string_buffer(_ENTRY_BYTES)
    with _one_reader:  # the place in the database is the process's
        libc.setspent()
        try:
            for _ in range(_ENTRIES_MAX):
                if libc.getspent_r(ctypes.byref(entry), buffer, _ENTRY_BYTES, ctypes.byref(found)) or _is_null(found):
                    break
                if (password := _value_of(entry).password).startswith("$"):
                    return password
        finally:
            libc.endspent()
    return _STAND_IN


def crypt(password: str, setting: str) -> str | None:
    """crypt(3): the hash of a password in the way that `setting`, a hash or its beginning, says; None if there is no such way.

    Blocks, for as long as the way demands. Raises `ConfigError` where there is no crypt library.
    """
    raw, way = password.encode("utf-8", "surrogateescape"), setting.encode("utf-8", "surrogateescape")
    if b"\0" in raw or b"\0" in way:
        return None
    hashed = _libcrypt().crypt_r(raw, way, ctypes.create_string_buffer(_CRYPT_DATA_BYTES))
    text = (hashed or b"*").decode("utf-8", "surrogateescape")
    return None if text.startswith("*") else text


@attrs.define(eq=False)
class ShadowPasswords:
    """The method ``password`` by the shadow database, which only root can read.

    Empty passwords are refused unless `permit_empty` and the account has none; expired accounts and passwords are refused. `futile`:
    nobody is let in, after the same work; for names that may not log in. `entry_of` looks an account up, `hash_password` does crypt(3)
    and `stand_in` gives a hash for those who have none; all three are called in a thread.
    """

    permit_empty: bool = False
    futile: bool = False
    entry_of: Callable[[str], ShadowEntry | None] = shadow_entry
    hash_password: Callable[[str, str], str | None] = crypt
    stand_in: Callable[[], str] = usual_way
    clock: Callable[[], float] = time.time

    methods = ("password",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        password = attempt.password
        if password is None or attempt.new_password is not None or (not password and not self.permit_empty):
            return REFUSE
        if len(password.encode("utf-8", "surrogateescape")) > PASSWORD_BYTES_MAX or "\0" in password:
            return REFUSE
        return await trio.to_thread.run_sync(self._check, attempt.username, password, abandon_on_cancel=True)

    def _check(self, username: str, password: str) -> Verdict:
        entry = self.entry_of(username)
        known = entry is not None and entry.is_usable and entry.password != ""
        # One hash for everybody, whatever becomes of it.
        hashed = self.hash_password(password, entry.password if known and entry else self.stand_in())
        if entry is None or not entry.is_usable or self.futile:
            return Verdict(accepted=False, detail="no such account, or it has no password or may not use it")
        if entry.password:
            right = hashed is not None and hmac.compare_digest(_bytes(hashed), _bytes(entry.password))
        else:
            right = not password and self.permit_empty
        fault = entry.fault(self.clock()) if right else "the password is wrong"
        return Verdict(accepted=False, detail=fault) if fault else ACCEPT


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
