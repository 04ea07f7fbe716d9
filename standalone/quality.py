"""`./pacs test` and `./pacs lint`."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from standalone.layout import PROJECT

SCRIPTS = Path(sysconfig.get_path("scripts"))
SHELL_SCRIPTS = ("pacs", ".ci/run")


def test(words: Sequence[str]) -> NoReturn:
    """Hand over to pytest with two workers; paths and options are pytest's own. Its last line is the last line.

    ``--faults`` is the long form of the fault scripts, which have the machine for themselves: one after another.
    """
    os.chdir(PROJECT)
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    environment["PYTHONPATH"] = str(PROJECT)
    faults = "--faults" in words
    everything = "tests/faults" if faults else "tests"
    named = any(not word.startswith("-") and Path(word.split("::")[0]).exists() for word in words)
    given = [] if named else [everything]
    alone = faults or any(word.startswith(("-n", "--numprocesses", "--pdb")) for word in words)
    workers = [] if alone else ["-n", "2"]
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *workers, *given, *words], environment)  # noqa: S606


def lint() -> int:
    """Run every check, whatever the earlier ones said. Exit code 1 if one of them fails."""
    failed: list[str] = []
    # mypy's plugin reads Django's settings, which would otherwise make a data folder for a secret key.
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PACS_SECRET_KEY": "only for lint"}
    for name, command in _checks():
        began = time.monotonic()
        code = subprocess.run(command, cwd=PROJECT, check=False, env=environment).returncode
        print(f"{'ok  ' if code == 0 else 'FAIL'}  {name}  {time.monotonic() - began:.1f} s", flush=True)
        if code != 0:
            failed.append(name)
    print(f"lint: {', '.join(failed)} failed" if failed else "lint: everything is clean")
    return 1 if failed else 0


def _checks() -> Iterator[tuple[str, list[str]]]:
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    yield "ruff check", [str(SCRIPTS / "ruff"), "check", "."]
    yield "ruff format", [str(SCRIPTS / "ruff"), "format", "--check", "."]
    yield "mypy", [sys.executable, "-m", "mypy", *([] if "files" in tools.get("mypy", {}) else ["."])]
    if "importlinter" in tools or (PROJECT / ".importlinter").exists():
        yield "import directions", [str(SCRIPTS / "lint-imports")]
    yield "shellcheck", [str(SCRIPTS / "shellcheck"), *SHELL_SCRIPTS]
    for dockerfile in sorted(PROJECT.glob("Dockerfile*")):
        yield f"hadolint {dockerfile.name}", [str(SCRIPTS / "hadolint"), str(dockerfile)]
