"""``trio-ssh-keygen``: makes, changes, shows and converts keys, signs certificates, edits known_hosts; as ssh-keygen(1) does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..config import LogLevel
from .keygen_arguments import USAGE, Action, KeygenFailed, Request, parse_arguments
from .keygen_certificates import show_certificates, sign_certificates
from .keygen_conversion import export_key, import_key
from .keygen_known_hosts import find, hash_all, remove
from .keygen_making import change_comment, change_passphrase, make_host_keys, make_key
from .keygen_showing import show_fingerprints, show_public_key
from .options import UsageError
from .prompts import NoAnswer
from .report import log, log_to_stderr, run_tool, say

TOOL = "trio-ssh-keygen"

_ACTIONS: dict[Action, Callable[[Request], int]] = {
    Action.MAKE_KEY: make_key,
    Action.MAKE_HOST_KEYS: make_host_keys,
    Action.SIGN: sign_certificates,
    Action.SHOW_CERTIFICATES: show_certificates,
    Action.FIND_HOST: find,
    Action.HASH_HOSTS: hash_all,
    Action.REMOVE_HOST: remove,
    Action.EXPORT: export_key,
    Action.IMPORT: import_key,
    Action.SHOW_FINGERPRINTS: show_fingerprints,
    Action.SHOW_BABBLE: show_fingerprints,
    Action.SHOW_PUBLIC_KEY: show_public_key,
    Action.CHANGE_PASSPHRASE: change_passphrase,
    Action.CHANGE_COMMENT: change_comment,
}


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool; exit statuses are those of ssh-keygen: 0, 1, or 255."""
    return run_tool(TOOL, run, words)


def run(words: Sequence[str]) -> int:
    """The same; what goes wrong with keys and files is raised as `SSHError` and `OSError` (status 255)."""
    try:
        request = parse_arguments(words)
    except UsageError as error:
        log.error("%s", error)
        say(USAGE)
        return 1
    log_to_stderr(TOOL, LogLevel.DEBUG1 if request.verbose else LogLevel.INFO)
    try:
        return _ACTIONS[request.action](request)
    except KeygenFailed as error:
        log.critical("%s", error)
        return error.status
    except NoAnswer as error:
        log.critical("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
