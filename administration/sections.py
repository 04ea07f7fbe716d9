"""The parts of the administration, in the order of its menu: one table for the pages and their tests."""

from dataclasses import dataclass
from typing import Final

from access.roles import Permission


@dataclass(frozen=True, slots=True)
class Section:
    """A line of the menu: the name of its address, its title, the pages below it, and whose right opens it as well."""

    address: str
    title: str
    below: tuple[str, ...] = ()
    right: Permission = Permission.MANAGE


PERSON_PAGES: Final = ("administration-person-new", "administration-person", "administration-person-activity")
RETENTION_PAGES: Final = ("administration-retention-rule-new", "administration-retention-rule", "administration-plan")
SECTIONS: Final = (
    Section("administration", "Overview"),
    Section("administration-people", "People", PERSON_PAGES),
    Section("administration-clients", "Clients", ("administration-client-new", "administration-client")),
    Section("administration-roles", "Roles", ("administration-role-new", "administration-role")),
    Section("administration-grants", "Grants", ("administration-grant-new",)),
    Section("administration-restrictions", "Restrictions", ("administration-restriction-new",)),
    Section("administration-holds", "Legal holds", ("administration-hold-new", "administration-hold"), Permission.HOLD),
    Section("administration-retention", "Retention", RETENTION_PAGES),
    Section("administration-deleted", "Deleted studies", ("administration-certificate",)),
    Section("administration-storage", "Storage"),
    Section("administration-findings", "Stored objects", ("administration-finding",)),
    Section("administration-emergencies", "Emergencies", ("administration-emergency",)),
    Section("administration-reviews", "Access review", ("administration-review-new", "administration-review")),
    Section("administration-sessions", "Sessions"),
    Section("administration-speed", "Speed"),
    Section("administration-settings", "Settings"),
)
