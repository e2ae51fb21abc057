import re
from pathlib import Path

import pytest

from app.dev.check import pins, requirement_faults

PROJECT = Path(__file__).parents[1]
LISTS = ("requirements.txt", "requirements-dev.txt")


def packages(name: str) -> list[str]:
    """Each package of a list with its continuation lines."""
    return re.split(r"\n(?! )", (PROJECT / name).read_text().strip())


@pytest.mark.parametrize("name", LISTS)
def test_every_package_is_pinned_and_has_hashes(name):
    for package in packages(name):
        assert re.match(r"[\w.-]+==[\w.!+]+( ;[^\\]+)? \\\n", package), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package


@pytest.mark.parametrize("name", LISTS)
def test_no_list_says_where_packages_come_from(name):
    text = (PROJECT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)


def test_what_runs_is_part_of_what_is_developed_with():
    assert set(packages("requirements.txt")) <= set(packages("requirements-dev.txt"))
    assert len(pins((PROJECT / "requirements.txt").read_text())) == len(packages("requirements.txt"))


def test_the_lists_answer_what_the_project_asks_for():
    assert requirement_faults(PROJECT) == ""
