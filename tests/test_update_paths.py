"""Every way from one version to another gives the same; and recopy, check-update, the answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader
from packaging.version import InvalidVersion, Version

import rendering
from updating import NEW, OLD, RECORDINGS, add_revision, begin, edit, owned, update


def versions() -> list[str]:
    """The repository's tags that are versions, and the recordings of those it has no tag for."""
    found = {Version(recorded.stem): recorded.stem for recorded in RECORDINGS}
    for tag in rendering.git("tag", "--list", cwd=rendering.REPOSITORY).split():
        try:
            found[Version(tag)] = tag
        except InvalidVersion:
            continue
    return [found[version] for version in sorted(found)]


VERSIONS = versions()


@pytest.mark.parametrize("version", VERSIONS)
def test_directly_and_step_by_step_give_the_same(
    version: str, history: Path, tmp_path: Path
) -> None:
    directly = begin(history, tmp_path / "directly" / "shop-list", version, user_name="Ada")
    add_revision(directly, 1)
    (directly / "README.md").write_text(
        "The owner's line.\n" + (directly / "README.md").read_text()
    )
    rendering.commit(directly, "Mine")
    stepwise = Path(shutil.copytree(directly, tmp_path / "stepwise" / "shop-list"))
    before = owned(directly)
    update(directly)
    for step in [*VERSIONS[VERSIONS.index(version) + 1 :], OLD, NEW]:
        update(stepwise, version=step)
        rendering.commit(stepwise, step)
    assert rendering.files(directly) == rendering.files(stepwise)
    assert owned(directly) == before
    fresh = rendering.files(begin(history, tmp_path / "fresh" / "shop-list", NEW, user_name="Ada"))
    updated = rendering.files(directly)
    for path in fresh.keys() - before.keys() - owned(tmp_path / "fresh" / "shop-list").keys():
        if path != "README.md":
            assert updated[path] == fresh[path], path
    assert "The owner's line." in updated["README.md"].decode()
    assert "The template's new line." in updated["README.md"].decode()
    rendering.python("pytest", "-q", cwd=directly)
    rendering.python("alembic", "upgrade", "head", cwd=directly)
    assert "No new upgrade operations" in rendering.python("alembic", "check", cwd=directly)


def test_an_update_to_the_same_version_changes_nothing(lived_in: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(lived_in, tmp_path / "shop-list"))
    before = rendering.files(project)
    update(project, version=OLD)
    assert rendering.files(project) == before
    assert rendering.git("status", "--porcelain", cwd=project) == ""


def test_a_new_question_takes_its_default_and_old_answers_stay_but_secrets(
    history: Path, tmp_path: Path
) -> None:
    given = {"license": "Apache-2.0", "ci": "gitlab", "user_name": "Ada"}
    url = "postgresql://me:s3cr3t@localhost/shop"
    project = begin(history, tmp_path / "shop-list", existing_database_url=url, **given)
    before = yaml.safe_load((project / ".copier-answers.yml").read_text())
    update(project)
    after = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert after == before | {"_commit": NEW, "editor": "none"}
    assert after["database"] == "postgresql"
    assert not (project / ".vscode").exists()
    holding = [path for path, text in rendering.files(project).items() if b"s3cr3t" in text]
    assert holding == [".env"]


@pytest.mark.parametrize("command", ["update", "recopy"])
def test_what_is_answered_is_not_asked_again_nor_is_the_secret(
    command: str, begun: Path, tmp_path: Path
) -> None:
    """There is no terminal, so that a question would be an error."""
    project = Path(shutil.copytree(begun, tmp_path / "shop-list"))
    options = ["--skip-answered", "--trust", "--skip-tasks", "--vcs-ref", OLD]
    rendering.python("copier", command, *options, cwd=project)


@pytest.mark.parametrize(
    ("again", "answers_file"), [("recopy", "kept"), ("copy", "kept"), ("copy", "lost")]
)
def test_recopying_and_copying_again_are_as_safe(
    again: str, answers_file: str, lived_in: Path, history: Path, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(lived_in, tmp_path / "shop [list]"))  # a pattern, for a shell
    models = project / "src" / "shop_list" / "models"
    models.mkdir()
    shutil.move(models.with_suffix(".py"), models / "__init__.py")
    if answers_file == "lost":
        (project / ".copier-answers.yml").unlink()
    before = owned(project)
    sources = [str(history)] if again == "copy" else []
    options = ["--defaults", "--overwrite", "--skip-tasks", "--data", "package_name=shop_list"]
    rendering.python("copier", again, *options, *sources, str(project), cwd=tmp_path)
    assert owned(project) == before
    assert "# The template's new line." in (project / "alembic" / "env.py").read_text()
    rendering.python("alembic", "check", cwd=project)


def test_check_update_tells_versions(lived_in: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(lived_in, tmp_path / "shop-list"))
    said = rendering.python("copier", "check-update", "--output-format", "json", cwd=project)
    assert json.loads(said) == {
        "update_available": True,
        "current_version": OLD,
        "latest_version": NEW,
    }
    rendering.python("copier", "check-update", "--quiet", cwd=project, status=2)
    edit(project / ".copier-answers.yml", f"_commit: {OLD}", f"_commit: {NEW}")
    assert "up-to-date" in rendering.python("copier", "check-update", cwd=project)


def test_a_relative_template_is_recorded_where_it_is_and_told(
    history: Path, tmp_path: Path
) -> None:
    near = Path(shutil.copytree(history, tmp_path / "template [1]"))
    options = ["copy", "--defaults", "--skip-tasks", "--vcs-ref", OLD]
    printed = rendering.python("copier", *options, near.name, "shop-list", cwd=tmp_path)
    assert f"from the folder {near} (given as {near.name}, a relative path)" in printed
    project = tmp_path / "shop-list"
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text())["_src_path"]
    assert recorded == str(near)
    rendering.commit(project, "Begin")
    update(project)  # from another folder than the copy


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("gh:someone/a-template", "gh:someone/a-template"),
        ("git@example.com:t.git", "git@example.com:t.git"),
        ("https://example.com/t@1.git", "https://example.com/t@1.git"),
        ("https://me:s3cr3t@example.com/t.git", "https://example.com/t.git"),
        ("git+https://s3cr3t@example.com/t", "git+https://example.com/t"),
    ],
)
def test_an_address_on_the_network_is_recorded_as_given_but_without_a_password(
    given: str, recorded: str
) -> None:
    filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"
    jinja = Environment(loader=FileSystemLoader(rendering.REPOSITORY), extensions=[filters])
    source = "{% import 'places.jinja' as places %}{{ places.address(given) }}"
    assert jinja.from_string(source).render(given=given) == recorded
