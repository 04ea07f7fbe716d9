"""Person names made comparable (PS3.4 C.2.2.2.1, PS3.5 6.2.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.names import fold, groups, name_key


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("DOE^JOHN", "Doe^John"),
        ("Doe^John^^^", "Doe^John"),
        ("Doe^John ", "Doe^John"),
        ("Doe  ^John", "doe ^john"),
        ("Müller", "MULLER"),
        ("Mu\u0308ller", "Müller"),
        ("Ødegård", "odegard"),
        ("ŁUKASZ", "lukasz"),
        ("Đorđe", "dorde"),
        ("Æsop", "aesop"),
        ("Straße", "STRASSE"),
        ("ｱﾔﾒ", "アヤメ"),
        ("ﾊﾞﾅﾅ", "バナナ"),
        ("홍길동", "홍길동".encode().decode()),
        ("Иванов", "ИВАНОВ"),
        ("Νίκος", "ΝΙΚΟΣ"),
    ],
)
def test_equal_names_have_equal_keys(name: str, same: str) -> None:
    assert name_key(name) == name_key(same)


@pytest.mark.parametrize(
    ("name", "other"), [("ハ", "バ"), ("Doe^John", "Doe John"), ("Doe^^John", "Doe^John"), ("山", "川")]
)
def test_different_names_have_different_keys(name: str, other: str) -> None:
    assert name_key(name) != name_key(other)


def test_groups_stand_between_equal_signs() -> None:
    assert name_key("Yamada^Tarou=山田^太郎=やまだ^たろう") == "=yamada^tarou=山田^太郎=やまだ^たろう="
    assert name_key("=山田^太郎=") == "=山田^太郎="
    assert name_key("A\\B^C=D") == "=a=b^c=d="
    for empty in ("", "^^^^", "==", "^=^", " "):
        assert name_key(empty) == ""


@given(st.text(max_size=60))
def test_folding_is_stable(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert all(groups(text))
    assert fold(text) == " ".join(fold(text).split())
