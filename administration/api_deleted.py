"""``/api/deleted-studies``, ``/api/certificates``, ``/api/storage``: what is gone, what proves it, and what is kept."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.step_up import require_recent
from administration.api import NO_STORE, TAG, Managed, given, in_path, refusals
from administration.api_lists import LIMIT, OFFSET, PAGING_BY_NUMBER
from administration.api_retention import RemovalsQuestion
from archive.errors import NotFound as NothingThere
from archive.quota import stored_bytes
from archive.usage import usage
from custody.retention.bringing_back import ask, in_window
from custody.retention.certifying import document
from custody.retention.models import Certificate


class DeletionAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """What was deleted of a study and can be brought back."""

    study = serializers.CharField()
    instances = serializers.IntegerField()
    bytes = serializers.IntegerField()
    deleted_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    held = serializers.BooleanField(help_text="until is over, and a legal hold keeps it")
    asked = serializers.BooleanField(help_text="a worker is about to bring it back")


class CertificateAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A certificate in short."""

    id = serializers.IntegerField()
    study = serializers.CharField()
    instances = serializers.IntegerField()
    bytes = serializers.IntegerField()
    deleted_at = serializers.DateTimeField()
    removed_at = serializers.DateTimeField()
    decided_by = serializers.CharField()


class DeletedStudies(Managed):
    """``/api/deleted-studies``."""

    @extend_schema(
        operation_id="deleted_studies",
        parameters=[LIMIT, OFFSET],
        responses={200: OpenApiResponse(DeletionAnswer(many=True), "What can be brought back"), **refusals()},
        tags=[TAG],
        summary="Deleted studies that can still be brought back, newest first",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(RemovalsQuestion(data=request.query_params))
        rows = in_window(limit=asked["limit"], offset=asked["offset"])
        body = [
            {
                "study": row.study_instance_uid,
                "instances": row.instances,
                "bytes": row.bytes,
                "deleted_at": row.deleted_at,
                "until": row.until,
                "held": row.held,
                "asked": row.asked,
            }
            for row in rows
        ]
        return self.read(request, "deleted studies", body, study_uids=[row.study_instance_uid for row in rows])


class BringBack(Managed):
    """``/api/deleted-studies/{study}/bring-back``."""

    @extend_schema(
        operation_id="deleted_study_bring_back",
        parameters=[in_path("study", r"^[0-9.]{1,64}$")],
        request=None,
        responses={
            202: OpenApiResponse(description="A worker is about to"),
            **refusals(s404="Nothing of it can be brought back"),
        },
        tags=[TAG],
        summary="Bring back what was deleted of a study",
    )
    def post(self, request: Request, study: str) -> Response:
        """Ask a worker for it."""
        require_recent(request)
        try:
            ask(study, by=self.acting(request))
        except NothingThere as error:
            raise NotFound(str(error)) from error
        return Response(status=202, headers=NO_STORE)


class Certificates(Managed):
    """``/api/certificates``."""

    @extend_schema(
        operation_id="certificates",
        parameters=[*PAGING_BY_NUMBER],
        responses={200: OpenApiResponse(CertificateAnswer(many=True), "The certificates"), **refusals()},
        tags=[TAG],
        summary="Certificates of removal, newest first",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(RemovalsQuestion(data=request.query_params))
        found = Certificate.objects.order_by("-pk")
        if "after" in asked:
            found = found.filter(pk__lt=asked["after"])
        rows = list(found[asked["offset"] : asked["offset"] + asked["limit"]])
        body = [
            {
                "id": row.pk,
                "study": row.study_instance_uid,
                "instances": row.instances,
                "bytes": row.bytes,
                "deleted_at": row.deleted_at,
                "removed_at": row.removed_at,
                "decided_by": row.decided_by,
            }
            for row in rows
        ]
        uids = sorted({row.study_instance_uid for row in rows})
        return self.read(request, "certificates of removal", body, study_uids=uids)


class OneCertificate(Managed):
    """``/api/certificates/{certificate}``."""

    @extend_schema(
        operation_id="certificate",
        parameters=[in_path("certificate", "^[0-9]+$")],
        responses={
            200: OpenApiResponse({"type": "object"}, "The certificate with each object and its proof"),
            **refusals(s404="There is no such certificate"),
        },
        tags=[TAG],
        summary="One certificate of removal",
    )
    def get(self, request: Request, certificate: int) -> Response:
        """All of it."""
        found = Certificate.objects.filter(pk=certificate).first()
        if found is None:
            raise NotFound("no such certificate")
        body: dict[str, Any] = dict(document(found))
        uids = [found.study_instance_uid]
        return self.read(request, f"certificate of removal {found.pk}", body, study_uids=uids)


class Storage(Managed):
    """``/api/storage``."""

    @extend_schema(
        operation_id="storage",
        responses={200: OpenApiResponse({"type": "object"}, "Bytes by site, modality and month"), **refusals()},
        tags=[TAG],
        summary="How much is kept, by site, modality and month",
    )
    def get(self, request: Request) -> Response:
        """All of it."""
        rows = [
            {
                "site": row.site,
                "modality": row.modality,
                "month": row.month,
                "studies": row.studies,
                "instances": row.instances,
                "bytes": row.bytes,
            }
            for row in usage()
        ]
        limits, quota = settings.PACS.limits, settings.PACS.quota
        body = {"bytes": stored_bytes(), "quota": limits.archive_bytes, "site_quotas": quota.sites, "usage": rows}
        return self.read(request, "how much is stored", body)
