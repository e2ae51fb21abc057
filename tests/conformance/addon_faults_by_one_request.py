"""Faults by which one odd request, event or line of a log is refused, or crashes."""

from addon_fault import altered
from passing import Passing


class EventsOutOfTurnAreRefused:
    """Takes an event when the name that was there before is the one it knows."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def __call__(self, passing: Passing) -> None:
        if not passing.path.startswith("/webhooks/"):
            return
        if self.names.get(passing.path) in {None, passing.sent("previous_data").get("name")}:
            self.names[passing.path] = passing.sent("data").get("name")
        else:
            passing.status = 409


def lists_for_texts_crash(passing: Passing) -> None:
    if isinstance(passing.body, dict) and isinstance(passing.body.get("plan"), list):
        passing.status = 500


def nuls_crash(passing: Passing) -> None:
    if b"\\u0000" in passing.content:
        passing.status = 500


def long_bodies_crash(passing: Passing) -> None:
    if len(passing.content) > 1_000_000:
        passing.status = 500


def other_content_types_crash(passing: Passing) -> None:
    if passing.headers.get("content-type") == "text/plain":
        passing.status = 500


def escapes_in_paths_crash(passing: Passing) -> None:
    if "%00" in passing.path:
        passing.status = 500


def lines_in_other_scripts_crash(passing: Passing) -> None:
    if passing.path == "/drain" and "東".encode() in passing.content:
        passing.status = 500


def lines_of_heroku_itself_are_refused(passing: Passing) -> None:
    if passing.path == "/drain" and b"heroku logplex" in passing.content:
        passing.status = 400


def lines_without_a_length_crash(passing: Passing) -> None:
    if passing.path == "/drain" and passing.content.startswith(b"<190>"):
        passing.status = 500


def webhooks_are_answered_500(passing: Passing) -> None:
    if passing.path.startswith("/webhooks/") and passing.status < 300:
        passing.status = 500


def unknown_events_crash(passing: Passing) -> None:
    if passing.path.startswith("/webhooks/") and b"teapot" in passing.content:
        passing.status = 500


FAULTS = [
    altered(webhooks_are_answered_500, "A webhook is taken and answered 500", "webhooks", "webhook-is-taken"),
    altered(
        EventsOutOfTurnAreRefused, "An event that comes late is refused", "webhooks", "webhooks-in-any-order-are-taken"
    ),
    altered(unknown_events_crash, "An event of a new kind gets 500", "webhooks", "signed-nonsense-does-not-crash"),
    altered(lines_in_other_scripts_crash, "A line in another script gets 500", "drains", "log-lines-are-taken"),
    altered(
        lines_of_heroku_itself_are_refused,
        "A line that no dyno wrote is refused",
        "drains",
        "line-about-lost-lines-is-taken",
    ),
    altered(lines_without_a_length_crash, "A line without its length gets 500", "drains", "broken-lines-do-not-crash"),
    altered(
        lists_for_texts_crash,
        "A list where a text should be gets 500",
        "robustness",
        "provision-request-without-its-essentials-is-refused",
    ),
    altered(nuls_crash, "A NUL in a text gets 500", "robustness", "surprising-values-do-not-crash"),
    altered(long_bodies_crash, "A body of two megabytes gets 500", "robustness", "huge-body-does-no-harm"),
    altered(other_content_types_crash, "text/plain gets 500", "robustness", "strange-headers-do-not-crash"),
    altered(escapes_in_paths_crash, "%00 in the path gets 500", "robustness", "strange-paths-do-not-crash"),
]
