"""Which algorithms are tried together, and which of ours another program has too."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Collection, Iterable

import attrs
import pytest

from tests.interop.keyring import KEY_TYPES
from trio_ssh import Algorithms
from trio_ssh.crypto.suites import is_aead
from trio_ssh.keys import KEY_TYPE_OF_ALGORITHM

OURS = Algorithms.everything()
HOST_KEYS = tuple(name for name in OURS.host_keys if KEY_TYPE_OF_ALGORITHM.get(name) in KEY_TYPES)
"""Those of plain keys that the keyring has. Certificates have tests of their own, and a security key is nobody's host key here."""
OPENSSH_COMPRESSION = ("none", "zlib@openssh.com")
"""What it offers; ``ssh -Q compression`` names one more, which it does not."""


@attrs.frozen
class Suite:
    """One algorithm of each kind."""

    kex: str
    host_key: str
    cipher: str
    mac: str
    compression: str = "none"

    def algorithms(self) -> Algorithms:
        return Algorithms(
            kex=(self.kex,), host_keys=(self.host_key,), ciphers=(self.cipher,), macs=(self.mac,), compression=(self.compression,)
        )

    def __str__(self) -> str:
        protection = [self.cipher] if is_aead(self.cipher) else [self.cipher, self.mac]
        compression = [] if self.compression == "none" else [self.compression]
        return "+".join([self.kex, self.host_key, *protection, *compression]).replace("@openssh.com", "")


@attrs.frozen
class Shared:
    """What a peer has of what we have, in our order."""

    kex: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    compression: tuple[str, ...]

    @classmethod
    def of(
        cls,
        kex: Iterable[str],
        host_keys: Iterable[str],
        ciphers: Iterable[str],
        macs: Iterable[str],
        compression: Iterable[str] = ("none",),
    ) -> Shared:
        return cls(
            _common(OURS.kex or (), set(kex)),
            _common(HOST_KEYS, set(host_keys)),
            _common(OURS.ciphers, set(ciphers)),
            _common(OURS.macs, set(macs)),
            _common(OURS.compression, set(compression)),
        )

    @classmethod
    def with_openssh(cls) -> Shared:
        """As this machine's `ssh` tells; all of ours where there is none, so that the tests are there to be skipped or to fail."""
        program = shutil.which("ssh")
        if program is None:
            return cls.of(OURS.kex or (), HOST_KEYS, OURS.ciphers, OURS.macs, OPENSSH_COMPRESSION)
        kex, host_keys, ciphers, macs = (_ask(program, kind) for kind in ("kex", "HostKeyAlgorithms", "cipher", "mac"))
        return cls.of(kex, host_keys, ciphers, macs, OPENSSH_COMPRESSION)

    def protections(self) -> list[tuple[str, str]]:
        """Every cipher with every MAC that makes a difference."""
        return [(cipher, mac) for cipher in self.ciphers for mac in (self.macs[:1] if is_aead(cipher) else self.macs)]

    def suites(self) -> list[Suite]:
        """Every key exchange with every host key, every cipher with every MAC, each compression, in as few connections as these take."""
        exchanges, protections = list(itertools.product(self.kex, self.host_keys)), self.protections()
        count = max(len(exchanges), len(protections))
        together = zip(itertools.cycle(exchanges), itertools.cycle(protections), itertools.cycle(self.compression), strict=False)
        return [Suite(*exchange, *protection, compression) for exchange, protection, compression in itertools.islice(together, count)]


def options_of(suite: Suite) -> dict[str, object]:
    """The suite as `ssh` takes it."""
    return {
        "KexAlgorithms": suite.kex,
        "HostKeyAlgorithms": suite.host_key,
        "Ciphers": suite.cipher,
        "MACs": suite.mac,
        "Compression": "no" if suite.compression == "none" else "yes",
    }


def each_suite(shared: Shared) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("suite", shared.suites(), ids=str)


def _common(ours: tuple[str, ...], theirs: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in ours if name in theirs)


def _ask(program: str, kind: str) -> list[str]:
    return subprocess.run([program, "-Q", kind], check=True, capture_output=True, text=True, timeout=30).stdout.split()
