"""Holds, rules, plans, deleted studies and certificates as those who use them meet them: pages and JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from access.client_quota import forget as forget_clients
from access.models import CustomRole
from archive.models import LegalHold, Study
from archive.site_quota import forget as forget_sites
from archive.sweep import sweep_all
from audit.models import AccessEvent
from custody.retention import carrying_out, planning, rules
from custody.retention.models import Certificate, RetentionPlan, RetentionRule
from pacs_project.config_retention import QuotaConfig
from tests.access.conftest import make_client, make_person, make_token
from tests.administration.conftest import SignedIn, as_role, machine
from tests.custody.retention.conftest import days_pass, delete_at, study
from tests.dicomweb.conftest import Door, door_for
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of

__all__ = ["as_role", "door_for", "machine", "make_client", "make_person", "make_token"]

pytestmark = pytest.mark.django_db(transaction=True)
RULE: dict[str, Any] = {
    "name": "ten years",
    "action": "delete",
    "years": 10,
    "counted_from": "study_date",
    "minors_until": 28,
}


def told(answer: Any) -> str:
    return str(answer.content.decode())


class TestHolds:
    """Placed and released by whoever may, seen by auditors."""

    def test_on_the_pages(self, as_role: SignedIn) -> None:
        study("1.2.1", PatientID="HELD7")
        window = as_role("administrator")
        assert "Nothing is under a legal hold" in told(window.get("/administration/holds/"))
        given = {"reach": "patient", "patient_id": "HELD7", "issuer": "", "reason": "case 7", "until": "", "study": ""}
        assert window.post("/administration/holds/new", given | {"reason": ""}).status_code == 400
        assert "No patient" in told(window.post("/administration/holds/new", given | {"patient_id": "NONE"}))
        assert "Held: 1 studies" in told(window.post("/administration/holds/new", given, follow=True))
        hold = LegalHold.objects.get()
        page = f"/administration/holds/{hold.pk}/"
        looker = as_role("auditor", username="audrey")
        assert "Release it" not in told(looker.get(page))
        assert looker.post(page, {"reason": "x"}).status_code == 403
        assert window.post(page, {"reason": ""}).status_code == 400
        assert "is released" in told(window.post(page, {"reason": "settled"}, follow=True))
        assert "released by" in told(window.get("/administration/holds/?all"))
        assert {"restricted", "unrestricted", "search"} <= set(AccessEvent.objects.values_list("kind", flat=True))

    def test_a_role_of_the_house_s_own(self, as_role: SignedIn) -> None:
        CustomRole.objects.create(name="legal", title="Legal", rights={"hold": "ALL"})
        study("1.2.1")
        window = as_role("legal")
        page = told(window.get("/administration/holds/"))
        assert "New hold" in page
        assert "/administration/people/" not in page
        assert window.get("/administration/people/").status_code == 403
        given = {"reach": "study", "study": "1.2.1", "reason": "case 7"}
        assert window.post("/administration/holds/new", given).status_code == 302
        assert LegalHold.objects.active().get().study_instance_uid == "1.2.1"

    def test_as_json_and_against_delete(self, machine: Callable[[str], Browser], door_for: Callable[..., Door]) -> None:
        study("1.2.1")
        program = machine("administrator")

        def post(address: str, **body: Any) -> Any:
            return program.post(address, body, content_type="application/json")

        assert post("/api/holds", reason="x").status_code == 400
        assert post("/api/holds", study="1.2.1", reason="x", until="2001-01-01T00:00:00Z").status_code == 400
        assert post("/api/holds", patient_id="NOBODY", reason="x").status_code == 400
        made = post("/api/holds", study="1.2.1", reason="case 7").json()
        assert made["stands"]
        refused = program.delete("/dicom-web/studies/1.2.1")
        assert (refused.status_code, refused.json()["code"]) == (409, "held")
        assert "case 7" not in told(refused)
        event = AccessEvent.objects.get(kind="refused")
        assert (event.rule, event.study_uids) == ("legal hold", ["1.2.1"])
        assert program.get("/api/holds").json()[0]["id"] == made["id"]
        address = f"/api/holds/{made['id']}"
        assert post(f"{address}/release", reason="settled").json()["stands"] is False
        assert post(f"{address}/release", reason="settled").status_code == 409
        assert program.get(address).json()["ended"].endswith("settled")
        assert program.get("/api/holds").json() == []
        assert program.delete("/dicom-web/studies/1.2.1").status_code == 204


class TestRetention:
    """A person makes a rule, looks what it would do, and confirms."""

    def test_on_the_pages_to_the_certificate(self, as_role: SignedIn) -> None:
        study("1.2.1", StudyDate="20100101")
        window = as_role("administrator", username="mara")
        assert "There are no rules" in told(window.get("/administration/retention/"))
        address = "/administration/retention/rules/new"
        assert "a year at the earliest" in told(window.post(address, RULE | {"years": 0}))
        assert window.post(address, RULE).status_code == 302
        assert window.post(address, RULE | {"name": "keep MR", "action": "keep", "modalities": "MR"}).status_code == 302
        first, second = rules.standing()
        base = "/administration/retention"
        assert window.post(f"{base}/rules/{second.pk}/up").status_code == 302
        assert [rule.name for rule in rules.standing()] == ["keep MR", "ten years"]
        assert "ten years" in told(window.get(f"{base}/rules/{first.pk}/"))
        assert window.post(f"{base}/rules/{first.pk}/", RULE | {"years": 11}).status_code == 302
        assert window.post(f"{base}/rules/{second.pk}/end").status_code == 302
        assert "To be deleted by rule" in told(window.get(f"{base}/study", {"study": "1.2.1"}))
        window.post(f"{base}/plans/new")
        plan = RetentionPlan.objects.get()
        page = f"{base}/plans/{plan.pk}/"
        assert "come back in a while" in told(window.get(page))
        planning.work_out_asked(str(plan.pk))
        assert "Remove these 1 studies" in told(window.get(page))
        assert "Pause" in told(window.post(f"{page}confirm", follow=True))
        assert "Go on" in told(window.post(f"{page}pause", follow=True))
        window.post(f"{page}resume")
        for _ in range(3):
            carrying_out.carry_on(str(plan.pk))
        assert "finished" in told(window.get(page))
        listed = told(window.get("/administration/deleted/"))
        assert "Bring back" in listed
        days_pass(8)
        sweep_all()
        certificate = Certificate.objects.get()
        for who in ("administrator", "auditor"):
            paper = told(
                as_role(who, username=f"{who[:3]}x").get(f"/administration/deleted/certificates/{certificate.pk}/")
            )
            assert "confirmed by mara" in paper
            assert "Doe" not in paper

    def test_as_json(self, machine: Callable[[str], Browser]) -> None:
        study("1.2.1", StudyDate="20100101")
        study("1.2.2", StudyDate="20100101")
        program = machine("administrator")

        def post(address: str, **body: Any) -> Any:
            return program.post(address, body, content_type="application/json")

        assert post("/api/retention/rules", **(RULE | {"years": 0})).status_code == 409
        made = post("/api/retention/rules", **RULE).json()
        assert made["words"].startswith("delete all studies 10 years after the study date")
        changed = program.put(
            f"/api/retention/rules/{made['id']}", RULE | {"years": 12}, content_type="application/json"
        )
        assert changed.json()["years"] == 12
        assert len(program.get("/api/retention/rules?history=true").json()) == 2
        assert program.get("/api/retention/studies/1.2.1").json()["action"] == "delete"
        assert program.get("/api/retention/studies/1.2.9").status_code == 404
        plan = post("/api/retention/plans").json()
        planning.work_out_asked(str(plan["id"]))
        address = f"/api/retention/plans/{plan['id']}"
        assert program.get(address).json()["totals"]["due"]["studies"] == 2
        page = program.get(f"{address}/studies?limit=1").json()
        assert [row["study"] for row in page] == ["1.2.1"]
        assert program.get(f"{address}/studies?after={page[0]['id']}").json()[0]["study"] == "1.2.2"
        # No machine confirms for a person.
        assert post(f"{address}/confirm").status_code == 409
        assert post(f"{address}/cancel").json()["state"].startswith("given up")
        assert program.delete(f"/api/retention/rules/{changed.json()['id']}").status_code == 204
        assert not RetentionRule.objects.filter(ended_at=None).exists()
        assert program.get("/api/retention/plans").json()[0]["id"] == plan["id"]

    def test_deleted_studies_and_storage(self, machine: Callable[[str], Browser]) -> None:
        study("1.2.1", instances=2, InstitutionName="North Clinic")
        program = machine("administrator")
        [row] = program.get("/api/storage").json()["usage"]
        assert (row["site"], row["modality"], row["instances"]) == ("North Clinic", "CT", 2)
        delete_at("1.2.1")
        [gone] = program.get("/api/deleted-studies").json()
        assert (gone["study"], gone["instances"], gone["asked"]) == ("1.2.1", 2, False)
        assert program.post("/api/deleted-studies/1.2.1/bring-back").status_code == 202
        assert program.get("/api/deleted-studies").json()[0]["asked"]
        for wrong in ("1.2.9", "x", "%00"):
            assert program.post(f"/api/deleted-studies/{wrong}/bring-back").status_code == 404
            assert program.get(f"/api/retention/studies/{wrong}").status_code == 404
        days_pass(30)
        sweep_all()
        [short] = program.get("/api/certificates").json()
        paper = program.get(f"/api/certificates/{short['id']}").json()
        assert len(paper["objects"]) == 2
        assert program.get("/api/certificates/999999").status_code == 404
        assert not Study.objects.exists()


class TestQuotas:
    """Of a site, and of a client."""

    @pytest.fixture(autouse=True)
    def _nothing_known(self) -> None:
        forget_sites()
        forget_clients()

    def test_of_a_site(self, door_for: Callable[..., Door], settings: Any) -> None:
        door = door_for("technologist")
        mine = [make_object(InstitutionName="North Clinic") for _ in range(3)]
        other = make_object(InstitutionName="South")
        quota = QuotaConfig(sites={"North Clinic": len(mine[0]) + len(mine[1]) + 10})
        settings.PACS = settings.PACS.model_copy(update={"quota": quota})
        answer = door.store([mine[0], other, mine[1], mine[2]])
        assert answer.status_code == 202
        [failed] = answer.json()["00081198"]["Value"]
        assert failed["00081197"]["Value"] == [0xA700]
        forget_sites()
        assert problem_of(door.store([mine[2]]), 507)["detail"] == "the quota of this institution leaves no room for it"

    def test_of_a_client(self, door_for: Callable[..., Door], settings: Any) -> None:
        door = door_for("technologist")
        assert door.store([make_object()]).status_code == 200
        who = AccessEvent.objects.get(kind="store").principal_id
        settings.PACS = settings.PACS.model_copy(update={"quota": QuotaConfig(clients={who: 10})})
        assert "30 days" in problem_of(door.store([make_object()]), 507)["detail"]
