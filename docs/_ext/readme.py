"""``.. readme:: NAME`` shows the fenced block that stands below ``<!-- NAME -->`` in the README, which a test runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

README = Path(__file__).parent.parent.parent / "README.md"


class ReadmeBlock(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(README))
        pattern = rf"^<!-- {re.escape(self.arguments[0])} -->\n```(\w*)\n(.*?)^```$"
        found = re.search(pattern, README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        if found is None:
            raise self.error(f"the README has no block named {self.arguments[0]!r}")
        return [nodes.literal_block(found[2], found[2].rstrip("\n"), language=found[1] or "text")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("readme", ReadmeBlock)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
