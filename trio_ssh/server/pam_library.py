"""Linux-PAM through ctypes: what of libpam a login needs, in calls that block and belong into a thread (pam(3), pam_conv(3)).

A *conversation* is what libpam and its modules call to ask the user something. Here it is a function of the questions of one call; what it
gives back, or that it gives nothing up, is all that the modules see. It runs in the thread that has called libpam.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import os
from collections.abc import Callable, Sequence
from types import TracebackType

import attrs

from ..errors import ConfigError

_LIBRARY = "libpam.so.0"
_QUESTIONS_MAX = 32  # PAM_MAX_NUM_MSG
_TEXT_MAX = 4096
ANSWER_BYTES_MAX = 511
"""Modules take no longer one (PAM_MAX_RESP_SIZE)."""

_CONV_ERROR, _SUCCESS = 19, 0
_CHAR_PP = ctypes.POINTER(ctypes.c_char_p)


class Style(enum.IntEnum):
    """What kind of question it is."""

    HIDDEN = 1
    SHOWN = 2
    ERROR = 3
    """Not a question but a text, and so is `INFO`."""
    INFO = 4

    @property
    def wants_answer(self) -> bool:
        return self in (Style.HIDDEN, Style.SHOWN)


class Item(enum.IntEnum):
    """pam_set_item(3)."""

    USER = 2
    TTY = 3
    RHOST = 4


class Status(enum.IntEnum):
    """The answers of libpam that mean more than a refusal."""

    SUCCESS = 0
    NEW_PASSWORD_REQUIRED = 12


class Flag(enum.IntFlag):
    """What the calls may be told."""

    NONE = 0
    DISALLOW_NULL_AUTHTOK = 0x0001
    CHANGE_EXPIRED_AUTHTOK = 0x0020


@attrs.frozen
class Question:
    """One message of a module."""

    style: Style
    text: str


Converse = Callable[[Sequence[Question]], Sequence[str] | None]
"""The answers, one for each question that wants one; None gives the login up."""


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_MESSAGES = ctypes.POINTER(ctypes.POINTER(_Message))
_RESPONSES = ctypes.POINTER(ctypes.c_void_p)
_CONVERSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _MESSAGES, _RESPONSES, ctypes.c_void_p)


class _Conversation(ctypes.Structure):
    _fields_ = (("converse", _CONVERSE), ("data", ctypes.c_void_p))


@functools.cache
def _libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """libpam and the C library. Raises `ConfigError` where there is no libpam."""
    try:
        pam, libc = ctypes.CDLL(_LIBRARY), ctypes.CDLL(None)
    except OSError as error:
        raise ConfigError(f"PAM cannot be used: {_LIBRARY} cannot be loaded ({error}); install it, or do without PAM") from None
    handle, text = ctypes.c_void_p, ctypes.c_char_p
    for name, arguments in (
        ("pam_start", (text, text, ctypes.POINTER(_Conversation), ctypes.POINTER(handle))),
        ("pam_start_confdir", (text, text, ctypes.POINTER(_Conversation), text, ctypes.POINTER(handle))),
        ("pam_end", (handle, ctypes.c_int)),
        ("pam_set_item", (handle, ctypes.c_int, text)),
        ("pam_get_item", (handle, ctypes.c_int, _CHAR_PP)),
        ("pam_authenticate", (handle, ctypes.c_int)),
        ("pam_acct_mgmt", (handle, ctypes.c_int)),
        ("pam_chauthtok", (handle, ctypes.c_int)),
    ):
        function = getattr(pam, name, None)  # pam_start_confdir is not in every libpam
        if function is not None:
            function.argtypes, function.restype = arguments, ctypes.c_int
    pam.pam_strerror.argtypes, pam.pam_strerror.restype = (handle, ctypes.c_int), ctypes.c_char_p
    libc.calloc.argtypes, libc.calloc.restype = (ctypes.c_size_t, ctypes.c_size_t), ctypes.c_void_p
    libc.strdup.argtypes, libc.strdup.restype = (text,), ctypes.c_void_p
    return pam, libc


def load_pam() -> None:
    """Raise `ConfigError` where there is no PAM."""
    _libraries()


class PAMSession:
    """One login at libpam, to be used as a context manager; every call blocks and returns libpam's status.

    `folder` has the service files instead of ``/etc/pam.d``. Raises `ConfigError` if the login cannot be begun.
    """

    def __init__(self, service: str, username: str, converse: Converse, folder: str | os.PathLike[str] | None = None) -> None:
        self._pam, self._libc = _libraries()
        self._converse = converse
        self._status = _SUCCESS
        self._handle = ctypes.c_void_p()
        # Both must live as long as the handle: libpam keeps the addresses.
        self._callback = _CONVERSE(self._called_back)
        self._conversation = _Conversation(self._callback, None)
        words = (os.fsencode(service), _c_text(username), ctypes.byref(self._conversation))
        if folder is None:
            status = self._pam.pam_start(*words, ctypes.byref(self._handle))
        else:
            status = self._pam.pam_start_confdir(*words, os.fsencode(folder), ctypes.byref(self._handle))
        if status != _SUCCESS:
            raise ConfigError(f"PAM cannot begin with the service {service!r}: status {status}")

    def __enter__(self) -> PAMSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._pam.pam_end(self._handle, self._status)

    def set_item(self, item: Item, value: str) -> None:
        """Tell the modules something."""
        self._pam.pam_set_item(self._handle, item, _c_text(value))

    @property
    def username(self) -> str:
        """Whom the modules take the user for by now."""
        value = ctypes.c_char_p()
        self._pam.pam_get_item(self._handle, Item.USER, ctypes.byref(value))
        return (value.value or b"").decode("utf-8", "surrogateescape")

    def authenticate(self, flags: Flag) -> int:
        self._status = self._pam.pam_authenticate(self._handle, flags)
        return self._status

    def check_account(self, flags: Flag) -> int:
        self._status = self._pam.pam_acct_mgmt(self._handle, flags)
        return self._status

    def change_password(self, flags: Flag) -> int:
        self._status = self._pam.pam_chauthtok(self._handle, flags)
        return self._status

    def words(self, status: int) -> str:
        """What a status means, in libpam's words."""
        text = self._pam.pam_strerror(self._handle, status)
        return text.decode("utf-8", "replace") if text else f"status {status}"

    # -- called by libpam ------------------------------------------------------------------------------------------------------------

    def _called_back(self, count: int, messages: object, responses: object, data: object) -> int:
        try:
            questions = _questions(count, messages)
            answers = self._converse(questions)
            if answers is None:
                return _CONV_ERROR
            responses[0] = self._allocate(questions, answers)  # type: ignore[index]
        except Exception:  # there is nobody above but C: whatever it is, the login is given up
            return _CONV_ERROR
        return _SUCCESS

    def _allocate(self, questions: Sequence[Question], answers: Sequence[str]) -> int:
        """An array of responses as C has them: the module frees it."""
        texts = [_c_text(answer) for answer in answers]
        if len(texts) != sum(question.style.wants_answer for question in questions):
            raise ValueError("as many answers as questions")
        address = self._libc.calloc(len(questions), ctypes.sizeof(_Response))
        if not address:
            raise MemoryError
        array = (_Response * len(questions)).from_address(address)
        left = iter(texts)
        for place, question in enumerate(questions):
            if question.style.wants_answer:
                array[place].text = self._libc.strdup(next(left))
        return int(address)


def _questions(count: int, messages: object) -> list[Question]:
    if not 0 < count <= _QUESTIONS_MAX:
        raise ValueError("the number of questions")
    found = (messages[place].contents for place in range(count))  # type: ignore[index]
    return [Question(Style(one.style), (one.text or b"").decode("utf-8", "replace")[:_TEXT_MAX]) for one in found]


def _c_text(text: str) -> bytes:
    """A text for C. `ValueError` if it has a NUL, at which C would take it to end, or is longer than modules take."""
    raw = text.encode("utf-8", "surrogateescape")
    if b"\0" in raw or len(raw) > ANSWER_BYTES_MAX:
        raise ValueError("a NUL, or too long")
    return raw
