"""Every trap of the table has a test, and every trap test is in the table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.conformance.traps import TRAPS

_NAME = re.compile(r"(?m)^def test_trap_(\d\d)_\w+\(")


def test_each_of_the_29_traps_has_a_test() -> None:
    files = Path(__file__).parent.glob("test_traps_*.py")
    named = Counter(int(number) for file in files for number in _NAME.findall(file.read_text()))
    assert sorted(TRAPS) == list(range(1, 30))
    assert sorted(named) == sorted(TRAPS)
