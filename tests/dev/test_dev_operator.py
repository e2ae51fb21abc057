"""The operator who is made for a laptop: a stranger clicks into the panel at once, and nobody learns the password."""

import json
import stat
from pathlib import Path

import httpx2
import pytest
from rig import Rig

from app.dev import operator
from app.dev.folder import DevError
from app.operators import accounts
from app.operators.roles import Actor, Role


async def sign_in(rig: Rig, password: str) -> httpx2.Response:
    return await rig.http.post("/admin/sign-in", data={"email": operator.EMAIL, "password": password})


async def test_what_the_box_says_opens_the_panel_today_and_tomorrow(key_rig: Rig, tmp_path: Path):
    said = await operator._made(key_rig.context, tmp_path)
    password = said.removeprefix("owner@localhost with the password ")
    assert (await sign_in(key_rig, password)).status_code == 303
    (made,) = await accounts.everybody(key_rig.context)
    assert (made.role, made.is_password_temporary) == (Role.OWNER, False)
    assert await operator._made(key_rig.context, tmp_path) == said
    assert len(await accounts.everybody(key_rig.context)) == 1


async def test_the_password_is_kept_for_the_user_alone_and_in_no_programs_environment(key_rig: Rig, tmp_path: Path):
    said = await operator._made(key_rig.context, tmp_path)
    kept = tmp_path / "operator.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["password"] in said
    assert [path.name for path in tmp_path.iterdir()] == ["operator.json"]


async def test_a_password_that_was_changed_in_the_panel_is_not_told_wrongly(key_rig: Rig, tmp_path: Path):
    await operator._made(key_rig.context, tmp_path)
    (made,) = await accounts.everybody(key_rig.context)
    actor = Actor(name=made.email, role=Role.OWNER, operator_id=made.id)
    await accounts.set_password(key_rig.context, actor, made.id, "one of my own choice")
    said = await operator._made(key_rig.context, tmp_path)
    assert said == "owner@localhost with the password you chose"
    assert (await sign_in(key_rig, "one of my own choice")).status_code == 303


async def test_a_database_made_anew_gets_the_operator_again(key_rig: Rig, tmp_path: Path):
    (tmp_path / "operator.json").write_text('{"password": "kept from yesterday"}')
    said = await operator._made(key_rig.context, tmp_path)
    assert said.endswith("kept from yesterday")
    assert (await sign_in(key_rig, "kept from yesterday")).status_code == 303


async def test_a_file_that_cannot_be_read_is_named(key_rig: Rig, tmp_path: Path):
    (tmp_path / "operator.json").write_text("[]")
    with pytest.raises(DevError, match=r"operator\.json must hold one JSON object"):
        await operator._made(key_rig.context, tmp_path)
