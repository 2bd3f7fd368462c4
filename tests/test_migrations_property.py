"""Random tables, random operations: nothing is different but what was asked, and back again.

`PROPERTY_EXAMPLES` in the environment sets how many (150 by default).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.util import CommandError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrating import Declared, migrate, quoted, script_of
from rendering import NO_SHELL
from sqlite_shape import differences, is_sound, row_hashes, shape

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "150"))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nothing has to survive here

NAMES = ["a", "b c", 'quo"te', "select", "ünï", "x]y", "Group", "0d", "it's", "`tick`"]
TYPES = ["INTEGER", "TEXT", "VARCHAR(10)", "REAL", "BLOB", "NUMERIC(8, 2)", "", "DATE", "int"]
STRICT_TYPES = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY", "INT"]


@dataclass
class Made:
    """A database that was made: its script, the table to work on, the table's columns."""

    script: str
    table: str
    columns: list[str]  # those that hold values
    free: list[str]  # those in no key
    kinds: dict[str, str]
    defaults: dict[str, str | None]
    not_null: set[str]


@st.composite
def schemas(draw: st.DrawFn) -> Made:
    """A table with any mixture of what SQLite has, others that refer to it, and rows."""
    flag = st.booleans()
    strict, without_rowid = draw(flag), draw(flag)
    table = draw(st.sampled_from(["t", 'odd "table', "order", "Tüte"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=3, max_size=6, unique_by=str.lower))
    key, *rest = names
    spaces = st.sampled_from([" ", "\n  ", " /* , ( */ ", " -- ' ), \n ", "/**/"])
    columns: list[str] = []
    kinds: dict[str, str] = {}
    defaults: dict[str, str | None] = {}
    not_null = set()
    style = draw(st.sampled_from(["alias", "autoincrement", "desc", "text", "table", "none"]))
    if without_rowid and style in ("autoincrement", "none"):
        style = "text"
    kinds[key] = "TEXT" if style == "text" else "INTEGER"
    inline = {
        "alias": " PRIMARY KEY",
        "autoincrement": " PRIMARY KEY AUTOINCREMENT",
        "desc": " PRIMARY KEY DESC",
        "text": " CONSTRAINT pk PRIMARY KEY",
    }.get(style, "")
    columns.append(f"{quoted(key)} {kinds[key]}{' NOT NULL' if draw(flag) else ''}{inline}")
    for name in rest:
        kind = draw(st.sampled_from(STRICT_TYPES if strict else TYPES))
        kinds[name] = kind
        default = draw(
            st.sampled_from([None, None, "'it''s -- x'", "(1 + 1)", "NULL", "CURRENT_DATE"])
        )
        if strict and kind not in ("TEXT", "ANY"):
            default = None
        defaults[name] = default
        parts = [quoted(name), kind]
        if default is not None:
            parts.append(f"DEFAULT {default}")
        if draw(flag) and draw(flag):
            not_null.add(name)
            parts.append(
                draw(st.sampled_from(["NOT NULL", "CONSTRAINT nn NOT NULL ON CONFLICT FAIL"]))
            )
        if draw(flag) and draw(flag):
            parts.append(f"CHECK ({quoted(name)} IS NULL OR length({quoted(name)}) < 99)")
        if draw(flag) and draw(flag) and kind != "BLOB":
            parts.append("COLLATE NOCASE")
        if draw(flag) and draw(flag) and draw(flag):
            parts.append(
                draw(st.sampled_from(["UNIQUE", "CONSTRAINT u UNIQUE ON CONFLICT IGNORE"]))
            )
        columns.append(draw(spaces).join(part for part in parts if part))
    if draw(flag):
        ending = draw(st.sampled_from(["", " STORED", " VIRTUAL"]))
        columns.append(
            f"gen {'ANY' if strict else ''} AS (coalesce({quoted(rest[-1])}, 'none')){ending}"
        )
    constraints = []
    if style == "table":
        constraints.append(f"PRIMARY KEY ({quoted(key)}, {quoted(rest[0])})")
    if draw(flag):
        constraints.append(f"CONSTRAINT [named ck] CHECK ({quoted(rest[0])} IS NOT 'never')")
    if draw(flag):
        constraints.append(
            f"FOREIGN KEY ({quoted(rest[-1])}) REFERENCES parent ON DELETE SET NULL "
            "ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED"
        )
    comma = ", " if draw(flag) else " "
    body = ", ".join(columns) + (", " + comma.join(constraints) if constraints else "")
    options = [o for o, on in (("STRICT", strict), ("WITHOUT ROWID", without_rowid)) if on]
    script = [
        "CREATE TABLE parent (id PRIMARY KEY)",
        f"CREATE TABLE {quoted(table)}{draw(spaces)}({body}) {', '.join(options)}",
    ]
    script += draw(dependents(table, key, rest))
    script += draw(rows(table, names, kinds, style, strict))
    if draw(flag):  # its rows have no value of the new column, and read its default
        default = draw(st.sampled_from(["'late'", "7", "NULL"]))
        script.append(f"ALTER TABLE {quoted(table)} ADD COLUMN late TEXT DEFAULT {default}")
        script.append(f"INSERT OR IGNORE INTO {quoted(table)} ({quoted(key)}) VALUES (77)")
        rest.append("late")
        kinds["late"] = "TEXT"
        defaults["late"] = default
    if draw(flag):
        script.append("ANALYZE")
    in_key = {key, rest[0]} if style == "table" else {key}
    return Made(
        ";\n".join(script),
        table,
        names,
        [name for name in rest if name not in in_key],
        kinds,
        defaults,
        not_null,
    )


@st.composite
def dependents(draw: st.DrawFn, table: str, key: str, rest: Sequence[str]) -> list[str]:
    """Indexes, views, triggers, children."""
    t, k, first, last = quoted(table), quoted(key), quoted(rest[0]), quoted(rest[-1])
    possible = [
        f"CREATE INDEX i1 ON {t} ({first} DESC, {last} COLLATE RTRIM)",
        f"CREATE INDEX i2 ON {t} (lower({first})) WHERE {last} IS NOT NULL",
        f"CREATE INDEX [i 3] ON {t} ({last})",
        f"CREATE VIEW v AS SELECT {first} AS one, count(*) AS many FROM {t} GROUP BY 1",
        f"CREATE VIEW w AS SELECT * FROM {t} WHERE {k} IS NOT NULL",
        "CREATE VIEW broken AS SELECT missing FROM nowhere",
        f"CREATE TABLE child (id INTEGER PRIMARY KEY, up REFERENCES {t} ON DELETE CASCADE)",
        f"CREATE TABLE log (x); CREATE TRIGGER tr AFTER UPDATE OF {last} ON {t} WHEN new.{k} "
        f"IS NOT NULL BEGIN INSERT INTO log SELECT {first} FROM {t}; DELETE FROM log; END",
        f"CREATE TABLE src (x); CREATE TRIGGER far AFTER INSERT ON src BEGIN "
        f'UPDATE {t} SET {last} = {last} WHERE {k} = new.x; SELECT "text"; END',
    ]
    return draw(st.lists(st.sampled_from(possible), unique=True, max_size=5))


@st.composite
def rows(
    draw: st.DrawFn,
    table: str,
    names: Sequence[str],
    kinds: dict[str, str],
    style: str,
    strict: bool,
) -> list[str]:
    """Some rows, with gaps in the rowids; a row that the table does not take is left out."""
    texts = ["'a'", "'B'", "'007'", "''", "'1.0'", "NULL"]
    by_kind = {
        "INTEGER": ["1", "-7", "NULL", "9223372036854775807"],
        "INT": ["1", "2", "NULL"],
        "REAL": ["0.5", "2.0", "NULL"],
        "BLOB": ["x'00ff'", "x''", "NULL"],
    }
    found = []
    for number in range(draw(st.integers(0, 4))):
        values = [f"{number * 3 + 1}" if kinds[names[0]] == "INTEGER" else f"'k{number}'"]
        for name in names[1:]:
            kind = kinds[name]
            options = (
                by_kind.get(kind, texts) if strict or kind in by_kind else [*texts, "3", "0.5"]
            )
            values.append(draw(st.sampled_from(options)))
        columns = ", ".join(quoted(name) for name in names)
        found.append(
            f"INSERT OR IGNORE INTO {quoted(table)} ({columns}) VALUES ({', '.join(values)})"
        )
    return found


Step = tuple[str, Callable[[Operations], Any], Callable[[Operations], Any]]


@st.composite
def steps(draw: st.DrawFn, made: Made) -> Step:
    """An operation and its inverse."""
    table = made.table
    column = draw(st.sampled_from(made.free))
    kind = made.kinds[column]
    always = draw(st.sampled_from(["auto", "auto", "always"]))

    def batch(work: Callable[[Any], Any]) -> Callable[[Operations], Any]:
        def run(op: Operations) -> None:
            with op.batch_alter_table(table, recreate=always) as operations:
                work(operations)

        return run

    nullable = draw(st.booleans())

    def added() -> sa.Column[Any]:
        return sa.Column("added col", sa.String(5), server_default="d", nullable=nullable)

    def add_with_constraints(batch: Any) -> None:
        batch.add_column(sa.Column("added col", sa.Integer))
        batch.create_foreign_key("added fk", "parent", ["added col"], ["id"])
        batch.create_check_constraint("added ck", f'"added col" IS NOT {quoted(column)} OR 1')

    def drop_with_constraints(batch: Any) -> None:
        batch.drop_constraint("added ck", type_="check")
        batch.drop_constraint("added fk", type_="foreignkey")
        batch.drop_column("added col")

    default = made.defaults.get(column)
    possible: list[Step] = [
        ("rebuild", batch(lambda _: None), lambda _: None),
        (
            "rename column",
            lambda op: op.alter_column(table, column, new_column_name="new 'name"),
            lambda op: op.alter_column(table, "new 'name", new_column_name=column),
        ),
        (
            "rename table",
            lambda op: op.rename_table(table, "another one"),
            lambda op: op.rename_table("another one", table),
        ),
        (
            "add column",
            batch(lambda batch: batch.add_column(added())),
            batch(lambda batch: batch.drop_column("added col")),
        ),
        ("add with constraints", batch(add_with_constraints), batch(drop_with_constraints)),
        (
            "default",
            lambda op: op.alter_column(table, column, server_default=sa.text("'other'")),
            lambda op: op.alter_column(
                table, column, server_default=None if default is None else sa.text(default)
            ),
        ),
        (
            "check",
            batch(lambda b: b.create_check_constraint("new ck", f"{quoted(column)} IS NOT 'z'")),
            batch(lambda b: b.drop_constraint("new ck", type_="check")),
        ),
        (
            "unique",
            batch(lambda b: b.create_unique_constraint("new uq", [made.columns[0], column])),
            batch(lambda b: b.drop_constraint("new uq", type_="unique")),
        ),
        (
            "foreign key",
            lambda op: op.create_foreign_key("new fk", table, "parent", [column], ["id"]),
            lambda op: op.drop_constraint("new fk", table, type_="foreignkey"),
        ),
        (
            "index",
            lambda op: op.create_index("new ix", table, [column]),
            lambda op: op.drop_index("new ix", table),
        ),
    ]
    if column not in made.not_null:
        possible.append(
            (
                "not null",
                batch(lambda b: b.alter_column(column, nullable=False)),
                batch(lambda b: b.alter_column(column, nullable=True)),
            )
        )
    if kind == "VARCHAR(10)":
        possible.append(
            (
                "type",
                batch(lambda b: b.alter_column(column, type_=sa.String(99))),
                batch(lambda b: b.alter_column(column, type_=Declared(kind))),
            )
        )
    return draw(st.sampled_from(possible))


SHELL = shutil.which("sqlite3")


@pytest.mark.skipif(SHELL is None, reason=NO_SHELL)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_a_script_does_what_the_operation_does(data: st.DataObject) -> None:
    made = data.draw(schemas())
    _, operation, _ = data.draw(steps(made))
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        live, scripted = Path(folder) / "live.db", Path(folder) / "scripted.db"
        with closing(sqlite3.connect(live)) as connection:
            connection.executescript(made.script)
            connection.execute("CREATE TABLE alembic_version (version_num)")
            connection.execute("INSERT INTO alembic_version VALUES ('r1')")
            connection.commit()
        shutil.copy(live, scripted)
        try:
            migrate(live, operation)
        except CommandError:
            possible = False
        else:
            possible = True
        try:
            script = script_of(scripted, operation)
        except CommandError:
            assert not possible
            return
        ended = subprocess.run(
            [str(SHELL), str(scripted)], input=script, text=True, capture_output=True, check=False
        )
        assert (ended.returncode == 0) == possible, ended.stderr
        assert not differences(shape(live), shape(scripted))
        assert row_hashes(live) == row_hashes(scripted)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_an_operation_and_its_inverse_give_the_same_database(data: st.DataObject) -> None:
    made = data.draw(schemas())
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        database = Path(folder) / "random.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(made.script)
        sound = is_sound(database)
        before = shape(database), row_hashes(database)
        done: list[Step] = []
        for _ in range(data.draw(st.integers(1, 3))):
            step = data.draw(steps(made).filter(lambda s: s[0] not in [d[0] for d in done]))
            if done and {"rename column", "rename table"} & {step[0], *(d[0] for d in done)}:
                break  # names would have to be followed
            now = shape(database), row_hashes(database)
            shutil.copy(database, Path(folder) / "before.db")
            try:
                migrate(database, step[1])
            except CommandError:
                assert (shape(database), row_hashes(database)) == now, step[0]
                continue
            done.append(step)
            rows_now = row_hashes(database)
            if step[0] not in ("add column", "add with constraints", "rename table"):
                assert {k: v for k, v in rows_now.items() if k != "sqlite_sequence"} == {
                    k: v for k, v in now[1].items() if k != "sqlite_sequence"
                }, step[0]
            assert not sound or is_sound(database), step[0]
        for step in reversed(done):
            migrate(database, step[2])
        after = shape(database), row_hashes(database)
        assert not differences(before[0], after[0]), [name for name, _, _ in done]
        assert before[1].keys() == after[1].keys()
        changed = {name for name in before[1] if before[1][name] != after[1][name]}
        assert changed <= {"sqlite_sequence"}, [name for name, _, _ in done]


@st.composite
def batch_steps(draw: st.DrawFn, made: Made) -> list[Callable[[Any], Any]]:
    """Operations for one batch, each a function of the batch."""
    possible: list[Callable[[Any], Any]] = [
        lambda b: b.add_column(sa.Column("plus", sa.Integer)),
        lambda b: b.add_column(sa.Column("and", sa.String(3), nullable=False, server_default="x")),
        lambda b: b.add_column(sa.Column("at", sa.Date, server_default=sa.func.current_date())),
        lambda b: b.create_check_constraint("ck new", f"{quoted(made.free[0])} IS NOT 'q'"),
        lambda b: b.drop_constraint("named ck", type_="check"),
        lambda b: b.create_index("ix new", [made.free[-1]]),
        lambda b: b.create_foreign_key("fk new", "parent", [made.free[-1]], ["id"]),
    ]
    for name in made.free:
        possible += [
            lambda b, name=name: b.drop_column(name),
            lambda b, name=name: b.alter_column(name, type_=sa.Text()),
            lambda b, name=name: b.alter_column(name, nullable=True),
            lambda b, name=name: b.alter_column(name, server_default="5"),
            lambda b, name=name: b.alter_column(name, new_column_name=name + " 2"),
            lambda b, name=name: b.create_unique_constraint(None, [name]),
        ]
    return draw(st.lists(st.sampled_from(possible), min_size=2, max_size=5, unique_by=id))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_a_batch_does_what_its_operations_do_one_by_one(data: st.DataObject) -> None:
    made = data.draw(schemas())
    operations = data.draw(batch_steps(made))
    recreate = data.draw(st.sampled_from(["auto", "always"]))

    def together(op: Operations) -> None:
        with op.batch_alter_table(made.table, recreate=recreate) as batch:
            for operation in operations:
                operation(batch)

    def alone(operation: Callable[[Any], Any]) -> Callable[[Operations], Any]:
        def run(op: Operations) -> None:
            with op.batch_alter_table(made.table) as batch:
                operation(batch)

        return run

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        one, other = Path(folder) / "one.db", Path(folder) / "other.db"
        with closing(sqlite3.connect(one)) as connection:
            connection.executescript(made.script)
        shutil.copy(one, other)
        before = shape(one), row_hashes(one)
        sound = is_sound(one)
        try:
            for operation in operations:
                migrate(one, alone(operation))
        except CommandError:
            with contextlib.suppress(CommandError):
                migrate(other, together)
                return  # together they may be possible: one takes away what hinders the next
            assert (shape(other), row_hashes(other)) == before
            return
        migrate(other, together)
        assert not differences(shape(one), shape(other))
        assert row_hashes(one) == row_hashes(other)
        assert not sound or is_sound(other)
