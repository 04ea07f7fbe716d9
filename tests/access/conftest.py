"""People, machines and studies for the tests of who may see what."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, set_token_value

from access.models import Client, User, UserRole
from archive.models import Patient, Study

MakePerson = Callable[..., User]
MakeClient = Callable[..., Client]
MakeToken = Callable[..., str]
MakeStudy = Callable[..., Study]


@pytest.fixture
def make_person(db: None) -> MakePerson:
    """``make_person("radiologist", username="x", password="...")``; hashing is done only for a password given."""

    def make(*roles: str, username: str = "", password: str | None = None, active: bool = True) -> User:
        user = User(username=username or f"person-{User.objects.count()}", is_active=active)
        user.set_password(password)
        user.save()
        UserRole.objects.bulk_create(UserRole(user=user, role=role) for role in roles)
        return user

    return make


@pytest.fixture
def make_client(db: None) -> MakeClient:
    """``make_client("device")``; its secret is the ``secret`` given."""

    def make(role: str, *, name: str = "", secret: str = "", active: bool = True) -> Client:
        client: Client = Client.objects.create(
            name=name or f"client-{Client.objects.count()}",
            role=role,
            is_active=active,
            client_secret=secret or "unused",
            hash_client_secret=bool(secret),
        )
        return client

    return make


@pytest.fixture
def make_token(db: None) -> MakeToken:
    """A bearer token of a client, as the token endpoint stores it."""

    def make(client: Client, *, seconds: float = 900, **fields: object) -> str:
        raw = f"token-of-{client.pk}-{get_access_token_model().objects.count()}"
        token = get_access_token_model()(
            application=client, expires=timezone.now() + timedelta(seconds=seconds), scope="dicomweb", **fields
        )
        set_token_value(token, raw)
        token.save()
        return raw

    return make


@pytest.fixture
def make_study(db: None) -> MakeStudy:
    """A study of a patient of its own."""

    def make(uid: str = "", *, name: str = "DOE^JANE", patient_id: str = "P1", **fields: object) -> Study:
        uid = uid or f"1.2.826.0.1.3680043.8.498.{Study.objects.count() + 1}"
        patient = Patient.objects.create(
            patient_id=patient_id, unidentified_study_uid=uid, patient_name=name, patient_name_key=f"={name.lower()}="
        )
        return Study.objects.create(study_instance_uid=uid, patient=patient, **fields)

    return make


@pytest.fixture
def browser() -> Browser:
    """A browser that gets no help with CSRF."""
    return Browser(enforce_csrf_checks=True, HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")


@pytest.fixture
def shift_session(db: None) -> Callable[[Browser, float], None]:
    """Make a browser's session older: its clock is set back by some seconds."""

    def shift(browser: Browser, seconds: float, *, keys: tuple[str, ...] = ("seen_at", "signed_in_at")) -> None:
        session = browser.session
        for key in keys:
            session[key] -= seconds
        session.save()

    return shift
