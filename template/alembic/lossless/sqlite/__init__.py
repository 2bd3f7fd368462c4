"""SQLite: one subject a file.

What a database holds, for adoption and autogenerate:
    opening.py       a file, without leaving a trace in it
    catalogue.py     all that SQLite's own catalogue says
    schema.py        its objects as values that can be compared
    native.py        its objects as statements: a baseline's script
    types.py, reflection.py, comparison.py   the same for SQLAlchemy and Alembic

What a migration does; an operation goes from impl.py by way of operations.py, change.py and transition.py to edit.py,
alter.py or rebuild.py:
    backend.py       the parts below, put together for env.py
    transactions.py  a transaction for each revision, and none that nobody began
    lock.py          one migrator at a time
    foreign_keys.py  off while it runs, checked before each commit
    impl.py, operations.py   Alembic's operations, on `op` and in batch_alter_table
    change.py        what they make of one table
    transition.py    the least invasive way to get there
    edit.py          the way of editing the schema, and when a default may be edited
    alter.py         the ways of SQLite's own ALTER TABLE
    rebuild.py       the way of making the table anew
    rows.py          questions to the rows for a constraint
    dependents.py    views, triggers and indexes that rely on a table or a column
    meaning.py       what the name of a column means in an expression, a view or a trigger
    database.py      the database that all of these ask and change
    replica.py       a copy of the schema in memory, to try a change on
    offline.py       the same as a script (--sql), which follows itself on such a copy
    values.py        the values in it, as the driver would store them

For both:
    standins.py      what stands for functions and collations of an application

How SQL is read:
    tokens.py        cut as SQLite cuts it
    statement.py     CREATE TABLE, to be read and edited without losing a byte
    constructs.py    what SQLAlchemy's objects are as SQL, and which constraint one of them means
"""
