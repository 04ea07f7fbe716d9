"""From a query string to a typed query (PS3.18 8.3.4, 10.6.1.2)."""

from __future__ import annotations

from typing import Any

import pytest

from archive.errors import InvalidQuery
from dicom.attributes import ATTRIBUTES, Level
from dicomweb.query import Parsed, parse_query

LEVELS: tuple[Level, ...] = ("study", "series", "instance")


def parsed(*pairs: tuple[str, str], level: Level = "study", **more: Any) -> Parsed:
    options = {"study_instance_uid": None, "series_instance_uid": None, "default_limit": 100, "most": 1000}
    return parse_query(pairs, level, **(options | more))


def test_defaults() -> None:
    query = parsed().query
    assert (query.limit, query.offset, query.fuzzy, query.matches, query.include) == (100, 0, False, (), frozenset())
    assert parsed().asked is None


def test_limit_is_what_was_asked_up_to_the_most() -> None:
    assert parsed(("limit", "5")).query.limit == 5
    assert parsed(("limit", "5000")).query.limit == 1000
    assert parsed(("limit", "5000")).asked == 5000
    assert parsed(("limit", "0"), ("offset", "17")).query.offset == 17


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: a.keyword)
@pytest.mark.parametrize("level", LEVELS)
def test_each_attribute_matches_by_keyword_and_tag_at_and_below_its_level(attribute: Any, level: Level) -> None:
    order = ("patient", *LEVELS)
    reachable = order.index(attribute.level) <= order.index(level)
    for name in (attribute.keyword, attribute.tag, attribute.tag.lower()):
        found = parsed((name, "1"), level=level)
        assert bool(found.query.matches) is reachable
        assert found.unsupported == (() if reachable else (name,))
    found = parsed(("includefield", f"{attribute.keyword},{attribute.tag}"), level=level)
    assert bool(found.unsupported) is not reachable


def test_keyword_and_tag_of_one_attribute_are_one_key() -> None:
    with pytest.raises(InvalidQuery, match="PatientID is given twice"):
        parsed(("PatientID", "a"), ("00100020", "b"))


def test_all_wins_over_single_fields() -> None:
    assert parsed(("includefield", "PatientName"), ("includefield", "all"), level="series").query.include is None
    assert parsed(("includefield", "all"), ("includefield", "PatientName"), level="series").query.include is None


def test_modalities_gather_from_every_form() -> None:
    found = parsed(("ModalitiesInStudy", "CT\\MR"), ("00080061", "US, SR"), ("ModalitiesInStudy", "*"))
    assert found.query.modalities_in_study == {"CT", "MR", "US", "SR"}


def test_names_keep_their_order_in_the_warning() -> None:
    names = ("multiplevalue", "00181041", "SQ.Keyword", "RequestAttributesSequence.RequestedProcedureID")
    assert parsed(*((name, "1") for name in names)).unsupported == names


def test_messages_hold_no_value() -> None:
    with pytest.raises(InvalidQuery) as refused:
        parsed(("limit", "Doe^Jane"))
    assert "Doe" not in str(refused.value)


def test_parameters_and_their_values_are_bounded() -> None:
    bounds: dict[str, Any] = {"most_parameters": 2, "longest_value": 8}
    assert parsed(("PatientID", "12345678"), ("limit", "1"), **bounds).asked == 1
    for pairs in ([("PatientID", "123456789")], [("a", ""), ("b", ""), ("c", "")]):
        with pytest.raises(InvalidQuery, match=r"2 parameters.* 8 characters"):
            parsed(*pairs, **bounds)
