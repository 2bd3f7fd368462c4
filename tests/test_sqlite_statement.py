"""SQL cut as SQLite cuts it, and CREATE TABLE edited without losing a byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossless.sqlite.native import undo
from lossless.sqlite.statement import CreateTable, NotACreateTable, parse
from lossless.sqlite.tokens import Kind, split_script, tokenize, write_name

ODD = """CREATE TABLE "odd ""t" ( -- it's ( a comment
  id INTEGER CONSTRAINT pk PRIMARY KEY AUTOINCREMENT, /* , */ 'text name' VARCHAR ( 10 )
    DEFAULT 'it''s)' COLLATE NOCASE, [b c] DEFAULT(-1)CHECK([b c]<>','), `d` DOUBLE PRECISION
  NOT NULL ON CONFLICT FAIL REFERENCES p(x) ON DELETE SET NULL NOT DEFERRABLE, e AS (id+1) STORED,
  CONSTRAINT u UNIQUE(`d`, "b c" COLLATE BINARY DESC)CHECK (id > 0), FOREIGN KEY(id)
  REFERENCES "p" MATCH SIMPLE DEFERRABLE INITIALLY DEFERRED CONSTRAINT dangling) STRICT"""


@given(st.text(alphabet=st.sampled_from("a1'\"`[]x-/*\n ;.|=<>$?:@é\ufeff(),"), max_size=40))
def test_the_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)) == text


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("x'ab' x", [Kind.BLOB, Kind.SPACE, Kind.WORD]),
        ("a->>'b'", [Kind.WORD, Kind.OPERATOR, Kind.STRING]),
        ("1.5e-3.5", [Kind.NUMBER, Kind.NUMBER]),
        ("0x1F$a", [Kind.NUMBER]),
        ("[a]]", [Kind.QUOTED, Kind.ILLEGAL]),
        ("--a\nb", [Kind.COMMENT, Kind.SPACE, Kind.WORD]),
        ("/* a", [Kind.COMMENT]),
        ("/*", [Kind.OPERATOR, Kind.OPERATOR]),
        ("/**/a", [Kind.COMMENT, Kind.WORD]),
        ("ünï$1", [Kind.WORD]),
        ("'a''b'", [Kind.STRING]),
        ('"a""b"`c`', [Kind.QUOTED, Kind.QUOTED]),
        ("?1 :a $b::c(d)", [Kind.VARIABLE, Kind.SPACE, Kind.VARIABLE, Kind.SPACE, Kind.VARIABLE]),
        ("'open", [Kind.ILLEGAL]),
    ],
)
def test_tokens_are_those_of_sqlite(sql: str, kinds: list[Kind]) -> None:
    assert [token.kind for token in tokenize(sql)] == kinds


def test_a_script_is_cut_into_statements() -> None:
    trigger = "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT ';'; UPDATE t SET a = 1; END"
    assert split_script(f"; CREATE TABLE t (a); -- ;\n{trigger};\n/* ; */ SELECT 1") == [
        "CREATE TABLE t (a)",
        f"-- ;\n{trigger}",
        "/* ; */ SELECT 1",
    ]


@pytest.mark.parametrize(
    "create",
    [
        "CREATE TABLE trigger (a)",
        "CREATE TABLE view (a)",
        "CREATE TABLE temp (trigger)",
        "CREATE VIEW trigger AS SELECT 1 AS a",
    ],
)
def test_an_object_called_like_a_kind_of_object_is_none_of_that_kind(create: str) -> None:
    trigger = "CREATE TEMP TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END"
    assert split_script(f"{create}; SELECT 1; EXPLAIN QUERY PLAN {trigger}; SELECT 2") == [
        create,
        "SELECT 1",
        f"EXPLAIN QUERY PLAN {trigger}",
        "SELECT 2",
    ]
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in (create, *undo(create)):
            connection.execute(statement)
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_everything_in_an_odd_statement_is_read() -> None:
    table = parse(ODD)
    assert (table.name, table.strict, table.without_rowid) == ('odd "t', True, False)
    assert [column.name for column in table.columns] == ["id", "text name", "b c", "d", "e"]
    assert [column.declared_type for column in table.columns] == [
        "INTEGER",
        "VARCHAR ( 10 )",
        "",
        "DOUBLE PRECISION",
        "",
    ]
    assert table.rowid_alias == "id"
    assert table.autoincrement
    assert table.column("TEXT NAME").default_sql == "'it''s)'"
    assert table.column("text name").collation == "NOCASE"
    assert table.column("b c").default_sql == "(-1)"
    assert [check.expression for check in table.checks] == ["[b c]<>','", "id > 0"]
    inline, other = table.foreign_keys
    assert (inline.on_delete, inline.deferrable, inline.target_columns) == (
        "SET NULL",
        False,
        ("x",),
    )
    assert (other.match, other.initially, other.target_columns) == ("SIMPLE", "DEFERRED", ())
    assert [part.descending for part in table.uniques[0].parts] == [False, True]
    generated = table.column("e").generated
    assert generated is not None
    assert (generated.expression, generated.stored) == ("id+1", True)


@pytest.mark.parametrize(
    ("edit", "gone", "come"),
    [
        (lambda t: t.with_type("text name", "TEXT"), "VARCHAR ( 10 )", "TEXT"),
        (lambda t: t.with_type("b c", "INT"), "", " INT"),
        (lambda t: t.with_default("text name", None), "\n    DEFAULT 'it''s)'", ""),
        (lambda t: t.with_default("b c", "2"), "DEFAULT(-1)", "DEFAULT 2 "),
        (lambda t: t.with_default("d", "0"), "", " DEFAULT 0"),
        (lambda t: t.with_not_null("d", not_null=False), "\n  NOT NULL ON CONFLICT FAIL", ""),
        (lambda t: t.with_collation("text name", None), " COLLATE NOCASE", ""),
        (lambda t: t.with_table_constraint("CHECK (1)"), "", ", CHECK (1)"),
        (lambda t: t.with_column("f", after="id"), "", ", f"),
        (lambda t: t.without_column("text name"), None, None),
        (lambda t: t.without_constraint(t.uniques[0]), None, None),
    ],
)
def test_an_edit_changes_its_place_alone(
    edit: Callable[[CreateTable], CreateTable], gone: str | None, come: str | None
) -> None:
    edited = edit(parse(ODD)).sql
    start = next(i for i, pair in enumerate(zip(ODD, edited, strict=False)) if len(set(pair)) > 1)
    end = 0
    while ODD[-end - 1] == edited[-end - 1] and start < min(len(ODD), len(edited)) - end - 1:
        end += 1
    assert ODD[:start] + ODD[start : len(ODD) - end] + ODD[len(ODD) - end :] == ODD
    if gone is not None and come is not None:
        assert len(edited) - len(ODD) == len(come) - len(gone)
        assert come.strip() in edited
    parse(edited)


@pytest.mark.parametrize("place", range(12))
def test_sqlite_takes_the_statement_without_any_one_constraint(place: int) -> None:
    table = parse(ODD.replace("DOUBLE PRECISION", "REAL").replace("VARCHAR ( 10 )", "TEXT"))
    table = table.with_type("b c", "ANY").with_type("e", "INT")
    if place >= len(table.constraints):
        pytest.skip("there are not so many")
    edited = table.without_constraint(table.constraints[place])
    assert len(edited.constraints) == len(table.constraints) - 1
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(table.sql)
        connection.execute('DROP TABLE "odd ""t"')
        connection.execute(edited.sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1",
        "CREATE VIRTUAL TABLE t USING f",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t (",
    ],
)
def test_what_is_no_create_table_is_said_so(sql: str) -> None:
    with pytest.raises(NotACreateTable):
        parse(sql)


@pytest.mark.parametrize(
    ("name", "written"),
    [("a_1", "a_1"), ("select", '"select"'), ("a b", '"a b"'), ('a"', '"a"""'), ("true", '"true"')],
)
def test_names_are_quoted_where_they_must_be(name: str, written: str) -> None:
    assert write_name(name) == written
