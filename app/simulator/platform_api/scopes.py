"""What a person's token may do: https://devcenter.heroku.com/articles/oauth#scopes."""

from collections.abc import Collection

_WRITING = frozenset({"write", "write-protected"})
_READING = frozenset({"read", "read-protected"}) | _WRITING
_PROTECTED = frozenset({"read-protected", "write-protected"})
# Values that a plain `read` or `write` keeps out of sight: config vars, also as a release remembers them.
_PROTECTED_ENDS = ("/config-vars", "/config")
# POSTs that change nothing: they only ask with a body.
_ASKING = ("/filters/", "/actions/")


def may(scope: Collection[str], method: str, path: str) -> bool:
    """Tell whether a token with this scope may make this request. Authorizations and clients need `global`."""
    if "global" in scope:
        return True
    is_reading = method == "GET" or path.startswith(_ASKING)
    if path.startswith("/account"):
        return is_reading and ("identity" in scope or not _READING.isdisjoint(scope))
    if path.startswith("/oauth/"):
        return False
    allowed = set(scope) & (_READING if is_reading else _WRITING)
    return bool(allowed & _PROTECTED) if path.endswith(_PROTECTED_ENDS) else bool(allowed)
