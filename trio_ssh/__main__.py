"""``python -m trio_ssh TOOL ...``: each command-line tool without its script."""

from __future__ import annotations

import importlib
import sys

TOOLS = {"ssh": "ssh", "sshd": "sshd", "demo": "demo", "keygen": "keygen", "keyscan": "keyscan"}


def main() -> int:
    """Run the tool that the first word names: ``ssh`` or ``trio-ssh``, and so on."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    module = TOOLS.get(name.removeprefix("trio-ssh-").removeprefix("trio-"))
    if module is None:
        tools = ", ".join(sorted(TOOLS))
        print(f"usage: python -m trio_ssh TOOL [argument ...]; the tools are {tools}", file=sys.stderr)
        return 255
    status: int = importlib.import_module(f".cli.{module}", __package__).main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
