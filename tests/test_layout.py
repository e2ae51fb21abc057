"""The map in `app/__init__.py` says what lives where; here it is held against the folder."""

import re
from pathlib import Path

import app

FOLDER = Path(app.__file__).parent


def test_the_map_names_what_is_there_and_nothing_else():
    named = re.findall(r"(?<![\w/.-])(\w+(?:\.py|/))(?!\w)", app.__doc__ or "")
    there = {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}
    there |= {f"{path.name}/" for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(named) == sorted(there)
