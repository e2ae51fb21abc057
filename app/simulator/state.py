"""The state file: yesterday's world is there today."""

import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from .errors import StateUnreadable
from .records import Records

_VERSION = 1
_ADAPTER = TypeAdapter(Records)


def dump(records: Records) -> bytes:
    """Turn the records into the file's content, small enough to be built between two requests."""
    plain = Records(**{field.name: getattr(records, field.name) for field in fields(Records)})
    return b'{"version":%d,"records":%s}\n' % (_VERSION, _ADAPTER.dump_json(plain))


def write(path: Path, content: bytes) -> None:
    """Replace the file in one step, readable by its owner only: it holds tokens and the customers' config vars."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path, slug: str) -> Records | None:
    """Return the saved records, None when there is no file yet; raises StateUnreadable with what to do about it."""
    way_out = "Move the file away to begin with an empty world."
    try:
        content = json.loads(path.read_bytes())
        version = content["version"]
        if version != _VERSION:
            raise StateUnreadable(
                f"The simulator's state file {path} has version {version}; this simulator reads {_VERSION}. {way_out}"
            )
        records = _ADAPTER.validate_python(content["records"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateUnreadable(f"The simulator's state file {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise StateUnreadable(
            f"The simulator's state file {path} is damaged at {place or 'its start'}. {way_out}"
        ) from None  # pydantic's own message quotes the values, which are secrets
    except (ValueError, KeyError, TypeError):
        raise StateUnreadable(f"The simulator's state file {path} is not one the simulator wrote. {way_out}") from None
    if records.slug != slug:
        raise StateUnreadable(
            f"The simulator's state file {path} belongs to the add-on {records.slug!r}, not to {slug!r}. {way_out}"
        )
    return records
