"""Grants: to whom, of what, with which rights, until when; and what became of those of the release before."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from access.grants import grant_study, revoke_study
from access.links import Wish, make_link, token_principal
from access.models import Grant, ShareLink, User
from access.policy import may, may_store, shareable_studies, visible_studies
from access.principal import Principal
from access.rights import NOT_OF_LINKS, OF_LINKS, OPENS, Right
from access.roles import Permission
from archive.models import Study
from audit.models import AccessEvent

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
SR, SEG, PR, KO, CT = (
    f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("88.33", "66.4", "11.1", "88.59", "2")
)  # fmt: skip


def of(user: User, *roles: str) -> Principal:
    return Principal("person", str(user.external_id), user.username, roles, "session", "")


def of_link(link: ShareLink, *rights: Right) -> Principal:
    return Principal("link", str(link.external_id), "x", (), "link", "", tuple(right.value for right in rights))


def a_link(study: Study, *rights: Right, **wish: Any) -> ShareLink:
    given: dict[str, Any] = {
        "recipient": "Dr. R",
        "purpose": "Treatment",
        "until": timezone.now() + timedelta(days=1),
    } | wish
    return make_link(Wish(study=study, rights=rights, **given), None, None, None).link


def test_a_grant_of_a_patient_opens_all_of_its_studies_and_later_ones(make_person: Make, make_study: Make) -> None:
    user = make_person("referring_physician")
    first, other = make_study(), make_study()
    Grant.objects.create(user=user, patient=first.patient)
    assert set(visible_studies(of(user, "referring_physician"))) == {first}
    later = Study.objects.create(study_instance_uid="1.2.3.4", patient=first.patient)
    assert set(visible_studies(of(user, "referring_physician"))) == {first, later}
    Grant.objects.create(user=user, study=other)
    Grant.objects.create(user=user, study=first)
    assert sorted(study.pk for study in visible_studies(of(user, "referring_physician"))) == sorted(
        [first.pk, later.pk, other.pk]
    )


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("right", list(Right))
def test_a_grant_opens_what_role_and_grant_both_name(
    make_person: Make, make_study: Make, permission: Permission, right: Right
) -> None:
    user, study = make_person("ai_vendor"), make_study()
    Grant.objects.create(user=user, study=study, rights=[right.value])
    of_role = permission in ("search", "retrieve", "store", "workitems_read", "workitems_perform")
    expected = {study} if of_role and right in OPENS[permission] else set()
    assert set(visible_studies(of(user, "ai_vendor"), permission)) == expected


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("right", OF_LINKS)
def test_a_link_opens_what_its_rights_stand_for(make_study: Make, permission: Permission, right: Right) -> None:
    study = make_study()
    make_study()
    link = ShareLink.objects.create(secret_digest="x", recipient="x", purpose="x")
    Grant.objects.create(link=link, study=study, rights=[right.value], valid_until=timezone.now() + timedelta(days=1))
    opened = permission not in NOT_OF_LINKS and right in OPENS.get(permission, ())
    assert may(of_link(link, right), permission) is opened
    assert set(visible_studies(of_link(link, right), permission)) == ({study} if opened else set())
    assert not shareable_studies(of_link(link, *Right)).exists()


@pytest.mark.parametrize(
    ("right", "taken"),
    [(Right.ANNOTATE, {SR, SEG, PR, KO}), (Right.UPLOAD, {SR, SEG, PR, KO, CT}), (Right.VIEW, set())],
)
def test_who_may_annotate_stores_annotations_only(make_study: Make, right: Right, taken: set[str]) -> None:
    study, other = make_study(), make_study()
    principal = of_link(a_link(study, right), Right.VIEW, right)
    uid = study.study_instance_uid
    assert {kind for kind in (SR, SEG, PR, KO, CT) if may_store(principal, uid, kind)} == taken
    assert not any(may_store(principal, other.study_instance_uid, kind) for kind in (SR, CT))


def test_sharing_takes_the_right_to_export_and_a_grant_to_reshare(make_person: Make, make_study: Make) -> None:
    mine, narrowed, _ = make_study(), make_study(), make_study()
    patient = make_person("patient")
    Grant.objects.create(user=patient, study=mine)
    Grant.objects.create(user=patient, study=narrowed, rights=["view", "download"])
    assert set(shareable_studies(of(patient, "patient"))) == {mine}
    assert not shareable_studies(of(patient, "referring_physician")).exists()
    assert shareable_studies(of(patient, "radiologist")).count() == 3
    # An administrator may export, but opens no images: not through a link either.
    assert not shareable_studies(of(patient, "administrator")).exists()


def test_a_grant_has_one_holder_one_scope_and_that_of_a_link_an_end(make_person: Make, make_study: Make) -> None:
    user, study = make_person("patient"), make_study()
    link = a_link(study)
    wrong: list[dict[str, Any]] = [
        {"study": study},
        {"user": user},
        {"user": user, "study": study, "patient": study.patient},
        {"user": user, "link": link, "study": study, "valid_until": timezone.now()},
        {"link": link, "study": study},
    ]
    for fields in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.create(**fields)


def test_a_link_keeps_its_identity(make_study: Make) -> None:
    link = a_link(make_study())
    with pytest.raises(Exception, match="never changes"), transaction.atomic():
        ShareLink.objects.filter(pk=link.pk).update(external_id="00000000-0000-0000-0000-000000000000")


def test_revoking_ends_grants_of_the_patient_too(make_person: Make, make_study: Make) -> None:
    make_person("referring_physician", username="ref")
    study = make_study()
    grant_study("ref", study.study_instance_uid, None)
    grant_study("ref", study.study_instance_uid, None, rights=[Right.VIEW], whole_patient=True)
    assert revoke_study("ref", study.study_instance_uid) == 2
    assert not Grant.objects.active().exists()
    assert revoke_study("ref", study.study_instance_uid) == 0
    told = AccessEvent.objects.filter(kind="user_changed").values_list("outcome_description", flat=True)
    assert any("all studies of the patient without end: view" in text for text in told)


def test_commands(make_person: Make, make_study: Make, capsys: pytest.CaptureFixture[str]) -> None:
    user, study = make_person("referring_physician", username="ref"), make_study()
    call_command("grant_study", "ref", study.study_instance_uid, "--right", "view", "--all-of-patient")
    assert "may reach all studies of the patient without end" in capsys.readouterr().out
    assert Grant.objects.get(user=user).rights == ["view"]

    words = ("share_study", study.study_instance_uid, "--recipient", "Dr. R", "--purpose", "Second opinion")
    call_command(*words, "--pin", "--uses", "2", "--days", "3", "--right", "download")
    out = capsys.readouterr().out
    link = ShareLink.objects.get()
    assert f"id     {link.external_id}" in out
    assert "/s/#" in out
    assert "PIN    " in out
    assert link.grants.get().rights == ["download", "view"]
    call_command("revoke_link", str(link.external_id))
    call_command("revoke_link", str(link.external_id))
    assert capsys.readouterr().out == "revoked\nit was revoked already\n"
    assert AccessEvent.objects.filter(kind="share_ended", principal_kind="system").count() == 1
    for wrong in (("--days", "91"), ("--days", "0"), ("--uses", "0")):
        with pytest.raises(CommandError):
            call_command(*words, *wrong)
    with pytest.raises(CommandError):
        call_command("share_study", "1.2.3.9", *words[2:])
    with pytest.raises(CommandError):
        call_command("revoke_link", "00000000-0000-0000-0000-000000000000")


def test_an_unknown_token_is_nobody() -> None:
    assert token_principal("lnk_nonsense") is None


@pytest.mark.django_db(transaction=True)
def test_grants_of_the_release_before_stay() -> None:
    """The rows of `StudyGrant` are there after the migration, and open what they opened."""
    executor = MigrationExecutor(connection)
    last = executor.loader.graph.leaf_nodes()  # other rooms come after this one, and go back with it
    try:
        executor.migrate([("access", "0002_external_id_stays")])
        old = executor.loader.project_state([("access", "0002_external_id_stays")]).apps
        user = old.get_model("access", "User").objects.create(username="ref")
        patient = old.get_model("archive", "Patient").objects.create(patient_id="P")
        study = old.get_model("archive", "Study").objects.create(study_instance_uid="1.2.3", patient=patient)
        until = timezone.now() + timedelta(days=1)
        row = old.get_model("access", "StudyGrant").objects.create(study=study, user=user, valid_until=until)
        pk, begins, uid = row.pk, row.valid_from, user.external_id
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(last)
    kept = Grant.objects.get()
    assert (kept.pk, kept.valid_until, kept.valid_from) == (pk, until, begins)
    assert set(kept.rights) == set(Right)
    principal = Principal("person", str(uid), "ref", ("referring_physician",), "session", "")
    assert visible_studies(principal).get().study_instance_uid == "1.2.3"
