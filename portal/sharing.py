"""Sharing a study: a form that makes a link, shown once, and the list of links with what has become of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import policy
from access.authentication import principal_of
from access.link_principals import lapsed
from access.links import MOST_DAYS, Wish, make_link, revoke, state, studies_of
from access.models import ShareLink, User
from access.principal import Principal
from access.rights import Right
from access.roles import Permission
from access.step_up import is_recent, require_recent, way_to_confirm
from access.trail import event
from archive.models import Study
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from portal.rows import StudyRow, study_row

LISTED = 200
PURPOSES = ("Treatment", "Second opinion", "The patient's own copy", "Teaching", "Research", "Insurance or legal")


class ShareForm(forms.Form):
    """What the page asks for. Field names are those of the page."""

    recipient = forms.CharField(max_length=200)
    purpose = forms.CharField(max_length=200)
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=7)
    most_uses = forms.IntegerField(min_value=1, max_value=1000, required=False)
    pin = forms.BooleanField(required=False, initial=True)
    download = forms.BooleanField(required=False)
    annotate = forms.BooleanField(required=False)

    RIGHTS: ClassVar = (Right.DOWNLOAD, Right.ANNOTATE)

    def __init__(self, *args: Any, able: frozenset[Right], **kwargs: Any) -> None:
        """``able`` is what whoever shares may pass on."""
        super().__init__(*args, **kwargs)
        self.able = able
        for right in self.RIGHTS:
            if right not in able:
                del self.fields[right.value]

    def rights(self) -> list[Right]:
        """What a valid form opens besides looking."""
        return [right for right in self.RIGHTS if self.cleaned_data.get(right.value)]

    def wish(self, study: Study) -> Wish:
        """The link that a valid form asks for."""
        given = self.cleaned_data
        return Wish(
            study=study,
            recipient=given["recipient"],
            purpose=given["purpose"],
            until=timezone.now() + timedelta(days=given["days"]),
            rights=self.rights(),
            pin=given["pin"],
            most_uses=given["most_uses"],
        )


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link as the list shows it; ``studies`` are those that whoever looks may see."""

    id: UUID
    recipient: str
    purpose: str
    studies: list[StudyRow]
    rights: list[str]
    made_by: str
    made_at: datetime
    ends: datetime | None
    uses: int
    most_uses: int | None
    pin: bool
    state: str


@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest, study: str) -> HttpResponse:
    """The form for one study; a POST makes the link and shows it, this once. 404 for what may not be shared.

    A link that opens more than looking wants whoever makes it to have shown lately who they are.
    """
    principal = _allowed(request, policy.may_share)
    found = policy.shareable_studies(principal).select_related("patient").filter(study_instance_uid=study).first()
    if found is None:
        raise Http404
    able = policy.rights_to_share(principal, study)
    form = ShareForm(request.POST if request.method == "POST" else None, able=able)
    context = {
        "form": form,
        "row": study_row(found, policy.withheld(principal, Permission.SEARCH)),
        "purposes": PURPOSES,
        "most_days": MOST_DAYS,
        "principal": principal,
        "recent": is_recent(request),
        "confirm": way_to_confirm(request).url,
    }
    if request.method != "POST" or not form.is_valid():
        record([event(request, SEARCH, principal, rule="share", study_uids=[study], query="the form to share a study")])
        return render(request, "portal/share.html", context, status=400 if form.is_bound else 200)
    if form.rights():
        require_recent(request)
    made = make_link(form.wish(found), _user(principal), request, principal)
    return render(request, "portal/shared.html", {**context, "made": made, "ends": form.wish(found).until}, status=201)


@require_safe
def shared(request: HttpRequest) -> HttpResponse:
    """The links that one made, newest first; whoever manages sees those of everybody."""
    principal = _allowed(request, policy.may_end_links)
    now = timezone.now()
    visible = policy.visible_studies(principal, Permission.SEARCH)
    withheld = policy.withheld(principal, Permission.SEARCH)
    ordered = _links(principal).select_related("created_by").prefetch_related("grants").order_by("-created_at", "-pk")
    links = list(ordered[:LISTED])
    gone = lapsed([link for link in links if link.revoked_at is None])
    rows = [_row(link, visible, withheld, state(link, now, has_lapsed=link.pk in gone)) for link in links]
    shown = sorted({row.uid for each in rows for row in each.studies})
    record([event(request, SEARCH, principal, rule="share", study_uids=shown, query="share links")])
    context = {"rows": rows, "principal": principal, "of_everybody": _manages(principal)}
    return render(request, "portal/shares.html", context)


@require_POST
def end(request: HttpRequest, link: UUID) -> HttpResponse:
    """Revoke a link; back to the list. 404 for a link of somebody else."""
    principal = _allowed(request, policy.may_end_links)
    found = _links(principal).filter(external_id=link).first()
    if found is None:
        raise Http404
    revoke(found, request, principal)
    return HttpResponseRedirect(reverse("shared"))


def _allowed(request: HttpRequest, may: Callable[[Principal], bool]) -> Principal:
    """The principal, who may do this. Raises PermissionDenied, with its event."""
    principal = principal_of(request)
    if not may(principal):
        record([event(request, REFUSED, principal, decision="deny", rule="share", outcome=Outcome.MINOR_FAILURE)])
        raise PermissionDenied
    return principal


def _user(principal: Principal) -> User:
    return User.objects.get(external_id=principal.id)


def _manages(principal: Principal) -> bool:
    return policy.may(principal, Permission.MANAGE)


def _links(principal: Principal) -> QuerySet[ShareLink]:
    return ShareLink.objects.all() if _manages(principal) else ShareLink.objects.filter(created_by=_user(principal))


def _row(link: ShareLink, visible: QuerySet[Study], withheld: frozenset[str], become: str) -> LinkRow:
    grants = list(link.grants.all())
    studies = studies_of(link).filter(pk__in=visible).select_related("patient")[:20]
    return LinkRow(
        id=link.external_id,
        recipient=link.recipient,
        purpose=link.purpose,
        studies=[study_row(study, withheld) for study in studies],
        rights=sorted({right for grant in grants for right in grant.rights}),
        made_by=link.created_by.username if link.created_by else "command line",
        made_at=link.created_at,
        ends=max((grant.valid_until for grant in grants if grant.valid_until), default=None),
        uses=link.uses,
        most_uses=link.most_uses,
        pin=bool(link.pin_hash),
        state=become,
    )
