"""Header fields that every answer bears, without Django's checks of each of them: their values are our own.

A third of what an answer costs besides its content would be those checks.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from django.http import HttpResponseBase

# Name in lower case -> name and value, as Django keeps the fields of an answer.
Pairs = Mapping[str, tuple[str, str]]
_SEPARATED: Final = re.compile(r"\s*,\s*")


def pairs(fields: Mapping[str, str]) -> Pairs:
    """``fields`` as they are kept; nothing in them may come from a client unchecked."""
    return {name.lower(): (name, value) for name, value in fields.items()}


def add_missing(response: HttpResponseBase, fields: Pairs) -> None:
    """Those of ``fields`` that ``response`` has not got."""
    kept = response.headers._store
    for name, pair in fields.items():
        kept.setdefault(name, pair)


def replace(response: HttpResponseBase, fields: Pairs) -> None:
    """``fields``, whatever ``response`` had there."""
    response.headers._store.update(fields)


def vary(response: HttpResponseBase, name: str) -> None:
    """That the answer depends on the request's field ``name`` (RFC 9110 12.5.5)."""
    kept = response.headers._store
    kept["vary"] = ("Vary", _with(kept["vary"][1] if "vary" in kept else "", name))


@lru_cache(maxsize=256)
def _with(names: str, name: str) -> str:
    there = _SEPARATED.split(names) if names else []
    if "*" in there:
        return "*"
    known = {each.lower() for each in there}
    return ", ".join(there if name.lower() in known else [*there, name])
