"""Access reviews: the report of all accounts, campaigns and their decisions, dormant accounts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.account_report import Account, accounts, dormant
from access.acting import Acting
from access.models import Client, Grant, ReviewRow, SecondFactor, User, UserRole
from access.principal import Principal
from access.refused_change import RefusedChange
from access.report_csv import safe, table
from access.review_models import Decision
from access.reviews import campaigns, decide, is_overdue, lines, start
from audit.kinds import SIGN_IN, SIGN_IN_FAILED
from audit.models import AccessEvent
from audit.record import NewAccessEvent, record

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db


def by(user: User) -> Acting:
    """Somebody who acts without a request: their events are those of the command line."""
    return Acting(None, Principal("person", str(user.external_id), user.username, (), "session", ""))


def named(name: str) -> Account:
    [found] = [account for account in accounts() if account.name == name]
    return found


def made_long_ago(account: User | Client) -> None:
    long_ago = timezone.now() - timedelta(days=91)
    column = "date_joined" if isinstance(account, User) else "created"
    type(account).objects.filter(pk=account.pk).update(**{column: long_ago})


def used(account: User | Client, kind: Any = SIGN_IN) -> None:
    kinds: Any = "person" if isinstance(account, User) else "client"
    record([NewAccessEvent(kind=kind, principal_kind=kinds, principal_id=str(account.external_id))])


def test_the_report_names_everybody(make_person: Make, make_client: Make, make_study: Make) -> None:
    boss, rita = make_person("administrator", username="boss"), make_person(username="rita")
    UserRole.objects.create(user=rita, role="radiologist", given_by=boss)
    SecondFactor.objects.create(user=boss, kind="app", name="phone")
    machine = make_client("ai_vendor", name="vendor")
    Grant.objects.create(study=make_study(), client=machine, rights=["view"])
    Grant.objects.create(study=make_study(), user=rita, valid_until=timezone.now() - timedelta(days=1))
    make_person("patient", username="gone", active=False)
    used(rita)
    found = {account.name: account for account in accounts()}
    assert list(found) == ["boss", "gone", "rita", "vendor"]
    assert [found[name].manages for name in found] == [True, False, False, False]
    assert [found[name].is_active for name in found] == [True, False, True, True]
    assert [found[name].second_factor for name in found] == [True, False, False, None]
    assert [(role.name, role.given_by) for role in found["rita"].roles] == [("radiologist", "boss")]
    assert found["rita"].roles[0].given_at is not None
    assert (found["vendor"].kind, found["vendor"].grants, found["rita"].grants) == ("client", 1, 0)
    assert found["rita"].last_used is not None
    assert found["vendor"].last_used is None


def test_its_cost_does_not_grow_with_the_accounts(make_person: Make, make_client: Make) -> None:
    make_person("radiologist")
    make_client("device")
    with CaptureQueriesContext(connection) as few:
        accounts()
    for _ in range(10):
        make_person("radiologist", "technologist")
        make_client("device")
    with CaptureQueriesContext(connection) as many:
        assert len(accounts()) == 22
    assert len(many) == len(few)


def test_dormant_are_those_nobody_used_for_long(make_person: Make, make_client: Make) -> None:
    unused, new, busy, off = (make_person("radiologist", username=name) for name in ("unused", "new", "busy", "off"))
    machine, attacked = make_client("device", name="machine"), make_person("radiologist", username="attacked")
    for account in (unused, busy, off, machine, attacked):
        made_long_ago(account)
    User.objects.filter(pk=off.pk).update(is_active=False)
    used(busy)
    used(attacked, SIGN_IN_FAILED)
    assert [account.name for account in dormant()] == ["attacked", "unused", "machine"]
    assert not named("new").dormant
    assert new.is_active


def test_the_command_lists_and_switches_off(make_person: Make, capsys: pytest.CaptureFixture[str]) -> None:
    boss, unused = make_person("administrator", username="boss"), make_person("radiologist", username="unused")
    for account in (boss, unused):
        made_long_ago(account)
    call_command("dormant")
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["boss", "unused"]
    assert User.objects.filter(is_active=True).count() == 2
    call_command("dormant", disable=True)
    out = capsys.readouterr().out
    assert "unused" in out
    assert "switched off" in out
    assert "boss" in out
    assert "stays" in out
    assert list(User.objects.filter(is_active=True)) == [boss]


def test_the_upkeep_switches_off_where_it_is_told_to(make_person: Make, settings: Any) -> None:
    make_person("administrator")
    unused = make_person("radiologist")
    made_long_ago(unused)
    call_command("upkeep")
    assert User.objects.get(pk=unused.pk).is_active
    settings.PACS = settings.PACS.model_copy(update={"dormant_switch_off": True})
    call_command("upkeep")
    assert not User.objects.get(pk=unused.pk).is_active


def test_a_campaign(make_person: Make, make_client: Make) -> None:
    boss = make_person("administrator", username="boss")
    other = make_person("administrator", username="other")
    rita = make_person("radiologist", "technologist", username="rita")
    machine = make_client("device", name="machine")
    make_person("radiologist", username="gone", active=False)
    campaign = start("Autumn", timezone.localdate(), by=by(boss))
    counted = vars(campaigns().get())
    assert (counted["accounts"], counted["open"]) == (4, 4)
    rows = {line.account.name: line.row for line in lines(campaign)}
    assert list(rows) == ["boss", "other", "rita", "machine"]
    decide(rows["machine"], Decision.SWITCH_OFF, by=by(boss))
    decide(rows["rita"], Decision.REVOKE, revoked=["technologist", "device"], by=by(boss))
    decide(rows["other"], Decision.KEEP, by=by(boss))
    assert not Client.objects.get(pk=machine.pk).is_active
    assert [role.role for role in rita.roles.all()] == ["radiologist"]
    with pytest.raises(RefusedChange, match="own account"):
        decide(rows["boss"], Decision.KEEP, by=by(boss))
    assert campaigns().get().ended_at is None
    decide(rows["boss"], Decision.KEEP, by=by(other))
    with pytest.raises(RefusedChange, match="decided"):
        decide(rows["boss"], Decision.SWITCH_OFF, by=by(other))
    assert campaigns().get().ended_at is not None
    found = ReviewRow.objects.get(user=rita)
    assert (found.decision, found.revoked, found.decided_by, found.roles) == (
        "revoke",
        ["technologist"],
        boss,
        ["radiologist", "technologist"],
    )
    told = list(AccessEvent.objects.filter(kind="access_reviewed").order_by("sequence"))
    assert len(told) == 5
    assert f"person {rita.external_id}: take roles away: technologist" in told[2].outcome_description


def test_decisions_that_change_nothing_are_refused(make_person: Make, make_client: Make) -> None:
    boss, rita = make_person("administrator"), make_person("radiologist", username="rita")
    make_client("device", name="machine")
    rows = {line.account.name: line.row for line in lines(start("x", timezone.localdate(), by=by(boss)))}
    for name, revoked in (("rita", []), ("rita", ["device"]), ("machine", ["device"])):
        with pytest.raises(RefusedChange):
            decide(rows[name], Decision.REVOKE, revoked=revoked, by=by(boss))
    assert not ReviewRow.objects.exclude(decision="").exists()
    assert rita.roles.count() == 1
    with pytest.raises(RefusedChange):
        decide(rows["person-0"], Decision.SWITCH_OFF, by=by(rita))


def test_overdue(make_person: Make) -> None:
    make_person("radiologist")
    yesterday = timezone.localdate() - timedelta(days=1)
    late, running = start("late", yesterday), start("running", timezone.localdate())
    assert is_overdue(late)
    assert not is_overdue(running)
    decide(late.rows.get(), Decision.KEEP)
    late.refresh_from_db()
    assert not is_overdue(late)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert safe(cell) == f"'{cell}"
    assert safe("rita") == "rita"


def test_the_table(make_person: Make) -> None:
    make_person("radiologist", username="=cmd|' /C calc'!A0")
    [head, line] = list(csv.reader(io.StringIO(table(accounts()))))
    assert dict(zip(head, line, strict=True)) | {"id": "", "made": "", "given by": ""} == {
        "kind": "person",
        "id": "",
        "name": "'=cmd|' /C calc'!A0",
        "full name": "",
        "switched on": "yes",
        "manages": "no",
        "roles": "radiologist",
        "given by": "",
        "made": "",
        "last used": "",
        "grants": "0",
        "API keys": "0",
        "second factor": "no",
        "dormant": "no",
    }
