"""Who the holder of a share link is, and what is left of the link: whoever made it passes on what they may themselves,
and no longer than they may.
"""

from collections.abc import Collection
from typing import Final

from django.db.models import Q

from access import policy
from access.held_roles import Row, held, rows_of_people
from access.models import Grant, GrantQuery, ShareLink, User
from access.principal import Principal

_MAKER: Final = "link__created_by"


def principal_of(grants: GrantQuery, token_id: str) -> Principal | None:
    """The holder of the link whose open ``grants`` these are. One query; which study each opens is ``access.policy``'s.

    None if there are none, or if whoever made the link may share nothing any more.
    """
    rows = list(
        grants.annotate(of_maker=rows_of_people(_MAKER)).values_list(
            "link__external_id",
            "link__recipient",
            "rights",
            f"{_MAKER}__external_id",
            f"{_MAKER}__username",
            "of_maker",
        )
    )
    if not rows:
        return None
    external_id, recipient, _, maker_id, maker_name, of_maker = rows[0]
    maker = None if maker_id is None else _person(str(maker_id), maker_name, of_maker)
    if maker is not None and not policy.may_share(maker):
        return None
    rights = tuple(sorted({right for row in rows for right in row[2]}))
    return Principal("link", str(external_id), recipient, (), "link", token_id, rights, maker=maker)


def lapsed(links: Collection[ShareLink]) -> frozenset[int]:
    """The keys of those links of which nothing opens because whoever made them may not share it any more.

    Two queries for each person who made some of them.
    """
    kept: set[int] = set()
    makers = {link.created_by for link in links if link.created_by is not None}
    for maker in makers:
        found = policy.shareable_studies(_person_at_hand(maker))
        named = Q(study__in=found) | Q(patient__in=found.values("patient")) | Q(series__study__in=found)
        of_maker = Grant.objects.filter(named, link__in=[link.pk for link in links], link__created_by=maker)
        kept.update(key for key in of_maker.values_list("link", flat=True) if key is not None)
    return frozenset(link.pk for link in links if link.created_by is not None and link.pk not in kept)


def _person(external_id: str, name: str, rows: Collection[Row]) -> Principal:
    roles = held(rows)
    return Principal("person", external_id, name, tuple(role.name for role in roles), "session", "", held=roles)


def _person_at_hand(user: User) -> Principal:
    [rows] = User.objects.filter(pk=user.pk).values_list(rows_of_people(), flat=True)
    return _person(str(user.external_id), user.username, rows)
