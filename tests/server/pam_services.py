"""Service files of the tests' own for PAM: stacks of modules that never look at an account of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from tests.support import under_ci
from trio_ssh.server.pam import PAM

MODULES = ("pam_debug", "pam_deny", "pam_echo", "pam_exec", "pam_permit", "pam_stress")
FOLDERS = ("/usr/lib/x86_64-linux-gnu/security", "/lib/security", "/usr/lib64/security", "/usr/lib/aarch64-linux-gnu/security")
SECRET = "right ü"

CHECK = f"""#!/bin/sh
read -r password
echo "$PAM_USER/$PAM_RHOST/$PAM_TTY/$PAM_SERVICE" >> "$(dirname "$0")/seen"
[ "$password" = "{SECRET}" ]
"""


def require_pam() -> None:
    """PAM with its modules, and root's rights: missing, they fail the test under CI and skip it elsewhere."""
    found = any(all((Path(folder) / f"{name}.so").exists() for name in MODULES) for folder in FOLDERS)
    if not found or os.geteuid() != 0:
        if under_ci():
            pytest.fail("PAM's modules are not here, or we are not root")
        pytest.skip("PAM's modules are not here, or we are not root")


@attrs.frozen
class Services:
    """A folder of service files, and what its script has seen."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Services:
        require_pam()
        made = cls(folder)
        made.script("check", CHECK)
        return made

    def pam(self, *lines: str, **settings) -> PAM:
        (self.folder / "test").write_text("".join(f"{line}\n" for line in lines))
        return PAM("test", self.folder, **settings)

    @property
    def check(self) -> str:
        return f"auth required pam_exec.so quiet expose_authtok {self.folder}/check"

    @property
    def seen(self) -> list[str]:
        path = self.folder / "seen"
        return path.read_text().splitlines() if path.exists() else []

    def script(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)


PERMIT = ("auth required pam_permit.so", "account required pam_permit.so", "password required pam_permit.so")
ACCOUNT = "account required pam_permit.so"
EXPIRED = ("account required pam_stress.so expired", "password required pam_stress.so")
