"""The pages say what the code says: tables, names, numbers, links, and every recipe is run."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from pydantic import BaseModel, SecretStr

from archive import intake
from audit.kinds import KINDS
from dicom import errors
from pacs_project.config import BASE, Config
from standalone.__main__ import COMMANDS
from tests.live.server import LivePacs
from tools.docs_tables import DOCS, TABLES, filled

ROOT = DOCS.parent
PAGES = sorted(DOCS.rglob("*.md"))
FILES = Path(pydicom.__file__).parent / "data/test_files"
ROOMS = (
    "dicom",
    "audit",
    "archive",
    "custody",
    "access",
    "dicomweb",
    "portal",
    "administration",
    "trail",
    "viewer",
    "technologist",
    "pacs_project",
    "hl7",
)
# Read by the launcher or the tests, not by the product.
LAUNCHER = {"PACS_SECRETS_DIR", "PACS_PYTHON", "PACS_PG_BIN", "PACS_SHARED_DATA", "PACS_CHROMIUM"}


def page(name: str) -> str:
    return (DOCS / name).read_text()


def section(name: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or a higher one."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", page(name), re.M | re.S)
    assert found, f"{name} has no heading {heading}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of the body rows of the tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {at for at, row in enumerate(cells) if set("".join(row)) <= set("-")}
    return [row for at, row in enumerate(cells) if at not in rules and at + 1 not in rules]


def settings_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    """Environment variable and default of every setting, nested ones included."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from settings_of(type(default), f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", default


def shown(default: Any) -> str:
    """A default as the page has it."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Path):
        return default.relative_to(BASE).as_posix() + "/"
    if isinstance(default, list):
        return "[" + ", ".join(f'"{each}"' for each in default) + "]"
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_tables_are_those_of_the_code(path: Path) -> None:
    """`python -m tools.docs_tables` writes them again."""
    assert filled(path.read_text()) == path.read_text()


def test_every_table_stands_somewhere() -> None:
    everything = "".join(path.read_text() for path in PAGES)
    assert {name for name in TABLES if f"<!-- table: {name} -->" in everything} == set(TABLES)


def test_settings() -> None:
    described = {row[0].strip("`"): row[1].strip("`") for row in rows(section("configuration.md", "Settings"))}
    assert described == {name: shown(default) for name, default in settings_of(Config, "PACS_")}


def test_limits_that_nothing_reads_are_said_to_have_no_effect() -> None:
    code = "\n".join(p.read_text() for room in ROOMS for p in (ROOT / room).rglob("*.py") if p.name != "config.py")
    for row in rows(section("configuration.md", "Settings")):
        name = row[0].strip("`")
        if name.startswith("PACS_LIMITS__"):
            read = re.search(rf"limits\.{name.removeprefix('PACS_LIMITS__').lower()}\b", code) is not None
            assert read != ("no effect" in row[2]), name


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_environment_variables_exist(path: Path) -> None:
    known = {name for name, _ in settings_of(Config, "PACS_")} | LAUNCHER
    named = set(re.findall(r"\bPACS_[A-Z0-9_]*[A-Z0-9]\b", path.read_text()))
    assert {name for name in named if name not in known and not name.endswith(("__", "..."))} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), f"{path.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", aim.read_text(), re.M)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path.name}: {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_knows_a_machine(path: Path) -> None:
    assert not re.search(r"/(home|root|work|tmp/[a-z])\b", path.read_text())


def test_commands() -> None:
    named = {row[0].strip("`").split()[1] for row in rows(section("operations.md", "The command"))}
    assert named == set(COMMANDS)


def test_addresses_that_answer_everybody() -> None:
    def open_ones(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield from open_ones(entry, prefix + str(entry.pattern))
            elif isinstance(entry, URLPattern) and getattr(entry.callback, "open_to_all", False):
                yield prefix + str(entry.pattern)

    named = {row[0].strip("`") for row in rows(section("security.md", "What answers without sign-in"))}
    assert named == {*open_ones(get_resolver()), "/static/..."}


def test_deleting_is_named_as_missing_only_while_it_is() -> None:
    possible = re.search(r"^\| DELETE \|", TABLES["resources"](), re.M) is not None
    assert ("\n| Deleting" in section("security.md", "Not there yet")) != possible
    assert ("deleting" in section("conformance.md", "Not supported")) != possible


def kinds_used(path: Path) -> set[str]:
    """Names of audit.kinds that a module imports, or reaches by ``kinds.``."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imports = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "audit.kinds"]
    reached = {n.attr for n in nodes if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "kinds"}
    return reached | {alias.name for node in imports for alias in node.names}


def test_events_of_the_trail() -> None:
    """The kinds that the code records, and no other."""
    modules = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    recorded = {name for path in modules for name in kinds_used(path)}
    named = {row[0].strip("`") for row in rows(section("security.md", "The access trail"))}
    assert named == {name for name in KINDS if name.upper() in recorded}


def test_reasons_of_the_store_transaction() -> None:
    known = {
        number
        for module in (intake, errors)
        for name, number in vars(module).items()
        if name.isupper() and isinstance(number, int) and name not in ("LONGEST_IDENTIFIER", "FIRST_ELEMENT")
    }
    named = {int(row[0].strip("`"), 16) for row in rows(section("conformance.md", "Store")) if len(row[0]) == 6}
    assert named == known


@pytest.fixture(scope="module")
def live() -> Iterator[LivePacs]:
    installation = LivePacs()
    try:
        yield installation.start()
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def client(live: LivePacs) -> dict[str, str]:
    """The three variables of the recipes, and an interpreter that has their packages."""
    made = live.manage("create_client", "recipes", "--role", "technologist").splitlines()
    credentials = dict(line.split() for line in made[:2])
    return {
        **os.environ,
        "PACS": live.url,
        "CLIENT_ID": credentials["client_id"],
        "CLIENT_SECRET": credentials["client_secret"],
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the recipes are run: with the files they name."""
    (tmp_path / "studies").mkdir()
    for name, source in (("ct", "CT_small"), ("mr", "MR_small"), ("dose", "rtdose")):
        shutil.copy(FILES / f"{source}.dcm", tmp_path / f"studies/{name}.dcm")
    return tmp_path


def run_blocks(language: str, command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Every block of a language, one after the other in one process; what it printed."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page("recipes.md"), re.M | re.S)
    assert len(blocks) >= 3
    command = [*command, "\n".join(blocks)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on PATH: the shell recipes are not run")
def test_shell_recipes(client: dict[str, str], folder: Path) -> None:
    run_blocks("sh", ["sh", "-eu", "-c"], folder, client)
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (folder / "frame.raw").stat().st_size == 64 * 64 * 2


def test_python_recipes(client: dict[str, str], folder: Path) -> None:
    (folder / "studies/broken.dcm").write_bytes((FILES / "MR_small_RLE.dcm").read_bytes()[:4000])
    assert run_blocks("python", [sys.executable, "-c"], folder, client).startswith("refused C000: (7FE0,0010)")
