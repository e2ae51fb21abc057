"""`GET /simulator/env`: what a shell needs to know, so that the Heroku CLI finds this Heroku."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.simulator.parts import parts
from app.simulator.tool_environment import environment_lines


async def show_environment(request: Request) -> Response:
    """Answer export lines for the first of the people, or for whom `?as=ben@example.com` names; 404 for others."""
    known = parts(request)
    people = list(known.world.customers.values())
    email = request.query_params.get("as", people[0].email)
    person = next((one for one in people if one.email == email), None)
    if person is None:
        emails = ", ".join(one.email for one in people)
        return PlainTextResponse(f"Nobody here has that e-mail address; there are {emails}.\n", 404)
    lines = environment_lines(known.url, person.api_key)
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": "no-store"})


def routes() -> list[Route]:
    return [Route("/simulator/env", show_environment)]
