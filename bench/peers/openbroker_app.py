"""A service broker with openbrokerapi, the library for the Open Service Broker API in Python: a row for an instance.

That API is another than Heroku's (a PUT of an instance, credentials by a second call), so this shows the speed of such
a program and nothing else. It stores what is asked for in one statement and answers.
"""

import os

from flask import Flask
from openbrokerapi import api
from openbrokerapi.catalog import ServicePlan
from openbrokerapi.service_broker import (
    Binding,
    DeprovisionServiceSpec,
    ProvisionDetails,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
)
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=8, kwargs={"autocommit": True}, open=False)


_INSERT = """
    INSERT INTO instances (id, plan, organization, space, parameters, token) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING"""


class Keys(ServiceBroker):
    """Sells keys."""

    def catalog(self) -> Service:
        plans = [ServicePlan(id="basic", name="basic", description="A key")]
        return Service(id="keys", name="keys", description="Keys", bindable=True, plans=plans)

    def provision(
        self, instance_id: str, details: ProvisionDetails, *_: object, **__: object
    ) -> ProvisionedServiceSpec:
        plan, parameters = details.plan_id, Jsonb(details.parameters or {})
        row = (instance_id, plan, details.organization_guid, details.space_guid, parameters, os.urandom(32))
        pool.open()
        with pool.connection() as connection:
            connection.execute(_INSERT, row)
        return ProvisionedServiceSpec(state=ProvisionState.SUCCESSFUL_CREATED)

    def bind(self, instance_id: str, *_: object, **__: object) -> Binding:
        pool.open()
        with pool.connection() as connection:
            row = connection.execute("SELECT token FROM instances WHERE id = %s", (instance_id,)).fetchone()
        return Binding(credentials={"key": row[0].hex() if row else ""})

    def deprovision(self, instance_id: str, *_: object, **__: object) -> DeprovisionServiceSpec:
        pool.open()
        with pool.connection() as connection:
            connection.execute("DELETE FROM instances WHERE id = %s", (instance_id,))
        return DeprovisionServiceSpec(is_async=False)


app = Flask(__name__)
app.register_blueprint(
    api.get_blueprint(Keys(), api.BrokerCredentials("bench-keys", os.environ["ADDON_PASSWORD"]), app.logger)
)


@app.get("/health/live")
def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


TABLE = """
    CREATE TABLE instances (
        id uuid PRIMARY KEY, plan text NOT NULL, organization text NOT NULL, space text NOT NULL,
        parameters jsonb NOT NULL, token bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
    )"""

if __name__ == "__main__":
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(TABLE)
