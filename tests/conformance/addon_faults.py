"""Faults in the three calls, in the work behind them and in what is asked of Heroku: many of them were read in
add-ons that were sold.
"""

from addon_fault import Fault, fault, narrow, waiting

FAULTS = [
    # Who calls
    fault("auth-skipped", "Nobody is asked for a password", "authentication", "secrets"),
    fault("refusal-is-success", "Who is refused gets an empty success", "authentication", "secrets"),
    fault(
        "no-authorization-crashes", "A request without an Authorization header gets 500", "authentication", "robustness"
    ),
    fault("password-by-prefix", "The password's beginning is enough", "authentication", "secrets"),
    fault("only-password-checked", "The password is checked and the name is not", "authentication", "secrets"),
    Fault(
        "password-compared-by-character",
        "The comparison takes longer the more is right",
        frozenset({"secrets"}),
        only=("wrong-passwords-take-the-same-time",),
        is_on_sockets=True,
    ),
    fault("default-password", "A password that anybody would try works besides", "authentication", "secrets"),
    narrow(
        "previous-secrets-forgotten",
        "The previous password and salt are refused",
        "secrets",
        "previous-password-and-salt-still-work",
    ),
    fault("delete-not-authenticated", "One verb was forgotten: anybody may deprovision", "authentication"),
    fault("strict-accept", "Heroku's Accept header gets 406", "provision", "races"),
    # Provision
    fault(
        "second-post-makes-another",
        "The same uuid again makes a second resource",
        "provision",
        "races",
        "asynchronous-provisioning",
        "deprovision",
        "oauth",
    ),
    fault(
        "second-post-starts-again",
        "The same uuid again starts the work again",
        "asynchronous-provisioning",
        "provision",
        "races",
    ),
    fault(
        "second-post-issues-credentials",
        "The same uuid again gets other credentials",
        "provision",
        "races",
        "asynchronous-provisioning",
    ),
    fault(
        "uniqueness-by-query",
        "Who comes twice at once gets two resources",
        "races",
        "provision",
        "asynchronous-provisioning",
        "oauth",
        "deprovision",
    ),
    fault("concurrent-loser-crashes", "Who comes second at once gets 500", "races"),
    fault(
        "deprovisioned-comes-back", "A late provision request brings a removed resource back", "deprovision", "races"
    ),
    fault("any-plan", "A plan that does not exist is accepted", "provision", "plan-change", "robustness"),
    fault("unknown-plan-crashes", "A plan that does not exist gets 500", "provision", "plan-change", "robustness"),
    fault("any-region", "A region that does not exist is accepted", "provision"),
    fault("refusal-without-message", "A refusal has an empty body", "provision", "plan-change", "robustness"),
    fault(
        "exception-text-answered", "The customer reads an exception's text", "provision", "plan-change", "robustness"
    ),
    fault("options-required", "Provisioning without options crashes", "provision", "robustness"),
    fault("grant-required", "Provisioning without a grant crashes", "provision", "robustness"),
    fault("undeclared-config", "A config var that the manifest lacks is answered", "provision"),
    fault("config-values-not-strings", "A config var's value is a number", "provision"),
    fault("config-url-broken", "A config var named URL has none", "provision", "asynchronous-provisioning", "races"),
    fault("empty-message", "The message is empty", "provision"),
    Fault(
        "slow-provision",
        "Slow work is done within the request",
        frozenset({"provision"}),
        only=("provision-is-answered-within-three-seconds",),
    ),
    narrow(
        "declared-region-refused",
        "A region that the manifest names is refused",
        "provision",
        "every-region-of-the-manifest-is-served",
    ),
    # The background
    waiting("dead-job-leaves-provisioning", "Work that failed leaves the resource provisioning", "config"),
    waiting("never-announces", "Heroku is never told that the resource is provisioned", "provision"),
    fault(
        "provisioned-before-config",
        "Heroku is told before the config is there",
        "asynchronous-provisioning",
        "config",
        "races",
        "oauth",
    ),
    waiting("config-never-pushed", "The config is never pushed", "asynchronous-provisioning", "config"),
    fault("config-pushed-twice", "The config is pushed twice", "asynchronous-provisioning", "config", "races"),
    waiting("undeclared-config-pushed", "A config var that the manifest lacks is pushed", "config"),
    fault(
        "heroku-status-ignored",
        "What Heroku's API answers is not looked at",
        "config",
        "oauth",
        "races",
        "asynchronous-provisioning",
    ),
    fault(
        "never-retries",
        "A call that failed once is never repeated",
        "config",
        "oauth",
        "races",
        "asynchronous-provisioning",
    ),
    fault("retry-after-ignored", "Retry-After is not waited for", "config"),
    fault("retries-at-once", "A failed call is repeated without a pause", "config", "oauth", "races"),
    fault("token-sent-to-callback-host", "The token goes to whatever host callback_url names", "secrets", "oauth"),
    Fault("restart-forgets-work", "A restart forgets what was under way", frozenset({"races"}), is_on_sockets=True),
    narrow("pushed-config-broken", "A config var named URL is pushed without one", "config", "pushed-config-is-usable"),
    narrow(
        "two-tries-are-enough", "A call is given up after two tries", "races", "provisioning-outlives-errors-of-heroku"
    ),
    narrow(
        "announcement-not-repeated",
        "Telling Heroku is tried once",
        "races",
        "announcement-is-repeated-until-heroku-took-it",
    ),
    narrow(
        "repeated-push-issues-credentials",
        "A push that is repeated has other credentials",
        "config",
        "config-push-is-repeated-with-the-same-values",
    ),
    narrow(
        "pool-runs-dry",
        "More than ten requests at once are too many",
        "races",
        "different-requests-at-once-are-all-served",
    ),
    narrow(
        "work-brings-removed-back",
        "Work that ends after the removal brings the resource back",
        "races",
        "deprovision-in-the-middle-of-provisioning-wins",
    ),
    # Plan change and deprovision
    narrow(
        "slow-plan-change",
        "A plan change is done within the request",
        "plan-change",
        "plan-change-is-answered-within-three-seconds",
    ),
    narrow(
        "refused-change-issues-credentials",
        "A plan change that is refused changes the credentials",
        "plan-change",
        "refused-change-changes-nothing",
    ),
    narrow(
        "slow-deprovision",
        "A removal is done within the request",
        "deprovision",
        "deprovision-is-answered-within-three-seconds",
    ),
    narrow("delete-crashes", "DELETE gets 500", "deprovision", "deprovision-works"),
    fault("same-plan-refused", "A change to the plan it has is refused", "plan-change", "races"),
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
    fault("state-changes-on-get", "A GET removes the resource", "robustness"),
    # OAuth
    fault("client-secret-in-query", "The client secret is in the token request's URL", "oauth", "secrets"),
    waiting("token-status-ignored", "A token answer's status is not looked at", "oauth"),
    waiting("grant-never-exchanged", "The grant is never exchanged", "oauth"),
    fault("grant-exchanged-twice", "The grant is exchanged again", "oauth"),
    fault("never-refreshes", "A token is used until it is refused, and then no more", "oauth"),
    fault("refreshes-only-after-expiry", "A token is refreshed after its end, not before", "oauth"),
    fault("every-401-refreshes", "Two calls at once refresh twice", "oauth"),
    fault("new-refresh-token-thrown-away", "The old refresh token is used for ever", "oauth"),
    narrow(
        "refused-token-asked-for-ever",
        "A token that was refused is asked for again and again",
        "oauth",
        "revoked-tokens-are-given-up",
    ),
    narrow(
        "exchange-within-the-request",
        "The grant is exchanged within the request",
        "oauth",
        "provision-does-not-wait-for-the-exchange",
    ),
    narrow(
        "one-token-for-all", "One resource's token is used for all", "oauth", "tokens-of-two-resources-are-not-mixed-up"
    ),
]
