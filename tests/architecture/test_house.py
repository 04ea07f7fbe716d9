"""The house keeps its floors: import directions, module sizes, and words that must not stand in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = (
    *("dicom", "audit", "archive", "access", "dicomweb", "portal", "administration", "trail", "viewer", "pacs_project"),
    *("worklist", "reports", "custody", "hl7", "telemetry"),
    *("samples", "selftest", "standalone"),
)
# module -> why it is longer than the others
LONG: dict[str, str] = {"administration/setting_words.py": "a table of words, written by tools/setting_words.py"}
MOST_LINES = 350
DOTTED_TRANSFER_SYNTAX = re.compile(r"""["']1\.2\.840\.10008\.1\.2(\.\d+)*["']""")


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]
    assert len(found) > 80
    return found


def test_imports_run_downstairs_only() -> None:
    """The contracts in pyproject.toml, checked by import-linter."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in LONG} == {}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_transfer_syntaxes_are_named(path: Path) -> None:
    """Dotted numbers stand in the table of transfer syntaxes only."""
    if path.name == "transfer_syntaxes.py":
        return
    assert not DOTTED_TRANSFER_SYNTAX.search(path.read_text())


def test_storage_libraries_have_one_importer() -> None:
    """Only archive/object_store and audit/bucket.py (decision 8) import boto3 and obstore.

    The launcher asks its S3 test server whether it is ready.
    """
    users = {
        path.relative_to(ROOT).parts[:2]
        for path in modules()
        if re.search(r"^\s*(import|from) (boto3|botocore|obstore)", path.read_text(), re.M)
    }
    assert users - {("standalone", "services")} == {("archive", "object_store"), ("audit", "bucket.py")}
