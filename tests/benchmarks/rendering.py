"""How long a new project takes: rendering beside Copier's own start, set-up beside the bare installation.

    python tests/benchmarks/rendering.py [--runs 5]

Prints the median of each and the ratios, all from one run. What is compared is taken in turn; rendering
before any installation, or it would wait for the disk to take a hundred megabytes. The packages are in
the installer's cache from a first round that is not counted. Other templates for Python projects render
in 1.75 to 2.7 times Copier's own start. `TMPDIR=/dev/shm` shows both without the disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COPIER = [sys.executable, "-m", "copier"]


def medians(runs: int, **measured: Callable[[Path], None]) -> dict[str, float]:
    """Median seconds of each after a round that is not counted, every call with a folder of its own."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(runs + 1):
        for name, work in measured.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                work(Path(folder) / "shop-list")
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, capture_output=True)


def start_only(_: Path) -> None:
    """Copier's own start."""
    run(*COPIER, "--version")


def copy(destination: Path, *, template: Path, option: str = "--skip-tasks") -> None:
    """`copier copy` with the default answers."""
    run(*COPIER, "copy", "--quiet", "--defaults", option, template, destination)


def install_only(destination: Path, *, rendered: Path) -> None:
    """What a person would type to install a project that is rendered already."""
    shutil.copytree(rendered, destination)
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", ".venv", "--python", sys.executable, cwd=destination)
        install: list[str | Path] = ["uv", "pip", "install", "--quiet", "-p", ".venv/bin/python"]
    else:
        run(sys.executable, "-m", "venv", ".venv", cwd=destination)
        install = [".venv/bin/python", "-m", "pip", "install", "--quiet"]
        run(*install, "--upgrade", "pip", cwd=destination)
    run(*install, "--editable", ".", "--group", "dev", cwd=destination)


def make_smallest_template(folder: Path) -> None:
    """A template with one file and no question, in git as templates are."""
    (folder / "files").mkdir(parents=True)
    (folder / "copier.yml").write_text("_subdirectory: files")
    (folder / "files" / "file.txt.jinja").write_text("{{ _copier_conf.answers_file }}")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    author = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com")
    run("git", *author, "commit", "--quiet", "--message=Begin", cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        checkout, smallest, rendered = (Path(name) / part for part in ("this", "smallest", "made"))
        # Packed, as a clone from a server is.
        run("git", "clone", "--quiet", "--no-local", REPOSITORY, checkout)
        make_smallest_template(smallest)
        copy(rendered, template=checkout)
        found = medians(
            runs,
            start=start_only,
            smallest=partial(copy, template=smallest),
            render=partial(copy, template=checkout),
        ) | medians(
            runs,
            bare=partial(install_only, rendered=rendered),
            setup=partial(copy, template=checkout, option="--trust"),
        )
    report(found, "uv" if shutil.which("uv") else "pip")


def report(found: dict[str, float], tool: str) -> None:
    """Print the medians and their ratios."""

    def line(what: str, seconds: float, relation: str = "") -> None:
        print(f"{what:<34}{seconds:6.2f} s   {relation}".rstrip())

    line("Copier's own start", found["start"])
    for what, name in (
        ("the smallest template", "smallest"),
        ("rendering without tasks", "render"),
    ):
        line(what, found[name], f"{found[name] / found['start']:5.2f} times that start")
    line(f"bare installation with {tool}", found["bare"])
    over = found["setup"] - found["bare"]
    line(
        f"rendering and set-up with {tool}",
        found["setup"],
        f"{found['setup'] / found['bare']:5.2f} times that installation, {over:+.2f} s",
    )


if __name__ == "__main__":
    for name in ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    main()
