"""Write docs/conformance-faults.md anew, after a fault or a check was added: run it by its path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from proof import TABLE, observe, table

if __name__ == "__main__":
    TABLE.write_text(table(observe()))
    print(f"{TABLE} is written.")  # noqa: T201 - a script's word to whoever ran it
