"""Who may see an operators' page, and what its forms must carry.

Every route names the role it needs by the type of a parameter: `Viewer`, `Support`, `Operator` or `Owner`; every POST
has `dependencies=[GenuineForm]`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote

import structlog
from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import Refused, Unauthorized
from app.operators import sessions
from app.operators.attempts import Browser
from app.operators.roles import Role
from app.operators.sessions import Due, SignedInOperator
from app.web.addresses import address_of
from app.web.dependencies import OpenContext, refuse_other_sites

COOKIE: Final = "operator"
PATH: Final = "/admin"
_MOST_FIELDS: Final = 2000


class SignInFirst(Exception):
    """Nobody is signed in: the browser is led to the sign-in page, and afterwards to where it wanted to go."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class SetUpFirst(Exception):
    """The operator has something to set up before anything else: the browser is led there."""

    def __init__(self, due: Due) -> None:
        super().__init__(due)
        self.due = due


_SET_UP: Final = {Due.PASSWORD: f"{PATH}/account", Due.SECOND_FACTOR: f"{PATH}/account/second-factor"}


async def _signed_in(request: Request, context: OpenContext) -> SignedInOperator:
    try:
        operator = await sessions.resume(context, request.cookies.get(COOKIE, ""))
    except Unauthorized:
        raise SignInFirst(_wanted(request)) from None
    structlog.contextvars.bind_contextvars(operator=str(operator.operator.id))
    return operator


SignedIn = Annotated[SignedInOperator, Depends(_signed_in)]


def _needs(role: Role, *, also_newcomers: bool = False) -> Callable[..., Awaitable[SignedInOperator]]:
    async def operator_with_role(context: OpenContext, operator: SignedIn) -> SignedInOperator:
        due = sessions.due(context, operator)
        if due is not None and not also_newcomers:
            raise SetUpFirst(due)
        operator.actor.need(role)
        return operator

    operator_with_role.role = role  # type: ignore[attr-defined]  # read by the test that walks every route
    return operator_with_role


Viewer = Annotated[SignedInOperator, Depends(_needs(Role.VIEWER))]
Support = Annotated[SignedInOperator, Depends(_needs(Role.SUPPORT))]
Operator = Annotated[SignedInOperator, Depends(_needs(Role.OPERATOR))]
Owner = Annotated[SignedInOperator, Depends(_needs(Role.OWNER))]
# Also who has a password or a second factor to set up first: on the pages for that, and for leaving.
Newcomer = Annotated[SignedInOperator, Depends(_needs(Role.VIEWER, also_newcomers=True))]


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that is there twice, the last."""
    return dict(await read_fields(request))


async def read_fields(request: Request) -> list[tuple[str, str]]:
    """The fields of a form in order, for those with many of one name.

    Raises:
        Refused: there are too many, or they are no text that Postgres can hold.
    """
    try:
        fields = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise Refused("The form could not be read.") from None
    if any("\0" in name or "\0" in value for name, value in fields):
        raise Refused("The form could not be read.")
    return fields


async def _genuine_form(request: Request, context: OpenContext, operator: SignedIn) -> None:
    refuse_other_sites(request, context)
    token = (await read_form(request)).get("form_token", "")
    if request.app.state.operator_form_signer.value(token) != str(operator.session.id):
        raise Refused("This form is from another session or too old. Nothing was done; please send it again.")


GenuineForm: Any = Depends(_genuine_form)


def browser_of(request: Request, context: OpenContext) -> Browser:
    """Where a request comes from, and what the browser calls itself."""
    name = "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())
    return Browser(address=address_of(request, context), name=name[:300])


def _wanted(request: Request) -> str:
    if request.method != "GET":
        return PATH
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def safe_wanted(text: str) -> str:
    """Where to go after signing in: a page of the panel, whatever the address said."""
    is_ours = text == PATH or text.startswith((f"{PATH}/", f"{PATH}?"))
    return text if is_ours and text.isprintable() and "\\" not in text and "//" not in text else PATH


async def lead_to_sign_in(_request: Request, error: Exception) -> Response:
    """303 to the sign-in page, for `SignInFirst`."""
    wanted = error.wanted if isinstance(error, SignInFirst) else PATH
    response = RedirectResponse(f"{PATH}/sign-in?next={quote(wanted, safe='')}", 303)
    response.headers["Cache-Control"] = "no-store"
    return response


async def lead_to_set_up(_request: Request, error: Exception) -> Response:
    """303 to what is due first, for `SetUpFirst`."""
    response = RedirectResponse(_SET_UP[error.due] if isinstance(error, SetUpFirst) else PATH, 303)
    response.headers["Cache-Control"] = "no-store"
    return response
