"""Heroku's JSON for dynos, formations and dyno sizes."""

from .catalogue import DynoSize
from .records import App, Dyno, Process
from .shapes import Shape, moment, stable_id


def dyno_shape(app: App, dyno: Dyno) -> Shape:
    release = app.releases[dyno.release_version - 1]
    return {
        "app": {"id": app.id, "name": app.name},
        "attach_url": None,
        "command": dyno.command,
        "created_at": moment(dyno.created_at),
        "id": dyno.id,
        "name": dyno.name,
        "release": {"id": release.id, "version": release.version},
        "size": dyno.size,
        "state": dyno.state,
        "type": dyno.type,
        "updated_at": moment(dyno.updated_at),
    }


def formation_shape(app: App, process: Process) -> Shape:
    return {
        "app": {"id": app.id, "name": app.name},
        "command": process.command,
        "created_at": moment(app.created_at),
        "dyno_size": {"id": _size_id(process.size), "name": process.size},
        "id": process.id,
        "quantity": process.quantity,
        "size": process.size,
        "type": process.type,
        "updated_at": moment(process.updated_at or app.created_at),
    }


def dyno_size_shape(size: DynoSize) -> Shape:
    return {
        "architecture": "amd64",
        "compute": size.compute,
        "cost": {"cents": size.price_cents, "unit": "month"},
        "dedicated": size.is_dedicated,
        "generation": {"id": stable_id("cedar"), "name": "cedar"},
        "id": _size_id(size.name),
        "memory": size.memory,
        "name": size.name,
        "precise_dyno_units": size.units,
        "private_space_only": False,
    }


def _size_id(name: str) -> str:
    return stable_id("dyno-size", name)
