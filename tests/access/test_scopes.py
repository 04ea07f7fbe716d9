"""Which studies a role reaches: what was granted, referred, or lies within the limits given with it."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access import policy
from access.authentication import person
from access.held_roles import held_by
from access.models import Client, CustomRole, Grant, PhysicianName, User, UserRole
from access.physician_names import names_of, set_physician_names
from access.policy import visible_studies
from access.principal import HeldRole, Principal
from access.refused_change import RefusedChange
from access.roles import ROLES, Permission, Scope
from archive.locate import is_everything, is_unlimited
from archive.models import Patient, Study
from audit.models import AccessEvent
from tests.access.conftest import MakeClient, MakePerson, MakeStudy, MakeToken

pytestmark = pytest.mark.django_db


def asking(user: User, **fields: Any) -> Principal:
    """The person signed in, with the roles that are in the database."""
    found = person(user, "")
    return Principal("person", found.id, found.name, found.roles, "session", "", held=found.held, **fields)


def uids(principal: Principal, permission: str = "search") -> set[str]:
    return set(visible_studies(principal, permission).values_list("study_instance_uid", flat=True))


def limit(user: User, kind: str, *values: str) -> None:
    UserRole.objects.filter(user=user).update(limit_kind=kind, limit_values=list(values))


@pytest.fixture
def studies(make_study: MakeStudy) -> dict[str, Study]:
    """Three studies: of North Clinic's CT, of North Clinic's ward, and of South Clinic."""
    return {
        name: make_study(
            uid,
            patient_id=f"P-{name}",
            institution_name=institution,
            institutional_department_name=department,
            referring_physician_name_key=referrer,
        )
        for name, uid, institution, department, referrer in (
            ("ct", "1.2.1", "North Clinic", "CT", "=doe^john="),
            ("ward", "1.2.2", "North Clinic", "Ward 3", "=roe^jane="),
            ("south", "1.2.3", "South Clinic", "CT", "=doe^john^m="),
        )
    }


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("site", ["North Clinic"], {"1.2.1", "1.2.2"}),
        ("site", ["North Clinic", "South Clinic"], {"1.2.1", "1.2.2", "1.2.3"}),
        ("site", ["north clinic"], set()),
        ("department", ["CT"], {"1.2.1", "1.2.3"}),
        ("issuer", ["North"], {"1.2.2"}),
        ("issuer", [""], set()),
    ],
)
def test_a_limit_narrows_a_right_to_all(
    studies: dict[str, Study], make_person: MakePerson, kind: str, values: list[str], expected: set[str]
) -> None:
    Patient.objects.filter(patient_id="P-ward").update(issuer_of_patient_id="North")
    Patient.objects.exclude(patient_id="P-ward").update(issuer_of_patient_id="South")
    user = make_person("technologist")
    limit(user, kind, *values)
    principal = asking(user)
    for permission in ("search", "retrieve", "objects", "update"):
        assert uids(principal, permission) == expected, permission
        assert policy.scope(principal, permission) is Scope.LIMITED
    assert policy.permissions(principal)["search"] == "limited"


def test_a_limited_role_reaches_what_was_granted_too(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("technologist")
    limit(user, "department", "Ward 3")
    Grant.objects.create(user=user, study=studies["south"])
    assert uids(asking(user)) == {"1.2.2", "1.2.3"}
    assert uids(asking(user), "update") == {"1.2.2"}, "no right of grants stands for update"


def test_two_roles_reach_what_either_reaches(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("technologist", "nurse")
    UserRole.objects.filter(user=user, role="technologist").update(limit_kind="site", limit_values=["South Clinic"])
    UserRole.objects.filter(user=user, role="nurse").update(limit_kind="department", limit_values=["Ward 3"])
    assert uids(asking(user), "retrieve") == {"1.2.2", "1.2.3"}
    assert uids(asking(user), "objects") == {"1.2.3"}
    UserRole.objects.create(user=user, role="radiologist")
    assert policy.scope(asking(user), "retrieve") is Scope.ALL
    assert is_unlimited(visible_studies(asking(user), "retrieve"))


def test_a_nurse_without_a_ward_sees_nothing(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("nurse")
    assert uids(asking(user)) == set()
    assert policy.scope(asking(user), "search") is Scope.GRANTED
    Grant.objects.create(user=user, study=studies["ct"])
    assert uids(asking(user)) == {"1.2.1"}
    limit(user, "department", "Ward 3")
    assert uids(asking(user)) == {"1.2.1", "1.2.2"}
    assert not policy.may(asking(user), "objects")


def test_a_limit_counts_at_the_next_request(
    studies: dict[str, Study], make_person: MakePerson, browser: Browser
) -> None:
    user = make_person("technologist")
    browser.force_login(user)
    found = [browser.get("/dicom-web/studies").json()]
    limit(user, "site", "South Clinic")
    found.append(browser.get("/dicom-web/studies").json())
    assert [len(answers) for answers in found] == [3, 1]
    assert browser.get("/dicom-web/studies/1.2.1/series").json() == []


def test_a_limited_client(
    studies: dict[str, Study], make_client: MakeClient, make_token: MakeToken, browser: Browser
) -> None:
    client = make_client("technologist")
    Client.objects.filter(pk=client.pk).update(limit_kind="department", limit_values=["CT"])
    token = make_token(client)
    found = browser.get("/dicom-web/studies", headers={"authorization": f"Bearer {token}"}).json()
    assert {answer["0020000D"]["Value"][0] for answer in found if "0020000D" in answer} == set()
    assert len(found) == 2


def test_a_limit_is_whole(make_person: MakePerson, make_client: MakeClient) -> None:
    user, client = make_person("nurse"), make_client("device")
    for rows in (UserRole.objects.filter(user=user), Client.objects.filter(pk=client.pk)):
        for fields in ({"limit_kind": "site"}, {"limit_values": ["x"]}):
            with pytest.raises(IntegrityError), transaction.atomic():
                rows.update(**fields)


def test_what_one_referred(studies: dict[str, Study], make_person: MakePerson) -> None:
    user, other = make_person("referring_physician"), make_person("radiologist", "referring_physician")
    assert set_physician_names(user, ["DOE^John^^^", " Doe^John "])
    assert names_of(user) == ["Doe^John"] or names_of(user) == ["DOE^John^^^"]
    assert uids(asking(user)) == {"1.2.1"}, "neither Roe's nor Doe^John^M's"
    assert uids(asking(user), "objects") == {"1.2.1"}
    assert policy.scope(asking(user), "retrieve") is Scope.REFERRED
    assert uids(asking(other)) == {"1.2.1", "1.2.2", "1.2.3"}
    Grant.objects.create(user=user, study=studies["south"])
    assert uids(asking(user)) == {"1.2.1", "1.2.3"}
    assert not set_physician_names(user, ["Doe^John"])
    assert set_physician_names(user, [])
    assert uids(asking(user)) == {"1.2.3"}
    told = AccessEvent.objects.filter(kind="user_changed").values_list("outcome_description", flat=True)
    assert any("refers under these names" in text for text in told)


def test_studies_without_a_referrer_are_nobodys(make_study: MakeStudy, make_person: MakePerson) -> None:
    user, study = make_person("referring_physician"), make_study()
    assert study.referring_physician_name_key == ""
    for wrong in (["^^"], ["="], ["x" * 195], [f"A{n}" for n in range(21)]):
        with pytest.raises(RefusedChange):
            set_physician_names(user, wrong)
    assert not PhysicianName.objects.exists()
    assert uids(asking(user)) == set()


def test_names_of_another_role_open_nothing(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("patient", "device")
    set_physician_names(user, ["Doe^John"])
    assert uids(asking(user)) == set()


def test_a_token_is_limited_to_permissions_and_to_a_patient(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("technologist")
    south = studies["south"]
    assert policy.permissions(asking(user, permissions=("search",))) == {"search": "all"}
    assert policy.permissions(asking(user, permissions=("retrieve", "manage", "nonsense"))) == {
        "retrieve": "all",
        "objects": "all",
    }
    assert policy.permissions(asking(user, permissions=())) == {}
    for permission in ("search", "retrieve", "objects", "update"):
        assert uids(asking(user, patient=south.patient_id), permission) == {"1.2.3"}, permission
    of_one = asking(user, patient=south.patient_id)
    assert not is_everything(visible_studies(of_one, "retrieve"))
    assert policy.may_store(of_one, "1.2.3")
    assert not policy.may_store(of_one, "1.2.1")
    assert not policy.may_store(of_one, "1.2.99"), "a new study is of nobody known yet"
    doctor = make_person("referring_physician")
    Grant.objects.create(user=doctor, patient=south.patient)
    assert uids(asking(doctor, patient=studies["ct"].patient_id)) == set()
    assert uids(asking(doctor, permissions=("retrieve",))) == set()
    assert uids(asking(doctor, permissions=("retrieve",)), "retrieve") == {"1.2.3"}


def test_storing_within_limits(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("technologist")
    limit(user, "site", "South Clinic")
    principal = asking(user)
    assert policy.may_store(principal, "1.2.3")
    assert not policy.may_store(principal, "1.2.1")
    assert policy.may_store(principal, "1.2.99"), "what is new is in nobody else's reach"


ANNOTATIONS = ("1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.66.4")
CT = "1.2.840.10008.5.1.4.1.1.2"


def test_radiologists_annotate_what_they_may_retrieve(studies: dict[str, Study], make_person: MakePerson) -> None:
    user = make_person("radiologist")
    for sop_class in ANNOTATIONS:
        assert policy.may_store(asking(user), "1.2.1", sop_class)
        assert not policy.may_store(asking(user), "1.2.99", sop_class), "into no study of which nothing is there"
        assert not policy.may_store(asking(user, permissions=("search", "retrieve")), "1.2.1", sop_class)
    assert not policy.may_store(asking(user), "1.2.1", CT)
    assert not policy.may_store(asking(user), "1.2.1")
    limit(user, "site", "South Clinic")
    assert [policy.may_store(asking(user), uid, ANNOTATIONS[0]) for uid in ("1.2.1", "1.2.3")] == [False, True]
    nurse = make_person("nurse")
    limit(nurse, "site", "South Clinic")
    assert not policy.may_store(asking(nurse), "1.2.3", ANNOTATIONS[0])


def test_technologists_report_nothing() -> None:
    assert Permission.REPORT not in ROLES["technologist"].rights


def test_roles_come_with_the_account_in_one_query(
    make_person: MakePerson, make_client: MakeClient, make_token: MakeToken, browser: Browser
) -> None:
    """As many queries with limits and roles of one's own as without."""
    CustomRole.objects.create(name="teacher", title="Teacher", rights={"search": "ALL"})

    def count(**headers: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as sent:
            assert browser.get("/api/whoami", headers=headers).status_code == 200
        return len(sent)

    plain, own = make_person("technologist"), make_person("teacher", "nurse", "technologist")
    limit(own, "site", "A", "B")
    counts = []
    for user in (plain, own):
        browser.force_login(user)
        count()
        counts.append(count())
    browser.logout()
    of_clients = []
    for role in ("technologist", "teacher"):
        token = make_token(make_client(role))
        of_clients.append(count(authorization=f"Bearer {token}"))
    assert counts[0] == counts[1]
    assert of_clients[0] == of_clients[1]
    assert [role.name for role in held_by(own)] == ["nurse", "teacher", "technologist"]


def test_a_name_nobody_knows_has_no_rights(make_person: MakePerson) -> None:
    user = make_person("superuser")
    assert held_by(user) == (HeldRole("superuser", {}, None),)
    assert policy.permissions(asking(user)) == {}


def test_every_principal_of_an_account_is_built_with_its_roles() -> None:
    """Names alone would lose the limits: whoever builds a principal of a person or a client passes ``held``."""
    import ast
    from pathlib import Path

    bare = []
    for file in sorted(Path(policy.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Principal":
                first = node.args[0] if node.args else None
                of_link = isinstance(first, ast.Constant) and first.value == "link"
                if not of_link and not any(word.arg == "held" for word in node.keywords):
                    bare.append(f"{file.name}:{node.lineno}")
    assert not bare
