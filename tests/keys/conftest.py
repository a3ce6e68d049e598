"""One key of each kind for the whole room, and a way to run other people's key tools."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keys.software_keys import SoftwareKey
from tests.support import require_program
from trio_ssh.keys import PrivateKey
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

KINDS: dict[str, tuple[str, int | None]] = {
    "ed25519": ("ed25519", None),
    "nistp256": ("ecdsa", 256),
    "nistp384": ("ecdsa", 384),
    "nistp521": ("ecdsa", 521),
    "rsa": ("rsa", 2048),
}
"""What every other program knows too."""
ALL_KINDS: dict[str, tuple[str, int | None]] = {**KINDS, "ed448": ("ed448", None)}
"""OpenSSH has no Ed448."""


@pytest.fixture(scope="session")
def keys() -> dict[str, PrivateKey]:
    return {name: PrivateKey.generate(kind, bits, f"{name} of a test") for name, (kind, bits) in ALL_KINDS.items()}


@pytest.fixture(scope="session")
def software_keys() -> dict[str, SoftwareKey]:
    """Security keys by key type."""
    return {key_type: SoftwareKey.generate(key_type) for key_type in SECURITY_KEY_TYPES}


@pytest.fixture(params=sorted(ALL_KINDS))
def any_key(request: pytest.FixtureRequest, keys: dict[str, PrivateKey]) -> PrivateKey:
    return keys[request.param]


@pytest.fixture(params=sorted(KINDS))
def key(request: pytest.FixtureRequest, keys: dict[str, PrivateKey]) -> PrivateKey:
    return keys[request.param]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """``run("ssh-keygen", "-l", …)``: its standard output; a failure fails the test. Runs in the test's own folder."""

    def run_program(program: str, *arguments: str | Path, stdin: str = "") -> str:
        command = [require_program(program), *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run_program
