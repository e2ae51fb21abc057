"""One request to the add-on and its answer, for whoever alters what passes."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Passing:
    """`body` and `answer` are parsed, None for what is no JSON. Who alters it sets `status`, `answer`, `content_type`.

    `path` is as it was sent, `uuid` the resource's, empty when the request names none.
    """

    method: str
    path: str
    uuid: str
    headers: dict[str, str]
    content: bytes
    body: Any
    status: int
    answer: Any
    content_type: str = "application/json"

    @property
    def message(self) -> str:
        """The answer's text for the customer."""
        return str(self.answer.get("message", "")) if isinstance(self.answer, dict) else ""

    @property
    def config(self) -> dict[str, Any]:
        """The answer's config, empty when it has none."""
        return self.answer.get("config", {}) if isinstance(self.answer, dict) else {}

    def sent(self, name: str) -> Any:
        """A field of the request, an empty object when it has none."""
        return (self.body.get(name) if isinstance(self.body, dict) else None) or {}

    @property
    def made(self) -> bool:
        """Whether this is a provision request that was served."""
        return self.method == "POST" and self.path.endswith("/resources") and self.status < 300
