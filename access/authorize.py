"""An app asks to act for a person (RFC 6749 4.1.1, with PKCE: RFC 7636): is the question good, and the answer to it.

What is wrong with the app or its address is told to the person and nobody else; all other answers go to the app
(RFC 6749 4.1.2.1).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, NoReturn
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.http import HttpRequest, QueryDict

from access import app_sessions, policy, smart
from access.acting import Acting
from access.app_sessions import Consent
from access.models import Client, User
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.models import Patient
from audit.kinds import REFUSED, USER_CHANGED, Outcome
from audit.record import record

LONGEST_STATE: Final = 1000
MOST_PATIENTS: Final = 20
_ONCE: Final = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
# A patient yet to be chosen: which one it is changes nothing about the rights.
_SOMEBODY: Final = 0
# BASE64URL(SHA256(...)) without padding (RFC 7636 4.2).
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class BadQuestion(Exception):
    """There is nobody whom an answer could be sent to. The text is for the person, and quotes nothing."""


class Refused(Exception):
    """The app gets this error; ``location`` is where the browser goes."""

    def __init__(self, error: str, description: str, location: str) -> None:
        super().__init__(f"{error}: {description}")
        self.location = location


@dataclass(frozen=True, slots=True)
class Question:
    """A good question of an app: may I have these scopes, and if so send the code there."""

    client: Client
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    state: str

    @property
    def is_of_one_patient(self) -> bool:
        """Whether a patient has to be chosen."""
        return smart.is_of_one_patient(self.scopes)


def question(parameters: QueryDict) -> Question:
    """The question in the address. Raises BadQuestion, Refused."""
    if any(len(parameters.getlist(name)) > 1 for name in _ONCE):
        raise BadQuestion("The app asked in a way that cannot be understood: something is said twice.")
    given = {name: parameters.get(name, "") for name in _ONCE}
    if any("\0" in text for text in given.values()):
        raise BadQuestion("The app asked in a way that cannot be understood.")
    client = Client.objects.filter(client_id=given["client_id"], is_active=True).first()
    if client is None or not client.is_app:
        raise BadQuestion("This app is not known here, or it was switched off. Ask whoever manages this server.")
    if not client.redirect_uri_allowed(given["redirect_uri"]):
        raise BadQuestion("The app wants the answer sent to an address that is not registered for it.")

    def refuse(error: str, description: str) -> NoReturn:
        raise Refused(error, description, _location(given, {"error": error, "error_description": description}))

    if given["response_type"] != "code":
        refuse("unsupported_response_type", "response_type is code")
    if not given["state"] or len(given["state"]) > LONGEST_STATE:
        refuse("invalid_request", f"state is missing, or longer than {LONGEST_STATE} characters")
    if given["code_challenge_method"] != "S256" or not _CHALLENGE.fullmatch(given["code_challenge"]):
        refuse("invalid_request", "code_challenge is missing or not one of code_challenge_method S256")
    asked = given["scope"].split()
    allowed = client.scopes
    scopes = smart.granted_to_app(asked, allowed) if asked else smart.default_of(allowed, smart.OF_PEOPLE)
    if not scopes:
        refuse("invalid_scope", "none of these scopes is allowed to this app")
    return Question(client, tuple(scopes), given["redirect_uri"], given["code_challenge"], given["state"])


def able(principal: Principal, scopes: Collection[str]) -> list[str]:
    """What a token with these scopes can do for the person, in words: just that, and [] if it is nothing."""
    patient = _SOMEBODY if smart.is_of_one_patient(scopes) else None
    token = replace(principal, auth_method="oauth2", permissions=smart.permissions_of(scopes), patient=patient)
    shares = policy.may_share(token)
    return smart.in_words(
        right for right in Permission if policy.may(token, right) and (shares or right is not Permission.EXPORT)
    )


def patients(principal: Principal, patient_id: str = "") -> list[Patient]:
    """Patients that the app could be limited to, at most ``MOST_PATIENTS``: all of a Patient ID, or all there are.

    [] if there are more: then the person has to name one.
    """
    reached = policy.visible_studies(principal, Permission.SEARCH).values("patient")
    found = Patient.objects.filter(pk__in=reached)
    if patient_id:
        found = found.filter(patient_id=patient_id)
    some = list(found[: MOST_PATIENTS + 1])
    return [] if len(some) > MOST_PATIENTS else sorted(some, key=lambda patient: (patient.patient_name, patient.pk))


def patient_of(principal: Principal, key: str) -> Patient | None:
    """The patient of this key, if the person may see one of their studies."""
    if not key.isascii() or not key.isdecimal() or len(key) > 18:
        return None
    reached = policy.visible_studies(principal, Permission.SEARCH).filter(patient=int(key))
    return Patient.objects.filter(pk__in=reached.values("patient")).first()


def allow(asked: Question, patient: Patient | None, request: HttpRequest, principal: Principal) -> str:
    """The person agrees: where the browser goes with the code."""
    consent = Consent(asked.client, asked.scopes, asked.redirect_uri, asked.challenge, patient)
    user = User.objects.get(external_id=principal.id)
    code = app_sessions.begin(consent, user, Acting(request, principal))
    return _answer(asked, {"code": code})


def deny(asked: Question, request: HttpRequest, principal: Principal) -> str:
    """The person does not agree: where the browser goes."""
    text = f"app {asked.client.external_id} was not allowed to act for person {principal.id}"
    record([event(request, USER_CHANGED, principal, outcome_description=text, decision="deny")])
    return _answer(asked, {"error": "access_denied", "error_description": "the person did not allow it"})


def record_refused(error: BadQuestion | Refused, request: HttpRequest, principal: Principal) -> None:
    """An app's question could not be put to the person."""
    text = f"an app asked to act for the person: {error}"
    fields = {"decision": "deny", "rule": "authorize", "outcome": Outcome.MINOR_FAILURE, "outcome_description": text}
    record([event(request, REFUSED, principal, **fields)])


def _answer(asked: Question, fields: Mapping[str, str]) -> str:
    return _location({"redirect_uri": asked.redirect_uri, "state": asked.state}, fields)


def _location(given: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """The redirect address with the answer added, and who answers (RFC 9207)."""
    state = {"state": given["state"]} if given["state"] else {}
    added = urlencode({**fields, **state, "iss": settings.PACS.public_root})
    parts = urlsplit(given["redirect_uri"])
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
