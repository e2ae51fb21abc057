"""What the checker finds in an add-on's answers to Heroku's three calls, beyond the faults that the table lists."""

import checking
import pytest
from checking import check
from tampering import DeprovisionsInTheBackground, Passing, tampered

from app.conformance.requirements import ALL


def every_id_is_the_same(passing: Passing) -> None:
    if passing.method == "POST" and passing.status < 300:
        passing.answer["id"] = "the-one-and-only"


def messages_are_long(passing: Passing) -> None:
    if passing.answer and "message" in passing.answer:
        passing.answer["message"] = "Please read on. " * 20


def drains_are_not_safe(passing: Passing) -> None:
    if passing.method == "POST" and passing.status < 300:
        passing.answer["log_drain_url"] = "http://addon.test/drain"


def config_comes_with_202(passing: Passing) -> None:
    if passing.method == "POST" and passing.status == 202:
        passing.answer["config"] = {"ACME_KEYS_URL": "https://keys.acme.test"}


def json_is_called_html(passing: Passing) -> None:
    passing.content_type = "text/html; charset=utf-8"


def config_leads_to_localhost(passing: Passing) -> None:
    if passing.answer and "config" in passing.answer:
        passing.answer["config"]["ACME_KEYS_URL"] = "https://somebody:secret@localhost/keys"


def a_config_var_is_forgotten(passing: Passing) -> None:
    if passing.answer and "config" in passing.answer:
        del passing.answer["config"]["ACME_KEYS_LIMIT"]


def new_fields_crash(passing: Passing) -> None:
    if passing.method == "POST" and passing.body and "conform_list" in passing.body:
        passing.status = 500


def offsets_without_a_colon_crash(passing: Passing) -> None:
    grant = (passing.body or {}).get("oauth_grant") or {}
    if grant.get("expires_at", "").endswith("-0800"):
        passing.status = 500


def charsets_are_refused(passing: Passing) -> None:
    if "charset" in passing.headers.get("content-type", ""):
        passing.status = 415


def vendor_types_are_refused(passing: Passing) -> None:
    if "vnd.heroku-addons" in passing.headers.get("content-type", ""):
        passing.status = 415


def switches_crash(passing: Passing) -> None:
    if True in ((passing.body or {}).get("options") or {}).values():
        passing.status = 500


def options_are_checked(passing: Passing) -> None:
    if (passing.body or {}).get("options"):
        passing.status, passing.answer = 422, {"message": "This add-on has no options."}


def accept_is_compared(passing: Passing) -> None:
    if "vnd.heroku-addons" not in passing.headers.get("accept", ""):
        passing.status = 406


def plan_changes_are_no_json(passing: Passing) -> None:
    if passing.method == "PUT":
        passing.answer = None


def plan_changes_are_not_supported(passing: Passing) -> None:
    if passing.method == "PUT" and passing.status < 300:
        passing.status, passing.answer = 404, {"message": "Not found."}


def plan_changes_of_unknown_resources_crash(passing: Passing) -> None:
    if passing.method == "PUT" and passing.status == 404:
        passing.status = 500


def plan_changes_crash_while_provisioning(passing: Passing) -> None:
    if passing.method == "PUT" and "still being created" in (passing.answer or {}).get("message", ""):
        passing.status = 500


def new_fields_in_plan_changes_are_refused(passing: Passing) -> None:
    if passing.method == "PUT" and set(passing.body or {}) > {"plan"}:
        passing.status = 400


def removal_is_answered_404_the_second_time(passing: Passing) -> None:
    if passing.method == "DELETE" and passing.status == 410:
        passing.status = 404


class ExistenceIsToldToAnybody:
    """Answers who asks with a wrong password about something unknown as if the password had been right."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, passing: Passing) -> None:
        if passing.status == 401 and passing.method == "PUT" and passing.uuid not in self.known:
            passing.status = 404
        if passing.method == "POST" and passing.status < 300:
            self.known.add(passing.uuid)


class RemovalTakesAll:
    def __init__(self) -> None:
        self.known: set[str] = set()
        self.gone: set[str] = set()

    def __call__(self, passing: Passing) -> None:
        if passing.method == "DELETE":
            self.gone |= self.known
        elif passing.uuid in self.gone:
            passing.status = 410
        elif passing.method == "POST":
            self.known.add(passing.uuid)


def removal_in_the_background_never_ends(passing: Passing) -> None:
    if passing.method == "DELETE" and passing.status == 204:
        passing.status = 202


FOUND = [
    (every_id_is_the_same, "every-resource-has-its-own-id"),
    (every_id_is_the_same, "one-app-can-have-several"),
    (messages_are_long, "messages-are-short-sentences"),
    (drains_are_not_safe, "log-drain-url-is-given"),
    (config_comes_with_202, "answer-202-has-no-config"),
    (json_is_called_html, "answers-are-labelled-as-json"),
    (config_leads_to_localhost, "config-vars-can-be-used"),
    (config_leads_to_localhost, "plan-change-works"),
    (a_config_var_is_forgotten, "every-declared-config-var-is-set"),
    (new_fields_crash, "unknown-fields-are-accepted"),
    (offsets_without_a_colon_crash, "every-way-to-write-a-time-is-read"),
    (charsets_are_refused, "charset-in-the-content-type-is-accepted"),
    (vendor_types_are_refused, "vendor-content-type-is-accepted"),
    (switches_crash, "options-of-every-kind-get-an-answer"),
    (options_are_checked, "unknown-options-are-ignored"),
    (accept_is_compared, "every-accept-header-is-welcome"),
    (plan_changes_are_no_json, "plan-change-works"),
    (plan_changes_are_not_supported, "plan-change-works"),
    (plan_changes_of_unknown_resources_crash, "change-of-an-unknown-resource-is-refused"),
    (plan_changes_crash_while_provisioning, "change-while-provisioning-does-no-harm"),
    (new_fields_in_plan_changes_are_refused, "unknown-fields-in-a-plan-change-are-accepted"),
    (removal_is_answered_404_the_second_time, "what-is-gone-is-410"),
    (ExistenceIsToldToAnybody(), "authorization-is-checked-first"),
    (RemovalTakesAll(), "deprovision-touches-nothing-else"),
    (removal_in_the_background_never_ends, "deprovision-in-the-background-is-announced"),
]


async def outcome(name: str) -> str:
    (result,) = await check([one for one in ALL if one.id == name])
    assert not result.reason.startswith("The checker itself"), result.reason
    return result.outcome


@pytest.mark.parametrize(("tamper", "name"), FOUND)
async def test_it_is_found(tamper, name, monkeypatch):
    monkeypatch.setattr(checking, "AddOn", tampered(tamper))
    assert await outcome(name) == "failed"


async def test_a_second_removal_may_be_answered_404(monkeypatch):
    monkeypatch.setattr(checking, "AddOn", tampered(removal_is_answered_404_the_second_time))
    assert await outcome("deprovision-again-is-harmless") == "passed"


async def test_options_may_be_refused_with_a_message(monkeypatch):
    monkeypatch.setattr(checking, "AddOn", tampered(options_are_checked))
    assert await outcome("options-of-every-kind-get-an-answer") == "passed"


async def test_a_removal_in_the_background_that_is_announced_is_right(monkeypatch):
    monkeypatch.setattr(checking, "AddOn", DeprovisionsInTheBackground)
    assert await outcome("deprovision-in-the-background-is-announced") == "passed"


async def test_an_add_on_that_refuses_every_plan_change_is_right(monkeypatch):
    def refuse(passing: Passing) -> None:
        if passing.method == "PUT" and passing.status < 300:
            passing.status, passing.answer = 422, {"message": "Plans cannot be changed. Please install another."}

    monkeypatch.setattr(checking, "AddOn", tampered(refuse))
    assert await outcome("plan-change-works") == "passed"
    assert await outcome("change-to-the-same-plan-succeeds") == "skipped"
    assert await outcome("change-there-and-back-leaves-it-working") == "skipped"
