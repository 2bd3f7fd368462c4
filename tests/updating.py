"""A template with a history, and a project that its owner has lived in for a while.

The history: the recorded renders of earlier versions, each as a template that renders just that; the
working tree as OLD, with a few files that the next version renames or removes; and NEW.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy

import rendering
from test_ownership import release

OLD, NEW = "9000.1.0", "9001.0.0"
RECORDINGS = sorted((rendering.REPOSITORY / "tests" / "fixtures" / "renders").glob("*.json"))

OWNERS = release.config(rendering.REPOSITORY)["_skip_if_exists"]

# Relative to template/. In OLD only:
GONE = {
    "tools/plain.sh": "echo shipped\n",
    "tools/rendered.txt.jinja": "Tools of {{ project_name }}\n",
    "alembic/lossless/retired.py": '"""Of no more use."""\n',
}
# In NEW only:
CAME = {
    "Makefile": "check:\n\talembic check\n",
    "notes.txt": "The template's notes.\n",
    "alembic/lossless/added.py": '"""Of use."""\n',
    "src/{{ package_name }}/added.py": "ADDED = True\n",
    "tests/test_added.py": "def test_added() -> None:\n    assert False\n",
    "alembic/versions/0000000000aa_added.py": "raise SystemExit('run')\n",
    "{% if editor == 'vscode' %}.vscode{% endif %}/settings.json": "{}\n",
}
# The end of each of these is another line in NEW.
SHARED = {
    "alembic/env.py": "# The template's new line.\n",
    "alembic.ini": "# The template's new line.\n",
    "pyproject.toml": "# The template's new line.\n",
    "README.md": "\nThe template's new line.\n",
    ".gitignore": "/the-templates-new-line\n",
}
TEMPLATES_OWN = "alembic/script.py.mako"
NEW_QUESTION = "\neditor:\n  type: str\n  help: Which editor?\n  default: none\n"


@pytest.fixture(scope="session")
def history(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template repository with all the versions above."""
    folder = tmp_path_factory.mktemp("history")
    repository = Path(shutil.copytree(template, folder / "template"))
    for recorded in RECORDINGS:
        old = replay(recorded, folder / recorded.stem)
        rendering.git("fetch", "--quiet", str(old), "refs/tags/*:refs/tags/*", cwd=repository)
    shipped = repository / "template"
    write(shipped, GONE)
    rendering.commit(repository, OLD)
    rendering.git("tag", OLD, cwd=repository)
    for path in GONE:
        (shipped / path).unlink()
    write(shipped, CAME)
    (shipped / "logo.png").write_bytes(b"\x89PNG\0the template's")
    for path, line in {**SHARED, TEMPLATES_OWN: "## The template's new line.\n"}.items():
        changed = shipped / path if (shipped / path).exists() else shipped / f"{path}.jinja"
        changed.write_text(changed.read_text("utf-8") + line, "utf-8")
    for path in shipped.rglob("*"):  # what its owners have
        if path.is_file() and {"src", "tests", "versions"} & set(path.parts[len(shipped.parts) :]):
            path.write_text(path.read_text("utf-8") + "# New.\n", "utf-8")
        if "shoplist.db" in path.name:
            path.write_bytes(b"no database")
    changelog = repository / "CHANGELOG.md"
    changelog.write_text(f"## {NEW}\n\n- Old → new.\n\n" + changelog.read_text("utf-8"), "utf-8")
    config = repository / "copier.yml"
    config.write_text(config.read_text("utf-8") + NEW_QUESTION, "utf-8")
    rendering.commit(repository, NEW)
    rendering.git("tag", NEW, cwd=repository)
    return repository


def write(folder: Path, contents: dict[str, str]) -> None:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "utf-8")


def replay(recorded: Path, folder: Path) -> Path:
    """A template repository, tagged, that renders what scripts/release.py has recorded."""
    recording: dict[str, Any] = json.loads(recorded.read_text("utf-8"))
    write(folder / "template", recording["text"])
    write(folder / "template", dict.fromkeys(recording["template"], '"""Of that time."""\n'))
    for path, content in recording["binary"].items():
        (folder / "template" / path).write_bytes(zlib.decompress(base64.b64decode(content)))
    answers = "{{ _copier_answers | to_nice_yaml -}}\n"
    write(folder / "template", {"{{ _copier_conf.answers_file }}.jinja": answers})
    questions = {name: {"default": answer} for name, answer in recording["answers"].items()}
    config = {
        "_subdirectory": "template",
        "_envops": {"undefined": "jinja2.StrictUndefined"},
        # What is its owner's, as any version says it (the updated-to one's word counts).
        "_exclude": [
            "copier.yml",
            *(f"{{% if _copier_operation == 'update' %}}{place}{{% endif %}}" for place in OWNERS),
        ],
    }
    write(folder, {"copier.yml": yaml.safe_dump(config | questions)})
    rendering.git("init", "--quiet", cwd=folder)
    rendering.git("add", "--all", "--force", cwd=folder)
    rendering.commit(folder, recorded.stem)
    rendering.git("tag", recorded.stem, cwd=folder)
    return folder


def begin(history: Path, project: Path, version: str = OLD, **answers: Any) -> Path:
    """Render a version and commit it."""
    run_copy(
        str(history),
        project,
        data=answers,
        vcs_ref=version,
        defaults=True,
        quiet=True,
        skip_tasks=True,
    )
    rendering.commit(project, "Begin")
    return project


def update(
    project: Path,
    *arguments: str,
    version: str = NEW,
    status: int | None = 0,
    **environment: str,
) -> str:
    """`copier update`, without a terminal; give what it prints."""
    command = ["update", "--defaults", "--trust", "--vcs-ref", version, *arguments]
    return rendering.python("copier", *command, cwd=project, status=status, **environment)


def state(project: Path) -> tuple[dict[str, bytes], str]:
    """Files with their content, and what git says of them."""
    command = ("git", "status", "--short", "--ignored")
    return rendering.files(project), rendering.run(*command, cwd=project, status=None)


def refused(
    project: Path, reason: str, *arguments: str, traceback: bool = False, **environment: str
) -> str:
    """The update fails before it changes anything; give what it says.

    Args:
        traceback: whether the reason stands below one, which is Copier's.
    """
    before = state(project)
    said = update(project, *arguments, status=1, **environment)
    assert reason in said
    assert ("Traceback" in said) == traceback
    assert state(project) == before
    return said


@pytest.fixture(scope="session")
def begun(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project at OLD, just begun. Shared: tests copy it."""
    return begin(history, tmp_path_factory.mktemp("begun") / "shop-list")


@pytest.fixture(scope="session")
def lived_in(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project at OLD after a year. Shared: tests copy it."""
    project = Path(shutil.copytree(begun, tmp_path_factory.mktemp("lived") / "shop-list"))
    live(project)
    return project


def live(project: Path) -> None:
    """What an owner does: models, revisions, rows, secrets, edits everywhere; all committed."""
    for number in range(1, 6):
        add_revision(project, number)
    rendering.python("alembic", "upgrade", "head", cwd=project)
    with sqlite3.connect(project / "shoplist.db") as connection:
        connection.executemany("INSERT INTO note5 (id) VALUES (?)", [(n,) for n in range(500)])
    connection.close()
    (project / ".env").write_text("DATABASE_URL='sqlite:///shoplist.db'\nSECRET='s3cr3t'\n")
    (project / "tests" / "test_item.py").unlink()
    (project / "src" / "shop_list" / "prices.py").write_text("PRICE = 1\n")
    first = "from alembic import context\n"
    edit(project / "alembic" / "env.py", first, first + "# The owner's line.\n")
    edit(project / "alembic.ini", "[alembic]\n", "[alembic]\n# The owner's line.\n")
    edit(project / "README.md", "# Shop List\n", "# Shop List\n\nThe owner's line.\n")
    (project / ".gitignore").write_text("/the-owners-line\n" + (project / ".gitignore").read_text())
    edit(project / "pyproject.toml", 'version = "0.1.0"', 'version = "3.2.1"')
    edit(project / "pyproject.toml", "dependencies = [\n", 'dependencies = [\n  "idna>=3",\n')
    rendering.commit(project, "A year")


def add_revision(project: Path, number: int) -> None:
    """A table more, in the models and in a revision."""
    versions = project / "alembic" / "versions"
    first = next(versions.glob("*_create_item.py")).name.partition("_")[0]
    previous = f"00000000000{number - 1}" if number > 1 else first
    (versions / f"00000000000{number}_add_note{number}.py").write_text(
        f'"""add note{number}"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "00000000000{number}"\ndown_revision = "{previous}"\n'
        "branch_labels = None\ndepends_on = None\n\n\n"
        f'def upgrade() -> None:\n    op.create_table("note{number}", '
        f'sa.Column("id", sa.Integer(), primary_key=True))\n\n\n'
        f'def downgrade() -> None:\n    op.drop_table("note{number}")\n'
    )
    models = project / "src" / "shop_list" / "models.py"
    models.write_text(
        models.read_text() + f"\n\nclass Note{number}(Base):\n"
        f'    __tablename__ = "note{number}"\n\n    id: Mapped[int] = mapped_column(primary_key=True)\n'
    )


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = path.read_text("utf-8")
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")


def owned(project: Path) -> dict[str, bytes]:
    """The owner's files with their content."""
    return {
        path: content
        for path, content in rendering.files(project).items()
        if path.startswith(("src/", "tests/", "alembic/versions/", ".env", "data/"))
        or ".db" in path
        if path != ".env.example"
    }
