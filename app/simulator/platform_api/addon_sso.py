"""Signing in to an add-on's dashboard by program: the form that the browser would post.

The endpoint is not in https://devcenter.heroku.com/articles/platform-api-reference; the Heroku CLI uses it for
`addons:open` when HEROKU_SUDO is set. What the form has is at
https://devcenter.heroku.com/articles/add-on-single-sign-on.
"""

from typing import Any

from .call import Call, api
from .references import find_addon


async def get_sso(call: Call) -> Any:
    """Return the form for the asking person; in an app's context when the path names one, else the owning app's."""
    app = call.app() if "app" in call.path else None
    addon = find_addon(call, call.path["addon"], app)
    params = call.known.calls.sso_form(addon, user=call.customer, context_app=app)
    return {"method": "post", "action": call.known.addon_sso_url, "params": params}


ROUTES = [
    api("GET", "/addons/{addon}/sso", get_sso, is_for_people=True),
    api("GET", "/apps/{app}/addons/{addon}/sso", get_sso, is_for_people=True),
]
