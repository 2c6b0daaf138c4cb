"""Configure Sphinx for `./dev docs`."""

import panda_ioc

project = "panda-ioc"
copyright = "the authors of panda-ioc, Apache-2.0"
version = release = panda_ioc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
html_theme = "alabaster"
html_theme_options = {"page_width": "70rem", "sidebar_width": "16rem"}
autodoc_member_order = "bysource"
default_role = "py:obj"
python_maximum_signature_line_length = 100
nitpicky = False
