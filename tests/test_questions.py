"""The questions: what each accepts, what it refuses with which words, what it makes of hard answers."""

from __future__ import annotations

import ast
import contextlib
import keyword
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from copier import run_copy
from copier.errors import UserMessageError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rendering
from test_ownership import release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HARD_NAMES = [
    'The "best" of all',
    "O'Neil's shop",
    "back\\slash / slash",
    "$(touch pwned) `id` ; rm -rf * & | > <",
    "{{ 7 * 7 }} {% raw %} {# no #}",
    "Einkaufsliste für Zoë 🛒",
    "買い物リスト",
    "# heading *bold* [link](url) <b>",
    "%(here)s %s ${HOME}",
    "2nd try",
    "class",
    "---",
]


def refused(template: Path, destination: Path, **answers: str) -> str:
    """The words with which Copier refuses the answers; nothing is rendered."""
    with pytest.raises(UserMessageError, match="Answer refused: ") as raised:
        rendering.render(template, destination, **answers)
    assert not destination.exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("question", "answer", "words"),
    [
        ("project_name", "", "A name, please"),
        ("project_name", "two\nlines", "One line"),
        ("package_name", "", "no Python package name"),
        ("package_name", "shop-list", "no Python package name"),
        ("package_name", "2shops", "no Python package name"),
        ("package_name", "_private", "no Python package name"),
        ("package_name", "einkäufe", "no Python package name"),
        ("package_name", "shop_", "no valid distribution name"),
        ("package_name", "Con", "a name that Windows keeps"),
        ("package_name", "class", "word of Python"),
        ("package_name", "None", "word of Python"),
        ("package_name", "match", "word of Python"),
        ("package_name", "json", "one that the project needs"),
        ("package_name", "alembic", "one that the project needs"),
        ("package_name", "SQLAlchemy", "one that the project needs"),
        ("package_name", "a" * 51, "50 characters"),
        ("project_description", "two\nlines", "One line"),
        ("user_name", "two\nlines", "One line"),
        ("user_email", "nobody", "no e-mail address"),
        ("user_email", "a <a@example.com>", "no e-mail address"),
        ("user_email", "me@localhost", "no e-mail address"),
        ("user_email", "a,b@example.com", "no e-mail address"),
        ("user_email", "a..b@example.com", "no e-mail address"),
        ("existing_database_url", "shop.db", "no database URL"),
        ("existing_database_url", "sqlite:shop.db", "no database URL"),
        ("existing_database_url", "://", "no database URL"),
        ("existing_database_url", "sqlite:///a\nb", "no database URL|one line"),
        ("existing_database_url", "oracle://scott:tiger@db/x", 'no adoption for "oracle"'),
        ("existing_database_url", "sqlite://shop.db", "three slashes"),
        ("existing_database_url", "sqlite:///", "three slashes"),
        ("setup", "maybe", "neither true nor false"),
    ],
)
def test_a_bad_answer_is_refused_in_plain_words(
    template: Path, tmp_path: Path, question: str, answer: str, words: str
) -> None:
    message = refused(template, tmp_path / "shop", **{question: answer})
    assert any(word in message for word in words.split("|")), message


def test_a_database_that_its_url_contradicts_is_refused(template: Path, tmp_path: Path) -> None:
    answers = {"existing_database_url": "mysql://me@host/x", "database": "postgresql"}
    assert "which is a mysql database" in refused(template, tmp_path / "shop", **answers)
    answers["database"] = "mariadb"
    assert rendering.render(template, tmp_path / "shop", **answers).is_dir()


def test_a_project_gets_no_other_database_by_being_copied_again(
    template: Path, project: Path
) -> None:
    before = rendering.files(project)
    with pytest.raises(UserMessageError, match=r"run python alembic/adopt\.py with the URL"):
        rendering.render(template, project, existing_database_url="sqlite:///other.db")
    assert rendering.files(project) == before


def test_an_adopting_project_may_be_copied_again(template: Path, tmp_path: Path) -> None:
    answers = {"existing_database_url": "sqlite:///mine.db"}
    project = rendering.render(template, tmp_path / "shop", **answers)
    before = rendering.files(project)
    run_copy(
        str(template), project, data=answers, defaults=True, quiet=True, skip_tasks=True,
        overwrite=True,
    )  # fmt: skip
    assert rendering.files(project) == before


@pytest.mark.parametrize("option", [(), ("--data", "license=MIT")])
@pytest.mark.parametrize("destination", ["shop [1]", "shop [1]/below/project"])
def test_a_file_where_the_destination_should_be_is_named(
    template: Path, tmp_path: Path, destination: str, option: tuple[str, ...]
) -> None:
    (tmp_path / "shop [1]").write_text("mine")
    output = rendering.python(
        "copier", "copy", "--quiet", "--defaults", "--skip-tasks", *option,
        str(template), destination, cwd=tmp_path, status=1,
    )  # fmt: skip
    assert "shop [1] is a file" in output
    assert "Traceback" not in output
    assert (tmp_path / "shop [1]").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_named_and_the_other_way_round(
    template: Path, tmp_path: Path
) -> None:
    template = Path(  # without git, so that it need not be cloned for each
        shutil.copytree(template, tmp_path / "template", ignore=shutil.ignore_patterns(".git"))
    )
    tried: set[Path] = set()
    for number, answers in enumerate(
        [
            {"package_name": "shop"},
            {"package_name": "shop", "license": "Apache-2.0", "ci": "gitlab"},
            {"package_name": "shop", "existing_database_url": "sqlite:///mine.db"},
        ]
    ):
        project = rendering.render(template, tmp_path / f"rendered {number}", **answers)
        places = {path.relative_to(project): path.is_dir() for path in project.rglob("*")}
        for name, is_folder in places.items():
            if name in tried or {"lossless", "versions"} & set(name.parts[:-1]):
                continue
            tried.add(name)
            destination = tmp_path / f"shop {len(tried)}"
            mine = destination / name if is_folder else destination / name / "mine"
            mine.parent.mkdir(parents=True)
            mine.write_text("mine")
            with pytest.raises(UserMessageError, match=f" {name.as_posix()} is a f") as raised:
                rendering.render(template, destination, **answers)
            assert "move or rename it" in str(raised.value)
            assert list(rendering.files(destination)) == [mine.relative_to(destination).as_posix()]
    assert len(tried) > 25


def test_a_folder_is_not_in_the_way_of_a_file_that_no_answer_brings(
    template: Path, tmp_path: Path
) -> None:
    for name in ("LICENSE", ".gitlab-ci.yml", ".env"):
        (tmp_path / "shop" / name).mkdir(parents=True)
    project = rendering.render(template, tmp_path / "shop", license="none")
    before = rendering.files(project)
    with pytest.raises(UserMessageError, match="LICENSE is a folder of yours"):
        rendering.render(template, project, license="MIT")
    assert rendering.files(project) == before


def test_a_refused_url_shows_no_password(template: Path, tmp_path: Path) -> None:
    message = refused(template, tmp_path / "shop", existing_database_url="db2://me:hunter2@host/x")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("package_name", "s"),
        ("package_name", "Shop_List2"),
        ("user_email", "somebody+tag@example.com"),
        ("license", "none"),
        ("existing_database_url", "postgresql+psycopg://me:p%40ss@host:5432/shop?sslmode=require"),
        ("existing_database_url", "mysql://me@host/shop"),
        ("existing_database_url", "sqlite:////srv/data/shop.db"),
    ],
)
def test_a_good_answer_is_taken(render: Callable[..., Path], question: str, answer: str) -> None:
    assert (render(**{question: answer}) / "pyproject.toml").exists()


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_hard_project_name_comes_out_right(
    render: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    project = render(project_name=name, project_description=name, user_name=name)

    project_table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert project_table["description"] == name
    assert project_table["authors"] == [{"name": name}]
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert answers["project_name"] == name
    assert name in (project / "LICENSE").read_text("utf-8")
    package = answers["package_name"]
    assert package.isascii()
    assert package.isidentifier()
    assert not keyword.iskeyword(package)
    for source in project.rglob("*.py"):
        ast.parse(source.read_text("utf-8"))
    assert not list(tmp_path.rglob("pwned"))


def test_the_readme_shows_markup_in_a_name_as_text(render: Callable[..., Path]) -> None:
    project = render(project_name="a *b* <c>")
    assert (project / "README.md").read_text("utf-8").startswith("# a \\*b\\* \\<c\\>\n")


@pytest.mark.parametrize(
    ("folder", "name", "package"),
    [
        ("shop-list", "Shop List", "shop_list"),
        ("my shop", "My Shop", "my_shop"),
        ("2shops", "2shops", "app_2shops"),
        ("json", "Json", "json_app"),
        ("买", "买", "app"),
        ("überraschung", "Überraschung", "ueberraschung"),
        ("café-a-la-carte", "Café A La Carte", "cafe_a_la_carte"),
        ("python-dotenv", "Python Dotenv", "python_dotenv_app"),
        ("CON", "Con", "con_app"),
        ("-", "App", "app"),
        ("a" * 39 + "-b" * 20, ("A" + "a" * 38 + " B" * 20), "a" * 39),
    ],
)
def test_names_follow_from_the_destination(
    render: Callable[..., Path], folder: str, name: str, package: str
) -> None:
    answers = yaml.safe_load((render(into=folder) / ".copier-answers.yml").read_text("utf-8"))
    assert (answers["project_name"], answers["package_name"]) == (name, package)


def test_a_refused_answer_ends_copier_with_one_line_and_no_traceback(
    template: Path, tmp_path: Path
) -> None:
    output = rendering.python(
        "copier", "copy", "--quiet", "--defaults", "--skip-tasks", "--data", "package_name=class",
        str(template), "shop-list", cwd=tmp_path, status=1,
    )  # fmt: skip
    assert "Traceback" not in output
    assert output.strip().count("\n") == 0
    assert "Choose another" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("project_name", " "),
        ("package_name", "class"),
        ("project_description", "two\nlines"),
        ("user_name", "two\nlines"),
        ("user_email", "nobody"),
    ],
)
def test_a_person_who_types_a_bad_answer_is_asked_again(
    template: Path, tmp_path: Path, question: str, answer: str
) -> None:
    """What Copier validates when it asks, it validates in a person's own defaults, too."""
    with pytest.raises(ValueError, match=f"Validation error for question '{question}'"):
        run_copy(
            str(template), tmp_path / "shop", user_defaults={question: answer},
            defaults=True, quiet=True, skip_tasks=True,
        )  # fmt: skip


def reserved_names() -> set[str]:
    """The names that a package may not have."""
    text = (rendering.REPOSITORY / "package_names.jinja").read_text("utf-8")
    return set(text.split("{%- set reserved_names -%}")[1].split("{%- endset -%}")[0].split())


def test_nine_questions_at_most_are_asked_in_the_plain_case() -> None:
    questions = release.questions(rendering.REPOSITORY)
    asked = [
        name
        for name, question in questions.items()
        if question.get("when", True) is True and question.get("ask", True) is not False
    ]
    assert len(asked) <= 9, asked
    assert all("default" in question for question in questions.values())


def test_every_name_that_would_shadow_a_module_is_reserved() -> None:
    reserved = reserved_names()
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert public | set(keyword.kwlist) <= reserved


def test_what_the_dependencies_bring_is_reserved(render: Callable[..., Path]) -> None:
    required: list[str] = []
    for database in ("sqlite", "postgresql", "mariadb"):
        project = render(into=database, database=database)
        data = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
        required += data["project"]["dependencies"] + data["dependency-groups"]["dev"]
    brought = distributions([*required, "sqlmodel"])
    modules = {
        module
        for module, owners in metadata.packages_distributions().items()
        if brought & {canonicalize_name(owner) for owner in owners} and not module.startswith("_")
    }
    names = {name.lower() for name in modules if name.isidentifier()}
    names |= {name.replace("-", "_") for name in brought}
    assert {"alembic", "dotenv", "python_dotenv", "pluggy", "pymysql"} <= names
    assert names <= {name.lower() for name in reserved_names()}


def distributions(required: list[str]) -> set[str]:
    """The names of these distributions, and of all that they need in turn."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in required]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        with contextlib.suppress(metadata.PackageNotFoundError):  # for another Python or system
            waiting += [
                needed
                for needed in map(Requirement, metadata.requires(name) or [])
                if needed.marker is None or needed.marker.evaluate({"extra": ""})
            ]
    return found


def test_a_relative_sqlite_path_starts_where_the_person_stands(
    template: Path, tmp_path: Path
) -> None:
    rendering.run(
        sys.executable, "-m", "copier", "copy", "--defaults", "--skip-tasks", "--quiet",
        "--data", "existing_database_url=sqlite:///data/old shop.db?timeout=5",
        template, "../elsewhere/shop-list",
        cwd=(tmp_path / "here").mkdir() or tmp_path / "here",
    )  # fmt: skip
    written = (tmp_path / "elsewhere" / "shop-list" / ".env").read_text("utf-8")
    assert f"DATABASE_URL='sqlite:///{tmp_path}/here/data/old shop.db?timeout=5'" in written


def test_the_url_of_a_database_stands_in_dotenv_and_nowhere_else(
    render: Callable[..., Path],
) -> None:
    url = r"postgresql://me:s3cr%25et'\$@host/shop"
    project = render(existing_database_url=url)
    holding = [name for name, content in rendering.files(project).items() if b"s3cr" in content]
    assert holding == [".env"]
    from dotenv import dotenv_values

    assert dotenv_values(project / ".env", interpolate=False)["DATABASE_URL"] == url
    assert rendering.run("git", "init", "-q", cwd=project) == ""
    assert rendering.run("git", "check-ignore", ".env", cwd=project).strip() == ".env"
