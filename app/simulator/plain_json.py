"""JSON from others, of which only that is taken in which can be written out again."""

import json
from typing import Any


def read(content: bytes) -> Any:
    r"""Parse UTF-8 JSON. Raises ValueError for anything else.

    Python's parser also takes NaN, numbers beyond all bounds and half of a surrogate pair (`"\ud800"`), which nobody
    could be sent in an answer, and which no file could keep.
    """
    try:
        parsed = json.loads(content.decode())
        json.dumps(parsed, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    return parsed
