"""The page that sends a customer's browser on to the add-on's dashboard, signed in."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import invalid
from app.simulator.parts import parts

from .apps import app_of
from .rendering import page, render

# The SSO page's form goes to the add-on, which may redirect anywhere: form-action would stop the browser half-way.
_SSO_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # Under same-origin the post would carry `Origin: null`, which Heroku's does not.
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


async def show_sso(request: Request) -> Response:
    """Send the browser on to the add-on, as the address `web_url` does; query parameters go along."""
    known, app, addon = parts(request), app_of(request), parts(request).world.addon(request.path_params["addon"])
    query = parse_qsl(request.url.query, keep_blank_values=True)
    chosen = dict(query).get("sign_in_as")
    customer = known.world.customers.get(chosen or app.owner_id)
    if customer is None:
        raise invalid("There is no such customer.")
    url = urlsplit(known.addon_sso_url)
    extra = urlencode([(name, value) for name, value in query if name != "sign_in_as"])
    action = urlunsplit(url._replace(query="&".join(part for part in (url.query, extra) if part)))
    fields = known.calls.sso_form(addon, user=customer, context_app=app)
    response = render(request, "sso.html", addon=addon, customer=customer, action=action, fields=fields)
    response.headers.update(_SSO_HEADERS)
    return response


def routes() -> list[Route]:
    return [Route("/sso/apps/{app}/addons/{addon}", page(show_sso))]
