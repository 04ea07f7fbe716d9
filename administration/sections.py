"""The parts of the administration, in the order of its menu: one table for the pages and their tests."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Section:
    """A line of the menu: the name of its address, its title, and the pages below it."""

    address: str
    title: str
    below: tuple[str, ...] = ()


PERSON_PAGES: Final = ("administration-person-new", "administration-person", "administration-person-activity")
SECTIONS: Final = (
    Section("administration", "Overview"),
    Section("administration-people", "People", PERSON_PAGES),
    Section("administration-clients", "Clients", ("administration-client-new", "administration-client")),
    Section("administration-roles", "Roles", ("administration-role-new", "administration-role")),
    Section("administration-grants", "Grants", ("administration-grant-new",)),
    Section("administration-restrictions", "Restrictions", ("administration-restriction-new",)),
    Section("administration-emergencies", "Emergencies", ("administration-emergency",)),
    Section("administration-reviews", "Access review", ("administration-review-new", "administration-review")),
    Section("administration-sessions", "Sessions"),
    Section("administration-settings", "Settings"),
)
