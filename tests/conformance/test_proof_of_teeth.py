"""Every fault is found by a check, a correct add-on passes them all, and the table in docs/ says which found what."""

import pytest
from checking_on_sockets import check_on_sockets
from every_fault import BY_NAME
from proof import TABLE, Seen, failed, observe, observe_alone, row, seen, table

from app.conformance.requirements import ALL

# What the correct add-on is not asked, and the beginning of the reason that it is told.
SKIPPED = {
    "deprovision-in-the-background-is-announced": "This add-on does not deprovision in the background",
}
SKIPPED_WITHOUT_TLS = SKIPPED | {
    "session-cookie-travels-encrypted": "The add-on was tested over plain http",
}
SKIPPED_WITHOUT_SOCKETS = SKIPPED | {
    "slow-clients-stop-nobody": "The add-on is not asked over the network",
    "provisioning-outlives-a-restart": "Give the command that kills and starts the add-on",
}
# These look for a moment that a busy machine may let pass where time is real; then they say so.
MAY_COME_TOO_LATE = {"calls-at-once-refresh-once", "token-is-renewed-before-its-end"}


@pytest.fixture(scope="module")
def observed() -> dict[str, list[Seen]]:
    """What was seen; where it is not what the table says, of a second look: a machine may be too busy for a first."""
    known = set(TABLE.read_text().splitlines())
    seen_first = observe()
    return {
        name: results if row(name, results) in known else observe_alone(name) for name, results in seen_first.items()
    }


def passes(results, skipped, may_be_skipped=frozenset()):
    assert {one.id: one.reason for one in results if one.outcome == "failed"} == {}
    reasons = {one.id: one.reason for one in results if one.outcome == "skipped"}
    assert reasons.keys() - may_be_skipped == skipped.keys()
    assert all(reasons[name].startswith(beginning) for name, beginning in skipped.items())


def test_a_correct_add_on_passes_every_check():
    passes(observe_alone(None), SKIPPED_WITHOUT_SOCKETS)


async def test_a_correct_add_on_passes_every_check_over_sockets(tmp_path):
    passes(seen(await check_on_sockets(ALL, tmp_path, [])), SKIPPED_WITHOUT_TLS, MAY_COME_TOO_LATE)


def test_every_fault_is_found(observed):
    assert [name for name, results in observed.items() if not failed(results)] == []


def test_every_check_is_seen_to_fail(observed):
    tripped = {id_ for results in observed.values() for id_ in failed(results)}
    assert [one.id for one in ALL if one.id not in tripped] == []


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
