"""Where secrets come from: the operating system and `cryptography`, nothing that a fork copies or a seed repeats (hardening E09)."""

from __future__ import annotations

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trio_ssh
from trio_ssh.keys import PrivateKey

ROOMS = ("wire", "crypto", "keys", "protocol", "connection", "client", "agent")
DRAWS = """
import os
from trio_ssh.keys import PrivateKey
KEY = PrivateKey.generate()

def draw():
    lines = []
    for kind in ("ed25519", "ed448", "ecdsa"):
        lines.append(PrivateKey.generate(kind).public_key.fingerprint())
    lines.append(KEY.to_openssh("pw", rounds=1).splitlines()[3].decode())  # salt, and what it makes of the rest
    lines.append(KEY.to_openssh().splitlines()[3].decode())  # the check number
    lines.append(PrivateKey.generate("ecdsa").sign("ecdsa-sha2-nistp256", b"x").hex())
    return lines

read, write = os.pipe()
first = os.fork() == 0
os.fork()
os.write(write, ("\\n".join(draw()) + "\\n").encode())
if first:
    os._exit(0)
"""


def test_e09_forked_children_draw_other_numbers():
    """Four processes that were one draw everything that is random about keys: no two have anything in common."""
    script = DRAWS + "\nos.close(write)\nif os.getpid() == PARENT:\n    print(os.fdopen(read).read(), end='')\n"
    script = script.replace("read, write", "PARENT = os.getpid()\nread, write")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.split()
    assert len(lines) == 4 * 6
    assert len(set(lines)) == len(lines)


def test_e09_threads_draw_other_numbers():
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: PrivateKey.generate().public_key, range(200)))
    assert len(set(keys)) == 200


def test_e09_no_module_takes_numbers_from_elsewhere():
    """`random` is seeded, and copied by a fork: nobody who makes keys, nonces, cookies or padding imports it.

    (The server throws dice with it: whom to turn away in a rush. The memory networks of tests are to be repeated.)
    """
    root = Path(trio_ssh.__file__).parent
    found = []
    for path in (path for room in ROOMS for path in (root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            found += [f"{path.name}: {name}" for name in names if name.split(".")[0] in ("random", "numpy")]
    assert found == []
