"""What the add-on can do wrong, one fault at a time: most of it has been read in add-ons that were sold.

`may_trip` names the groups of requirements that may notice. A fault with a `manifest` is in that file alone: its keys
replace those of the manifest's `api`. All checks are run against each fault, with two exceptions: of one with `only`,
which takes too long for the rest, disturbs them by its leftovers or is theirs alone, these groups or ids; of one that
`is_on_sockets`, which takes a process of its own, at most the groups it may trip. `patience`, in seconds, is short
where something never comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    name: str
    sentence: str
    may_trip: frozenset[str]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    patience: float = 15
    is_on_sockets: bool = False


def _fault(name: str, sentence: str, *may_trip: str, **manifest: Any) -> Fault:
    return Fault(name, sentence, frozenset(may_trip), manifest)


def _waiting(name: str, sentence: str, *may_trip: str) -> Fault:
    """Make a fault that lets whoever waits for the background wait in vain."""
    return Fault(name, sentence, frozenset(may_trip) | _BACKGROUND, patience=4)


def _narrow(name: str, sentence: str, group: str, *ids: str) -> Fault:
    """Make a fault that is looked for by these requirements of one group alone."""
    return Fault(name, sentence, frozenset({group}), only=ids, patience=4)


_WITHOUT_TLS = {"base_url": "http://addon.test/heroku/resources", "sso_url": "http://addon.test/sso/login"}
# Where work in the background is looked at: what stops all of it shows in each of these.
_BACKGROUND = frozenset({"asynchronous-provisioning", "config", "oauth", "plan-change", "deprovision", "races"})


FAULTS = [
    # Who calls
    _fault("auth-skipped", "Nobody is asked for a password", "authentication", "secrets"),
    _fault("refusal-is-success", "Who is refused gets an empty success", "authentication", "secrets"),
    _fault(
        "no-authorization-crashes", "A request without an Authorization header gets 500", "authentication", "robustness"
    ),
    _fault("password-by-prefix", "The password's beginning is enough", "authentication", "secrets"),
    _fault("only-password-checked", "The password is checked and the name is not", "authentication", "secrets"),
    Fault(
        "password-compared-by-character",
        "The comparison takes longer the more is right",
        frozenset({"secrets"}),
        only=("wrong-passwords-take-the-same-time",),
        is_on_sockets=True,
    ),
    _fault("default-password", "A password that anybody would try works besides", "authentication", "secrets"),
    _fault("delete-not-authenticated", "One verb was forgotten: anybody may deprovision", "authentication"),
    _fault("strict-accept", "Heroku's Accept header gets 406", "provision", "races"),
    _fault(
        "guessable-password", "The manifest's password is a placeholder", "manifest", "secrets", password="password"
    ),
    _fault("http-in-production", "The production URLs are not https", "manifest", production=_WITHOUT_TLS),
    # Provision
    _fault(
        "second-post-makes-another",
        "The same uuid again makes a second resource",
        "provision",
        "races",
        "asynchronous-provisioning",
        "deprovision",
        "oauth",
    ),
    _fault(
        "second-post-starts-again",
        "The same uuid again starts the work again",
        "asynchronous-provisioning",
        "provision",
        "races",
    ),
    _fault(
        "second-post-issues-credentials",
        "The same uuid again gets other credentials",
        "provision",
        "races",
        "asynchronous-provisioning",
    ),
    _fault(
        "uniqueness-by-query",
        "Who comes twice at once gets two resources",
        "races",
        "provision",
        "asynchronous-provisioning",
        "oauth",
        "deprovision",
    ),
    _fault("concurrent-loser-crashes", "Who comes second at once gets 500", "races"),
    _fault(
        "deprovisioned-comes-back", "A late provision request brings a removed resource back", "deprovision", "races"
    ),
    _fault("any-plan", "A plan that does not exist is accepted", "provision", "plan-change", "robustness"),
    _fault("unknown-plan-crashes", "A plan that does not exist gets 500", "provision", "plan-change", "robustness"),
    _fault("any-region", "A region that does not exist is accepted", "provision"),
    _fault("refusal-without-message", "A refusal has an empty body", "provision", "plan-change", "robustness"),
    _fault(
        "exception-text-answered", "The customer reads an exception's text", "provision", "plan-change", "robustness"
    ),
    _fault("options-required", "Provisioning without options crashes", "provision", "robustness"),
    _fault("grant-required", "Provisioning without a grant crashes", "provision", "robustness"),
    _fault("undeclared-config", "A config var that the manifest lacks is answered", "provision"),
    _fault("config-values-not-strings", "A config var's value is a number", "provision"),
    _fault("config-url-broken", "A config var named URL has none", "provision", "asynchronous-provisioning", "races"),
    _fault("empty-message", "The message is empty", "provision"),
    Fault(
        "slow-provision",
        "Slow work is done within the request",
        frozenset({"provision"}),
        only=("provision-is-answered-within-three-seconds",),
    ),
    _narrow(
        "declared-region-refused",
        "A region that the manifest names is refused",
        "provision",
        "every-region-of-the-manifest-is-served",
    ),
    # The background
    _waiting("dead-job-leaves-provisioning", "Work that failed leaves the resource provisioning", "config"),
    _waiting("never-announces", "Heroku is never told that the resource is provisioned", "provision"),
    _fault(
        "provisioned-before-config",
        "Heroku is told before the config is there",
        "asynchronous-provisioning",
        "config",
        "races",
        "oauth",
    ),
    _waiting("config-never-pushed", "The config is never pushed", "asynchronous-provisioning", "config"),
    _fault("config-pushed-twice", "The config is pushed twice", "asynchronous-provisioning", "config", "races"),
    _waiting("undeclared-config-pushed", "A config var that the manifest lacks is pushed", "config"),
    _fault(
        "heroku-status-ignored",
        "What Heroku's API answers is not looked at",
        "config",
        "oauth",
        "races",
        "asynchronous-provisioning",
    ),
    _fault(
        "never-retries",
        "A call that failed once is never repeated",
        "config",
        "oauth",
        "races",
        "asynchronous-provisioning",
    ),
    _fault("retry-after-ignored", "Retry-After is not waited for", "config"),
    _fault("retries-at-once", "A failed call is repeated without a pause", "config", "oauth", "races"),
    _fault("token-sent-to-callback-host", "The token goes to whatever host callback_url names", "secrets", "oauth"),
    Fault("restart-forgets-work", "A restart forgets what was under way", frozenset({"races"}), is_on_sockets=True),
    _narrow(
        "pushed-config-broken", "A config var named URL is pushed without one", "config", "pushed-config-is-usable"
    ),
    _narrow(
        "two-tries-are-enough", "A call is given up after two tries", "races", "provisioning-outlives-errors-of-heroku"
    ),
    _narrow(
        "announcement-not-repeated",
        "Telling Heroku is tried once",
        "races",
        "announcement-is-repeated-until-heroku-took-it",
    ),
    # Plan change and deprovision
    _narrow(
        "slow-plan-change",
        "A plan change is done within the request",
        "plan-change",
        "plan-change-is-answered-within-three-seconds",
    ),
    _narrow(
        "refused-change-issues-credentials",
        "A plan change that is refused changes the credentials",
        "plan-change",
        "refused-change-changes-nothing",
    ),
    _narrow(
        "slow-deprovision",
        "A removal is done within the request",
        "deprovision",
        "deprovision-is-answered-within-three-seconds",
    ),
    _narrow("delete-crashes", "DELETE gets 500", "deprovision", "deprovision-works"),
    _fault("same-plan-refused", "A change to the plan it has is refused", "plan-change", "races"),
    Fault(
        "delete-of-unknown-crashes",
        "DELETE of an unknown uuid gets 500",
        frozenset(("deprovision", "races", "robustness")),
        only=("deprovision", "races", "robustness"),
    ),
    Fault(
        "delete-does-nothing",
        "DELETE succeeds and removes nothing",
        frozenset(("deprovision", "races", "sso")),
        only=("deprovision", "races", "sso"),
    ),
    Fault(
        "delete-leaves-work",
        "Work goes on for what was removed",
        frozenset(("deprovision", "races")),
        only=(
            "deprovision",
            "deprovision-in-the-middle-of-provisioning-wins",
            "nothing-is-pushed-for-what-was-removed",
        ),
    ),
    _fault("state-changes-on-get", "A GET removes the resource", "robustness"),
    # OAuth
    _fault("client-secret-in-query", "The client secret is in the token request's URL", "oauth", "secrets"),
    _waiting("token-status-ignored", "A token answer's status is not looked at", "oauth"),
    _waiting("grant-never-exchanged", "The grant is never exchanged", "oauth"),
    _fault("grant-exchanged-twice", "The grant is exchanged again", "oauth"),
    _fault("never-refreshes", "A token is used until it is refused, and then no more", "oauth"),
    _fault("refreshes-only-after-expiry", "A token is refreshed after its end, not before", "oauth"),
    _fault("every-401-refreshes", "Two calls at once refresh twice", "oauth"),
    _fault("new-refresh-token-thrown-away", "The old refresh token is used for ever", "oauth"),
    _narrow(
        "exchange-within-the-request",
        "The grant is exchanged within the request",
        "oauth",
        "provision-does-not-wait-for-the-exchange",
    ),
    _narrow(
        "one-token-for-all", "One resource's token is used for all", "oauth", "tokens-of-two-resources-are-not-mixed-up"
    ),
    # SSO
    _narrow("sso-crashes", "A right form gets 500", "sso", "sso-signs-in"),
    _narrow("sso-digest-in-latin-1", "Digests are over Latin-1", "sso", "sso-accepts-names-outside-ascii"),
    _narrow(
        "sso-unknown-fields-refused",
        "A form with a field more is refused",
        "sso",
        "sso-accepts-fields-it-does-not-know",
    ),
    _narrow("sso-clocks-must-agree", "A form is good for half a minute", "sso", "sso-allows-for-slow-clocks"),
    _narrow("sso-refusal-is-401", "A wrong token is answered 401", "sso", "sso-refusals-are-403"),
    _narrow("sso-refusal-says-why", "A refusal tells what was wrong", "sso", "sso-refusals-look-alike"),
    _fault("sso-without-age-check", "A form of last year signs in", "sso"),
    _fault("sso-from-the-future", "A form of next year signs in", "sso"),
    _fault("sso-hash-is-constant", "Any token signs in", "sso"),
    _fault("sso-ignores-user-token", "Somebody else's e-mail address is believed", "sso"),
    _fault("sso-of-another-resource", "A token of one resource opens another", "sso"),
    _fault("sso-trusts-email", "Sessions belong to an e-mail address, whatever resource was opened", "sso"),
    _fault("sso-to-what-is-gone", "A removed resource can be opened", "sso"),
    _fault("sso-refusal-redirects", "A wrong token leads to the front page", "sso"),
    _fault("sso-refusal-is-200", "A wrong token is answered 200", "sso"),
    _fault("sso-without-replay-memory", "The same form signs in twice", "sso"),
    _fault("sso-by-get", "Signing in works by GET", "sso"),
    _fault("sso-token-in-redirect", "The token is in the dashboard's URL", "sso"),
    _fault("session-kept-at-sign-in", "A session that was there before the sign-in is used", "sso"),
    _fault("cookie-without-flags", "The session's cookie has no HttpOnly and no SameSite", "sso"),
    _fault("any-session-opens-any-resource", "The session of one resource opens another", "sso"),
    _narrow("dashboard-without-session", "The dashboard's address is enough", "sso", "dashboard-needs-a-session"),
    _narrow(
        "session-outlives-the-resource",
        "The dashboard of a removed resource stays open",
        "sso",
        "session-ends-with-the-resource",
    ),
    _fault("dashboard-shows-all", "The dashboard lists other customers' resources", "sso"),
    _fault("dashboard-may-be-cached", "The dashboard may be cached and framed", "sso"),
    _fault("salt-in-page", "The salt is in the dashboard's page", "sso", "secrets"),
    # Logs
    _fault("expected-token-in-log", "The log has the salt and the expected token", "secrets"),
    _fault("grant-in-log", "The log has the grant", "secrets"),
    _fault("token-in-log", "The log has the tokens", "secrets"),
    # Webhooks and drains
    _fault("webhook-refusal-is-200", "A wrong signature is answered 200", "webhooks"),
    _fault("webhook-signature-not-checked", "Signatures are not checked", "webhooks"),
    _fault("webhook-signature-optional", "Who leaves the signature out needs none", "webhooks"),
    _fault("webhook-repeat-refused", "An event that comes twice is refused", "webhooks"),
    _fault("drain-token-not-checked", "Lines of an unknown drain are taken", "drains"),
    _fault("drain-count-not-checked", "The number of messages is not compared", "drains"),
    _fault("drain-repeat-refused", "Lines that come twice are refused", "drains"),
    # Bodies
    _fault("broken-body-crashes", "A body that is no JSON gets 500", "robustness"),
]
BY_NAME = {fault.name: fault for fault in FAULTS}
