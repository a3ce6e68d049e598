"""Keys of every type, made once a run: host keys written by us for others to read, user keys written by ssh-keygen for us to read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs

from tests.support import require_program
from trio_ssh import PrivateKey

KINDS = {
    "ssh-ed25519": ("ed25519", None),
    "ecdsa-sha2-nistp256": ("ecdsa", 256),
    "ecdsa-sha2-nistp384": ("ecdsa", 384),
    "ecdsa-sha2-nistp521": ("ecdsa", 521),
    "ssh-rsa": ("rsa", 2048),
}
KEY_TYPES = tuple(KINDS)


def key_type_of(algorithm: str) -> str:
    """The type of key that makes signatures of that algorithm."""
    return "ssh-rsa" if algorithm.startswith("rsa-") else algorithm


@attrs.frozen
class Keyring:
    """The keys by type, and the files with them. `stranger` is a user's key that no server here knows."""

    folder: Path
    host_keys: dict[str, PrivateKey]
    user_keys: dict[str, PrivateKey]
    stranger: PrivateKey

    @classmethod
    def make(cls, folder: Path) -> Keyring:
        host_keys = {key_type: PrivateKey.generate(*kind, "host") for key_type, kind in KINDS.items()}
        for key_type, key in host_keys.items():
            key.write_file(folder / f"host_{key_type}")
        for key_type, (kind, bits) in KINDS.items():
            _keygen(folder / f"user_{key_type}", kind, bits)
        user_keys = {key_type: PrivateKey.from_file(folder / f"user_{key_type}") for key_type in KINDS}
        stranger = PrivateKey.generate()
        stranger.write_file(folder / "user_stranger")
        keyring = cls(folder, host_keys, user_keys, stranger)
        keyring.authorized_keys.write_text("".join(f"{key.public_key.to_openssh_line()}\n" for key in user_keys.values()))
        keyring.known_hosts.write_text("".join(f"* {key.public_key.to_openssh_line()}\n" for key in host_keys.values()))
        return keyring

    def host_key_file(self, key_type: str) -> Path:
        return self.folder / f"host_{key_type}"

    def user_key_file(self, key_type: str) -> Path:
        return self.folder / f"user_{key_type}"

    @property
    def authorized_keys(self) -> Path:
        """All user keys but the stranger's."""
        return self.folder / "authorized_keys"

    @property
    def known_hosts(self) -> Path:
        """All host keys, for every host."""
        return self.folder / "known_hosts"


def _keygen(path: Path, kind: str, bits: int | None) -> None:
    size = [] if bits is None else ["-b", str(bits)]
    command = [require_program("ssh-keygen"), "-q", "-t", kind, *size, "-N", "", "-C", "user", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=30)
