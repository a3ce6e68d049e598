"""The targets by name: modules of `tests/fuzz/targets` with ``target(data)``, which returns or finds something, and ``seeds()``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import attrs

FOLDER = Path(__file__).parent
REGRESSIONS = FOLDER / "regressions"
NAMES = tuple(sorted(path.stem for path in (FOLDER / "targets").glob("[a-z]*.py")))


@attrs.frozen
class Target:
    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def load(name: str) -> Target:
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    return Target(name, module.target, module.seeds)


def regressions(name: str) -> dict[str, bytes]:
    """Inputs that once found something in a target, by the name of their file."""
    return {path.name: bytes.fromhex(path.read_text()) for path in sorted((REGRESSIONS / name).glob("*.hex"))}
