"""The partner's own API, `addons.heroku.com/api/v3` in the world: installs, manifests, usage.

Programs of the partner send the manifest's id and password. Manifests are a matter of the partner's people, who send
their own token; here everybody in the world belongs to the partner's company. Errors are `{"error": ...}`.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, not_found, unauthorized
from app.simulator.forms import read_json
from app.simulator.oauth.credentials import is_partner
from app.simulator.parts import parts
from app.simulator.platform_api.callers import find_caller
from app.simulator.recording import Endpoint, recorded
from app.simulator.records import AddOn
from app.simulator.shapes import Shape, moment
from app.simulator.verdicts import problem
from app.simulator.world import World

from .manifests import EditConflict, ManifestRefused, push_manifest, with_base
from .records import ManifestVersion
from .usage import take_usages

_INSTALLS_ON_A_PAGE = 500


async def list_installs(request: Request) -> Response:
    """List every installed add-on of the service, the oldest first.

    The shape is not published. This one is that of the older list of `vendor/apps`, with the `uuid` in place of the
    `heroku_id`; like that one it goes on by a `Link` header.
    """
    known, after = parts(request), request.query_params.get("after", "")
    installed = sorted(known.world.installed(), key=lambda one: (one.created_at, one.id))
    start = next((place + 1 for place, one in enumerate(installed) if one.id == after), 0)
    page = installed[start : start + _INSTALLS_ON_A_PAGE]
    headers = {}
    if start + len(page) < len(installed):
        headers["Link"] = f'<{known.url}/api/v3/apps?after={page[-1].id}>; rel="next"'
    return JSONResponse([_install_shape(known.world, one, known.url) for one in page], headers=headers)


def _install_shape(world: World, addon: AddOn, url: str) -> Shape:
    app = world.apps[addon.app_id]
    return {
        "app": {"id": app.id, "name": app.name},
        "callback_url": f"{url}/addons/{addon.id}",
        "name": addon.name,
        "plan": addon.plan,
        "provider_id": addon.provider_id or addon.id,
        "state": addon.state,
        "uuid": addon.id,
    }


async def get_current_manifest(request: Request) -> Response:
    return JSONResponse(_manifest_shape(parts(request).world.portal.manifests[-1]))


async def list_manifests(request: Request) -> Response:
    """List the history, the latest first; the manifests themselves are asked for one by one."""
    kept = parts(request).world.portal.manifests
    return JSONResponse([{"id": one.id, "created_at": moment(one.created_at)} for one in reversed(kept)])


async def get_manifest(request: Request) -> Response:
    wanted = request.path_params["manifest"]
    found = next((one for one in parts(request).world.portal.manifests if one.id == wanted), None)
    if found is None:
        raise not_found("manifest")
    return JSONResponse(_manifest_shape(found))


async def post_manifest(request: Request) -> Response:
    """Publish `{"contents": <manifest>}`; the answer's contents carry the new `$base`."""
    try:
        version = push_manifest(parts(request).world, (await read_json(request)).get("contents"))
    except ManifestRefused as refused:
        return JSONResponse({"error": {"base": list(refused.reasons)}}, 422)
    except EditConflict as conflict:
        return JSONResponse({"error": str(conflict)}, 409)
    return JSONResponse(_manifest_shape(version), 201)


def _manifest_shape(version: ManifestVersion) -> dict[str, Any]:
    return {"id": version.id, "created_at": moment(version.created_at), "contents": with_base(version)}


async def post_usages(request: Request) -> Response:
    world = parts(request).world
    return JSONResponse(take_usages(world, await read_json(request)), 202)


def _check_program(request: Request) -> None:
    """Let in who sends the manifest's id and password."""
    if not is_partner(parts(request).world, request):
        request.state.findings.append(problem("The manifest's id and password, sent as Basic, are missing or wrong."))
        raise unauthorized()


def _check_person(request: Request) -> None:
    """Let in people."""
    if find_caller(request).customer is None:
        raise unauthorized("Manifests are for people: send your own token, not an add-on's.")


def _guarded(check: Callable[[Request], None], endpoint: Endpoint) -> Endpoint:
    """Answer for the one service there is, to whom `check` lets in; say errors as the portal does."""

    async def answer(request: Request) -> Response:
        try:
            check(request)
            if request.path_params.get("slug", parts(request).world.slug) != parts(request).world.slug:
                raise not_found("add-on")
            return await endpoint(request)
        except HerokuError as error:
            return JSONResponse({"error": error.message}, error.status, error.headers)

    return answer


def _for_programs(method: str, path: str, endpoint: Endpoint) -> Route:
    guarded = _guarded(_check_program, endpoint)
    return Route(f"/api/v3{path}", recorded(lambda _: "platform", guarded), methods=[method])


def _for_people(method: str, path: str, endpoint: Endpoint) -> Route:
    guarded = _guarded(_check_person, endpoint)
    return Route(f"/api/v3/addons/{{slug}}{path}", recorded(lambda _: "customer", guarded), methods=[method])


def routes() -> list[Route]:
    return [
        _for_programs("GET", "/apps", list_installs),
        _for_programs("POST", "/addons/{slug}/usage_batches", post_usages),
        _for_people("GET", "/current_manifest", get_current_manifest),
        _for_people("GET", "/manifests", list_manifests),
        _for_people("POST", "/manifests", post_manifest),
        _for_people("GET", "/manifests/{manifest}", get_manifest),
    ]
