"""Security keys at a server: what their signatures say of their use, and what the policy demands (hardening B15, PAIN 25)."""

from __future__ import annotations

import attrs
import pytest

import trio_ssh
from tests import pairs
from tests.keys.software_keys import SoftwareKey
from trio_ssh import Permissions, Verdict, all_of
from trio_ssh.keys.security_keys import SK_ECDSA, SK_ED25519
from trio_ssh.testing import open_connection_pair

TOUCHED, VERIFIED = 0x01, 0x04
KINDS = (SK_ED25519, SK_ECDSA)


@attrs.define(eq=False)
class Device:
    """A security key that is used with these flags."""

    key: SoftwareKey
    flags: int
    ask_first: bool = True

    @property
    def algorithms(self):
        return self.key.public_key.signature_algorithms

    @property
    def key_blob(self):
        return self.key.public_key.blob

    async def sign(self, algorithm, data):
        return self.key.sign(algorithm, data, flags=self.flags, counter=7)


@attrs.define(eq=False)
class Policy:
    """Takes one key, with these permissions, and remembers what it learnt."""

    key: trio_ssh.PublicKey
    permissions: Permissions = attrs.field(factory=Permissions)
    uses: list[object] = attrs.field(factory=list)

    methods = ("publickey",)

    async def __call__(self, attempt):
        if attempt.proven:
            self.uses.append((attempt.security_key.touched, attempt.security_key.verified, attempt.security_key.counter))
        return Verdict(accepted=attempt.public_key == self.key, permissions=self.permissions)


async def is_let_in(policy, device) -> bool:
    try:
        async with open_connection_pair(pairs.commands, authenticate=policy, credentials=[device]) as ends:
            await pairs.check_works(ends.client)
    except trio_ssh.AuthenticationFailed:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [0x00, 0x01, 0x04, 0x05])
async def test_b15_pain_25_flags_by_demands(autojump_clock, kind, flags):
    key = SoftwareKey.generate(kind)
    for touch_required in (True, False):
        for verify_required in (True, False):
            policy = Policy(key.public_key, Permissions(touch_required=touch_required, verify_required=verify_required))
            fits = (flags & TOUCHED or not touch_required) and (flags & VERIFIED or not verify_required)
            assert await is_let_in(policy, Device(key, flags)) == bool(fits), (touch_required, verify_required)
            assert policy.uses == [(bool(flags & TOUCHED), bool(flags & VERIFIED), 7)]


async def test_b15_a_policy_that_knows_nothing_of_security_keys_demands_a_touch(autojump_clock):
    key = SoftwareKey.generate(SK_ED25519)
    policy = trio_ssh.AuthorizedKeys.of([key.public_key])
    assert await is_let_in(policy, Device(key, TOUCHED))
    assert not await is_let_in(policy, Device(key, 0))


async def test_b15_another_application_is_another_key(autojump_clock):
    """What the device signs for another application than the public key names does not verify."""
    key = SoftwareKey.generate(SK_ED25519)
    policy = Policy(key.public_key)

    @attrs.frozen
    class Elsewhere:
        algorithms = (SK_ED25519,)
        key_blob = key.public_key.blob
        ask_first = True

        async def sign(self, algorithm, data):
            return attrs.evolve(key, application="ssh:elsewhere").sign(algorithm, data)

    assert not await is_let_in(policy, Elsewhere())
    assert policy.uses == []


async def test_b15_without_a_touch_it_is_no_second_factor_either(autojump_clock):
    key = SoftwareKey.generate(SK_ED25519)

    async def check(username, password):
        return True

    policy = all_of(trio_ssh.Passwords(check), Policy(key.public_key))
    with pytest.raises(trio_ssh.AuthenticationFailed) as refusal:
        async with open_connection_pair(
            pairs.commands, authenticate=policy, credentials=[trio_ssh.Password("x"), Device(key, VERIFIED)]
        ):
            pytest.fail("let in")
    assert refusal.value.methods_left == ("publickey",)


async def test_pain_25_the_handle_of_a_security_key_cannot_sign_and_the_next_credential_is_tried(autojump_clock):
    key = SoftwareKey.generate(SK_ED25519)
    policy = trio_ssh.AuthorizedKeys.of([key.public_key, pairs.USER_KEY.public_key])
    credentials = [trio_ssh.PrivateKeyCredential(key.private_key()), trio_ssh.PrivateKeyCredential(pairs.USER_KEY)]
    async with open_connection_pair(pairs.commands, authenticate=policy, credentials=credentials) as ends:
        await pairs.check_works(ends.client)


async def test_pain_25_a_file_with_such_a_handle_has_nothing_to_offer(tmp_path):
    SoftwareKey.generate(SK_ED25519).private_key().write_file(tmp_path / "id_sk")
    session = trio_ssh.SessionBinding(b"", b"", b"", "ada")
    assert await trio_ssh.PrivateKeyFile(tmp_path / "id_sk").offers(session) == []
