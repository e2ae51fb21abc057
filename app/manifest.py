"""addon-manifest.json, read and checked at start. Secrets in it are placeholders: the environment holds the real ones.

https://devcenter.heroku.com/articles/add-on-manifest
"""

import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

# The manifest's region names and what Heroku sends at provision. `us` and `eu` are the Common Runtime, the rest Private
# Spaces; some names share an AWS region. https://devcenter.heroku.com/articles/regions
_AWS_REGIONS = {
    "us": "us-east-1",
    "eu": "eu-west-1",
    "virginia": "us-east-1",
    "dublin": "eu-west-1",
    "frankfurt": "eu-central-1",
    "london": "eu-west-2",
    "montreal": "ca-central-1",
    "mumbai": "ap-south-1",
    "oregon": "us-west-2",
    "singapore": "ap-southeast-1",
    "sydney": "ap-southeast-2",
    "tokyo": "ap-northeast-1",
}


class BadManifestError(Exception):
    """The manifest cannot be used; the message says where and why."""


class _Api(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    config_vars: list[str] = Field(min_length=1)
    config_vars_prefix: str | None = None
    regions: list[str] = Field(min_length=1)
    requires: list[str] = []


class Manifest(BaseModel):
    """What the partner has told Heroku about the add-on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    name: str
    api: _Api

    @property
    def prefix(self) -> str:
        """What every config var's name begins with, without the underscore after it."""
        return self.api.config_vars_prefix or self.id.upper().replace("-", "_")

    @model_validator(mode="after")
    def _config_vars_are_well_named(self) -> Self:
        for name in self.api.config_vars:
            if not re.fullmatch(r"[A-Z][A-Z0-9_]+", name) or not name.startswith(f"{self.prefix}_"):
                raise ValueError(f"the config var {name} must be in capitals and begin with {self.prefix}_")
        return self

    def sells_in(self, region: str) -> bool:
        """Whether a resource may be made for an app in `region`, a text such as `amazon-web-services::us-east-1`."""
        if "*" in self.api.regions:
            return True
        return region in {f"amazon-web-services::{_AWS_REGIONS.get(name, name)}" for name in self.api.regions}


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file `path`.

    Raises:
        BadManifestError: it is missing, not JSON, or breaks a rule of Heroku's.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadManifestError(f"{path.name}: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadManifestError(f"{path.name}, {where}: {first['msg'].removeprefix('Value error, ')}.") from None
