"""The issue forms have the keys that GitHub requires."""

from pathlib import Path

import pytest
import yaml

from .pages import ROOT

FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
KINDS = {"checkboxes", "dropdown", "input", "markdown", "textarea"}


@pytest.mark.parametrize("path", sorted(set(FORMS.glob("*.yml")) - {FORMS / "config.yml"}), ids=lambda path: path.name)
def test_an_issue_form(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels"}
    identifiers = [item["id"] for item in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    for item in form["body"]:
        assert item["type"] in KINDS
        assert item["attributes"]["label"]
        options = item["attributes"].get("options", [])
        assert (item["type"] == "dropdown") == bool(options)
        assert all(isinstance(option, str) for option in options)


def test_the_contact_links() -> None:
    config = yaml.safe_load((FORMS / "config.yml").read_text(encoding="utf-8"))
    assert all(set(link) == {"name", "url", "about"} for link in config["contact_links"])
