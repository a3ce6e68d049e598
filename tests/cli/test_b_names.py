"""The rules of trio-sshd, for an account of this machine and for a name of nobody: the same bytes, whatever is asked (hardening B09)."""

from __future__ import annotations

import attrs
import pytest

from tests.cli.logins import ME, rules_of
from tests.connection.test_b_names import transcript
from trio_ssh import Login, LoginRules

NOBODY = ME[:-1] + "0"
"""As long as our name, so that a fault hits both at the same place."""

SETTINGS = {
    "keys only": "PasswordAuthentication no\nUsePAM no\nAuthorizedKeysFile .ssh/no_such_file /nonexistent/%u",
    "passwords, too": "PasswordAuthentication yes\nUsePAM no\nAuthorizedKeysFile none",
    "two factors": "AuthenticationMethods publickey,password\nPasswordAuthentication yes\nUsePAM no\nAuthorizedKeysFile none",
    "who is denied": f"PasswordAuthentication yes\nUsePAM no\nAuthorizedKeysFile none\nDenyUsers {ME}",
    "a Match block": f"UsePAM no\nAuthorizedKeysFile none\nMatch User {ME}\nAllowTcpForwarding no\nForceCommand none",
}


@attrs.frozen
class Rules:
    """As trio-sshd has them, but for the number of tries."""

    text: str

    async def rules_for(self, login: Login) -> LoginRules:
        return attrs.evolve(await rules_of(self.text).rules_for(login), auth_failures=10_000)


@pytest.mark.parametrize("text", SETTINGS.values(), ids=list(SETTINGS))
async def test_b09_g2_an_account_and_nobody(text):
    for number in range(8):
        assert await transcript(Rules(text), ME, number, 53) == await transcript(Rules(text), NOBODY, number, 53)
