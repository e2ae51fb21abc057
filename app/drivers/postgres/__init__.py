"""Sells Postgres databases: one database with its own roles for each resource, on a server that many share."""

from app.drivers.postgres.driver import Postgres
from app.drivers.postgres.server import PostgresServer

__all__ = ["Postgres", "PostgresServer"]
