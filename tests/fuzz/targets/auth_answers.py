"""What a server answers during a client's login: several payloads to one client."""

from __future__ import annotations

from tests import pairs
from tests.fuzz.choices import Choices, inside_trio, sized
from tests.fuzz.placed import in_login, tell
from tests.fuzz.states import KEY_ALGORITHM, State
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, write_extensions
from trio_ssh.wire.userauth import (
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthPkOk,
    UserauthSuccess,
    write_prompts,
)

STATES = (State.S4, State.S5, State.S6)


def target(data: bytes) -> None:
    inside_trio(lambda: _play(Choices(data)))


def _play(choices: Choices) -> None:
    machine = in_login(Role.CLIENT, choices.pick(STATES))
    while choices and not machine.parts.phases.authenticated:
        payload = choices.sized()
        if not payload or not tell(machine, payload):
            return


def seeds() -> list[bytes]:
    answers = [
        ServiceAccept("ssh-userauth"),
        ExtInfo(write_extensions({"server-sig-algs": b"ssh-ed25519"})),
        UserauthBanner("welcome\x1b[2J"),
        UserauthPkOk(KEY_ALGORITHM, pairs.USER_KEY.public_key.blob),
        UserauthInfoRequest("", "", "", write_prompts((("Password: ", False),))),
        UserauthFailure(("publickey", "password"), True),
        UserauthSuccess(),
    ]
    payloads = [encode(answer) for answer in answers]
    return [bytes([state]) + sized(payload) for payload in payloads for state in range(3)] + [bytes([2]) + sized(*payloads)]
