"""The machinery behind env.py and adopt.py: migrations that lose nothing, and adoption with proof.

It belongs to the template, which renews it on `copier update`; change env.py rather than this.
Nothing here is needed when the application runs: its wheel holds `src/` only.

    backend.py       what differs from one database engine to another, behind one interface
    sqlite/          the interface for SQLite, one subject a file
    server.py        the interface for PostgreSQL and MariaDB
    metadata.py      which tables the models describe, and names for constraints that have none
    autogenerate.py  what `alembic revision --autogenerate` writes
    formatting.py    a new revision in the project's style
    renames.py       a column under another name, or another column
    baseline.py      a baseline revision, written and run
    native.py        an engine's own SQL, for baselines and adoption, behind one interface
    conflicts.py     conflicts of a merge that nobody has resolved yet
    adoption/        the steps of `python alembic/adopt.py`
"""
