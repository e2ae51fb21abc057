"""Faults that show in the answers to Heroku's three calls: one strange answer, or a crash by one odd request."""

from addon_fault import altered
from passing import Passing


def every_id_is_the_same(passing: Passing) -> None:
    if passing.made:
        passing.answer["id"] = "the-one-and-only"


def messages_are_long(passing: Passing) -> None:
    if passing.message:
        passing.answer["message"] = "Please read on. " * 20


def drains_are_not_safe(passing: Passing) -> None:
    if passing.made:
        passing.answer["log_drain_url"] = "http://addon.test/drain"


def config_comes_with_202(passing: Passing) -> None:
    if passing.made and passing.status == 202:
        passing.answer["config"] = {"ACME_KEYS_URL": "https://keys.acme.test"}


def json_is_called_html(passing: Passing) -> None:
    passing.content_type = "text/html; charset=utf-8"


def config_leads_to_localhost(passing: Passing) -> None:
    if passing.config:
        passing.answer["config"]["ACME_KEYS_URL"] = "https://somebody:secret@localhost/keys"


def a_config_var_is_forgotten(passing: Passing) -> None:
    passing.config.pop("ACME_KEYS_LIMIT", None)


def new_fields_crash(passing: Passing) -> None:
    if passing.sent("conform_list") and passing.method == "POST":
        passing.status = 500


def offsets_without_a_colon_crash(passing: Passing) -> None:
    grant = passing.sent("oauth_grant")
    if isinstance(grant, dict) and grant.get("expires_at", "").endswith("-0800"):
        passing.status = 500


def charsets_are_refused(passing: Passing) -> None:
    if "charset" in passing.headers.get("content-type", ""):
        passing.status = 415


def vendor_types_are_refused(passing: Passing) -> None:
    if "vnd.heroku-addons" in passing.headers.get("content-type", ""):
        passing.status = 415


def switches_crash(passing: Passing) -> None:
    if passing.sent("options") and True in passing.sent("options").values():
        passing.status = 500


def unknown_options_are_refused(passing: Passing) -> None:
    if passing.sent("options"):
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
    if passing.method == "PUT" and "still being created" in passing.message:
        passing.status = 500


def new_fields_in_plan_changes_are_refused(passing: Passing) -> None:
    if passing.method == "PUT" and set(passing.body or {}) > {"plan"}:
        passing.status = 400


def removal_is_answered_404_the_second_time(passing: Passing) -> None:
    if passing.method == "DELETE" and passing.status == 410:
        passing.status = 404


def removal_in_the_background_never_ends(passing: Passing) -> None:
    if passing.method == "DELETE" and passing.status == 204:
        passing.status = 202


class ExistenceIsToldToAnybody:
    """Answers who asks with a wrong password about something unknown as if the password had been right."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, passing: Passing) -> None:
        if passing.status == 401 and passing.method == "PUT" and passing.uuid not in self.known:
            passing.status = 404
        if passing.made:
            self.known.add(passing.uuid)


class OneRemovalTakesAll:
    def __init__(self) -> None:
        self.known: set[str] = set()
        self.gone: set[str] = set()

    def __call__(self, passing: Passing) -> None:
        if passing.method == "DELETE":
            self.gone |= self.known
        elif passing.uuid in self.gone:
            passing.status = 410
        elif passing.made:
            self.known.add(passing.uuid)


FAULTS = [
    altered(
        every_id_is_the_same,
        "All resources get the same id",
        "provision",
        "every-resource-has-its-own-id",
        "one-app-can-have-several",
    ),
    altered(messages_are_long, "A message goes on and on", "provision", "messages-are-short-sentences"),
    altered(drains_are_not_safe, "The drain's URL is http", "provision", "log-drain-url-is-given"),
    altered(
        config_comes_with_202, "An answer of 202 has config", "asynchronous-provisioning", "answer-202-has-no-config"
    ),
    altered(json_is_called_html, "JSON is said to be HTML", "provision", "answers-are-labelled-as-json"),
    altered(config_leads_to_localhost, "A config var leads to localhost", "provision", "config-vars-can-be-used"),
    altered(
        a_config_var_is_forgotten,
        "A config var of the manifest is missing",
        "provision",
        "every-declared-config-var-is-set",
    ),
    altered(new_fields_crash, "A field that is new gets 500", "provision", "unknown-fields-are-accepted"),
    altered(
        offsets_without_a_colon_crash,
        "A time with the offset -0800 gets 500",
        "provision",
        "every-way-to-write-a-time-is-read",
    ),
    altered(
        charsets_are_refused,
        "A charset in the Content-Type gets 415",
        "provision",
        "charset-in-the-content-type-is-accepted",
    ),
    altered(
        vendor_types_are_refused, "Heroku's own media type gets 415", "provision", "vendor-content-type-is-accepted"
    ),
    altered(switches_crash, "An option that is no text gets 500", "provision", "options-of-every-kind-get-an-answer"),
    altered(
        unknown_options_are_refused,
        "An option that is not known is refused",
        "provision",
        "unknown-options-are-ignored",
    ),
    altered(
        accept_is_compared, "Any Accept header but Heroku's gets 406", "provision", "every-accept-header-is-welcome"
    ),
    altered(plan_changes_are_no_json, "A plan change has an empty answer", "plan-change", "plan-change-works"),
    altered(plan_changes_are_not_supported, "Every plan change gets 404", "plan-change", "plan-change-works"),
    altered(
        plan_changes_of_unknown_resources_crash,
        "A plan change of an unknown uuid gets 500",
        "plan-change",
        "change-of-an-unknown-resource-is-refused",
    ),
    altered(
        plan_changes_crash_while_provisioning,
        "A plan change while provisioning gets 500",
        "plan-change",
        "change-while-provisioning-does-no-harm",
    ),
    altered(
        new_fields_in_plan_changes_are_refused,
        "A plan change with a field more is refused",
        "plan-change",
        "unknown-fields-in-a-plan-change-are-accepted",
    ),
    altered(
        removal_is_answered_404_the_second_time,
        "What is gone is said to have never been",
        "deprovision",
        "what-is-gone-is-410",
    ),
    altered(
        removal_in_the_background_never_ends,
        "DELETE gets 202 and no announcement follows",
        "deprovision",
        "deprovision-in-the-background-is-announced",
    ),
    altered(OneRemovalTakesAll, "One removal takes all resources", "deprovision", "deprovision-touches-nothing-else"),
    altered(
        ExistenceIsToldToAnybody,
        "Who is not Heroku gets 404 for what is not there",
        "authentication",
        "authorization-is-checked-first",
    ),
]
