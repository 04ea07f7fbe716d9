"""`./pacs` before anything is installed: which Python it takes, and what it says where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What of a clone is asked before anything is installed."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("pacs", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_bootstrap_without_python_says_what_is_needed(clone: Path, tmp_path: Path) -> None:
    """A clone on a machine that has a shell and nothing else."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "cmp", "mkdir", "ls", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")
    refused = subprocess.run(
        [clone / "pacs", "up"],
        env={"PATH": str(tools), "HOME": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert "needs Python 3.11" in refused.stderr
    assert "PACS_PYTHON" in refused.stderr


@pytest.mark.parametrize(
    ("there", "named", "taken"),
    [
        ((("plain", "python3.11"), ("optimised", "python3.11")), "", "optimised/python3.11"),
        ((("plain", "python3.11"), ("optimised", "python3.13")), "", "optimised/python3.13"),
        ((("optimised", "python3.13"), ("another optimised", "python3.11")), "", "another optimised/python3.11"),
        ((("plain", "python3.12"), ("also plain", "python3.11")), "", "also plain/python3.11"),
        ((("plain", "python3.12"), ("optimised", "python3.12")), "plain/python3.12", "plain/python3.12"),
        ((("broken", "python3.11"), ("plain", "python3.14")), "", "plain/python3.14"),
    ],
)
def test_bootstrap_takes_a_python_that_was_built_with_optimisation(
    there: Sequence[tuple[str, str]], named: str, taken: str, clone: Path, tmp_path: Path
) -> None:
    """The first one on PATH, in the order of the names that are looked for; one that is named is taken as it is."""
    for folder, name in there:
        (tmp_path / folder).mkdir()
        kind = 0 if "optimised" in folder else 1
        says = f'case "$2" in *sysconfig*) exit {kind} ;; *) exec "{sys.executable}" "$@" ;; esac'
        _program(tmp_path / folder / name, "exit 1" if folder == "broken" else says)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "cmp", "mkdir", "ls", "sh", "rm"):
        (tools / name).symlink_to(shutil.which(name) or "")
    asked = tmp_path / "asked"
    _program(tools / "uv", f'echo "$@" >> "{asked}"; exit 1')
    path = ":".join(str(tmp_path / folder) for folder in (*(folder for folder, _ in there), "bin"))
    refused = subprocess.run(
        [clone / "pacs", "status"],
        env={"PATH": path, "HOME": str(tmp_path), **({"PACS_PYTHON": str(tmp_path / named)} if named else {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (refused.returncode, refused.stderr.splitlines()[0][:20]) == (1, "The environment " + str(clone)[:4])
    assert asked.read_text() == f"venv -q -p {tmp_path / taken} {clone}/.venv\n"


def test_bootstrap_refuses_a_named_python_that_is_none(clone: Path, tmp_path: Path) -> None:
    """Rather than take another one in silence."""
    refused = subprocess.run(
        [clone / "pacs", "status"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PACS_PYTHON": "/nowhere/python3.12"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("PACS_PYTHON=/nowhere/python3.12 is no Python 3.11 to 3.14")


def test_bootstrap_imports_nothing_from_where_it_is_called(clone: Path, tmp_path: Path) -> None:
    _program(tmp_path / "uv", "exit 1")
    for module in ("ssl", "email", "sysconfig", "pip"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{module}')")
    refused = subprocess.run(
        [clone / "pacs", "status"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.stderr.startswith("The environment ")
    assert not (tmp_path / "imported").exists()


def _program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
