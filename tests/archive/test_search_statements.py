"""The SQL of a search is written once for all of its shape, is Django's own, and is planned once only for look-ups."""

from __future__ import annotations

from itertools import count
from typing import Any, NoReturn

import pytest
from django.db import connection
from django.db.models import Exists, Q
from django.test.utils import CaptureQueriesContext

from access.models import Grant, User, UserRole
from access.policy import visible_studies
from access.principal import Limit, LimitKind, Principal
from access.reach import Ways, reached
from access.rights import Right
from archive import search_statements
from archive.models import Patient, Series, Study
from archive.scope_sql import pieces_of, written
from archive.search import Found, search
from archive.search_outline import condition_of, outline
from dicom.attributes import Level
from dicomweb.query import parse_query
from tests.archive.search_kinds import kinds

ROOT = "http://testserver/dicom-web"
_numbers = count()


def ask(scope: Any, level: Level = "study", study: str | None = None, /, **parameters: str) -> Found:
    """The answers to a query string, asked as the door does it."""
    pairs = parameters.items()
    parsed = parse_query(pairs, level, study_instance_uid=study, series_instance_uid=None, default_limit=100, most=1000)
    return search(parsed.query, scope, ROOT, seconds=5)


@pytest.fixture
def studies(db: None) -> list[Study]:
    """Four studies of four patients, with one series of CT, or with two of MR and SR."""
    made = []
    for number in range(1, 5):
        patient = Patient.objects.create(
            patient_id=f"P{number}", patient_name_key=f"=doe^{'abcd'[number - 1]}=", patient_name="Doe"
        )
        uid = f"1.2.3.{number}"
        study = Study.objects.create(
            patient=patient,
            study_instance_uid=uid,
            study_date=f"2024010{number}",
            accession_number=f"A{number}",
            modalities_in_study=["CT"] if number % 2 else ["MR", "SR"],
            answer=f'{{"0020000D":{{"vr":"UI","Value":["{uid}"]}}}}',
        )
        for modality in study.modalities_in_study:
            Series.objects.create(study=study, series_instance_uid=f"{uid}.{modality}", modality=modality)
        made.append(study)
    return made


def uids(found: Found) -> list[str]:
    """The last number of each study, in order."""
    return [text.split('"')[-2].rpartition(".")[2] for text in found.answers]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "P1"}, {"PatientID": "P3"}),
        ({"PatientName": "doe^a*"}, {"PatientName": "doe^c*"}),
        ({"StudyDate": "20240101-20240101"}, {"StudyDate": "20240103-20240103"}),
        ({"StudyInstanceUID": "1.2.3.1,1.2.3.9"}, {"StudyInstanceUID": "1.2.3.8,1.2.3.3"}),
        ({"ModalitiesInStudy": "CT", "AccessionNumber": "A1"}, {"ModalitiesInStudy": "CT", "AccessionNumber": "A3"}),
    ],
)
def test_one_shape_is_written_once(studies: list[Study], one: dict[str, str], other: dict[str, str]) -> None:
    assert uids(ask(Study.objects.all(), **one)) == ["1"]
    before = search_statements._kept.cache_info().misses
    assert uids(ask(Study.objects.all(), **other)) == ["3"]
    assert search_statements._kept.cache_info().misses == before


def test_shapes_of_very_many_values_are_not_kept(studies: list[Study]) -> None:
    ask(Study.objects.all())
    before = search_statements._kept.cache_info().currsize
    for number in range(10):
        listed = ",".join(f"1.2.3.{last}" for last in range(3, 200 + number))
        assert uids(ask(Study.objects.all(), StudyInstanceUID=listed)) == ["4", "3"]
    assert search_statements._kept.cache_info().currsize <= before


def test_no_shape_is_another_ones(studies: list[Study]) -> None:
    everything = Study.objects.all()
    assert uids(ask(everything)) == ["4", "3", "2", "1"]
    assert uids(ask(everything, limit="2")) == ["4", "3"]
    assert uids(ask(everything, limit="2", offset="1")) == ["3", "2"]
    assert uids(ask(everything, orderby="PatientID")) == ["1", "2", "3", "4"]
    assert uids(ask(everything, orderby="-PatientID")) == ["4", "3", "2", "1"]
    assert uids(ask(everything, StudyDate="20240102-")) == ["4", "3", "2"]
    assert uids(ask(everything, StudyDate="-20240102")) == ["2", "1"]
    assert uids(ask(everything, ModalitiesInStudy="S*")) == ["4", "2"]
    assert uids(ask(everything, ModalitiesInStudy="MR,SR", multiplevaluematching="true")) == ["4", "2"]
    assert uids(ask(everything, ModalitiesInStudy='""', emptyvaluematching="true")) == []
    assert uids(ask(everything, AccessionNumber='""', emptyvaluematching="true")) == []
    assert ask(everything, PatientName="doe*", count="true", limit="1").total == 4
    assert uids(ask(Study.objects.none())) == []


def test_a_list_goes_on_behind_a_row(studies: list[Study]) -> None:
    page = ask(Study.objects.all(), limit="3")
    assert page.following is not None
    assert uids(ask(Study.objects.all(), limit="3", after=page.following)) == ["1"]


@pytest.mark.parametrize(
    ("parameters", "prepared"),
    [
        ({"PatientID": "P1"}, True),
        ({"AccessionNumber": "A2"}, True),
        ({"StudyInstanceUID": "1.2.3.1"}, True),
        ({}, True),
        ({"PatientID": "P*"}, False),
        ({"PatientName": "doe"}, False),
        ({"StudyDate": "20240101-"}, True),
        ({"StudyDate": "20240101", "PatientID": "P1"}, False),
        ({"StudyDate": "20240101", "StudyTime": "10-12"}, False),
        ({"AccessionNumber": '""', "emptyvaluematching": "true"}, False),
        ({"PatientID": "P1", "orderby": "StudyDate"}, False),
        ({"offset": "2"}, False),
    ],
)
def test_look_ups_and_periods_alone_are_planned_for_any_value(
    studies: list[Study], parameters: dict[str, str], prepared: bool
) -> None:
    # A limit that nobody else asks for: the connection keeps what others have prepared.
    most = 700 + next(_numbers)
    for _ in range(3):
        ask(Study.objects.all(), limit=str(most), **parameters)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", [f"%LIMIT {most + 1}"])
        assert cursor.fetchall() == [(int(prepared),)]


def test_what_somebody_may_see_is_no_part_of_what_is_kept(studies: list[Study]) -> None:
    scopes = {}
    for name, study in (("one", studies[0]), ("two", studies[1])):
        user = User.objects.create(username=name)
        UserRole.objects.create(user=user, role="referring_physician")
        Grant.objects.create(user=user, study=study)
        scopes[name] = Principal("person", str(user.external_id), name, ("referring_physician",), "session", "")
    for parameters in ({}, {"StudyDate": "20240101-"}, {"ModalitiesInStudy": "*"}):
        assert uids(ask(visible_studies(scopes["one"]), **parameters)) == ["1"]
        assert uids(ask(visible_studies(scopes["two"]), **parameters)) == ["2"]
    assert uids(ask(visible_studies(scopes["two"]), PatientID="P1")) == []
    Grant.objects.filter(study=studies[0]).delete()
    assert uids(ask(visible_studies(scopes["one"]))) == []


def test_a_ready_scope_has_the_studies_of_its_queryset(studies: list[Study]) -> None:
    site = "50 % of 'all' \ue000whole\ue000 %s"
    Study.objects.filter(pk=studies[3].pk).update(institution_name=site)
    user = User.objects.create(username="one")
    Grant.objects.create(user=user, study=studies[0])
    Grant.objects.create(user=user, series=Series.objects.filter(study=studies[1]).first())
    principal = Principal("person", str(user.external_id), "one", (), "session", "")
    ways = Ways(frozenset({Right.VIEW}), referrals=True, limits=(Limit(LimitKind.SITE, (site,)),))
    scope = reached(principal, ways)
    ready, slow = pieces_of(scope), pieces_of(scope.all())
    assert list(ready) == list(slow) == ["studies", "partial", "series", "whole"]
    assert uids(ask(scope)) == uids(ask(scope.all())) == ["4", "2", "1"]
    for name, piece in ready.items():
        with connection.cursor() as cursor:
            cursor.execute(*piece)
            found = cursor.fetchall()
            cursor.execute(*slow[name])
            assert sorted(found) == sorted(cursor.fetchall()), name
    assert sorted(study.pk for study in scope) == sorted(study.pk for study in (studies[0], studies[1], studies[3]))


@pytest.mark.parametrize("asked", ["\ue000whole\ue000", "*\ue000studies\ue000", "\ue000other\ue000 %s %", "'"])
def test_a_value_that_looks_like_a_gap_of_the_scope_is_a_value(studies: list[Study], asked: str) -> None:
    user = User.objects.create(username="one")
    UserRole.objects.create(user=user, role="referring_physician")
    Grant.objects.create(user=user, study=studies[0])
    principal = Principal("person", str(user.external_id), "one", ("referring_physician",), "session", "")
    key = {"RequestAttributesSequence.RequestedProcedureID": asked}
    assert ask(visible_studies(principal), "series", **key).answers == ()


def test_what_is_below_an_address_is_no_search_of_the_archive(studies: list[Study]) -> None:
    with CaptureQueriesContext(connection) as sent:
        found = ask(Study.objects.all(), "series", "1.2.3.2")
        nothing = ask(Study.objects.all(), "series", "1.2.3.9")
    assert (len(found.answers), len(nothing.answers), len(sent)) == (2, 0, 2)


@pytest.mark.parametrize(
    "condition",
    [
        Q(study_date="20240101", patient__patient_id="P1"),
        Q(study_date__gt="") & Q(study_date__lte="2024~"),
        ~Q(study_date="1") | Q(accession_number__like="A%") & ~Q(patient__patient_name_key__regex="[=^ ]doe"),
        Q(study_instance_uid__in=["1", "2", "3"]),
        Q(modalities_in_study=[]) | Q(institution_name__isnull=True) | Q(number_of_study_related_series=3),
    ],
)
def test_an_outline_is_the_same_sql(db: None, condition: Q) -> None:
    values: list[Any] = []
    found = outline(condition, values)
    assert found is not None
    sql, parameters = written(Study.objects.filter(condition_of(found, count())).values("pk")).filled(values, {})
    own, of_own = Study.objects.filter(condition).values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        both = [cursor.mogrify(*each) for each in ((sql, parameters), (own, of_own))]
    # But for parentheses around the values.
    first, second = (text.replace("(", "").replace(")", "") for text in both)
    assert first == second


def test_what_holds_a_query_has_no_outline() -> None:
    assert outline(Q(pk=1) & Q(Exists(Study.objects.all())), []) is None
    assert outline(Q(pk__in=Study.objects.values("pk")), []) is None


def test_an_unlimited_scope_has_no_pieces() -> None:
    assert pieces_of(Study.objects.all()) == {}
    assert list(pieces_of(Study.objects.none())) == ["studies"]


def test_no_documented_kind_outgrows_what_is_kept() -> None:
    assert len(list(kinds(limit=100))) < search_statements.KEPT


def test_what_is_indexed_anyway_is_not_looked_for_among_declared_attributes() -> None:
    """OHIF asks its study list for the modality of series, which studies don't have: that took a query of its own."""

    def declared() -> NoReturn:
        raise AssertionError

    asked = [("includefield", "00081030,00080060"), ("Modality", "CT"), ("Rows", "512")]
    parsed = parse_query(
        asked, "study", study_instance_uid=None, series_instance_uid=None, default_limit=1, most=1, declared=declared
    )
    assert parsed.unsupported == ("includefield=00080060", "Modality", "Rows")
