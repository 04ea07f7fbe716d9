"""The choice of roles in forms: each role with a tick and, where it reaches studies, a limit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms

from access.models import User
from access.principal import Limit, LimitKind
from administration.words import LIMIT_WORDS, RoleChoice, role_choices

LONGEST_VALUE: Final = 64
MOST_VALUES: Final = 50


@dataclass(frozen=True, slots=True)
class RoleLine:
    """A role as a form shows it, ticked or not, with its limit as it was typed: a value a line."""

    choice: RoleChoice
    ticked: bool
    limit_kind: str = ""
    limit_values: str = ""


class BadLimit(Exception):
    """A limit that isn't one; the text is for whoever typed it."""


def empty_lines() -> list[RoleLine]:
    """All roles, none ticked."""
    return [RoleLine(choice, False) for choice in role_choices()]


def lines_of(user: User) -> list[RoleLine]:
    """All roles, with those that ``user`` has."""
    held = {row.role: row for row in user.roles.all()}
    return [
        RoleLine(
            choice,
            choice.name in held,
            held[choice.name].limit_kind if choice.name in held else "",
            "\n".join(held[choice.name].limit_values) if choice.name in held else "",
        )
        for choice in role_choices()
    ]


def lines_typed(post: Mapping[str, Any], ticked: Collection[str]) -> list[RoleLine]:
    """All roles as they stood in a form that was sent."""
    return [
        RoleLine(
            choice,
            choice.name in ticked,
            str(post.get(f"limit_kind_{choice.name}", "")),
            str(post.get(f"limit_values_{choice.name}", "")),
        )
        for choice in role_choices()
    ]


def limits_typed(post: Mapping[str, Any], roles: Collection[str]) -> dict[str, Limit]:
    """The limits of the roles chosen. Raises BadLimit."""
    found = {}
    for line in lines_typed(post, roles):
        if line.ticked and (limit := limit_of(line.limit_kind, line.limit_values, line.choice.title)):
            found[line.choice.name] = limit
    return found


def limit_of(kind: str, values: str, role: str) -> Limit | None:
    """The limit that was typed, a value a line; None for none. Raises BadLimit."""
    lines = tuple(dict.fromkeys(line.strip() for line in values.splitlines() if line.strip()))
    if not kind and not lines:
        return None
    if kind not in LIMIT_WORDS:
        raise BadLimit(f"{role}: choose what the limit goes by.")
    if not lines:
        raise BadLimit(f"{role}: write the names it is limited to, one a line.")
    if len(lines) > MOST_VALUES or any(len(line) > LONGEST_VALUE or "\0" in line for line in lines):
        raise BadLimit(f"{role}: at most {MOST_VALUES} names of {LONGEST_VALUE} characters.")
    return Limit(LimitKind(kind), lines)


class WithRoles(forms.Form):
    """A form that asks for roles with their limits."""

    roles = forms.MultipleChoiceField(
        choices=lambda: [(choice.name, choice.title) for choice in role_choices()],
        error_messages={"required": "Choose at least one."},
    )

    limits: dict[str, Limit]

    def clean(self) -> dict[str, Any]:
        """``limits`` are those typed beside the roles chosen."""
        given: dict[str, Any] = super().clean() or {}
        try:
            self.limits = limits_typed(self.data, given.get("roles", ()))
        except BadLimit as error:
            self.add_error("roles", str(error))
        return given

    def lines(self) -> list[RoleLine]:
        """The roles as the page shows them."""
        if not self.is_bound:
            return empty_lines()
        ticked = self.data.getlist("roles") if hasattr(self.data, "getlist") else self.data.get("roles", [])
        return lines_typed(self.data, ticked)
