"""Addresses of the JSON resources of the administration, below ``/api/``."""

from django.urls import path

from administration.api_clients import Clients, OneClient, Secret
from administration.api_deleted import BringBack, Certificates, DeletedStudies, OneCertificate, Storage
from administration.api_findings import AcceptFinding, Findings
from administration.api_grants import Grants, OneGrant
from administration.api_holds import Holds, OneHold, ReleaseHold
from administration.api_people import Password, People, Person, Termination
from administration.api_retention import (
    OneRetentionPlan,
    OneRetentionRule,
    RetentionDecision,
    RetentionPlanAct,
    RetentionPlans,
    RetentionPlanStudies,
    RetentionRules,
    RetentionRuleUp,
)
from administration.api_roles import OneRole, Roles
from administration.review_api import AccessReview, AccessReviewTable

urlpatterns = [
    path("access-review", AccessReview.as_view(), name="api-access-review"),
    path("access-review.csv", AccessReviewTable.as_view(), name="api-access-review-table"),
    path("people", People.as_view(), name="api-people"),
    path("people/<uuid:person>", Person.as_view(), name="api-person"),
    path("people/<uuid:person>/password", Password.as_view(), name="api-person-password"),
    path("people/<uuid:person>/termination", Termination.as_view(), name="api-person-termination"),
    path("clients", Clients.as_view(), name="api-clients"),
    path("clients/<uuid:client>", OneClient.as_view(), name="api-client"),
    path("clients/<uuid:client>/secret", Secret.as_view(), name="api-client-secret"),
    path("grants", Grants.as_view(), name="api-grants"),
    path("grants/<int:grant>", OneGrant.as_view(), name="api-grant"),
    path("holds", Holds.as_view(), name="api-holds"),
    path("holds/<int:hold>", OneHold.as_view(), name="api-hold"),
    path("holds/<int:hold>/release", ReleaseHold.as_view(), name="api-hold-release"),
    path("retention/rules", RetentionRules.as_view(), name="api-retention-rules"),
    path("retention/rules/<int:rule>", OneRetentionRule.as_view(), name="api-retention-rule"),
    path("retention/rules/<int:rule>/up", RetentionRuleUp.as_view(), name="api-retention-rule-up"),
    path("retention/studies/<str:study>", RetentionDecision.as_view(), name="api-retention-decision"),
    path("retention/plans", RetentionPlans.as_view(), name="api-retention-plans"),
    path("retention/plans/<int:plan>", OneRetentionPlan.as_view(), name="api-retention-plan"),
    path("retention/plans/<int:plan>/studies", RetentionPlanStudies.as_view(), name="api-retention-plan-studies"),
    path("retention/plans/<int:plan>/<str:act>", RetentionPlanAct.as_view(), name="api-retention-plan-act"),
    path("deleted-studies", DeletedStudies.as_view(), name="api-deleted-studies"),
    path("deleted-studies/<str:study>/bring-back", BringBack.as_view(), name="api-bring-back"),
    path("certificates", Certificates.as_view(), name="api-certificates"),
    path("certificates/<int:certificate>", OneCertificate.as_view(), name="api-certificate"),
    path("findings", Findings.as_view(), name="api-findings"),
    path("findings/<int:finding>/accept", AcceptFinding.as_view(), name="api-finding-accept"),
    path("storage", Storage.as_view(), name="api-storage"),
    path("roles", Roles.as_view(), name="api-roles"),
    path("roles/<str:role>", OneRole.as_view(), name="api-role"),
]
