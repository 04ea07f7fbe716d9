"""A condition as its outline and its values: conditions with one outline are the same SQL, whatever is looked for.

``Q(patient_id="A1") & Q(study_date__gte="20240101")`` has the outline of its two look-ups and the values of both.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from archive.scope_sql import Placeholder

# A connector, whether it is negated, and what it connects: outlines, and look-ups with the number of their values
# (None for one that is bound whole, a constant in a tuple for one that is part of the SQL).
Outline = tuple[str, bool, tuple[Any, ...]]


def outline(condition: Q, values: list[Any]) -> Outline | None:
    """The outline of ``condition``, whose values are added to ``values``; None for one that holds queries."""
    parts: list[Any] = []
    for child in condition.children:
        if isinstance(child, Q):
            part: Any = outline(child, values)
        elif isinstance(child, tuple):
            look_up, value = child
            part = _look_up(look_up, value, values)
        else:
            part = None
        if part is None:
            return None
        parts.append(part)
    return condition.connector, condition.negated, tuple(parts)


def condition_of(of: Outline, at: Iterator[int], path: str = "") -> Q:
    """The condition with placeholders for its values, which ``at`` numbers; ``path`` leads to its columns."""
    connector, negated, parts = of
    children: list[Any] = []
    for part in parts:
        if len(part) == 3:
            children.append(condition_of(part, at, path))
            continue
        look_up, number = part
        match number:
            case None:
                value: Any = Placeholder(next(at))
            case int():
                value = [Placeholder(next(at)) for _ in range(number)]
            case _:
                (value,) = number
        children.append((f"{path}{look_up}", list(value) if isinstance(value, tuple) else value))
    return Q(*children, _connector=connector, _negated=negated)


def _look_up(look_up: str, value: Any, values: list[Any]) -> tuple[str, int | tuple[Any] | None] | None:
    if isinstance(value, bool) or value == "":
        # That there is no value is another question than which: of most attributes many rows have none.
        return look_up, (value,)
    if isinstance(value, str | int):
        values.append(value)
        return look_up, None
    if isinstance(value, list):
        if not value:
            return look_up, ((),)
        if look_up.endswith("__in"):
            values += value
            return look_up, len(value)
        values.append(value)
        return look_up, None
    return None
