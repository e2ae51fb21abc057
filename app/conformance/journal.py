"""What a run has made at the add-on and not yet removed, in a file: an interrupted run can be cleaned up tomorrow."""

import json
from pathlib import Path


class Journal:
    """The uuids of resources that may still exist. Without a path it is kept in memory only.

    ValueError when the file holds something else.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._uuids: set[str] = set()
        if path is not None and path.exists():
            self._uuids = set(_uuids_in(path))

    @property
    def uuids(self) -> list[str]:
        return sorted(self._uuids)

    def add(self, uuid: str) -> None:
        """Note it before it is made."""
        self._uuids.add(uuid)
        self._write()

    def discard(self, uuid: str) -> None:
        self._uuids.discard(uuid)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        if not self._uuids:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.write_text(json.dumps(sorted(self._uuids)))
        temporary.replace(self._path)


def _uuids_in(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, list) or not all(isinstance(one, str) for one in content):
        raise ValueError(f"{path} is not a journal of the conformance checker; move it away.")
    return content
