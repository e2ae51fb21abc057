"""What SECURITY.md and the page about backups say is where they say it is."""

import re
from pathlib import Path

import pytest

from app.settings import Settings

PROJECT = Path(__file__).parent.parent
PAGES = ("SECURITY.md", "docs/backup.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page):
    named = re.findall(r"`((?:app|tests|docs)/[\w/.]+)`", (PROJECT / page).read_text())
    assert [path for path in named if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    found = re.findall(r"\]\(([^)#]+)(?:#([\w-]+))?\)", (PROJECT / page).read_text())
    for path, place in found:
        there = ((PROJECT / page).parent / path).resolve()
        assert there.is_file(), path
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
            for line in there.read_text().splitlines()
            if line.startswith("#")
        }
        assert not place or place in headings, place


def test_every_secret_setting_is_in_the_table_of_thieves():
    table = (PROJECT / "SECURITY.md").read_text().partition("### The thief of one secret")[2].partition("###")[0]
    secrets = {
        name.upper().removesuffix("_PREVIOUS")
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation) or "Secret" in str(field.metadata)
    }
    assert secrets - set(re.findall(r"`([A-Z_]+)`", table)) == set()
