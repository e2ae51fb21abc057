"""Heroku's three calls: provision, plan change, deprovision."""

import asyncio
import secrets
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from addon_bodies import Refused, refusal_of, require_heroku
from addon_bodies import json_object as read_json_object
from addon_store import LIMITS, Resource
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from addon import AddOn

_REGIONS = {"amazon-web-services::us-east-1", "amazon-web-services::eu-west-1"}
_INSTANT = {"test"}
_PARTICULARS = {"drain_token": "log_drain_token", "log_input_url": "log_input_url", "callback_url": "callback_url"}
_MOST_AT_ONCE = 10


def routes(addon: "AddOn") -> list[Route]:
    methods = ["PUT", "DELETE"]
    known = partner_api(addon)
    if addon.has("state-changes-on-get"):
        methods.append("GET")
    return [
        Route("/heroku/resources", known.collection, methods=["POST"]),
        Route("/heroku/resources/{uuid}", known.member, methods=methods),
    ]


def partner_api(addon: "AddOn") -> "_PartnerApi":
    return _PartnerApi(addon)


class _PartnerApi:
    def __init__(self, addon: "AddOn") -> None:
        self._addon = addon
        self._at_once = 0

    async def collection(self, request: Request) -> Response:
        return await self._answered(request, self._provision)

    async def member(self, request: Request) -> Response:
        work = self._change_plan if request.method == "PUT" else self._deprovision
        return await self._answered(request, work)

    async def _answered(self, request: Request, work: Any) -> Response:
        addon = self._addon
        try:
            require_heroku(addon, request)
            return await work(request)
        except Refused as refused:
            if addon.has("refusal-without-message"):
                return Response(status_code=refused.status)
            return refusal_of(refused)
        except Exception as error:
            addon.log(f"{type(error).__name__} while answering {request.method}.")
            if addon.has("exception-text-answered"):
                return JSONResponse({"id": "error", "message": f"{type(error).__name__}: {error!s}"}, 422)
            raise

    async def _provision(self, request: Request) -> Response:
        has = self._addon.has
        body = await read_json_object(self._addon, request)
        uuid = self._uuid(body.get("uuid"), 422)
        resources = self._addon.store.resources
        found = resources.get(uuid)
        if found is not None and not has("second-post-makes-another"):
            if found.state == "deprovisioned" and has("deprovisioned-comes-back"):
                del resources[uuid]
            else:
                return self._provision_again(found, body)
        plan = self._plan(body.get("plan"))
        self._require_region(body.get("region"))
        if has("options-required"):
            body["options"].items()
        if has("pool-runs-dry"):
            await self._with_a_connection()
        if has("uniqueness-by-query") or has("concurrent-loser-crashes"):
            await asyncio.sleep(0.005)
            if has("concurrent-loser-crashes") and uuid in resources:
                raise KeyError("duplicate key value violates unique constraint")
        provider_id = str(uuid4()) if has("second-post-makes-another") or has("uniqueness-by-query") else uuid
        resource = Resource(uuid, plan, provider_id, secrets.token_hex(16))
        self._take_particulars(resource, body)
        if plan in _INSTANT:
            resource.state, resource.pushed = "provisioned", resource.config
        resources[uuid] = resource
        self._addon.store.save()
        self._addon.jobs.start(resource)
        if has("exchange-within-the-request"):
            await self._addon.heroku.token(resource)
        if has("slow-provision"):
            await asyncio.sleep(3.1)
        return self._provision_answer(resource)

    async def _with_a_connection(self) -> None:
        self._at_once += 1
        try:
            await asyncio.sleep(0.005)
            if self._at_once > _MOST_AT_ONCE:
                raise RuntimeError("All connections are in use.")
        finally:
            self._at_once -= 1

    def _provision_again(self, resource: Resource, body: dict[str, Any]) -> Response:
        """Answer the repetition of a request: nothing new is made, whatever else the request says."""
        if resource.state == "deprovisioned":
            raise Refused(410, "This resource was deprovisioned.")
        if resource.state == "failed":
            raise Refused(422, "This resource could not be created. Please remove it and add it again.")
        if resource.access_token is None and not self._addon.jobs.is_at_work(resource.uuid):
            self._take_particulars(resource, body)  # the grant of the first request came to nothing
            self._addon.store.save()
            self._addon.jobs.start(resource)
        if self._addon.has("second-post-starts-again"):
            self._addon.jobs.start(resource)
        if self._addon.has("second-post-issues-credentials"):
            resource.key = secrets.token_hex(16)
        return self._provision_answer(resource)

    def _provision_answer(self, resource: Resource) -> Response:
        has = self._addon.has
        answer: dict[str, Any] = {"id": resource.provider_id, "log_drain_url": f"{self._addon.settings.url}/drain"}
        if resource.state == "provisioning":
            return JSONResponse(answer | {"message": "Your keys are being made. This takes a moment."}, 202)
        config: dict[str, Any] = dict(resource.config)
        if has("undeclared-config"):
            config["ACME_KEYS_SECRET"] = "not-in-the-manifest"
        if has("config-values-not-strings"):
            config["ACME_KEYS_LIMIT"] = 10
        if has("config-url-broken"):
            config["ACME_KEYS_URL"] = "keys.acme.example"
        message = "" if has("empty-message") else "Your keys are ready."
        return JSONResponse(answer | {"config": config, "message": message})

    def _take_particulars(self, resource: Resource, body: dict[str, Any]) -> None:
        grant = body.get("oauth_grant")
        if self._addon.has("grant-required"):
            _ = grant["code"]
        code = grant.get("code") if isinstance(grant, dict) else None
        resource.grant_code = code if isinstance(code, str) else None
        for name, key in _PARTICULARS.items():
            value = body.get(key)
            setattr(resource, name, value if isinstance(value, str) else None)

    async def _change_plan(self, request: Request) -> Response:
        has = self._addon.has
        resource = self._resource(request, 404)
        body = await read_json_object(self._addon, request)
        if has("slow-plan-change"):
            await asyncio.sleep(3.1)
        if has("refused-change-issues-credentials") and body.get("plan") not in _INSTANT | {resource.plan}:
            resource.key = secrets.token_hex(16)
        plan = self._plan(body.get("plan"))
        if resource.state != "provisioned":
            raise Refused(422, "This resource is still being created. Please change its plan afterwards.")
        if plan == resource.plan:
            if has("same-plan-refused"):
                raise Refused(422, "This resource is on that plan already.")
            return JSONResponse({"message": "Nothing to change: this is the plan you have."})
        resource.plan = plan
        self._addon.store.save()
        if plan in _INSTANT:
            resource.pushed = resource.config
            self._addon.store.save()
            return JSONResponse({"config": resource.config, "message": "Your plan was changed."})
        self._addon.jobs.start(resource)
        return JSONResponse({"message": "Your plan is being changed."}, 202)

    async def _deprovision(self, request: Request) -> Response:
        if self._addon.has("delete-does-nothing"):
            return Response(status_code=204)
        if self._addon.has("delete-of-unknown-crashes"):
            del self._addon.store.resources[request.path_params["uuid"]]
            return Response(status_code=204)
        if self._addon.has("delete-crashes"):
            raise RuntimeError("Nobody has tried this.")
        if self._addon.has("slow-deprovision"):
            await asyncio.sleep(3.1)
        resource = self._resource(request, 410)
        if not (self._addon.has("delete-leaves-work") or self._addon.has("work-brings-removed-back")):
            self._addon.jobs.cancel(resource.uuid)
            resource.forget_secrets()
        resource.state = "deprovisioned"
        self._addon.store.save()
        return Response(status_code=204)

    def _resource(self, request: Request, unknown_status: int) -> Resource:
        uuid = self._uuid(request.path_params["uuid"], 404)
        resource = self._addon.store.resources.get(uuid)
        if resource is None:
            raise Refused(unknown_status, "There is no such resource.")
        if resource.state == "deprovisioned":
            raise Refused(410, "This resource was deprovisioned.")
        return resource

    def _uuid(self, value: Any, status: int) -> str:
        try:
            return str(UUID(value))
        except (AttributeError, TypeError, ValueError):
            raise Refused(status, "The uuid is missing, or is no uuid.") from None

    def _require_region(self, region: Any) -> None:
        served = (
            _REGIONS - {"amazon-web-services::eu-west-1"} if self._addon.has("declared-region-refused") else _REGIONS
        )
        is_served = region is None or (isinstance(region, str) and region in served)
        if not is_served and not self._addon.has("any-region"):
            raise Refused(422, "Acme Keys is not available in this region.")

    def _plan(self, value: Any) -> str:
        if self._addon.has("any-plan"):
            return value if value in LIMITS else "test"
        if self._addon.has("exception-text-answered") or self._addon.has("unknown-plan-crashes"):
            _ = LIMITS[value]
        if not isinstance(value, str) or value not in LIMITS:
            raise Refused(422, "There is no such plan.")
        if value == "waiting-list":
            raise Refused(422, "There is a waiting list for this plan. Please choose another.")
        return value
