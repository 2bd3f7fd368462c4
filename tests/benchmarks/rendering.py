"""How long a new project takes: rendering beside Copier's own start, set-up beside the bare installation.

    python tests/benchmarks/rendering.py [--runs 5]

Prints the median of each and the ratios, all from one run. The packages are in the installer's
cache from a first run that is not counted.
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
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2]
COPIER = [sys.executable, "-m", "copier"]


def median(measured: Callable[[Path], None], folder: Path, runs: int) -> float:
    """Median seconds of several runs after one that is not counted, each in a folder of its own."""
    times = []
    for number in range(runs + 1):
        destination = folder / f"{measured.__name__}-{number}" / "shop-list"
        destination.parent.mkdir()
        start = time.perf_counter()
        measured(destination)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, capture_output=True)


def copier_alone(destination: Path) -> None:
    """A template with one file and no question."""
    template = destination.parent / "template"
    template.mkdir()
    (template / "copier.yml").write_text("")
    (template / "file.txt.jinja").write_text("{{ _copier_conf.answers_file }}")
    run(*COPIER, "copy", "--quiet", "--defaults", template, destination)


def render_only(destination: Path) -> None:
    run(
        *COPIER, "copy", "--quiet", "--defaults", "--skip-tasks", checkout(destination), destination
    )


def render_and_set_up(destination: Path) -> None:
    run(*COPIER, "copy", "--quiet", "--defaults", "--trust", checkout(destination), destination)


def install_only(destination: Path) -> None:
    """What a person would type to install a project that is rendered already."""
    shutil.copytree(RENDERED, destination)
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", ".venv", "--python", sys.executable, cwd=destination)
        install: list[str | Path] = ["uv", "pip", "install", "--quiet", "-p", ".venv/bin/python"]
    else:
        run(sys.executable, "-m", "venv", ".venv", cwd=destination)
        install = [".venv/bin/python", "-m", "pip", "install", "--quiet"]
        run(*install, "--upgrade", "pip", cwd=destination)
    run(*install, "--editable", ".", "--group", "dev", cwd=destination)


def checkout(destination: Path) -> Path:
    return RENDERED.parent / "checkout"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    global RENDERED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        RENDERED = folder / "rendered"
        run("git", "clone", "--quiet", TEMPLATE, folder / "checkout")
        render_only(RENDERED)
        copier = median(copier_alone, folder, runs)
        render = median(render_only, folder, runs)
        bare = median(install_only, folder, runs)
        setup = median(render_and_set_up, folder, runs)
    tool = "uv" if shutil.which("uv") else "pip"
    print(f"Copier with an empty template     {copier:6.2f} s")
    print(f"rendering without tasks           {render:6.2f} s   {render / copier:5.2f} times that")
    print(f"bare installation with {tool:<3}        {bare:6.2f} s")
    print(
        f"rendering and set-up with {tool:<3}     {setup:6.2f} s   {setup / bare:5.2f} times that,"
    )
    print(f"                                            {setup - bare:+.2f} s")


if __name__ == "__main__":
    for name in ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    main()
