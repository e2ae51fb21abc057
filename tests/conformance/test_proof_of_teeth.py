"""Every fault is found by a check, a correct add-on passes them all, and the table in docs/ says which found what."""

import pytest
from addon_faults import BY_NAME
from proof import TABLE, failed, observe, results_of, table

from app.conformance.run import Result

# The checks that a correct add-on is not asked, and the beginning of the reason it is told.
SKIPPED: dict[str, str] = {}


@pytest.fixture(scope="module")
async def observed() -> dict[str, list[Result]]:
    return await observe()


async def test_a_correct_add_on_passes_every_check():
    results = await results_of(None)

    assert {one.requirement.id: one.reason for one in results if one.outcome == "failed"} == {}
    skipped = {one.requirement.id: one.reason for one in results if one.outcome == "skipped"}
    assert skipped.keys() == SKIPPED.keys()
    assert all(reason.startswith(SKIPPED[name]) for name, reason in skipped.items())


@pytest.mark.asyncio(loop_scope="module")
async def test_every_fault_is_found(observed):
    assert [name for name, results in observed.items() if not failed(results)] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_no_fault_trips_an_unrelated_check(observed):
    unrelated = {
        name: [
            one.requirement.id
            for one in results
            if one.outcome == "failed" and one.requirement.group not in BY_NAME[name].may_trip
        ]
        for name, results in observed.items()
    }
    assert {name: ids for name, ids in unrelated.items() if ids} == {}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_table_says_what_was_found(observed):
    assert TABLE.read_text() == table(observed)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_check_fails_by_a_mistake_of_its_own(observed):
    reasons = [one.reason for results in observed.values() for one in results]
    assert [reason for reason in reasons if reason.startswith("The checker itself")] == []
