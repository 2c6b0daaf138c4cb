"""docs/reference/reference.md is up to date, and Sphinx builds all pages without a warning."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT

#: Terms that users enter into the search of the documentation.
TERMS = (
    *("archiver", "autosave", "bluesky", "ChannelFinder", "encoder", "gateway", "Kubernetes", "NeXus"),
    *("homing", "position compare", "raw", "SEQ", "Tiled", "time stamp", "troubleshooting", "units"),
)


def test_the_committed_page_is_up_to_date() -> None:
    # In a separate process, because click stores the context of earlier calls in its commands.
    program = "import runpy; print(runpy.run_path('docs/reference.py')['text'](), end='')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=True)
    page = (ROOT / "docs" / "reference" / "reference.md").read_text(encoding="utf-8")
    assert page == done.stdout.decode(), "run: python docs/reference.py"


def test_every_page_is_in_the_index() -> None:
    entries = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    for path in (ROOT / "docs").glob("*/*.md"):
        assert f"{path.parent.name}/{path.stem}" in entries, path


@pytest.mark.parametrize("term", TERMS)
def test_a_term_that_users_search_for_is_in_a_heading(term: str) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*/*.md")]
    headings = [line for page in pages for line in page.splitlines() if line.startswith("#")]
    assert any(term.lower() in heading.lower() for heading in headings)


@pytest.mark.long
def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-b", "html"]
    built = subprocess.run(
        [*command, ROOT / "docs", tmp_path], capture_output=True, text=True, check=False, timeout=120
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "index.html").exists()
    assert_api_is_complete((tmp_path / "objects.inv").read_bytes())


def assert_api_is_complete(inventory: bytes) -> None:
    """Check that the built reference has exactly the names in the `__all__` of each public module."""
    from sphinx.util.inventory import InventoryFile

    objects = InventoryFile.loads(inventory, uri="").data
    modules = set(objects["py:module"])
    packages = ("protocol", "client", "capture", "settings", "simulator", "trial")
    assert modules >= {f"panda_ioc.{name}" for name in packages}
    documented = {
        name
        for kind in ("class", "exception", "function", "data", "type")
        for name in objects[f"py:{kind}"]
        if name.rpartition(".")[0] in modules
    }
    public = {f"{module}.{name}" for module in modules for name in importlib.import_module(module).__all__}
    assert documented == public
