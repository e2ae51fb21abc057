"""API keys: the smallest real driver. Copy this file to begin your own.

What is sold is access to the partner's own HTTP service. That service must tell a good key from a bad one by itself, so
this driver keeps a table in the service's database: one row for each key. The service reads it with one query
(`docs/drivers.md` shows it); whatever is not in the table is not a key, and a suspended one does not work.

How the three rules of `base.py` look in practice:

1. *May run twice*: rows are written with "insert or update" and removed with "delete what is there".
2. *Same in, same out*: a key comes from `resource.secret`, so a lost answer is simply given again. Only its digest is
   stored: who reads the table, or a backup of it, has no key.
3. *Named by uuid*: the row belongs to `(uuid, generation)`. A rotation adds a row, `retire` deletes the older ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from app.connections import Connections
from app.database import each_of, lines
from app.drivers.base import Driver, OwnTable, Provisioned, ResourceInfo, Snippet
from app.gathering import Gathering

_MOST_CONNECTIONS: Final = 4

# Several processes start at once, and two `CREATE TABLE IF NOT EXISTS` of one name can collide: hence the lock.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('api_keys'))"
_TABLE = """
    CREATE TABLE IF NOT EXISTS api_keys (
        uuid uuid, generation integer, digest bytea NOT NULL,
        plan text NOT NULL, requests_per_minute integer NOT NULL, is_suspended boolean NOT NULL DEFAULT false,
        PRIMARY KEY (uuid, generation)
    )"""
_NEWER_COLUMN = "ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS is_suspended boolean NOT NULL DEFAULT false"
# Not unique: "insert or update" settles a race on one unique index, and two calls at once could collide on the other.
_INDEX = "CREATE INDEX IF NOT EXISTS api_keys_digest ON api_keys (digest)"
_COLUMNS = """
    uuid uuid, generation integer, digest bytea, plan text, requests_per_minute integer, is_suspended boolean"""
_WRITE_ALL = """
    INSERT INTO api_keys (uuid, generation, digest, plan, requests_per_minute, is_suspended)
    SELECT uuid, generation, digest, plan, requests_per_minute, is_suspended FROM {given} ORDER BY uuid
    ON CONFLICT (uuid, generation) DO UPDATE SET
        digest = excluded.digest, is_suspended = excluded.is_suspended, plan = excluded.plan,
        requests_per_minute = excluded.requests_per_minute"""
# Of several resources at once. The terms hold for a resource's older keys as well; all that there are of it are locked
# before any is written, or a plan change and a rotation at the same moment could each wait for the other.
_WRITE_KEYS = f"""
    WITH wanted AS (
        SELECT given.* FROM {each_of("keys", _COLUMNS)}
    ), locked AS MATERIALIZED (
        SELECT FROM api_keys JOIN wanted USING (uuid) ORDER BY uuid, api_keys.generation FOR UPDATE OF api_keys
    ), given AS MATERIALIZED (
        SELECT * FROM wanted WHERE (SELECT count(*) FROM locked) >= 0
    ), older AS (
        UPDATE api_keys SET plan = given.plan, requests_per_minute = given.requests_per_minute FROM given
        WHERE api_keys.uuid = given.uuid AND api_keys.generation <> given.generation
    ) {_WRITE_ALL.format(given="given")}"""  # noqa: S608 - made of constants # nosec B608
_WRITE_NEW = _WRITE_ALL.format(given=f"services CROSS JOIN jsonb_to_record(service) AS given ({_COLUMNS})")


class ApiKey(Driver):
    """Keys for one plan of an HTTP service.

    Args:
        database: the URL of the service's own database.
        config_var: under which name the app finds its key; as in the manifest.
        service_url: where the service answers.
        requests_per_minute: a term of the plan; stored with the key, kept by the service.
    """

    def __init__(self, database: SecretStr, *, config_var: str, service_url: str, requests_per_minute: int) -> None:
        self._database = database
        self._config_var = config_var
        self._service_url = service_url
        self._requests_per_minute = requests_per_minute
        self._connections = Connections(
            database.get_secret_value(),
            most=_MOST_CONNECTIONS,
            # Rows are found by their keys. A plan that was made while the table was small would read all of it.
            options="-c statement_timeout=5000 -c lock_timeout=3000 -c enable_seqscan=off",
            is_autocommit=False,
            trouble="The database of the API keys did not answer.",
        )
        # Those who wait for a key at the same time get theirs in one transaction: it costs hardly more than one's own.
        self._keys: Gathering[Mapping[str, Any], None] = Gathering()

    async def provision(self, resource: ResourceInfo) -> Provisioned:
        # Provision, plan change and rotation are one thing here: this key works, on these terms. Yours may differ more.
        row, provisioned = self._key(resource)
        await self._keys.ask(row, self._write, key=resource.uuid)
        return provisioned

    def own_table(self, database: str) -> OwnTable | None:
        is_ours = _address(database) == _address(self._database.get_secret_value())
        return OwnTable(insert=_WRITE_NEW, row=self._key) if is_ours else None

    def _key(self, resource: ResourceInfo) -> tuple[Mapping[str, Any], Provisioned]:
        key = f"ak_{resource.uuid.hex}_{resource.generation}_{resource.secret(f'key-{resource.generation}')}"
        row = {
            "uuid": str(resource.uuid),
            "generation": resource.generation,
            "digest": "\\x" + hashlib.sha256(key.encode()).hexdigest(),
            "plan": resource.plan,
            "requests_per_minute": self._requests_per_minute,
            "is_suspended": resource.is_suspended,
        }
        return row, Provisioned(config={self._config_var: key})

    async def _write(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[None]:
        async with self._connections.one() as connection:
            await connection.execute(_WRITE_KEYS, {"keys": lines(rows)})
        return [None for _ in rows]

    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        return await self.provision(resource)

    async def rotate(self, resource: ResourceInfo) -> Provisioned:
        return await self.provision(resource)

    async def retire(self, resource: ResourceInfo) -> None:
        async with self._connections.one() as connection:
            older = "DELETE FROM api_keys WHERE uuid = %s AND generation < %s"
            await connection.execute(older, (resource.uuid, resource.generation))

    async def deprovision(self, resource: ResourceInfo) -> None:
        async with self._connections.one() as connection:
            await connection.execute("DELETE FROM api_keys WHERE uuid = %s", (resource.uuid,))

    async def suspend(self, resource: ResourceInfo) -> None:
        await self._mark(resource, is_suspended=True)

    async def resume(self, resource: ResourceInfo) -> None:
        await self._mark(resource, is_suspended=False)

    async def _mark(self, resource: ResourceInfo, *, is_suspended: bool) -> None:
        async with self._connections.one() as connection:
            keys = "UPDATE api_keys SET is_suspended = %s WHERE uuid = %s"
            await connection.execute(keys, (is_suspended, resource.uuid))

    def snippets(self) -> Sequence[Snippet]:
        curl = f'curl -H "Authorization: Bearer ${self._config_var}" {self._service_url}'
        return (Snippet(title="curl", text=curl),)

    async def open(self) -> None:
        async with self._connections.one() as connection:
            await connection.execute(_LOCK)
            await connection.execute(_TABLE)
            await connection.execute(_NEWER_COLUMN)
            await connection.execute(_INDEX)

    async def close(self) -> None:
        await self._connections.close()


def _address(url: str) -> str:
    """Without the scheme, which names a library now and then."""
    return url.partition("://")[2]
