"""``%`` tokens, ``${NAME}`` and ``~`` in the values of a configuration (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ..errors import ConfigError, printable

_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_TOKEN_OR_VARIABLE = re.compile(r"%(.?)|\$\{([^}]*)(\}?)", re.DOTALL)


def expand_tokens(text: str, tokens: Mapping[str, str], name: str, environ: Mapping[str, str] | None = None) -> str:
    """Replace each ``%x`` by ``tokens["x"]``, ``%%`` by ``%``, and with `environ` each ``${X}`` by ``environ["X"]``.

    What was put in is not looked at again. Raises `ConfigError` that names the keyword for any other.
    """

    def value(found: re.Match[str]) -> str:
        if found[0].startswith("$"):
            return _variable(found)
        if found[1] == "%":
            return "%"
        if found[1] not in tokens:
            known = " ".join(f"%{letter}" for letter in sorted(tokens))
            raise fault(f"the token '{printable('%' + found[1])}' is not one of %% {known}")
        return tokens[found[1]]

    def _variable(found: re.Match[str]) -> str:
        if not found[2] or not found[3]:
            raise fault("a variable is written ${NAME}")
        if environ is None or found[2] not in environ:
            raise fault(f"there is no environment variable {printable(found[2], 100)}")
        return environ[found[2]]

    def fault(why: str) -> ConfigError:
        return ConfigError(f"{name} '{printable(text, 200)}': {why}")

    return (_TOKEN if environ is None else _TOKEN_OR_VARIABLE).sub(value, text)


def expand_path(text: str, tokens: Mapping[str, str], name: str, environ: Mapping[str, str] | None = None) -> str:
    """As `expand_tokens`, and ``~`` and ``~user`` at the beginning. Raises `ConfigError`, also for tokens that would name other folders.

    The values of tokens come from whoever named the host; one such as ``../x`` must not lead the path elsewhere (hardening E13).
    """
    for letter, value in tokens.items():
        if f"%{letter}" in text and letter not in "dj" and (value in ("", ".", "..") or "/" in value or "\0" in value):
            raise ConfigError(f"{name} '{printable(text, 200)}': '{printable(value, 200)}' cannot stand in a path for %{letter}")
    if not text.startswith("~"):
        return expand_tokens(text, tokens, name, environ)
    user, slash, below = text.partition("/")
    home = os.path.expanduser(user)
    if home.startswith("~"):
        raise ConfigError(f"{name} '{printable(text, 200)}': there is no such user's home")
    return home + slash + expand_tokens(below, tokens, name, environ)
