"""Every fault is found by a check, a correct add-on passes them all, and the table in docs/ says which found what."""

import pytest
from addon_faults import BY_NAME
from proof import TABLE, Seen, failed, observe, seen_with, table

# The checks that a correct add-on is not asked, and the beginning of the reason it is told.
SKIPPED: dict[str, str] = {}


@pytest.fixture(scope="module")
def observed() -> dict[str, list[Seen]]:
    return observe()


async def test_a_correct_add_on_passes_every_check():
    results = await seen_with(None)

    assert {one.id: one.reason for one in results if one.outcome == "failed"} == {}
    skipped = {one.id: one.reason for one in results if one.outcome == "skipped"}
    assert skipped.keys() == SKIPPED.keys()
    assert all(reason.startswith(SKIPPED[name]) for name, reason in skipped.items())


def test_every_fault_is_found(observed):
    assert [name for name, results in observed.items() if not failed(results)] == []


def test_no_fault_trips_an_unrelated_check(observed):
    unrelated = {
        name: [one.id for one in results if one.outcome == "failed" and one.group not in BY_NAME[name].may_trip]
        for name, results in observed.items()
    }
    assert {name: ids for name, ids in unrelated.items() if ids} == {}


def test_the_table_says_what_was_found(observed):
    assert TABLE.read_text() == table(observed)


def test_no_check_fails_by_a_mistake_of_its_own(observed):
    reasons = [one.reason for results in observed.values() for one in results]
    assert [reason for reason in reasons if reason.startswith("The checker itself")] == []
