"""Who may use which workitems: studies and patients that are reached, worklists of one's own, tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from uuid import NAMESPACE_DNS, uuid5

import pytest
from django.core.management import CommandError, call_command

from access.marking import restrict
from access.models import Grant, User
from access.principal import HeldRole, Limit, LimitKind, Principal
from access.restriction_models import Mark
from access.restrictions import marks
from access.roles import ROLES, Permission, Scope
from access.smart import permissions_of
from archive.models import Patient, Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door, door_for
from tests.dicomweb.objects import make_object
from tests.workitems.making import data_set, uid
from workitems.changing import update
from workitems.creating import create
from workitems.errors import NotPermitted
from workitems.models import WorkItem, WorklistMember
from workitems.reach import visible_workitems
from workitems.values import attribute

__all__ = ["door_for"]
pytestmark = pytest.mark.django_db
READ, PERFORM = Permission.WORKITEMS_READ, Permission.WORKITEMS_PERFORM


def somebody(*roles: str, name: str = "somebody") -> Principal:
    return Principal("client", str(uuid5(NAMESPACE_DNS, name)), name, roles, "oauth2", "")


def seen(principal: Principal, permission: Permission = READ) -> set[str]:
    return set(visible_workitems(principal, permission).values_list("worklist_label", flat=True))


@pytest.fixture
def studies(door_for: Callable[..., Door]) -> tuple[str, str]:
    """Two studies of two patients at two sites, each with workitems about the study and about the patient."""
    technologist = door_for("technologist")
    one, two = uid(), uid()
    for study, patient, site in ((one, "P1", "North"), (two, "P2", "South")):
        stored = make_object(StudyInstanceUID=study, PatientID=patient, InstitutionName=site)
        assert technologist.store([stored]).status_code == 200
    maker = somebody("technologist", name="maker")
    for number, study in enumerate((one, two), 1):
        create("", data_set(WorklistLabel=f"study {number}", StudyInstanceUID=study), maker)
        create("", data_set(WorklistLabel=f"patient {number}", PatientID=f"P{number}"), maker)
    create("", data_set(WorklistLabel="nobody"), maker)
    return one, two


ALL = {"study 1", "study 2", "patient 1", "patient 2", "nobody"}


def test_all_and_none(studies: tuple[str, str]) -> None:
    assert seen(somebody("radiologist")) == ALL
    assert seen(somebody("radiologist"), Permission.WORKITEMS_MANAGE) == set()
    assert seen(somebody("nurse")) == set()
    assert seen(somebody("ai_vendor")) == {"nobody"}


def test_what_a_mark_closes_is_not_seen(studies: tuple[str, str]) -> None:
    restrict(Patient.objects.get(patient_id="P1"), Mark.VIP, "a well-known person")
    marks.forget()
    assert seen(somebody("radiologist")) == ALL - {"study 1", "patient 1"}


def test_a_closed_patient_of_whom_nothing_is_stored_yet(studies: tuple[str, str]) -> None:
    patient = Patient.objects.create(patient_id="P3")
    restrict(patient, Mark.VIP, "a well-known person")
    marks.forget()
    maker = somebody("technologist", name="maker")
    create("", data_set(WorklistLabel="patient 3", PatientID="P3"), maker)
    create("", data_set(WorklistLabel="study 3", PatientID="P3", StudyInstanceUID=uid()), maker)
    assert seen(somebody("radiologist")) == ALL


def test_several_uids_in_one_value_are_several_studies(studies: tuple[str, str]) -> None:
    restrict(Patient.objects.get(patient_id="P1"), Mark.VIP, "a well-known person")
    marks.forget()
    create("", data_set(WorklistLabel="two", StudyInstanceUID=[studies[0], uid()]), somebody("technologist"))
    assert "two" not in seen(somebody("radiologist"))


def test_who_performs_everywhere_changes_unclaimed_ones_only_within_what_is_managed(studies: tuple[str, str]) -> None:
    north = Limit(LimitKind.SITE, ("North",))
    held = (
        HeldRole("performer", {PERFORM: Scope.ALL, READ: Scope.ALL}),
        HeldRole("north", {Permission.WORKITEMS_MANAGE: Scope.ALL}, north),
    )
    both = replace(somebody("house_role"), held=held)
    changes = attribute("ProcedureStepLabel", "Changed")
    for label, refused in (("study 1", False), ("study 2", True)):
        named = WorkItem.objects.get(worklist_label=label).uid
        with pytest.raises(NotPermitted) if refused else nullcontext():
            update(visible_workitems(both, PERFORM), named, changes, "", both)


def test_within_a_limit(studies: tuple[str, str]) -> None:
    rights = ROLES["technologist"].rights
    limited = replace(
        somebody("technologist"),
        held=(HeldRole("technologist", rights, Limit(LimitKind.SITE, ("North",))),),
    )
    assert seen(limited) == {"study 1", "patient 1", "nobody"}
    create("", data_set(WorklistLabel="own", StudyInstanceUID=studies[0]), limited)
    for values in ({"StudyInstanceUID": studies[1]}, {"StudyInstanceUID": uid()}, {"PatientID": "P2"}):
        with pytest.raises(NotPermitted):
            create("", data_set(**values), limited)
    assert rights[READ] is Scope.ALL


def test_what_was_granted_and_whose_patient_was_merged(studies: tuple[str, str]) -> None:
    person = User.objects.create_user("vendor", password=None)
    Grant.objects.create(user=person, study=Study.objects.get(study_instance_uid=studies[0]), rights=["view"])
    vendor = Principal("person", str(person.external_id), "vendor", ("ai_vendor",), "session", "")
    assert seen(vendor, PERFORM) == {"study 1", "patient 1", "nobody"}
    # What came under a retired identifier is of the patient whom that names now.
    Patient.objects.filter(patient_id="P2").update(merged_into=Patient.objects.get(patient_id="P1"))
    assert seen(vendor) == {"study 1", "patient 1", "patient 2", "nobody"}


def test_tokens(studies: tuple[str, str]) -> None:
    radiologist = somebody("radiologist")
    assert permissions_of(["system/Task.rus"]) == ("workitems_perform", "workitems_read")
    narrow = replace(radiologist, permissions=permissions_of(["system/Task.r"]))
    assert seen(narrow) == ALL
    assert seen(narrow, PERFORM) == set()
    assert seen(replace(radiologist, permissions=permissions_of(["system/ImagingStudy.cruds"]))) == set()
    assert seen(replace(radiologist, patient=Patient.objects.get(patient_id="P1").pk)) == set()


def test_worklists_of_ones_own(studies: tuple[str, str]) -> None:
    person = User.objects.create_user("Vendor", password=None)
    vendor = Principal("person", str(person.external_id), "vendor", ("ai_vendor",), "session", "")
    call_command("set_worklists", "vendor", "study 2", "patient 1")
    assert seen(vendor) == {"study 2", "patient 1", "nobody"}
    call_command("set_worklists", "vendor", "study 1")
    assert seen(vendor) == {"study 1", "nobody"}
    assert WorklistMember.objects.get().made_by == "command line"
    assert "study 1" in AccessEvent.objects.latest("pk").outcome_description
    call_command("set_worklists", "vendor")
    assert seen(vendor) == {"nobody"}
    with pytest.raises(CommandError):
        call_command("set_worklists", "no such person", "X")


def test_several_studies_and_one_of_them_reached(studies: tuple[str, str]) -> None:
    maker = somebody("technologist", name="maker")
    inputs = [
        attribute("TypeOfInstances", "DICOM") | attribute("StudyInstanceUID", study) for study in (studies[1], uid())
    ]
    create("", data_set(WorklistLabel="several", StudyInstanceUID=studies[0], InputInformationSequence=inputs), maker)
    held = (HeldRole("technologist", ROLES["technologist"].rights, Limit(LimitKind.SITE, ("South",))),)
    assert "several" in seen(replace(somebody("technologist"), held=held))


def test_the_scope_of_the_right_that_is_used_counts(studies: tuple[str, str]) -> None:
    """Who finds all studies, but has workitems of granted ones only, sees these."""
    rights: dict[str, Scope] = {Permission.SEARCH: Scope.ALL, READ: Scope.GRANTED}
    own = replace(somebody("house_role"), held=(HeldRole("house_role", rights),))
    assert seen(own) == {"nobody"}
