"""What Heroku has by itself: regions, open to everybody, and stacks."""

from datetime import UTC, datetime
from typing import Any

from app.simulator.catalogue import REGIONS, STACKS, Region
from app.simulator.errors import HerokuError, not_found
from app.simulator.shapes import Shape, moment, stable_id

from .call import Call, api

_BEGAN_AT = moment(datetime(2024, 1, 1, tzinfo=UTC))


async def list_regions(call: Call) -> Any:  # noqa: ARG001 - all handlers are alike
    return [region_shape(region) for region in REGIONS]


async def get_region(call: Call) -> Any:
    return _one(await list_regions(call), call.path["region"], not_found("region"))


async def list_stacks(call: Call) -> Any:  # noqa: ARG001 - as above
    return [_stack_shape(name) for name in STACKS]


async def list_app_stacks(call: Call) -> Any:
    call.app()
    return await list_stacks(call)


async def get_stack(call: Call) -> Any:
    return _one(await list_stacks(call), call.path["stack"], not_found("stack"))


def _one(shapes: list[Shape], ref: str, missing: HerokuError) -> Shape:
    for shape in shapes:
        if ref in {shape["id"], shape["name"]}:
            return shape
    raise missing


def region_shape(region: Region) -> Shape:
    return {
        "country": region.country,
        "created_at": _BEGAN_AT,
        "description": region.description,
        "id": stable_id(region.name),
        "locale": region.locale,
        "name": region.name,
        "private_capable": not region.is_common,
        "provider": {"name": "amazon-web-services", "region": region.provider_region},
        "updated_at": _BEGAN_AT,
    }


def _stack_shape(name: str) -> Shape:
    return {
        "created_at": _BEGAN_AT,
        "default": name == STACKS[0],
        "id": stable_id(name),
        "name": name,
        "state": "public",
        "updated_at": _BEGAN_AT,
    }


ROUTES = [
    api("GET", "/regions", list_regions, order=("name", "id"), is_public=True),
    api("GET", "/regions/{region}", get_region, is_public=True),
    api("GET", "/stacks", list_stacks, order=("name", "id"), is_public=True),
    api("GET", "/stacks/{stack}", get_stack, is_public=True),
    api("GET", "/apps/{app}/available-stacks", list_app_stacks, order=("name", "id")),
]
