"""Build the shoplist.db that the template ships: an empty database at the first revision.

    python scripts/build_shoplist.py

Run it after a change to the example's revision; a test compares the two.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from copier import run_copy

TEMPLATE = Path(__file__).resolve().parents[1]
SHIPPED = (
    TEMPLATE / "template" / "{% if database == 'sqlite' and not adopted %}shoplist.db{% endif %}"
)


def build(folder: Path) -> Path:
    """Render a project into `folder`, migrate a new database there, and return its path."""
    run_copy(str(TEMPLATE), folder, defaults=True, skip_tasks=True, quiet=True, vcs_ref="HEAD")
    database = folder / "shoplist.db"
    database.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=folder, check=True)
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")
    connection.close()
    return database


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copyfile(build(Path(scratch) / "shop-list"), SHIPPED)
    print(f"{SHIPPED.relative_to(TEMPLATE)}: {SHIPPED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
