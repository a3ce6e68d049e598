"""``.. deviations-table::`` lists where we do something else than OpenSSH: ``tests/interop/oracle/deviations.py``, proven by a test."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent))

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from tests.interop.oracle import deviations
from tests.interop.oracle.deviations import DEVIATIONS, MEASURED, Deviation

WIDTHS = (8, 27, 8, 17, 15, 25)


def peers(deviation: Deviation) -> str:
    """Who does it: our servers, our clients or both."""
    roles = {"server": deviation.server_scripts, "client": deviation.client_scripts}
    return " and ".join(role for role, scripts in roles.items() if scripts)


def cells(deviation: Deviation) -> list[str]:
    openssh = f"{deviation.openssh} ({deviation.later})" if deviation.later else str(deviation.openssh)
    return [deviation.case, deviation.what, peers(deviation), openssh, str(deviation.ours), deviation.why.replace("`", "")]


def row(texts: Sequence[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph(text=text)) for text in texts))


class DeviationsTable(Directive):
    def run(self) -> list[nodes.Node]:
        self.state.document.settings.record_dependencies.add(deviations.__file__)
        head = ("case", "a peer sends", "to a", f"OpenSSH {'.'.join(map(str, MEASURED))}", "trio_ssh", "why")
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=width) for width in WIDTHS]
        group += nodes.thead("", row(head))
        group += nodes.tbody("", *(row(cells(deviation)) for deviation in DEVIATIONS))
        return [nodes.table("", group)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("deviations-table", DeviationsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
