"""Produce the picture in README.md: a new project's files, and a terminal session in it.

    python scripts/picture.py           write the picture into README.md
    python scripts/picture.py --check   compare; exit 1 if the README shows something else

Everything shown is really run. Times, versions and revision identifiers differ from run to run, and
are left out of the comparison.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
README = TEMPLATE / "README.md"
BEGIN, END = "<!-- picture -->\n", "<!-- /picture -->"
LEFT_OUT = {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

SESSION = [
    'copier copy --trust --defaults --quiet "$TEMPLATE" shop-list',
    "cd shop-list",
    "echo '    price: Mapped[float | None]' >> src/shop_list/models.py",
    '.venv/bin/alembic revision --autogenerate -m "add a price"',
    ".venv/bin/alembic upgrade head",
    "sqlite3 shoplist.db '.schema item'",
    ".venv/bin/alembic check",
    ".venv/bin/pytest -q",
]


def produce(folder: Path) -> str:
    """Run the session in an empty folder; give tree and transcript as Markdown."""
    transcript, cwd, tree = [], folder, ""
    environment = os.environ | {
        "PATH": f"{programs(folder.with_name(folder.name + '-bin'))}{os.pathsep}{os.defpath}",
        "TEMPLATE": str(TEMPLATE),
        "NO_COLOR": "1",
    }
    environment.pop("DATABASE_URL", None)
    for command in SESSION:
        transcript.append(f"$ {command}")
        if command.startswith("cd "):
            cwd = cwd / command.removeprefix("cd ")
            tree = tree_of(cwd)
            continue
        ended = subprocess.run(
            command, shell=True, cwd=cwd, env=environment, text=True, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        transcript += shown_lines(ended.stdout, folder)
    return f"```\n{tree}```\n\n```console\n" + "\n".join(transcript) + "\n```\n"


def programs(folder: Path) -> Path:
    """A folder with Copier and uv only: what else is installed would show in the picture."""
    folder.mkdir()
    for name in ("copier", "uv"):
        (folder / name).symlink_to(Path(sys.executable).with_name(name))
    return folder


def shown_lines(output: str, folder: Path) -> list[str]:
    """The lines of a command's output without what Copier says of an untagged checkout."""
    text = output.replace(str(folder.resolve()), "~").replace(str(folder), "~")
    noise = re.compile(r"No git tags found|DirtyLocalWarning|^\s+warn\(|autogenerate plugin|^$")
    return [line.rstrip() for line in text.splitlines() if not noise.search(line)]


def tree_of(folder: Path, indent: str = "") -> str:
    """The files of a folder, as `tree` draws them; the support package without its parts."""
    lines = [] if indent else [f"{folder.name}/\n"]
    entries = [entry for entry in sorted(folder.iterdir()) if entry.name not in LEFT_OUT]
    for entry in entries:
        last = entry is entries[-1]
        name = entry.name + ("/" if entry.is_dir() else "")
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}\n")
        if entry.is_dir() and entry.name != "lossless":
            lines.append(tree_of(entry, indent + ("    " if last else "│   ")))
    return "".join(lines)


def comparable(picture: str) -> str:
    """The picture without what differs from run to run."""
    picture = re.sub(r"[0-9a-f]{12}", "<revision>", picture)
    return re.sub(r"\d+(\.\d+)? ?s\b", "<time>", picture)


def main() -> int:
    text = README.read_text("utf-8")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        picture = produce(work)
    if "--check" not in sys.argv:
        README.write_text(before + BEGIN + picture + END + after, "utf-8")
        return 0
    if comparable(shown) == comparable(picture):
        return 0
    print("README.md shows something else; run: python scripts/picture.py\n\n" + picture)
    return 1


if __name__ == "__main__":
    sys.exit(main())
