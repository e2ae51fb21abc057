"""What the add-on with faults does not show: manifests, previous secrets, and what counts as one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from addon import MANIFEST
from checking import bench_with, check

from app.conformance.requirements.kept_secrets import (
    _Comparison,
    password_and_salt_are_two_secrets,
    password_and_salt_cannot_be_guessed,
    password_has_a_length_heroku_takes,
    previous_password_and_salt_still_work,
)
from app.conformance.requirements.secrets_in_logs import _secret_parts, _spellings
from app.conformance.run import run
from app.simulator.records import AddOn

UUID = "01234567-89ab-cdef-0123-456789abcdef"
OWN = MANIFEST["api"]


async def outcome_of(requirement, **api) -> str:
    (result,) = await check([requirement], manifest={**MANIFEST, "api": OWN | api})
    return result.outcome


@pytest.mark.parametrize(
    ("requirement", "wrong"),
    [
        (password_has_a_length_heroku_takes, {"password": "seven-7"}),
        (password_has_a_length_heroku_takes, {"password": "x9" * 37}),
        (password_and_salt_are_two_secrets, {"password": OWN["sso_salt"]}),
        (password_and_salt_are_two_secrets, {"sso_salt": MANIFEST["id"]}),
        (password_and_salt_cannot_be_guessed, {"password": "replace-me-with-something"}),
        (password_and_salt_cannot_be_guessed, {"sso_salt": "Changeme"}),
        (password_and_salt_cannot_be_guessed, {"sso_salt": "aaaaaaaaaaaa"}),
    ],
)
async def test_a_poor_secret_in_the_manifest_is_noticed(requirement, wrong):
    assert (await outcome_of(requirement), await outcome_of(requirement, **wrong)) == ("passed", "failed")


@pytest.mark.parametrize(
    ("previous", "outcome"),
    [
        ({"previous_password": None, "previous_salt": None}, "skipped"),
        ({"previous_password": None}, "passed"),
        ({"previous_password": "another-password", "previous_salt": None}, "failed"),
        ({"previous_password": None, "previous_salt": "another-salt"}, "failed"),
    ],
)
async def test_previous_secrets_are_tried_when_they_are_known(previous, outcome):
    async with bench_with() as bench:
        bench.target = replace(bench.target, **previous)
        (result,) = await run(bench, [previous_password_and_salt_still_work])
    assert result.outcome == outcome


def test_times_that_are_alike_tell_nothing():
    alike = _Comparison([0.001, 0.002, 0.003] * 20, [0.002, 0.003, 0.001] * 20)
    assert (alike.is_telling, alike.effect, alike.milliseconds) == (False, 0.5, 0)
    assert alike.probability == pytest.approx(0.5)


def test_times_that_always_differ_tell_everything_unless_they_are_few_or_tiny():
    assert _Comparison([0.005] * 40, [0.001] * 40).is_telling
    assert not _Comparison([0.005] * 3, [0.001] * 3).is_telling
    assert not _Comparison([0.00101] * 40, [0.001] * 40).is_telling
    assert not _Comparison([0.001] * 40, [0.005] * 40).is_telling


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("postgres://user1234567890abcdef:pa55word@db.example.com/name1234567890abcdef", {"pa55word"}),
        ("https://keys.example.com/v1/0f1e2d3c4b5a69788796", {"0f1e2d3c4b5a69788796"}),
        ("https://0f1e2d3c4b5a69788796@keys.example.com", {"0f1e2d3c4b5a69788796"}),
        ("0f1e2d3c4b5a69788796", {"0f1e2d3c4b5a69788796"}),
        (f"https://keys.example.com/{UUID}", set()),
        (f"u_{UUID.replace('-', '')}", set()),
        ("https://ec2-12-34-56-78-with-a-name.example.com/", set()),
        ("acme-keys-shaped-12345", set()),
        ("1000", set()),
        ("http://[", set()),
    ],
)
def test_the_secret_in_a_config_var_is_what_looks_random_and_names_nothing(value, parts):
    now = datetime.now(UTC)
    addon = AddOn(UUID, "acme-keys-shaped-12345", "test", "app", "us", "provisioned", now, now)
    assert _secret_parts(value, addon) == parts


def test_a_secret_is_looked_for_as_it_is_written_in_json_and_in_urls():
    assert _spellings('a "b/c') == {'a "b/c', 'a \\"b/c', "a%20%22b%2Fc", "a+%22b%2Fc"}
