"""The machinery behind env.py and adopt.py: migrations that lose nothing, and adoption with proof.

It belongs to the template, which renews it on `copier update`; change env.py rather than this.
Nothing here is needed when the application runs: its wheel holds `src/` only.

    backend.py       what differs from one database engine to another, behind one interface
    sqlite/          the interface for SQLite, one subject a file
    server.py        what PostgreSQL and MariaDB have in common; postgresql.py and mariadb.py have the rest
    metadata.py      which tables the models describe
    autogenerate.py  what `alembic revision --autogenerate` writes
    formatting.py    a new revision in the project's style
    renames.py       a column under another name, or another column
    naming.py        names for constraints that have none
    baseline.py      what a baseline revision runs
    native.py        an engine's own SQL, for baselines and adoption, behind one interface
    conflicts.py     conflicts of a merge that nobody has resolved yet
    literal.py       SQL from a database as a literal for SQLAlchemy
    adoption/        the steps of `python alembic/adopt.py`
"""
