"""Each test of the worklist has an empty object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
