"""sqladmin over our table, set up for what operators need: the same columns, searchable ones, newest first."""

import os

import uvicorn
from sqladmin import Admin, ModelView
from sqlalchemy import Table, create_engine
from sqlalchemy.orm import DeclarativeBase
from starlette.applications import Starlette

engine = create_engine(os.environ["DATABASE_URL"])


class Base(DeclarativeBase):
    """The tables as the database has them."""


class Resource(Base):
    """One installed add-on."""

    __table__ = Table("resources", Base.metadata, autoload_with=engine)


class ResourceView(ModelView, model=Resource):
    """The list."""

    column_list = ("name", "app_name", "owner_email", "plan", "state", "region", "created_at", "last_error")
    column_searchable_list = ("name", "app_name", "owner_email", "plan", "state", "region", "last_error")
    column_default_sort = ("created_at", True)
    page_size = 50


app = Starlette()
Admin(app, engine).add_view(ResourceView)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
