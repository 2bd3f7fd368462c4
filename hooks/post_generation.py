"""Set up a project that Copier has just rendered: an environment, then its database.

Copier runs this in the project's folder, with its own Python and nothing but the standard library:

    python post_generation.py install             install: the shipped shoplist.db is at the head
                                                  revision, or the database is its owner's
    python post_generation.py migrate             install, then `alembic upgrade head` on a server
    python post_generation.py adopt GENERATOR     install, then `alembic/adopt.py` on the URL in .env
    python post_generation.py by-hand             install: that database has no `alembic/adopt.py` yet

It runs the project's own commands and prints what fails, so that a person can go on by hand. It ends
with 0 even then: Copier deletes a new project whose task fails, and a missing network is no reason.
It knows nothing of questions and answers. Outside the project's folder it touches only the database, by
those commands, and installers' caches.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from io import TextIOWrapper
from pathlib import Path

SCRIPTS = Path(".venv", "Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / "python"


# What is in the owner's folders of a new project. They are not written a second time.
OWN_FILES = {
    "database.py in src/": "src/*/database.py",
    "models.py in src/": "src/*/models*",
    "test in tests/": "tests/test_*.py",
}

# What to look at when the step itself fails.
ADVICE = {
    "migrate": "The server's address is in alembic.ini; yours belongs in .env (see .env.example).",
    "adopt": "The address is in .env: correct it there, or write another behind the command.",
}


class Failed(Exception):
    """A command did not succeed; the message says which and why."""


def main(step: str, *arguments: str) -> None:
    """Do one of the jobs above; what goes wrong is printed with the way on."""
    if isinstance(sys.stdout, TextIOWrapper):  # paths and other programs' words, on any terminal
        sys.stdout.reconfigure(errors="backslashreplace")
    # A killed hook must end like a failed one, or Copier would delete the project.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    protect_secrets()
    missing = missing_files()
    todo = commands(step, *arguments)
    locking = start_poetry_lock()
    done = 0
    try:
        for title, command, shown in todo:
            run(title, command, shown)
            done += 1
        finish_poetry_lock(locking)
    except (Failed, KeyboardInterrupt) as problem:
        reason = str(problem) or "Interrupted."
        if str(problem) and step in ADVICE and done == len(todo) - 1:
            reason += "\n" + ADVICE[step]
        print(f"\n{reason}\nThe project's files are complete. To go on, in {Path.cwd()}:")
        for _, command, _ in todo[done:]:
            print("  " + shown_command(command))
    else:
        print_next(step)
    finally:
        if missing:
            print(f"\nIn {Path.cwd()} there is no {', no '.join(missing)}.")
            print("If an earlier copy was stopped here, copy again into an empty folder.")
        if locking is not None and locking.poll() is None:
            locking.terminate()


def missing_files() -> list[str]:
    """What a copy that was stopped did not write, in a folder where nobody has worked yet."""
    if Path(".git").exists() or Path(".venv").exists():
        return []
    return [name for name, pattern in OWN_FILES.items() if not list(Path().glob(pattern))]


def commands(step: str, *arguments: str) -> list[tuple[str, list[str], bool]]:
    """Title, command, and whether its output is for the person, of everything to do."""
    todo = install_commands()
    if step == "migrate":
        todo.append(
            ("Migrating the database", [str(SCRIPTS / "alembic"), "upgrade", "head"], False)
        )
    elif step == "adopt":
        adopt = [str(PYTHON), str(Path("alembic", "adopt.py"))]
        todo.append(("Adopting the database", [*adopt, "--generator", *arguments], True))
    return todo


def install_commands() -> list[tuple[str, list[str], bool]]:
    """How to make .venv and install the project with its development tools, the fastest way here."""
    if shutil.which("uv"):
        make = ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, ".venv"]
        install = ["uv", "pip", "install", "--quiet", "--python", str(PYTHON)]
        name = "uv"
    else:
        make = [sys.executable, "-m", "venv", ".venv"]
        install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        name = "pip"
    todo = [] if environment_works(name) else [("Making .venv", make, False)]
    if name == "pip" and not knows_dependency_groups():
        todo.append(("Upgrading pip", [*install, "--upgrade", "pip>=25.1"], False))
    todo.append((f"Installing with {name}", [*install, "--editable", ".", "--group", "dev"], False))
    return todo


def environment_works(installer: str) -> bool:
    """Whether .venv is there and complete enough for the installer: it may have been stopped half-way."""
    needed = "import pip" if installer == "pip" else "pass"
    try:
        ended = subprocess.run([PYTHON, "-c", needed], check=False, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return ended.returncode == 0


def knows_dependency_groups() -> bool:
    """Whether the pip that comes with this Python has `--group` (pip 25.1)."""
    try:
        from ensurepip import version
    except ImportError:  # some systems ship Python without it; then venv reports what is missing
        return True
    return tuple(int(part) for part in version().split(".")[:2]) >= (25, 1)


def protect_secrets() -> None:
    """Let nobody else read .env; and have the project read its URL from there, not from the shell."""
    if Path(".env").exists():
        Path(".env").chmod(0o600)
    os.environ.pop("DATABASE_URL", None)


def run(title: str, command: list[str], shown: bool) -> None:
    """Run a command with its time on the terminal; its output appears if it is `shown` or fails."""
    if shown:
        print(f"{title} ...", flush=True)
        code, output = subprocess.run(command, check=False).returncode, ""
    else:
        with Clock(title):
            try:
                ended = subprocess.run(
                    command,
                    check=False,
                    text=True,
                    errors="backslashreplace",
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                raise Failed(f"{title} failed: {error}") from error
            code, output = ended.returncode, ended.stdout.strip()
    if code:
        tail = "\n".join(output.splitlines()[-15:])
        raise Failed(f"{tail}\n{title} failed (exit status {code}).".strip())


class Clock:
    """Prints a title and how long its `with` block takes; on a terminal the time runs."""

    def __init__(self, title: str) -> None:
        self.title, self.start, self.ended = title, time.monotonic(), threading.Event()
        self.ticker = threading.Thread(target=self.tick, daemon=True)

    def __enter__(self) -> None:
        if sys.stdout.isatty():
            self.ticker.start()

    def tick(self) -> None:
        while not self.ended.wait(0.2):
            print(f"\r{self.title} ... {time.monotonic() - self.start:.0f} s", end="", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.ended.set()
        if self.ticker.is_alive():
            self.ticker.join()
        outcome = f"{time.monotonic() - self.start:.1f} s" if kind is None else "stopped"
        print(f"{chr(13) if sys.stdout.isatty() else ''}{self.title} ... {outcome}", flush=True)


def start_poetry_lock() -> subprocess.Popen[str] | None:
    """Have Poetry write poetry.lock beside the installation, if it is here and there is none yet."""
    poetry = shutil.which("poetry")
    if poetry is None or Path("poetry.lock").exists():
        return None
    return subprocess.Popen(
        [poetry, "lock", "--no-interaction"],
        text=True,
        errors="backslashreplace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish_poetry_lock(locking: subprocess.Popen[str] | None) -> None:
    """Wait for the lock file; without it everything works, so a failure is only reported."""
    if locking is None:
        return
    with Clock("Waiting for poetry lock"):
        try:
            locking.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            locking.kill()
    if locking.returncode:
        print("Poetry could not write poetry.lock; try `poetry lock` later to see why.")


def print_next(step: str) -> None:
    """The commands to go on with."""
    runner = "poetry run " if shutil.which("poetry") else str(SCRIPTS) + os.sep
    print(f"\nReady. To go on:\n  cd {shlex.quote(str(Path.cwd()))}")
    print(f"  {runner}pytest")
    if step != "by-hand":  # it has no models yet
        print(f'  {runner}alembic revision --autogenerate -m "what you changed in models.py"')


def shown_command(command: list[str]) -> str:
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


if __name__ == "__main__":
    main(*sys.argv[1:])
