"""The steps of `python alembic/adopt.py`: from an existing database to models, a baseline, and a proof.

command.py      the command line, the order of the steps, the exit status
project.py      the project's files: what belongs to its owner, what may be replaced
columns.py      a Python type for each column that every stored value fits
generators.py   sqlacodegen's generators, with corrections; code.py, their literals and types
classes.py      those of classes, with relationships; relations.py, what must be said of these
without_inflect.py   sqlacodegen, imported without what takes longest and is not used
models.py       models.py: written, formatted, imported
proof.py        is what was written the same as the database?
report.py       what a person sees: a line for each step, a table at the end
"""
