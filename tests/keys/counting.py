"""What some work costs, told without a clock: which functions are called while it is done."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType

DERIVATIONS = frozenset({"kdf", "load_pem_private_key", "derive_private_key", "private_key"})
"""What costs something in reading a key: stretching a passphrase, OpenSSL's parser, building a key."""


def calls_during(work: Callable[[], object]) -> Counter[str]:
    """How often a function of each name is called, ours and those in C, while `work` runs."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[getattr(argument, "__name__", "?")] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
