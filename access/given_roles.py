"""A role that is being given stays until it is: nobody deletes it in between."""

from collections.abc import Iterable

from access.models import CustomRole
from access.refused_change import RefusedChange
from access.roles import ROLES


def hold(names: Iterable[str]) -> None:
    """Keep these roles until the end of the transaction. Raises RefusedChange for one that is gone by now.

    Whoever deletes a role locks its row and then counts who has it: one of the two waits for the other.
    """
    own = sorted(set(names) - ROLES.keys())
    if not own:
        return
    rows = CustomRole.objects.select_for_update(no_key=True).filter(name__in=own).order_by("name")
    if missing := set(own).difference(rows.values_list("name", flat=True)):
        raise RefusedChange(f"there is no role {min(missing)} any more")
