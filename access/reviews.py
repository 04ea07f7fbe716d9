"""Access reviews: a campaign lists all accounts as they are; of each somebody decides, before a day."""

from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from access.account_report import Account, accounts
from access.acting import COMMAND_LINE, Acting
from access.models import Client, ReviewCampaign, ReviewRow, User
from access.people import described, set_roles
from access.refused_change import RefusedChange
from access.review_models import Decision
from access.termination import terminate
from audit.kinds import ACCESS_REVIEWED
from audit.record import record

OWN_ROW = "nobody reviews their own account: ask somebody else who manages"
DECIDED = "this account is decided already"
NOTHING_TAKEN = "choose at least one role to take away"
ONE_ROLE = "a machine has one role: switch it off, or keep it"


@dataclass(frozen=True, slots=True)
class Line:
    """An account in a campaign: as it is now, and what was decided."""

    row: ReviewRow
    account: Account


def campaigns() -> QuerySet[ReviewCampaign]:
    """All of them, the newest first, with ``accounts`` and ``open`` counted."""
    counted = {"accounts": Count("rows"), "open": Count("rows", filter=Q(rows__decision=""))}
    return ReviewCampaign.objects.annotate(**counted).select_related("started_by").order_by("-started_at", "-pk")


def is_overdue(campaign: ReviewCampaign) -> bool:
    """True after its last day as long as it is not over."""
    return campaign.ended_at is None and campaign.due < timezone.localdate()


def start(title: str, due: date, *, by: Acting = COMMAND_LINE) -> ReviewCampaign:
    """A review of all accounts that are switched on."""
    with transaction.atomic():
        campaign = ReviewCampaign.objects.create(title=title, due=due, started_by=by.user)
        rows = [
            ReviewRow(campaign=campaign, user=user, roles=sorted(role.role for role in user.roles.all()))
            for user in User.objects.filter(is_active=True).prefetch_related("roles")
        ]
        rows += [
            ReviewRow(campaign=campaign, client=client, roles=[client.role] if client.role else [])
            for client in Client.objects.filter(is_active=True)
        ]
        ReviewRow.objects.bulk_create(rows)
        text = f"access review {campaign.external_id} of {len(rows)} accounts, due {due.isoformat()}"
        record([by.event(ACCESS_REVIEWED, text)])
    return campaign


def lines(campaign: ReviewCampaign) -> list[Line]:
    """Its accounts as they are now: those not decided first, people before machines, by name."""
    rows = {
        (row.user or row.client).external_id: row  # type: ignore[union-attr]
        for row in campaign.rows.select_related("user", "client", "decided_by")
    }
    pks = {
        "person": [row.user_id for row in rows.values() if row.user_id],
        "client": [row.client_id for row in rows.values() if row.client_id],
    }
    found = [Line(rows[account.id], account) for account in accounts(pks)]  # type: ignore[arg-type]
    return sorted(found, key=lambda line: line.row.decision != "")


def decide(row: ReviewRow, decision: Decision, *, revoked: list[str] | None = None, by: Acting = COMMAND_LINE) -> None:
    """Keep the account, take roles away, or switch it off; the review ends with its last row. Raises RefusedChange."""
    account = _account(row)
    if by.is_account(account.external_id):
        raise RefusedChange(OWN_ROW)
    with transaction.atomic():
        waiting = ReviewRow.objects.select_for_update(of=("self",)).filter(pk=row.pk, decision="").first()
        if waiting is None:
            raise RefusedChange(DECIDED)
        campaign = waiting.campaign
        taken = _carry_out(account, decision, revoked or [], f"access review {campaign.external_id}", by)
        waiting.decision, waiting.revoked = decision, taken
        waiting.decided_by, waiting.decided_at = by.user, timezone.now()
        waiting.save(update_fields=["decision", "revoked", "decided_by", "decided_at"])
        said = f"{decision.label.lower()}{': ' if taken else ''}{', '.join(taken)}"
        record([by.event(ACCESS_REVIEWED, f"access review {campaign.external_id}: {described(account)}: {said}")])
        if not campaign.rows.filter(decision="").exists():
            ReviewCampaign.objects.filter(pk=campaign.pk, ended_at__isnull=True).update(ended_at=timezone.now())


def _account(row: ReviewRow) -> User | Client:
    account: User | Client | None = row.user or row.client
    if account is None:
        raise ValueError("a row has one account (review_one_account)")
    return account


def _carry_out(account: User | Client, decision: Decision, revoked: list[str], reason: str, by: Acting) -> list[str]:
    """Do what was decided; the roles that were taken away."""
    if decision is Decision.SWITCH_OFF:
        terminate(account, reason, by=by)
    if decision is not Decision.REVOKE:
        return []
    if not isinstance(account, User):
        raise RefusedChange(ONE_ROLE)
    has = set(account.roles.values_list("role", flat=True))
    taken = sorted(has.intersection(revoked))
    if not taken:
        raise RefusedChange(NOTHING_TAKEN)
    set_roles(account, has.difference(taken), reason=reason, by=by)
    return taken
