"""``.. unreleased::`` shows the changelog fragments that no release has taken up yet; a fragment that towncrier cannot read is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

REPOSITORY = Path(__file__).parent.parent.parent


class Unreleased(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "draft"]
        built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        if built.returncode:
            raise self.error(f"towncrier: {built.stderr.strip()}")
        self.env.note_reread()  # a new fragment is no change of changelog.rst
        lines = built.stdout.splitlines()[2:]  # the version's title stands in changelog.rst
        here = nodes.section()
        here.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source="changelog.d"), here)
        return here.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("unreleased", Unreleased)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
