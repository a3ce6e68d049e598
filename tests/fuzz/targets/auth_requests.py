"""What a client sends during its login: several payloads to one server."""

from __future__ import annotations

from tests import pairs
from tests.fuzz.choices import Choices, inside_trio, sized
from tests.fuzz.placed import SESSION_ID, in_login, tell
from tests.fuzz.states import KEY_ALGORITHM, USER, State, key_question, password_request
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ExtInfo, ServiceRequest, write_extensions
from trio_ssh.wire.userauth import PublicKeyFields, SignedPublicKeyRequest, UserauthInfoResponse, UserauthRequest, string_field

STATES = (State.S4, State.S5)


def target(data: bytes) -> None:
    inside_trio(lambda: _play(Choices(data)))


def _play(choices: Choices) -> None:
    machine = in_login(Role.SERVER, choices.pick(STATES))
    while choices and not machine.parts.phases.authenticated:
        payload = choices.sized()
        if not payload or not tell(machine, payload):
            return


def seeds() -> list[bytes]:
    blob = pairs.USER_KEY.public_key.blob
    request = encode(UserauthRequest(USER, "ssh-connection", "publickey", encode(PublicKeyFields(True, KEY_ALGORITHM, blob))))
    signature = pairs.USER_KEY.sign(KEY_ALGORITHM, encode(SignedPublicKeyRequest(SESSION_ID, request)))
    requests = [
        ServiceRequest("ssh-userauth"),
        ExtInfo(write_extensions({"ext-info-in-auth@openssh.com": b"0"})),
        UserauthRequest(USER, "ssh-connection", "none"),
        UserauthRequest(USER, "ssh-connection", "keyboard-interactive", bytes(8)),
        UserauthInfoResponse(bytes(4)),
        key_question(),
        password_request(),
    ]
    payloads = [*map(encode, requests), request + string_field(signature)]
    return [bytes([1]) + sized(payload) for payload in payloads] + [bytes([0]) + sized(*payloads), bytes([1]) + sized(*payloads[::-1])]
