"""What a platform reads: Procfile, app.json, .python-version."""

import json
from pathlib import Path

import pytest
import typer

from app.__main__ import cli
from app.settings import Settings, read_settings

PROJECT = Path(__file__).parents[1]
APP = json.loads((PROJECT / "app.json").read_text())
GIVEN_BY_THE_PLATFORM = {"DATABASE_URL", "PORT"}


def procfile() -> dict[str, str]:
    lines = (PROJECT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_every_process_is_a_command_of_the_program():
    commands = typer.main.get_command(cli).commands
    for process, command in procfile().items():
        assert command.startswith("python -m app ")
        assert command.removeprefix("python -m app ") in commands, process


def test_the_deploy_button_starts_the_processes_that_serve():
    assert APP["formation"].keys() == procfile().keys() - {"release"}


def test_the_deploy_button_explains_every_setting_and_no_other():
    ours = {name.upper() for name in Settings.model_fields} - GIVEN_BY_THE_PLATFORM
    assert APP["env"].keys() == ours
    assert all(setting["description"].endswith(".") for setting in APP["env"].values())


def test_what_the_deploy_button_asks_for_is_what_the_program_needs():
    for name, setting in APP["env"].items():
        has_value = "value" in setting or "generator" in setting
        is_needed = Settings.model_fields[name.lower()].is_required()
        assert not is_needed or has_value or setting["required"], name
        assert is_needed or has_value or setting["required"] is False, name


def test_values_the_platform_makes_up_are_valid():
    environment = {
        "DATABASE_URL": "postgres://u:p@db/x",
        "PUBLIC_URL": "https://addon.example.com",
        "HEROKU_CLIENT_SECRET": "given by the partner portal",
        "ENCRYPTION_KEYS": "A" * 43 + "=",
    }
    for name, setting in APP["env"].items():
        if setting.get("generator") == "secret":
            environment[name] = "0123456789abcdef" * 4  # what Heroku makes: 64 hexadecimal digits
        elif "value" in setting:
            environment[name] = setting["value"]
    assert read_settings(environment).public_url == "https://addon.example.com"


@pytest.mark.parametrize("name", ["HEROKU_API_URL", "HEROKU_ID_URL", "HEROKU_ADDONS_URL", "LOG_FORMAT"])
def test_values_in_the_deploy_button_are_the_programs_own(name):
    assert APP["env"][name]["value"] == Settings.model_fields[name.lower()].default
