"""Faults in what people and Heroku's other messengers meet: signing in, webhooks, drains; in logs; in odd requests."""

from addon_fault import Fault, fault, narrow

FAULTS = [
    # SSO
    narrow("sso-crashes", "A right form gets 500", "sso", "sso-signs-in"),
    narrow("sso-digest-in-latin-1", "Digests are over Latin-1", "sso", "sso-accepts-names-outside-ascii"),
    narrow(
        "sso-unknown-fields-refused",
        "A form with a field more is refused",
        "sso",
        "sso-accepts-fields-it-does-not-know",
    ),
    narrow("sso-clocks-must-agree", "A form is good for half a minute", "sso", "sso-allows-for-slow-clocks"),
    narrow("sso-refusal-is-401", "A wrong token is answered 401", "sso", "sso-refusals-are-403"),
    narrow("sso-refusal-says-why", "A refusal tells what was wrong", "sso", "sso-refusals-look-alike"),
    fault("sso-without-age-check", "A form of last year signs in", "sso"),
    fault("sso-from-the-future", "A form of next year signs in", "sso"),
    fault("sso-hash-is-constant", "Any token signs in", "sso"),
    fault("sso-ignores-user-token", "Somebody else's e-mail address is believed", "sso"),
    fault("sso-of-another-resource", "A token of one resource opens another", "sso"),
    fault("sso-trusts-email", "Sessions belong to an e-mail address, whatever resource was opened", "sso"),
    fault("sso-to-what-is-gone", "A removed resource can be opened", "sso"),
    fault("sso-refusal-redirects", "A wrong token leads to the front page", "sso"),
    fault("sso-refusal-is-200", "A wrong token is answered 200", "sso"),
    fault("sso-without-replay-memory", "The same form signs in twice", "sso"),
    fault("sso-by-get", "Signing in works by GET", "sso"),
    fault("sso-token-in-redirect", "The token is in the dashboard's URL", "sso"),
    fault("session-kept-at-sign-in", "A session that was there before the sign-in is used", "sso"),
    fault("cookie-without-flags", "The session's cookie has no HttpOnly and no SameSite", "sso"),
    fault("any-session-opens-any-resource", "The session of one resource opens another", "sso"),
    narrow("dashboard-without-session", "The dashboard's address is enough", "sso", "dashboard-needs-a-session"),
    narrow(
        "session-outlives-the-resource",
        "The dashboard of a removed resource stays open",
        "sso",
        "session-ends-with-the-resource",
    ),
    fault("dashboard-shows-all", "The dashboard lists other customers' resources", "sso"),
    fault("dashboard-may-be-cached", "The dashboard may be cached and framed", "sso"),
    fault("salt-in-page", "The salt is in the dashboard's page", "sso", "secrets"),
    # Logs
    fault("expected-token-in-log", "The log has the salt and the expected token", "secrets"),
    fault("grant-in-log", "The log has the grant", "secrets"),
    fault("token-in-log", "The log has the tokens", "secrets"),
    # Webhooks and drains
    fault("webhook-refusal-is-200", "A wrong signature is answered 200", "webhooks"),
    fault("webhook-signature-not-checked", "Signatures are not checked", "webhooks"),
    fault("webhook-signature-optional", "Who leaves the signature out needs none", "webhooks"),
    fault("webhook-repeat-refused", "An event that comes twice is refused", "webhooks"),
    fault("drain-token-not-checked", "Lines of an unknown drain are taken", "drains"),
    fault("drain-count-not-checked", "The number of messages is not compared", "drains"),
    fault("drain-repeat-refused", "Lines that come twice are refused", "drains"),
    narrow(
        "webhook-answered-by-change",
        "Every event is answered by a change",
        "webhooks",
        "webhook-about-the-add-ons-own-change-starts-nothing",
    ),
    narrow(
        "log-line-not-framed", "A line is written without its length", "drains", "what-is-written-into-the-log-arrives"
    ),
    # Bodies
    Fault(
        "few-connections-served",
        "Whoever keeps four connections open keeps Heroku out",
        frozenset({"robustness"}),
        only=("slow-clients-stop-nobody",),
        is_on_sockets=True,
    ),
    fault("broken-body-crashes", "A body that is no JSON gets 500", "robustness"),
]
