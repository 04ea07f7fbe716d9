"""The table of clauses and the tests hold each other: no clause without a test, no test of an unknown clause."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.clauses import CLAUSES, Verdict
from tests.conformance.marks import ATTRIBUTE

FOLDER = Path(__file__).parent


def marked() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and clauses of every test that pytest collects from this folder and that names one."""
    for file in sorted(FOLDER.glob("test_*.py")):
        module = importlib.import_module(f"{__package__}.{file.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_") and hasattr(test, ATTRIBUTE):
                yield name, getattr(test, ATTRIBUTE)


def test_every_clause_has_a_test() -> None:
    named = {key for _, keys in marked() for key in keys}
    assert set(CLAUSES) - named == set()


def test_no_test_names_an_unknown_clause() -> None:
    named = {key for _, keys in marked() for key in keys}
    assert named - set(CLAUSES) == set()


def test_names_of_tests_begin_with_their_clause() -> None:
    wrong = [name for name, keys in marked() if not name.startswith(f"test_{CLAUSES[keys[0]].slug.split('_')[0]}")]
    assert not wrong
    for name, keys in marked():
        number = CLAUSES[keys[0]].number.replace(".", "_")
        assert name.startswith(f"test_{number}_"), name


def test_what_is_not_met_says_why() -> None:
    for clause in CLAUSES.values():
        assert (clause.verdict is Verdict.MET) == (not clause.why), clause.key
        assert len(clause.title) > 2
    met = [clause for clause in CLAUSES.values() if clause.verdict is Verdict.MET]
    assert len(met) >= 90
