"""Attribute matching of PS3.4 C.2.2.2 by the database itself."""

from __future__ import annotations

import re

import pytest
from django.db.models import Q
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archive.errors import InvalidQuery
from archive.matching import condition, has_wildcard, modality_condition, pattern
from archive.models import Patient, Series, Study
from archive.names import fold, groups, name_key
from dicom.attributes import ATTRIBUTES, BY_KEYWORD

PATIENT_ID, NAME = BY_KEYWORD["PatientID"], BY_KEYWORD["PatientName"]
ALPHABET = "ab*?%_\\ ^=éA"
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_expression(text: str) -> re.Pattern[str]:
    """Wild card matching by another engine."""
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in text), re.DOTALL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a*b?c", "a%b_c"), ("***", "%"), ("100%", "100\\%"), ("a_b", "a\\_b"), ("\\", "\\\\"), ("\\*", "\\\\%")],
)
def test_a_wild_card_as_a_like_pattern(text: str, expected: str) -> None:
    assert pattern(text) == expected
    assert has_wildcard(text) == bool({"*", "?"} & set(text))


@pytest.mark.django_db
@BOUNDED
@given(stored=st.text(ALPHABET, max_size=8), asked=st.text(ALPHABET, min_size=1, max_size=8))
@example(stored="a\\", asked="a\\")
@example(stored="a%b", asked="a%*")
def test_wild_cards_match_what_they_should(stored: str, asked: str) -> None:
    """PS3.4 C.2.2.2.4; spaces around the key are not significant (PS3.5 6.2)."""
    Patient.objects.filter(unidentified_study_uid="x").delete()
    Patient.objects.create(unidentified_study_uid="x", patient_id=stored)
    found = Patient.objects.filter(condition(PATIENT_ID, "patient_id", asked) or Q()).exists()
    universal = not asked.strip() or set(asked.strip()) == {"*"}
    assert found == (universal or as_expression(asked.strip()).fullmatch(stored) is not None)


@pytest.mark.django_db
@BOUNDED
@given(stored=st.text(ALPHABET.replace("*", "").replace("?", ""), max_size=8), fuzzy=st.booleans())
def test_a_name_finds_itself(stored: str, fuzzy: bool) -> None:
    Patient.objects.filter(unidentified_study_uid="x").delete()
    Patient.objects.create(unidentified_study_uid="x", patient_name=stored, patient_name_key=name_key(stored))
    if groups(stored):
        asked = [stored, fold(stored), stored.upper(), *groups(stored)]
        for text in asked:
            assert Patient.objects.filter(condition(NAME, "patient_name", text, fuzzy=fuzzy) or Q()).exists(), text


@pytest.mark.django_db
def test_every_indexed_attribute_has_a_matcher_and_a_column() -> None:
    values = {"date": "20240101-", "time": "10-11", "number": "7", "uid": "1.2,1.3"}
    models = {"patient": Patient, "study": Study, "series": Series}
    for attribute in ATTRIBUTES:
        found = condition(attribute, attribute.column, values.get(attribute.matching, "x*"))
        assert found is not None
        if attribute.level in models:
            assert not models[attribute.level].objects.filter(found).exists()  # type: ignore[attr-defined]
        for universal in ("", " ", "*", "***"):
            assert condition(attribute, attribute.column, universal) is None


@pytest.mark.django_db
def test_modalities_of_a_study_are_data() -> None:
    patient = Patient.objects.create(patient_id="1")
    study = Study.objects.create(patient=patient, study_instance_uid="1.2", modalities_in_study=["CT", "R_G"])
    for modality in study.modalities_in_study:
        Series.objects.create(study=study, series_instance_uid=modality, modality=modality)
    for modalities, expected in (
        ({"CT"}, True), ({"C"}, False), ({"C*"}, True), ({"MR", "?T"}, True), ({"R_G"}, True), ({"*_*"}, True),
        ({"_T"}, False), ({"*%*"}, False), ({"*'); DROP TABLE x; --"}, False), ({"{CT}", "*}"}, False), ({'"*'}, False),
    ):  # fmt: skip
        assert Study.objects.filter(modality_condition("modalities_in_study", modalities)).exists() is expected, (
            modalities
        )


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("StudyDate", "20240101-20240101-"),
        ("StudyDate", "20240001"),
        ("StudyDate", "２０２４０１０１"),
        ("StudyTime", "2460"),
        ("StudyTime", "101530.1234567"),
        ("SOPInstanceUID", "1.2 OR 1=1"),
        ("InstanceNumber", "1e3"),
        ("InstanceNumber", "9" * 5000),
    ],
)
def test_malformed_values_are_told_without_the_value(keyword: str, text: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        condition(BY_KEYWORD[keyword], BY_KEYWORD[keyword].column, text)
    assert keyword in str(refused.value)
    assert text not in str(refused.value)
