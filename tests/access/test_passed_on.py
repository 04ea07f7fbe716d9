"""What somebody passes on is no more than they may themselves, and ends when their own right ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import generate_uid

from access import policy
from access.authentication import person
from access.custom_roles import change_role, create_role
from access.link_principals import lapsed
from access.links import Made, Wish, make_link, token_principal
from access.marking import restrict
from access.models import CustomRole, Grant, ShareLink, User, UserRole
from access.physician_names import set_physician_names
from access.restriction_models import Mark
from access.restrictions import marks
from access.rights import AN_ANNOTATION, Right
from access.roles import Permission, Scope
from archive.models import Study
from archive.names import name_key
from audit.models import AccessEvent
from tests.access.conftest import MakePerson, MakeStudy

pytestmark = pytest.mark.django_db
SHARING = {
    Permission.SEARCH: Scope.ALL,
    Permission.RETRIEVE: Scope.ALL,
    Permission.OBJECTS: Scope.ALL,
    Permission.EXPORT: Scope.ALL,
}


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study("1.2.3", institution_name="North", answer=named("1.2.3"))


def named(uid: str) -> str:
    """The answer of a search about a study that is a row and nothing else."""
    return f'{{"0020000D":{{"vr":"UI","Value":["{uid}"]}}}}'


def linked(study: Study, by: User, *rights: Right, **wish: Any) -> Made:
    until = timezone.now() + timedelta(days=1)
    return make_link(Wish(study=study, recipient="R", purpose="P", until=until, rights=rights, **wish), by, None, None)


def token(made: Made) -> str:
    answer = HttpClient().post("/share/token", {"secret": made.address.partition("#")[2]})
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def answer(bearer: str) -> int | list[str]:
    """The studies that a token finds, or the status of its refusal."""
    headers = {"authorization": f"Bearer {bearer}", "accept": "application/dicom+json"}
    response = HttpClient().get("/dicom-web/studies", headers=headers)
    if response.status_code != 200:
        return int(response.status_code)
    return [one["0020000D"]["Value"][0] for one in response.json()]


def may_share(user: User, study: Study) -> bool:
    return policy.shareable_studies(person(User.objects.get(pk=user.pk), "")).filter(pk=study.pk).exists()


def own_grant(user: User, study: Study) -> None:
    Grant.objects.filter(user=user).update(valid_until=timezone.now())


def own_role(user: User, study: Study) -> None:
    UserRole.objects.filter(user=user).update(role="nurse")


def own_limit(user: User, study: Study) -> None:
    UserRole.objects.filter(user=user).update(limit_values=["South"])


def own_name(user: User, study: Study) -> None:
    set_physician_names(user, ["Else^Elsa"])


def role_for_all(user: User, study: Study) -> None:
    change_role(CustomRole.objects.get(name="sharer"), "Sharer", {Permission.SEARCH: Scope.ALL})


# How the maker came to the study, what ends it, and what the link's token is told then.
WAYS: dict[str, tuple[str, Callable[[User, Study], None], int | list[str]]] = {
    "by a grant": ("patient", own_grant, []),
    "by a role": ("radiologist", own_role, 401),
    "within a limit": ("radiologist", own_limit, []),
    "by referral": ("referrer", own_name, []),
    "by a role of the house": ("sharer", role_for_all, 401),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_link_ends_with_the_right_of_who_made_it(way: str, make_person: MakePerson, study: Study) -> None:
    role, end, told = WAYS[way]
    create_role("sharer", "Sharer", SHARING)
    create_role("referrer", "Referrer", dict.fromkeys(SHARING, Scope.REFERRED))
    user = make_person(role)
    if role == "patient":
        Grant.objects.create(user=user, study=study)
    if way == "within a limit":
        UserRole.objects.filter(user=user).update(limit_kind="site", limit_values=["North"])
    if role == "referrer":
        Study.objects.filter(pk=study.pk).update(referring_physician_name_key=name_key("Refer^Robin"))
        set_physician_names(user, ["Refer^Robin"])
    made = linked(study, user)
    bearer = token(made)
    assert answer(bearer) == ["1.2.3"]
    assert lapsed([made.link]) == frozenset()
    end(user, study)
    assert answer(bearer) == told
    assert lapsed([made.link]) == {made.link.pk}
    refused = HttpClient().post("/share/token", {"secret": made.address.partition("#")[2]})
    assert refused.status_code == 401
    event = AccessEvent.objects.filter(kind="refused").latest("sequence")
    assert "may not share it any more" in event.outcome_description


def test_what_is_left_of_a_patient_stays_open(make_person: MakePerson, make_study: MakeStudy, study: Study) -> None:
    """A link of all of a patient opens what its maker still has of it."""
    other = Study.objects.create(study_instance_uid="1.2.4", patient=study.patient, answer=named("1.2.4"))
    user = make_person("patient")
    grants = [Grant.objects.create(user=user, study=each) for each in (study, other)]
    made = linked(study, user, whole_patient=True)
    bearer = token(made)
    found = answer(bearer)
    assert isinstance(found, list)
    assert sorted(found) == ["1.2.3", "1.2.4"]
    grants[0].delete()
    assert answer(bearer) == ["1.2.4"]
    assert lapsed([made.link]) == frozenset()


def test_the_command_line_passes_on_what_it_likes(study: Study) -> None:
    until = timezone.now() + timedelta(days=1)
    made = make_link(Wish(study=study, recipient="R", purpose="P", until=until, rights=()), None, None, None)
    assert answer(token(made)) == ["1.2.3"]
    assert lapsed([made.link]) == frozenset()


def test_a_request_costs_no_query_more(make_person: MakePerson, study: Study) -> None:
    makers = [make_person("radiologist"), make_person("patient")]
    Grant.objects.create(user=makers[1], study=study)
    counts = []
    for maker in (None, *makers):
        until = timezone.now() + timedelta(days=1)
        made = make_link(Wish(study=study, recipient="R", purpose="P", until=until, rights=()), maker, None, None)
        bearer = token(made)
        answer(bearer)
        with CaptureQueriesContext(connection) as queries:
            answer(bearer)
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts


def test_a_link_opens_no_more_than_its_maker_may(make_person: MakePerson, study: Study) -> None:
    """A patient takes whole objects and stores nothing; a radiologist stores what is said about images."""
    patient, reader = make_person("patient"), make_person("radiologist")
    Grant.objects.create(user=patient, study=study)
    able = {each: policy.rights_to_share(person(each, ""), "1.2.3") for each in (patient, reader)}
    assert able == {
        patient: {Right.VIEW, Right.DOWNLOAD},
        reader: {Right.VIEW, Right.DOWNLOAD, Right.ANNOTATE},
    }
    for maker, stores in ((patient, (False, False)), (reader, (True, False))):
        holder = token_principal(token(linked(study, maker, Right.DOWNLOAD, Right.ANNOTATE, Right.UPLOAD)))
        assert holder is not None
        assert (policy.may_store(holder, "1.2.3", AN_ANNOTATION), policy.may_store(holder, "1.2.3")) == stores
        assert not policy.may_upload(holder)
        assert policy.may_download(holder)
        assert policy.visible_studies(holder, Permission.EXPORT).exists()


def test_a_grant_that_names_no_download_passes_none_on(make_person: MakePerson, study: Study) -> None:
    user = make_person("patient")
    Grant.objects.create(user=user, study=study, rights=["view", "reshare"])
    assert policy.rights_to_share(person(user, ""), "1.2.3") == {Right.VIEW}
    holder = token_principal(token(linked(study, user, Right.DOWNLOAD)))
    assert holder is not None
    assert not policy.visible_studies(holder, Permission.EXPORT).exists()
    assert policy.visible_studies(holder, Permission.RETRIEVE).exists()


@pytest.mark.parametrize(
    ("roles", "rights", "shared"),
    [
        # What is opened by the grant alone is shared only if the grant says so, whatever another role may export.
        (("patient",), ["view"], False),
        (("patient",), ["view", "reshare"], True),
        (("administrator", "patient"), ["view"], False),
        (("administrator", "patient"), ["view", "reshare"], True),
        (("administrator", "patient"), ["reshare"], False),
        (("radiologist", "patient"), ["view"], True),
        (("administrator",), ["view", "reshare"], False),
        # Exporting what was granted only, opening all.
        (("opener",), ["view"], False),
        (("opener",), ["reshare"], True),
        (("exporter",), ["view", "reshare"], False),
    ],
)
def test_odd_combinations(
    make_person: MakePerson, study: Study, roles: tuple[str, ...], rights: list[str], shared: bool
) -> None:
    create_role("opener", "Opener", SHARING | {Permission.EXPORT: Scope.GRANTED})
    create_role("exporter", "Exporter", {Permission.SEARCH: Scope.ALL, Permission.EXPORT: Scope.ALL})
    user = make_person(*roles)
    Grant.objects.create(user=user, study=study, rights=rights)
    assert may_share(user, study) is shared
    browser = HttpClient(HTTP_ACCEPT="text/html")
    browser.force_login(user)
    offered = b'href="/sharing/1.2.3/"' in browser.get("/").content
    assert offered is shared


def test_a_marked_study_is_shared_only_by_a_grant_that_says_so(make_person: MakePerson, study: Study) -> None:
    user = make_person("radiologist")
    assert may_share(user, study)
    restrict(study, Mark.VIP, "a well-known person")
    marks.forget()
    assert not may_share(user, study)
    grant = Grant.objects.create(user=user, study=study, rights=["view", "download"])
    assert not may_share(user, study)
    Grant.objects.filter(pk=grant.pk).update(rights=["view", "download", "reshare"])
    assert may_share(user, study)


def test_of_whole_objects_nothing_is_withheld(make_person: MakePerson, study: Study) -> None:
    """The form and the API refuse such a role; one that an older release let be made has no whole objects."""
    CustomRole.objects.create(
        name="vendor", title="Vendor", rights={str(right): "ALL" for right in SHARING}, withheld=["identity"]
    )
    user = make_person("vendor")
    principal = person(user, "")
    assert policy.may(principal, Permission.RETRIEVE)
    assert not policy.may(principal, Permission.OBJECTS)
    assert not policy.may_share(principal)
    assert "00100010" in policy.withheld(principal, Permission.RETRIEVE)


def test_the_list_says_what_has_become_of_a_link(make_person: MakePerson, study: Study) -> None:
    user = make_person("patient", username="pat")
    Grant.objects.create(user=user, study=study)
    made = linked(study, user)
    browser = HttpClient(HTTP_ACCEPT="text/html")
    browser.force_login(user)
    assert b'<td class="state">open</td>' in browser.get("/sharing/").content
    own_grant(user, study)
    assert b'<td class="state">no longer allowed</td>' in browser.get("/sharing/").content
    assert browser.post(f"/sharing/{made.link.external_id}/revoke").status_code == 302
    assert ShareLink.objects.get().revoked_at is not None


def test_uids_are_those_that_open(make_person: MakePerson, study: Study) -> None:
    """The exchange names the studies that the link opens, not those that it was made for."""
    other = Study.objects.create(study_instance_uid=generate_uid(), patient=study.patient)
    user = make_person("patient")
    Grant.objects.create(user=user, study=study)
    made = linked(study, user, whole_patient=True)
    opened = HttpClient().post("/share/token", {"secret": made.address.partition("#")[2]}).json()
    assert opened["studies"] == ["1.2.3"]
    assert other.study_instance_uid not in opened["studies"]
