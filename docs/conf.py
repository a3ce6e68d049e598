"""Sphinx configuration. Built by ``make check`` with warnings as errors, and without a network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "trio_ssh"
author = "the trio_ssh authors"
copyright = author
extensions = ["sphinx.ext.autodoc", "readme", "state_tables", "unreleased"]
exclude_patterns = ["_build", "changelog.d"]
html_theme = "alabaster"
html_theme_options = {"description": "SSH for Trio", "page_width": "1100px", "show_powered_by": False}

default_role = "py:obj"  # docstrings name things in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
