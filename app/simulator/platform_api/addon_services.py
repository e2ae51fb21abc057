"""What is for sale, for everybody to read: the service, its plans and the regions they may be installed in."""

from typing import Any

from app.simulator.catalogue import REGIONS
from app.simulator.errors import not_found
from app.simulator.offer import Offer
from app.simulator.shapes import Shape, plan_shape, service_shape, stable_id

from .call import Call, api
from .regions import get_region, region_shape


async def list_services(call: Call) -> Any:
    return [service_shape(call.offer)]


async def get_service(call: Call) -> Any:
    shape = service_shape(call.offer)
    if call.path["service"] not in {shape["id"], shape["name"]}:
        raise not_found("add-on service")
    return shape


async def list_plans(call: Call) -> Any:
    """List the price list; the simulator that was given none sells any plan and can name none."""
    await get_service(call)
    return [plan_shape(call.offer, plan) for plan in call.offer.plans]


async def get_service_plan(call: Call) -> Any:
    await get_service(call)
    return await get_plan(call)


async def get_plan(call: Call) -> Any:
    ref = call.path["plan"]
    plan = call.offer.plan(plan_name(call.offer, ref)) if ref != call.offer.slug else None
    if plan is None:
        raise not_found("plan")
    return plan_shape(call.offer, plan)


async def list_capabilities(call: Call) -> Any:
    regions = [region_shape(one) for one in REGIONS if {one.name, "*"} & set(call.offer.regions)]
    return [_capability(call.offer, region) for region in regions]


async def list_service_capabilities(call: Call) -> Any:
    await get_service(call)
    return await list_capabilities(call)


async def list_region_capabilities(call: Call) -> Any:
    region = await get_region(call)
    return [one for one in await list_capabilities(call) if one["region"] == region]


def plan_name(offer: Offer, ref: str) -> str:
    """Return a plan's name for its id; what is not an id is a name already."""
    return next((plan.name for plan in offer.plans if stable_id(offer.slug, plan.name) == ref), ref)


def _capability(offer: Offer, region: Shape) -> Shape:
    return {
        "addon_service": service_shape(offer),
        "id": stable_id(offer.slug, region["name"], "capability"),
        "region": region,
        "supports_private_networking": False,
    }


ROUTES = [
    api("GET", "/addon-services", list_services, order=("name", "id"), is_public=True),
    api("GET", "/addon-services/{service}", get_service, is_public=True),
    api("GET", "/addon-services/{service}/plans", list_plans, order=("name", "id"), is_public=True),
    api("GET", "/addon-services/{service}/plans/{plan}", get_service_plan, is_public=True),
    api("GET", "/addon-services/{service}/region-capabilities", list_service_capabilities, is_public=True),
    api("GET", "/plans/{plan}", get_plan, is_public=True),
    api("GET", "/addon-region-capabilities", list_capabilities, is_public=True),
    api("GET", "/regions/{region}/addon-region-capabilities", list_region_capabilities, is_public=True),
]
