"""Sessions of some roles end sooner, or later, than those of others."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from audit.models import AccessEvent
from pacs_project.config import Config

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
WHO = "/api/whoami"


@pytest.mark.parametrize(
    ("roles", "minutes"),
    [
        (("radiologist",), 30),
        (("administrator",), 5),
        (("radiologist", "administrator"), 5),
        (("technologist",), 15),
        (("technologist", "radiologist"), 30),
        ((), 15),
    ],
)
def test_the_shortest_of_ones_roles_counts(
    browser: Browser, make_person: Make, shift_session: Make, settings: Any, roles: tuple[str, ...], minutes: float
) -> None:
    settings.PACS = settings.PACS.model_copy(
        update={"idle_minutes": 15.0, "idle_minutes_by_role": {"radiologist": 30.0, "administrator": 5.0}}
    )
    settings.SESSION_COOKIE_AGE = 30 * 60
    browser.force_login(make_person(*roles))
    browser.get(WHO)
    shift_session(browser, minutes * 60 - 60)
    assert browser.get(WHO).status_code == 200
    shift_session(browser, minutes * 60 + 60)
    assert browser.get(WHO, headers={"Accept": "*/*"}).status_code == 401
    assert AccessEvent.objects.get(kind="sign_out").rule == "idle"


@pytest.mark.parametrize("text", ['{"radiologist": 0}', '{"radiologist": "x"}', "[]"])
def test_times_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_IDLE_MINUTES_BY_ROLE", text)
    with pytest.raises(ValueError, match="idle_minutes_by_role"):
        Config()


@pytest.mark.parametrize("hours", ["0", "4.5", "-1"])
def test_an_emergency_lasts_four_hours_at_the_most(hours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_EMERGENCY_HOURS", hours)
    with pytest.raises(ValueError, match="emergency_hours"):
        Config()
