"""What there is of a sold database, as the operator sees it."""

import psycopg

from app.drivers.base import ResourceInfo


def left_of(admin: psycopg.Connection, resource: ResourceInfo) -> list[tuple]:
    """Names of databases and roles of a resource."""
    mine = f"%{resource.uuid.hex}%"
    found = admin.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE %s "
        "UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE %s",
        [mine, mine],
    )
    return found.fetchall()
