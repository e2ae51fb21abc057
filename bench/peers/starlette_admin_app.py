"""starlette-admin over our table, set up for what operators need: the same columns, searchable ones, newest first."""

import os

import uvicorn
from sqlalchemy import Table, create_engine
from sqlalchemy.orm import DeclarativeBase
from starlette.applications import Starlette
from starlette_admin.contrib.sqla import Admin, ModelView

engine = create_engine(os.environ["DATABASE_URL"])


class Base(DeclarativeBase):
    """The tables as the database has them."""


class Resource(Base):
    """One installed add-on."""

    __table__ = Table("resources", Base.metadata, autoload_with=engine)


class ResourceView(ModelView):
    """The list."""

    fields = ("uuid", "name", "app_name", "owner_email", "plan", "state", "region", "created_at", "last_error")
    searchable_fields = ("name", "app_name", "owner_email", "plan", "state", "region", "last_error")
    fields_default_sort = (("created_at", True),)
    page_size = 50


app = Starlette()
admin = Admin(engine)
admin.add_view(ResourceView(Resource))
admin.mount_to(app)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
