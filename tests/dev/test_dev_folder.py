import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.dev.folder import DevError, announced, claimed, clear, own_settings, running_environment, write_private
from app.dev.run import environment, programs
from app.plans import plans
from app.settings import read_settings

DATABASE_URL = "postgresql+psycopg://postgres:swordfish@127.0.0.1:20000/addon"


def test_secrets_are_made_up_once_for_the_user_alone(tmp_path):
    first = own_settings(tmp_path)
    assert own_settings(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "settings.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_two_laptops_do_not_share_secrets(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = own_settings(tmp_path / "a"), own_settings(tmp_path / "b")
    assert a.keys() == b.keys()
    assert not set(a.values()) & set(b.values())


def test_a_setting_added_by_hand_is_kept_and_a_missing_secret_is_made_up(tmp_path):
    write_private(tmp_path / "settings.json", {"SSO_STRENGTH": "user", "ADDON_PASSWORD": "swordfish"})
    settings = own_settings(tmp_path)
    assert settings["SSO_STRENGTH"] == "user"
    assert settings["ADDON_PASSWORD"] == "swordfish"
    assert len(settings["SECRET_KEYS"]) >= 32
    assert json.loads((tmp_path / "settings.json").read_text()) == settings


@pytest.mark.parametrize("content", ["", "[]", '{"PORT": 5000}', "{"])
def test_settings_that_cannot_be_read_are_named_and_not_overwritten(tmp_path, content):
    path = tmp_path / "settings.json"
    path.write_text(content)
    with pytest.raises(DevError, match=r"settings\.json must hold one JSON object of texts"):
        own_settings(tmp_path)
    assert path.read_text() == content


def test_what_is_made_up_is_all_that_the_app_needs_and_leads_to_the_simulator_alone(tmp_path):
    settings = read_settings(environment(own_settings(tmp_path), DATABASE_URL, 5001, 5101))
    assert settings.port == 5001
    assert settings.public_url == "http://127.0.0.1:5001"
    addresses = {settings.heroku_api_url, settings.heroku_id_url, settings.heroku_addons_url}
    assert addresses == {"http://127.0.0.1:5101"}


def test_a_setting_by_hand_cannot_lead_away_from_the_simulator(tmp_path):
    by_hand = own_settings(tmp_path) | {"HEROKU_API_URL": "https://api.heroku.com", "LOG_FORMAT": "json"}
    ours = environment(by_hand, DATABASE_URL, 5001, 5101)
    assert ours["HEROKU_API_URL"] == "http://127.0.0.1:5101"
    assert ours["LOG_FORMAT"] == "json"


def test_the_simulator_stops_after_the_programs_that_call_it_and_knows_the_plans(tmp_path):
    everything = environment(own_settings(tmp_path), DATABASE_URL, 5001, 5101)
    by_name = {program.name: program for program in programs(everything, tmp_path)}
    assert by_name.keys() == {"simulator", "web", "worker"}
    assert by_name["simulator"].stage > max(by_name["web"].stage, by_name["worker"].stage)
    words = " ".join(by_name["simulator"].command)
    assert "--base-url http://127.0.0.1:5001/heroku/resources" in words
    price_list = plans(read_settings(everything)).values()
    assert all(f"--plan {plan.name}={plan.price_cents}" in words for plan in price_list if not plan.is_withdrawn)
    assert not any(
        secret in " ".join(p.command) for p in by_name.values() for secret in own_settings(tmp_path).values()
    )


def test_a_second_start_is_told_who_runs_already(tmp_path):
    with (
        claimed(tmp_path),
        pytest.raises(DevError, match=f"already runs here, as process {os.getpid()}"),
        claimed(tmp_path),
    ):
        pytest.fail("two owners")
    with claimed(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def an_ended_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_children_of_a_killed_start_are_waited_for(tmp_path):
    (tmp_path / "lock").write_text(str(an_ended_process()))
    held_by_a_child = (tmp_path / "lock").open()
    fcntl.flock(held_by_a_child, fcntl.LOCK_EX)
    waited = []

    def the_child_ends(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            held_by_a_child.close()

    with claimed(tmp_path, sleep=the_child_ends):
        assert len(waited) == 3


def test_children_that_never_end_are_reported(tmp_path):
    (tmp_path / "lock").write_text(str(an_ended_process()))
    with (tmp_path / "lock").open() as held_by_a_child:
        fcntl.flock(held_by_a_child, fcntl.LOCK_EX)
        with (
            pytest.raises(DevError, match="Programs of an earlier start are still running"),
            claimed(tmp_path, sleep=lambda _: None),
        ):
            pytest.fail("two owners")


def test_other_commands_find_the_environment_only_while_something_runs(tmp_path):
    assert running_environment(tmp_path) == {}
    with claimed(tmp_path), announced(tmp_path, {"DATABASE_URL": DATABASE_URL}):
        assert running_environment(tmp_path) == {"DATABASE_URL": DATABASE_URL}
        assert stat.S_IMODE((tmp_path / "environment.json").stat().st_mode) == 0o600
    assert running_environment(tmp_path) == {}
    assert not (tmp_path / "environment.json").exists()


def test_what_a_killed_start_left_is_no_running_environment(tmp_path):
    with claimed(tmp_path):
        write_private(tmp_path / "environment.json", {"DATABASE_URL": DATABASE_URL})
    assert running_environment(tmp_path) == {}


def test_to_begin_anew_removes_all_but_the_lock(tmp_path):
    folder = tmp_path / "dev"
    with claimed(folder):
        own_settings(folder)
        (folder / "postgres" / "data").mkdir(parents=True)
        clear(folder)
        assert [path.name for path in folder.iterdir()] == ["lock"]


def test_the_folder_is_the_users_alone(tmp_path):
    with claimed(tmp_path / "dev"):
        assert stat.S_IMODE(Path(tmp_path / "dev").stat().st_mode) == 0o700
