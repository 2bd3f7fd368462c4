"""What autogenerate writes: renames, names, nothing."""

from __future__ import annotations

import re
import sqlite3
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles

from lossless import autogenerate, renames
from migrating import Declared, Environment
from sqlite_shape import differences, row_hashes, shape

START = """
op.create_table("team", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("code", sa.String(4), unique=True))
op.create_table("person", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(20), nullable=False),
                sa.Column("team_id", sa.Integer, sa.ForeignKey("team.id")),
                sa.Column("age", sa.Integer))
op.execute("INSERT INTO team VALUES (1, 'a')")
op.execute("INSERT INTO person VALUES (1, 'Ann', 1, 40)")
"""


def models(*columns: sa.Column[Any], **options: Any) -> sa.MetaData:
    metadata = sa.MetaData(**options)
    sa.Table(
        "team",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.String(4), unique=True),
    )
    sa.Table("person", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def name(called: str = "name") -> sa.Column[Any]:
    return sa.Column(called, sa.String(20), nullable=False)


def team(called: str = "team_id") -> sa.Column[Any]:
    return sa.Column(called, sa.Integer, sa.ForeignKey("team.id"))


def age(called: str = "age") -> sa.Column[Any]:
    return sa.Column(called, sa.Integer)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "migrations")
    (made.folder / "script.py.mako").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n${imports or ''}\n"
        "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n\n"
        "def upgrade():\n    ${upgrades or 'pass'}\n\n"
        "def downgrade():\n    ${downgrades or 'pass'}\n",
        "utf-8",
    )
    made.revision(START)
    made.upgrade()
    return made


def generate(
    environment: Environment, metadata: sa.MetaData, *answers: str, **settings: Any
) -> str | None:
    """Run `alembic revision --autogenerate`; the text of the file, if one was written."""
    config = environment.config()
    config.cmd_opts = Namespace(autogenerate=True, x=[f"rename={answer}" for answer in answers])
    config.attributes["settings"] = {
        "target_metadata": metadata,
        "render_as_batch": True,
        "process_revision_directives": autogenerate.review(config, {}),
        **settings,
    }
    script = command.revision(config, "next", autogenerate=True)
    return Path(script.path).read_text("utf-8") if script else None  # type: ignore[union-attr]


def test_an_empty_revision_is_not_written(environment: Environment) -> None:
    assert generate(environment, models(name(), team(), age())) is None
    assert len(list((environment.folder / "versions").glob("*.py"))) == 1


def test_without_an_answer_nothing_is_written(environment: Environment) -> None:
    with pytest.raises(CommandError, match=r"person\.age:years.*-x rename=TABLE\.OLD:NEW"):
        generate(environment, models(name(), team(), age("years")))
    assert len(list((environment.folder / "versions").glob("*.py"))) == 1


@pytest.mark.parametrize("convention", [{}, {"naming_convention": {"fk": "%(table_name)s_fk"}}])
def test_a_rename_keeps_the_values_and_comes_back(
    environment: Environment, convention: dict[str, Any]
) -> None:
    before = shape(environment.database), row_hashes(environment.database)
    metadata = models(name("title"), team("group_id"), age(), **convention)
    text = generate(environment, metadata, "person.name:title", "person.team_id:group_id")
    assert text is not None
    assert "drop_column" not in text
    environment.upgrade()
    assert environment.query("SELECT title, group_id FROM person") == [("Ann", 1)]
    assert generate(environment, metadata) is None  # it is what the models say
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


@pytest.mark.parametrize(
    "options",
    [
        {"unique": True},
        {"index": True},
        {"unique": True, "index": True},
        {"foreign": ["team.id"]},
        {"foreign": ["team.id"], "index": True},
    ],
    ids=lambda options: " and ".join(options),
)
@pytest.mark.parametrize("convention", [{}, CONVENTION], ids=["no names", "names"])
def test_a_rename_takes_what_is_about_the_column_along(
    environment: Environment, options: dict[str, Any], convention: dict[str, str]
) -> None:
    def with_column(called: str) -> sa.MetaData:
        foreign = [sa.ForeignKey(target) for target in options.get("foreign", ())]
        rest = {key: value for key, value in options.items() if key != "foreign"}
        column = sa.Column(called, sa.Integer, *foreign, **rest)
        return models(name(), team(), age(), column, naming_convention=convention)

    assert generate(environment, with_column("first")) is not None
    environment.upgrade()
    with closing(sqlite3.connect(environment.database)) as application:
        application.execute("UPDATE person SET first = 1")
        application.commit()
    before = shape(environment.database), row_hashes(environment.database)
    assert generate(environment, with_column("second"), "person.first:second") is not None
    environment.upgrade()
    assert environment.query("SELECT second FROM person") == [(1,)]
    assert generate(environment, with_column("second")) is None
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


def test_a_renamed_column_may_get_another_target_default_and_rule(
    environment: Environment,
) -> None:
    """An unnamed key is known by its column's earlier name, so it is dropped before the rename."""
    before = shape(environment.database)
    group = sa.Column(
        "group_id",
        sa.Integer,
        sa.ForeignKey("team.id", ondelete="CASCADE"),
        server_default=sa.text("1"),
    )
    metadata = models(name(), group, age(), naming_convention=CONVENTION)
    assert generate(environment, metadata, "person.team_id:group_id") is not None
    environment.upgrade()
    (sql,) = environment.query("SELECT sql FROM sqlite_schema WHERE name = 'person'")[0]
    assert "group_id INTEGER DEFAULT 1" in sql
    assert "ON DELETE CASCADE" in sql
    environment.downgrade()
    after = shape(environment.database)
    assert not [line for line in differences(before, after) if "names" not in line]


@pytest.mark.parametrize(
    "declared", ["INT", "TINYINT(1)", "STRING", "BOOL", "LONGTEXT", "POINT", ""]
)
def test_a_renamed_column_keeps_its_values_whatever_its_type_is_called(
    environment: Environment, declared: str
) -> None:
    """SQLAlchemy has no class for these; a database that was adopted is full of them."""

    class Kept(sa.types.TypeDecorator[Any]):
        impl = sa.Text
        cache_ok = True
        declaration = declared

    compiles(Kept)(lambda *_, **__: declared)
    environment.execute(f"ALTER TABLE person ADD COLUMN old {declared}; UPDATE person SET old = 5")
    before = shape(environment.database), row_hashes(environment.database)
    metadata = models(name(), team(), age(), sa.Column("new", Kept))
    with pytest.raises(CommandError, match=r"person\.old:new"):
        generate(environment, metadata)
    text = generate(environment, metadata, "person.old:new")
    assert text is not None
    assert "drop_column" not in text
    environment.upgrade()
    assert environment.query("SELECT CAST(new AS INTEGER) FROM person") == [(5,)]
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


@pytest.mark.parametrize(
    ("declared", "type_", "asked"),
    [
        ("INT", sa.Integer(), True),
        ("INT", sa.Text(), False),
        ("LONGTEXT", sa.String(20), True),
        ("LONGTEXT", sa.Integer(), False),
        ("STRING", sa.String(20), True),
        ("", sa.Integer(), True),
    ],
)
def test_a_rename_may_come_with_another_type_of_the_same_values(
    environment: Environment, declared: str, type_: Any, asked: bool
) -> None:
    environment.execute(f"ALTER TABLE person ADD COLUMN old {declared}")
    metadata = models(name(), team(), age(), sa.Column("new", type_))
    if asked:
        with pytest.raises(CommandError, match=r"person\.old:new"):
            generate(environment, metadata)
    else:
        assert "drop_column" in str(generate(environment, metadata))


DEFAULTS = (
    '"text"',
    "`text`",
    "[some text]",
    "word",
    '"it\'s"',
    "-1",
    "+ 1",
    "x'00'",
    "('a' || 1)",
)


def test_dropped_columns_come_back_with_their_defaults(environment: Environment) -> None:
    """A name behind DEFAULT is a text; in parentheses it would be a column."""
    columns = "".join(f", c{number} TEXT DEFAULT {sql}" for number, sql in enumerate(DEFAULTS))
    drop_and_come_back(environment, columns)


def test_a_function_as_a_default_is_written_as_alembic_writes_it(environment: Environment) -> None:
    new = sa.Column("at", sa.DateTime, server_default=sa.func.datetime("now"))
    text = generate(environment, models(name(), team(), age(), new))
    assert """server_default=sa.text("(datetime('now'))")""" in str(text)
    environment.upgrade()


def test_dropped_columns_come_back_in_the_order_of_their_table(environment: Environment) -> None:
    drop_and_come_back(environment, "".join(f", c{number} TEXT" for number in range(20)))


@pytest.mark.parametrize(
    "columns",
    [
        ", age INT CONSTRAINT old CHECK (age > 18)",
        ", doc TEXT, CONSTRAINT is_json CHECK (json_valid(doc) /* or NULL */), CHECK (id > 0)",
        ", a TEXT, b TEXT, CONSTRAINT both CHECK (a <> ':b' OR b LIKE '50%' -- cheap\n)",
    ],
)
def test_dropped_columns_come_back_with_their_checks(
    environment: Environment, columns: str
) -> None:
    """Alembic itself does not compare CHECKs."""
    environment.execute(f"CREATE TABLE kept (id INTEGER{columns})")
    before = checks(environment)
    metadata = models(name(), team(), age())
    sa.Table("kept", metadata, sa.Column("id", sa.Integer))
    assert generate(environment, metadata)
    environment.upgrade()
    assert checks(environment) == [check for check in before if check[1] == "id > 0"]
    environment.downgrade()
    assert checks(environment) == before


def test_a_dropped_column_s_check_without_a_name_comes_back_with_one(
    environment: Environment,
) -> None:
    environment.execute(
        "CREATE TABLE kept (id INTEGER, a INT CHECK (a > 0), b INT CHECK (b > a) CHECK (b < 9))"
    )
    metadata = models(name(), team(), age())
    sa.Table("kept", metadata, sa.Column("id", sa.Integer))
    assert generate(environment, metadata)
    environment.upgrade()
    environment.downgrade()
    assert checks(environment) == [
        ("ck_kept_a", "a > 0"),
        ("ck_kept_a_2", "b > a"),
        ("ck_kept_a_3", "b < 9"),
    ]


def checks(environment: Environment) -> list[tuple[str, str]]:
    engine = sa.create_engine(f"sqlite:///{environment.database}", poolclass=sa.NullPool)
    found = sa.inspect(engine).get_check_constraints("kept")
    comment = re.compile(r"\s*(--.*|/[*].*?[*]/)")
    return sorted((str(check["name"]), comment.sub("", check["sqltext"])) for check in found)


def drop_and_come_back(environment: Environment, columns: str) -> None:
    environment.execute(
        f"CREATE TABLE kept (id INTEGER{columns}); INSERT INTO kept (id) VALUES (1)"
    )
    before = shape(environment.database), row_hashes(environment.database)
    metadata = models(name(), team(), age())
    sa.Table("kept", metadata, sa.Column("id", sa.Integer))
    assert generate(environment, metadata) is not None
    environment.upgrade()
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


def test_keys_to_a_renamed_column_follow_it(environment: Environment) -> None:
    before = shape(environment.database), row_hashes(environment.database)
    metadata = sa.MetaData()
    sa.Table(
        "team",
        metadata,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("code", sa.String(4), unique=True),
    )
    key = sa.Column("team_id", sa.Integer, sa.ForeignKey("team.number"))
    sa.Table("person", metadata, sa.Column("id", sa.Integer, primary_key=True), name(), key, age())
    text = generate(environment, metadata, "team.id:number")
    assert text is not None
    assert "constraint" not in text
    environment.upgrade()
    assert generate(environment, metadata) is None
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


def test_a_generated_column_is_no_other_one_renamed(environment: Environment) -> None:
    generated = sa.Column("years", sa.Integer, sa.Computed("id + 1"))
    text = generate(environment, models(name(), team(), generated))
    assert text is not None
    assert "drop_column('age')" in text


def test_a_program_that_calls_alembic_loses_no_column_either(environment: Environment) -> None:
    config = environment.config()
    config.attributes["settings"] = {
        "target_metadata": models(name(), team(), age("years")),
        "render_as_batch": True,
        "process_revision_directives": autogenerate.review(config, {}),
    }
    with pytest.raises(CommandError, match=r"person\.age:years"):
        command.revision(config, "next", autogenerate=True)


def test_two_answers_may_stand_together(environment: Environment) -> None:
    text = generate(
        environment,
        models(name("title"), team(), age("years")),
        "person.name:title,person.age:years",
    )
    assert text is not None
    assert text.count("new_column_name") == 4  # up and down


def test_none_drops_and_adds(environment: Environment) -> None:
    text = generate(environment, models(name(), team(), age("years")), "none")
    assert text is not None
    assert "drop_column('age')" in text


def test_an_answer_that_fits_nothing_is_an_error(environment: Environment) -> None:
    with pytest.raises(CommandError, match=r"fits no column .* Possible: person\.age:years"):
        generate(environment, models(name(), team(), age("years")), "person.age:yaers")


def test_columns_of_another_sort_are_not_asked_about(environment: Environment) -> None:
    text = generate(environment, models(name(), team(), sa.Column("data", sa.LargeBinary)))
    assert text is not None
    assert "drop_column('age')" in text


@pytest.mark.parametrize(("reply", "renamed"), [("y\n", True), ("no\n", False)])
def test_somebody_at_a_terminal_is_asked(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, reply: str, renamed: bool
) -> None:
    questions: list[str] = []

    def terminal() -> Callable[[str], str]:
        return lambda question: (questions.append(question), reply)[1]

    monkeypatch.setattr(autogenerate, "terminal", terminal)
    text = generate(environment, models(name(), team(), age("years")))
    assert text is not None
    assert len(questions) == 1
    assert "column years the old age" in questions[0]
    assert ("new_column_name" in text) is renamed


def test_others_may_write_while_somebody_is_asked(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_: str) -> str:
        with closing(sqlite3.connect(environment.database, timeout=0)) as application:
            application.execute("DELETE FROM person")
            application.commit()
        return "y"

    monkeypatch.setattr(autogenerate, "terminal", lambda: ask)
    assert generate(environment, models(name(), team(), age("years"))) is not None
    assert environment.query("SELECT * FROM person") == []


def test_no_answer_at_a_terminal_writes_nothing(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autogenerate, "terminal", lambda: lambda question: "")
    with pytest.raises(CommandError, match="answer y or n"):
        generate(environment, models(name(), team(), age("years")))


def test_constraints_get_names_so_that_downgrade_can_drop_them(environment: Environment) -> None:
    before = shape(environment.database)
    metadata = models(sa.Column("name", sa.String(20), nullable=False, unique=True), age())
    metadata.tables["person"].append_column(sa.Column("lead_id", sa.ForeignKey("person.id")))
    metadata.tables["person"].append_column(sa.Column("team_id", sa.Integer))
    text = generate(environment, metadata)
    assert text is not None
    assert "constraint(None" not in text
    environment.upgrade()
    assert generate(environment, metadata) is None
    environment.downgrade()
    after = shape(environment.database)
    assert not [line for line in differences(before, after) if "names" not in line]


@pytest.mark.parametrize("convention", [{}, CONVENTION], ids=["no names", "names"])
@pytest.mark.parametrize("gone", ["unique", "column"])
def test_a_unique_constraint_without_a_name_is_missed(
    environment: Environment, gone: str, convention: dict[str, str]
) -> None:
    environment.revision('op.execute("CREATE TABLE mail (a TEXT UNIQUE, b TEXT, UNIQUE (b, a))")')
    environment.upgrade()

    def with_mail(unique: bool, *columns: sa.Column[Any]) -> sa.MetaData:
        metadata = models(name(), team(), age(), naming_convention=convention)
        keys = [sa.UniqueConstraint("b", "a")] if unique else []
        sa.Table("mail", metadata, *columns, sa.Column("b", sa.Text), *keys)
        return metadata

    assert generate(environment, with_mail(True, sa.Column("a", sa.Text, unique=True))) is None
    columns = [] if gone == "column" else [sa.Column("a", sa.Text)]
    before = shape(environment.database)
    assert generate(environment, with_mail(False, *columns)) is not None
    environment.upgrade()
    assert "UNIQUE" not in str(
        environment.query("SELECT sql FROM sqlite_schema WHERE name = 'mail'")
    )
    environment.downgrade()
    after = environment.query("SELECT name FROM pragma_index_list('mail') WHERE origin = 'u'")
    assert len(after) == 2
    assert gone == "column" or not [
        line for line in differences(before, shape(environment.database)) if "names" not in line
    ]


def test_a_type_that_is_not_sqlalchemys_is_imported(environment: Environment) -> None:
    metadata = models(name(), team(), age(), sa.Column("price", Declared("MONEY")))
    text = generate(environment, metadata)
    assert text is not None
    assert "import migrating\n" in text
    environment.upgrade()
    assert ("price", "MONEY") in environment.query(
        "SELECT name, type FROM pragma_table_info('person')"
    )


def test_types_within_a_variant_for_postgresql_are_imported(environment: Environment) -> None:
    variant = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    metadata = models(name(), team(), age(), sa.Column("data", variant))
    text = generate(environment, metadata)
    assert text is not None
    assert "postgresql.JSONB(astext_type=sa.Text())" in text
    environment.upgrade()
    assert generate(environment, metadata) is None


@pytest.mark.parametrize(
    ("first", "second"), [(None, "NOCASE"), ("NOCASE", None), ("RTRIM", "NOCASE")]
)
def test_another_collation_is_a_difference(
    environment: Environment, first: str | None, second: str | None
) -> None:
    def with_collation(collation: str | None) -> sa.MetaData:
        column = sa.Column("mail", sa.String(30, collation=collation), unique=True)
        return models(name(), team(), age(), column)

    generate(environment, with_collation(first))
    environment.upgrade()
    before = shape(environment.database), row_hashes(environment.database)
    assert generate(environment, with_collation(second)) is not None
    environment.upgrade()
    assert generate(environment, with_collation(second)) is None
    assert differences(before[0], shape(environment.database))
    environment.downgrade()
    assert not differences(before[0], shape(environment.database))
    assert row_hashes(environment.database) == before[1]


@pytest.mark.parametrize("value", ["", "it's", "a\n:b %(c)s"])
def test_a_default_is_compared_as_it_is(environment: Environment, value: str) -> None:
    def with_default(default: str | None) -> sa.MetaData:
        return models(name(), team(), age(), sa.Column("t", sa.Text, server_default=default))

    generate(environment, with_default("x"))
    environment.upgrade()
    before = shape(environment.database)
    changed = with_default(value)
    assert generate(environment, changed, compare_server_default=True) is not None
    environment.upgrade()
    assert generate(environment, changed, compare_server_default=True) is None
    environment.downgrade()
    assert not differences(before, shape(environment.database))


def test_a_terminal_is_needed_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert renames.terminal() is None
