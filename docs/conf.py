"""Configuration of the documentation's site: `make docs`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from generated_pages import write_pages

os.environ["CALFLOW"] = str(Path(__file__).parents[1])  # for the notebook

project = "calflow"
author = "The calflow developers"
copyright = author
extensions = ["myst_nb"]
exclude_patterns = ["generated", "_build"]  # parts of other pages; what is built
highlight_language = "none"  # of blocks that name no language: commands, and what a run prints
html_theme = "furo"
html_title = "calflow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
myst_enable_extensions = ["colon_fence", "attrs_block"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# Files are written for readers of the repository; on the site, these have pages of their own.
PAGES = {
    "../README.md": "index.md",
    "../CHANGES.md": "changes.md",
    "../benchmarks/accuracy.md": "accuracy.md",
    "../benchmarks/stage2.md": "speed.md",
    "../benchmarks/stage3.md": "speed.md",
    "../benchmarks/planning.md": "speed.md",
}


def _to_pages(app, name, source):
    """Let links to files that are pages of the site lead there."""
    for file, page in PAGES.items():
        source[0] = source[0].replace(f"]({file}", f"]({page}")


def setup(app):
    """Write the pages that are made of code, and mend links."""
    write_pages(Path(__file__).parent / "generated")
    app.connect("source-read", _to_pages)
