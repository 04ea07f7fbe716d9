"""The matrix: what every route answers to every role, inside and outside of its scope.

ONE line for each method of each route: ``"GET dicom-web/studies": "search"``. The word names a row of ANSWERS, in the
order of COLUMNS. A cell is the status for the study in scope, and after a slash that for the study out of scope where
it is another; ``200-`` is an answer that has nothing of that study. ``.`` stands for the answer to somebody who is not
known (``nobody`` of the door), ``x`` for 403: the right is missing, ``V`` for the viewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COLUMNS = (
    "anonymous",
    "administrator",
    "radiologist",
    "technologist",
    "referring_physician",
    "nurse",
    "patient",
    "ai_vendor",
    "auditor",
    "device",
    "share link",
    "teacher",
)
# The custom role of the example: it searches and opens the images of one site, and takes no whole objects.
TEACHER = {"search": "ALL", "retrieve": "ALL"}
# The viewer is there, or an installation has none (503): either way nobody is refused.
VIEWER = "200 or 503"
SITE, WARD = "North Clinic", "Ward 3"

ANSWERS: Mapping[str, str] = {
    #                anon adm  rad  tech refer    nurse    patient  vendor   audit dev  link     teacher
    "search": "      .    200  200  200  200/200- 200/200- 200/200- 200/200- x     x    200/200- 200/200-",
    "news": "        .    200  200  200  200/200- 200/200- 200/200- 200/200- x     x    x        200/200-",
    "read": "        .    x    200  200  200/404  200/404  200/404  200/404  x     x    200/404  200/404",
    "recall": "      .    x    202  202  202/404  202/404  202/404  202/404  x     x    x        202/404",
    "objects": "     .    x    200  200  200/404  x        200/404  x        x     x    200/404  x",
    "store": "       .    200  409  200  x        x        x        409      x     200  x        x",
    "add": "         .    200  409  200  x        x        x        200/409  x     200  x        x",
    "annotate": "    .    200  200  200  x        x        x        200/409  x     200  x        x",
    "delete": "      .    204  x    x    x        x        x        x        x     x    x        x",
    "commit": "      .    200  x    200  x        x        x        200      x     200  x        x",
    "committed": "   .    404  x    404  x        x        x        404      x     404  x        x",
    # What is to be performed, for whoever performs it.
    "worklist": "    .    x    x    200  x        x        x        x        x     200  x        x",
    "performed": "   .    x    x    415  x        x        x        x        x     415  x        x",
    "one performed": ".   x    x    404  x        x        x        x        x     404  x        x",
    # Workitems: found and read, made, changed, claimed and ended, asked to be cancelled.
    "workitems": "   .    204  204  204  x        x        x        204      x     x    x        x",
    "make workitem": ".   415  x    415  x        x        x        x        x     x    x        x",
    "one workitem": ".    404  404  404  x        x        x        404      x     x    x        x",
    "change workitem": ". 415  415  415  x        x        x        415      x     x    x        x",
    "cancel workitem": ". 404 404  404  x        x        x        404      x     x    x        x",
    "claim": "       .    x    415  415  x        x        x        415      x     x    x        x",
    # Who is told of workitems, for whoever reads them; a claim is taken away by whoever manages them.
    "watch": "       .    404  404  404  x        x        x        404      x     x    x        x",
    "watch channel": ". 426  426  426  x        x        x        426      x     x    x        x",
    "release": "     .    404  x    404  x        x        x        x        x     x    x        x",
    # What was declared to be searched, for whoever searches; changed by whoever manages.
    "declared": "    .    200  200  200  200      200      200      200      x     x    x        200",
    "one declared": ".    404  404  404  404      404      404      404      x     x    x        404",
    "declare": "     .    415  x    x    x        x        x        x        x     x    x        x",
    # Whoever has proved who they are: what Lightbox can do, and who they are.
    "anybody": "     .    200  200  200  200      200      200      200      200   200  x        200",
    "viewer": "      .    V    V    V    V        V        V        V        V     V    V        V",
    "viewer file": " .    404  404  404  404      404      404      404      404   404  404      404",
    "viewer config": ".   200  200  200  200      200      200      200      200   200  200      200",
    # Pages of people, with which machines can do nothing.
    "list": "        .    200  200  200  200      200      200      200      302   x    x        200",
    "list search": " .    302  302  302  302      302      302      302      x     x    x        302",
    "own": "         .    200  200  200  200      200      200      x        200   x    x        200",
    "own missing": " .    404  404  404  404      404      404      x        404   x    x        404",
    "own form": "    .    400  400  400  400      400      400      x        400   x    x        400",
    "own done": "    .    302  302  302  302      302      302      x        302   x    x        302",
    "own secret": "  .    401  401  401  401      401      401      x        401   x    x        401",
    "sign out": "    302  302  302  302  302      302      302      302      302   302  x        302",
    "sharing": "     .    x    200  x    x        x        200/404  x        x     x    x        x",
    "share": "       .    x    400  x    x        x        400/404  x        x     x    x        x",
    "links": "       .    200  200  x    x        x        200      x        x     x    x        x",
    "end a link": "  .    404  404  x    x        x        404      x        x     x    x        x",
    "study page": "  .    200  200  200  200/404  200/404  200/404  200/404  x     x    x        200/404",
    # What was reported of a study: not for those who only search, machines of vendors, or a link.
    "reports": "     .    x    200  200  200/404  200/404  200/404  x        x     x    x        x",
    "all reports": " .    x    200  200  200      200      200      x        x     x    x        x",
    "report": "      .    x    404  404  404      404      404      x        x     x    x        x",
    "emergency": "   .    x    200  x    200      x        x        x        x     x    x        x",
    "declare one": " .    x    400  x    400      x        x        x        x     x    x        x",
    "end one": "     .    x    404  x    404      x        x        x        x     x    x        x",
    # What seems wrong with images, for whoever may correct studies.
    "corrected": "   .    200  x    200  x        x        x        x        x     x    x        x",
    "messages": "    .    x    x    x    x        x        x        x        x     x    x        x",
    # Interfaces and their messages.
    "interfaces": "  .    200  x    x    x        x        x        x        x     x    x        x",
    "interfaces search": ". 302 x   x    x        x        x        x        x     x    x        x",
    "one message": " .    404  x    x    x        x        x        x        x     x    x        x",
    "interfaces form": ". 400  x    x    x        x        x        x        x     x    x        x",
    # The day of those who make images, and their queue.
    "day": "         .    x    x    200  x        x        x        x        x     x    x        x",
    "judged": "      .    x    x    404  x        x        x        x        x     x    x        x",
    "judge": "       .    x    x    400  x        x        x        x        x     x    x        x",
    # Administration: whoever manages changes, auditors look on.
    "overseen": "    .    200  x    x    x        x        x        x        200   x    x        x",
    "overseen one": ".    404  x    x    x        x        x        x        404   x    x        x",
    "managed": "     .    200  x    x    x        x        x        x        x     x    x        x",
    "manage": "      .    400  x    x    x        x        x        x        x     x    x        x",
    "manage one": "  .    404  x    x    x        x        x        x        x     x    x        x",
    "managed act": " .    302  x    x    x        x        x        x        x     x    x        x",
    "managed task": ".    202  x    x    x        x        x        x        x     x    x        x",
    "delete role": " .    302  x    x    x        x        x        x        x     x    x        x",
    "remove role": " .    409  x    x    x        x        x        x        x     x    x        x",
    "trail": "       .    x    x    x    x        x        x        x        200   x    x        x",
    "trail one": "   .    x    x    x    x        x        x        x        404   x    x        x",
    "trail form": "  .    x    x    x    x        x        x        x        400   x    x        x",
    "own log": "     .    x    x    x    x        x        200      x        x     x    x        x",
    "trail search": ".    x    x    x    x        x        x        x        302   x    x        x",
    # Open to all, who show what they have in the request itself.
    "open": "        200  200  200  200  200      200      200      200      200   200  200      200",
    "sign in": "     200  302  302  302  302      302      302      200      302   200  200      302",
    "half signed in": "302 302 302  302 302      302      302      302      302   302  302      302",
    "prove": "       401  401  401  401  401      401      401      401      401   401  401      401",
    "no grant": "    400  400  400  400  400      400      400      400      400   400  400      400",
    "not set up": "  404  404  404  404  404      404      404      404      404   404  404      404",
    "led on": "      302  302  302  302  302      302      302      302      302   302  302      302",
    "app": "         .    400  400  400  400      400      400      x        400   x    x        400",
}

# The same for a study that is marked VIP, which everybody would reach who reaches the study in scope but for the mark:
# the patient by a grant of the patient, which opens it, the others by roles, limits and referrals, which don't. The
# vendor and the link have a grant of another study.
MARKED: Mapping[str, str] = {
    #                anon adm  rad  tech refer    nurse    patient  vendor   audit dev  link     teacher
    "search": "      .    200- 200- 200- 200-     200-     200      200-     x     x    200-     200-",
    "news": "        .    200- 200- 200- 200-     200-     200      200-     x     x    x        200-",
    "read": "        .    x    403  403  403      403      200      404      x     x    404      403",
    "objects": "     .    x    403  403  403      x        200      x        x     x    404      x",
    "add": "         .    200  409  200  x        x        x        409      x     200  x        x",
    "annotate": "    .    200  409  200  x        x        x        409      x     200  x        x",
    "delete": "      .    403  x    x    x        x        x        x        x     x    x        x",
    "sharing": "     .    x    404  x    x        x        200      x        x     x    x        x",
    "reports": "     .    x    403  403  403      403      200      x        x     x    x        x",
    "share": "       .    x    404  x    x        x        400      x        x     x    x        x",
}


@dataclass(frozen=True)
class Door:
    """Routes that begin alike: how their callers present themselves, what a stranger is told, and their lines."""

    name: str
    accept: str
    nobody: str
    rows: Mapping[str, str]


_STUDY = "dicom-web/studies/<uid:study>"
_SERIES = f"{_STUDY}/series/<uid:series>"
_INSTANCE = f"{_SERIES}/instances/<uid:instance>"
_FRAMES = f"{_INSTANCE}/frames/<str:numbers>"
_REPORT_PAGES = "studies/<str:study>/reports/<int:report>/versions/<int:version>/document"

DOORS: tuple[Door, ...] = (
    Door(
        "DICOMweb",
        "*/*",
        "401",
        {
            "GET dicom-web/studies": "search",
            "GET dicom-web/series": "search",
            "GET dicom-web/instances": "search",
            f"GET {_STUDY}/series": "search",
            f"GET {_STUDY}/instances": "search",
            f"GET {_SERIES}/instances": "search",
            f"GET {_STUDY}": "objects",
            f"GET {_SERIES}": "objects",
            f"GET {_INSTANCE}": "objects",
            **{
                f"GET {level}/{part}": "read"
                for level in (_STUDY, _SERIES, _INSTANCE)
                for part in ("metadata", "thumbnail", "rendered", "pixeldata", "bulkdata")
            },
            f"GET {_FRAMES}": "read",
            f"GET {_FRAMES}/rendered": "read",
            f"GET {_FRAMES}/thumbnail": "read",
            f"GET {_INSTANCE}/bulkdata/<path:path>": "read",
            "GET dicom-web/wado": "read",
            "POST dicom-web/studies": "store",
            f"POST {_STUDY}": "add",
            f"POST {_STUDY} (annotation)": "annotate",
            f"DELETE {_STUDY}": "delete",
            f"DELETE {_SERIES}": "delete",
            f"DELETE {_INSTANCE}": "delete",
            "GET dicom-web/changefeed": "news",
            "GET dicom-web/changefeed/latest": "news",
            "POST dicom-web/commitment-requests/<uid:transaction>": "commit",
            "GET dicom-web/commitment-requests/<uid:transaction>": "committed",
            "GET dicom-web/modality-scheduled-procedure-steps": "worklist",
            "POST dicom-web/modality-performed-procedure-steps/<uid:mpps>": "performed",
            "GET dicom-web/modality-performed-procedure-steps/<uid:mpps>": "one performed",
            "GET dicom-web/workitems": "workitems",
            "POST dicom-web/workitems": "make workitem",
            "GET dicom-web/workitems/<uid:workitem>": "one workitem",
            "POST dicom-web/workitems/<uid:workitem>": "change workitem",
            "PUT dicom-web/workitems/<uid:workitem>/state": "claim",
            "PUT dicom-web/workitems/<uid:workitem>/state/<str:requester>": "claim",
            "POST dicom-web/workitems/<uid:workitem>/cancelrequest": "cancel workitem",
            "POST dicom-web/workitems/<uid:workitem>/cancelrequest/<str:requester>": "cancel workitem",
            "POST dicom-web/workitems/<uid:workitem>/release": "release",
            "POST dicom-web/workitems/<uid:workitem>/subscribers/<str:title>": "watch",
            "DELETE dicom-web/workitems/<uid:workitem>/subscribers/<str:title>": "watch",
            "POST dicom-web/workitems/<uid:workitem>/subscribers/<str:title>/suspend": "watch",
            "GET dicom-web/subscribers/<str:title>": "watch channel",
            "GET dicom-web/extendedquerytags": "declared",
            "POST dicom-web/extendedquerytags": "declare",
            "GET dicom-web/extendedquerytags/<str:tag>": "one declared",
            "PATCH dicom-web/extendedquerytags/<str:tag>": "declare",
            "DELETE dicom-web/extendedquerytags/<str:tag>": "manage one",
            "GET dicom-web/extendedquerytags/<str:tag>/errors": "manage one",
            "GET dicom-web/operations/<str:operation>": "one declared",
            "GET dicom-web/": "anybody",
        },
    ),
    Door(
        "Pages",
        "text/html,*/*;q=0.8",
        "302",
        {
            "GET ": "list",
            "POST ": "list search",
            "GET sharing/": "links",
            "GET studies/<str:study>/": "study page",
            "GET studies/<str:study>/reports/": "reports",
            "GET studies/<str:study>/read/": "reports",
            f"GET {_REPORT_PAGES}/": "report",
            f"GET {_REPORT_PAGES}/<int:page>.png": "report",
            "GET sharing/<str:study>/": "sharing",
            "POST sharing/<str:study>/": "share",
            "POST sharing/<uuid:link>/revoke": "end a link",
            "GET emergency/": "emergency",
            "POST emergency/": "declare one",
            "POST emergency/<uuid:access>/end": "end one",
            "GET worklist/": "day",
            "GET worklist/reconciliation/": "day",
            "GET worklist/reconciliation/<str:study>/": "judged",
            "POST worklist/reconciliation/<str:study>/": "judged",
            "POST worklist/reconciliation/<str:study>/decision": "judged",
            "GET interfaces/": "interfaces",
            "GET interfaces/messages/": "interfaces",
            "POST interfaces/messages/": "interfaces search",
            "GET interfaces/messages/<int:message>/": "one message",
            "GET interfaces/parked/": "interfaces",
            "POST interfaces/parked/act": "interfaces form",
            "GET interfaces/destinations/": "interfaces",
            "GET interfaces/destinations/new": "interfaces",
            "POST interfaces/destinations/new": "interfaces form",
            "GET interfaces/destinations/<int:number>/": "one message",
            "POST interfaces/destinations/<int:number>/": "one message",
            "POST interfaces/destinations/<int:number>/try": "one message",
            "POST interfaces/destinations/<int:number>/switch": "one message",
            "GET interfaces/deliveries/": "interfaces",
            "POST interfaces/deliveries/act": "interfaces form",
            "GET interfaces/deliveries/<int:number>/": "one message",
            "GET viewer/": "viewer",
            "GET viewer/<path:route>": "viewer",
            "GET viewer/build/<slug:build>/<path:name>": "viewer file",
            "GET viewer/app-config.js": "viewer config",
        },
    ),
    Door(
        "Account",
        "text/html,*/*;q=0.8",
        "302",
        {
            "GET account/": "own",
            "GET account/password": "own missing",
            "POST account/password": "own missing",
            "GET account/confirm": "own",
            "POST account/confirm": "own secret",
            "GET account/recovery-codes": "own missing",
            "POST account/recovery-codes": "own missing",
            "POST account/sessions/end": "own done",
            "POST account/sessions/<uuid:session>/end": "own missing",
            "GET account/second-factors/app": "own",
            "POST account/second-factors/app": "own form",
            "GET account/second-factors/passkey": "own missing",
            "POST account/second-factors/passkey": "own missing",
            "GET account/second-factors/<uuid:factor>": "own missing",
            "POST account/second-factors/<uuid:factor>": "own missing",
            "GET account/keys/": "own",
            "GET account/keys/new": "own",
            "POST account/keys/new": "own form",
            "POST account/keys/<uuid:key>/revoke": "own missing",
            "POST account/keys/apps/<uuid:session>/end": "own missing",
            "GET oauth/authorize/": "app",
            "POST oauth/authorize/": "app",
        },
    ),
    Door(
        "Administration",
        "text/html,*/*;q=0.8",
        "302",
        {
            "GET administration/": "overseen",
            "GET administration/people/": "overseen",
            "POST administration/people/": "overseen",
            "GET administration/people/new": "managed",
            "POST administration/people/new": "manage",
            "GET administration/people/<uuid:person>/": "overseen one",
            "GET administration/people/<uuid:person>/activity": "overseen one",
            **{
                f"POST administration/people/<uuid:person>/{part}": "manage one"
                for part in ("roles", "details", "password", "second-factor", "off", "on", "physician", "leave")
            },
            "POST administration/people/<uuid:person>/keys/<uuid:key>/revoke": "manage one",
            "GET administration/clients/": "overseen",
            "GET administration/clients/new": "managed",
            "POST administration/clients/new": "manage",
            "GET administration/clients/<uuid:client>/": "overseen one",
            **{
                f"POST administration/clients/<uuid:client>/{part}": "manage one"
                for part in ("role", "leave", "keys/new", "keys/<uuid:key>/revoke", "secret", "off", "on")
            },
            "GET administration/roles/": "overseen",
            "GET administration/roles/new": "managed",
            "POST administration/roles/new": "manage",
            "GET administration/roles/<str:role>/": "overseen",
            "POST administration/roles/<str:role>/": "manage",
            "POST administration/roles/<str:role>/delete": "delete role",
            "GET administration/grants/": "overseen",
            "POST administration/grants/": "overseen",
            "GET administration/grants/new": "managed",
            "POST administration/grants/new": "manage",
            "POST administration/grants/<int:grant_id>/end": "manage one",
            "GET administration/sessions/": "overseen",
            "POST administration/sessions/<uuid:session>/end": "manage one",
            "GET administration/emergencies/": "overseen",
            "POST administration/emergencies/": "overseen one",
            "GET administration/emergencies/<uuid:access>/": "overseen one",
            "GET administration/restrictions/": "overseen",
            "GET administration/restrictions/new": "managed",
            "POST administration/restrictions/new": "manage",
            "POST administration/restrictions/end": "manage one",
            "GET administration/holds/": "overseen",
            "GET administration/holds/new": "managed",
            "POST administration/holds/new": "manage",
            "GET administration/holds/<int:hold_id>/": "overseen one",
            "POST administration/holds/<int:hold_id>/": "manage one",
            "GET administration/retention/": "overseen",
            "GET administration/retention/study": "overseen one",
            "GET administration/retention/rules/new": "managed",
            "POST administration/retention/rules/new": "manage",
            "GET administration/retention/rules/<int:rule_id>/": "manage one",
            "POST administration/retention/rules/<int:rule_id>/": "manage one",
            "POST administration/retention/rules/<int:rule_id>/<str:act>": "manage one",
            "POST administration/retention/plans/new": "managed act",
            "GET administration/retention/plans/<int:plan_id>/": "overseen one",
            "POST administration/retention/plans/<int:plan_id>/<str:act>": "manage one",
            "GET administration/deleted/": "overseen",
            "POST administration/deleted/back": "manage one",
            "GET administration/deleted/certificates/<int:certificate_id>/": "overseen one",
            "GET administration/storage/": "overseen",
            "GET administration/findings/": "overseen",
            "GET administration/findings/<int:finding_id>/": "overseen one",
            "POST administration/findings/<int:finding_id>/": "manage one",
            "GET administration/reviews/": "overseen",
            "GET administration/reviews/new": "managed",
            "POST administration/reviews/new": "manage",
            "GET administration/reviews/accounts.csv": "overseen",
            "GET administration/reviews/<uuid:campaign>/": "overseen one",
            "POST administration/reviews/<uuid:campaign>/<uuid:account>": "manage one",
            "GET administration/speed/": "overseen",
            "GET administration/settings/": "overseen",
        },
    ),
    Door(
        "Trail",
        "text/html,*/*;q=0.8",
        "302",
        {
            "GET trail/": "trail",
            "POST trail/": "trail search",
            "GET trail/mine": "own log",
            "GET trail/mine.json": "own log",
            "GET trail/events.csv": "trail",
            "GET trail/events.xml": "trail",
            "GET trail/alerts/": "trail",
            "POST trail/alerts/<int:alert>/": "trail one",
            "GET trail/reviews/": "trail",
            "POST trail/reviews/": "trail form",
            "GET trail/reviews/<uuid:review>/": "trail one",
            "POST trail/reviews/<uuid:review>/": "trail one",
            "POST trail/reviews/<uuid:review>/remove": "trail search",
            "GET trail/disclosures": "trail",
            "POST trail/disclosures": "trail search",
            "GET trail/disclosures.csv": "trail form",
        },
    ),
    Door(
        "Programs",
        "*/*",
        "401",
        {
            "GET fhir/metadata": "trail",
            "GET fhir/AuditEvent": "trail",
            "POST fhir/AuditEvent/_search": "trail",
            "GET fhir/AuditEvent/<str:event>": "trail one",
            "GET api/schema": "anybody",
            "GET api/docs": "anybody",
            "GET api/whoami": "anybody",
            "GET api/people": "overseen",
            "POST api/people": "manage",
            "GET api/people/<uuid:person>": "overseen one",
            "PATCH api/people/<uuid:person>": "manage one",
            "POST api/people/<uuid:person>/password": "manage one",
            "POST api/people/<uuid:person>/termination": "manage one",
            "GET api/clients": "overseen",
            "POST api/clients": "manage",
            "GET api/clients/<uuid:client>": "overseen one",
            "PATCH api/clients/<uuid:client>": "manage one",
            "POST api/clients/<uuid:client>/secret": "manage one",
            "GET api/grants": "overseen",
            "POST api/grants": "manage",
            "GET api/grants/<int:grant>": "overseen one",
            "DELETE api/grants/<int:grant>": "manage one",
            "GET api/findings": "overseen",
            "POST api/findings/<int:finding>/accept": "manage one",
            "GET api/holds": "overseen",
            "POST api/holds": "manage",
            "GET api/holds/<int:hold>": "overseen one",
            "POST api/holds/<int:hold>/release": "manage one",
            "GET api/retention/rules": "overseen",
            "POST api/retention/rules": "manage",
            "PUT api/retention/rules/<int:rule>": "manage one",
            "DELETE api/retention/rules/<int:rule>": "manage one",
            "POST api/retention/rules/<int:rule>/up": "manage one",
            "GET api/retention/studies/<str:study>": "overseen",
            "GET api/retention/plans": "overseen",
            "POST api/retention/plans": "managed task",
            "GET api/retention/plans/<int:plan>": "overseen one",
            "GET api/retention/plans/<int:plan>/studies": "overseen one",
            "POST api/retention/plans/<int:plan>/<str:act>": "manage one",
            "GET api/deleted-studies": "overseen",
            "POST api/deleted-studies/<str:study>/bring-back": "manage one",
            "GET api/certificates": "overseen",
            "GET api/certificates/<int:certificate>": "overseen one",
            "GET api/storage": "overseen",
            "GET api/roles": "overseen",
            "POST api/roles": "manage",
            "GET api/roles/<str:role>": "overseen",
            "PATCH api/roles/<str:role>": "managed",
            "DELETE api/roles/<str:role>": "remove role",
            "GET api/emergency-access": "emergency",
            "POST api/emergency-access": "declare one",
            "DELETE api/emergency-access/<uuid:access>": "end one",
            "GET api/quality/findings": "corrected",
            "POST api/studies/<str:study>/recall": "recall",
            "GET api/reports": "all reports",
            "GET api/studies/<str:study>/reports": "reports",
            "GET api/reports/<int:report>": "report",
            "GET api/reports/<int:report>/versions/<int:version>": "report",
            "GET api/reports/<int:report>/versions/<int:version>/document": "report",
            "GET api/reports/<int:report>/versions/<int:version>/attachments/<int:place>": "report",
            "GET api/worklist/reconciliation": "day",
            "GET api/worklist/reconciliation/<str:study>": "judged",
            "POST api/worklist/reconciliation/<str:study>/decision": "judge",
            "GET api/hl7/interfaces": "interfaces",
            "GET api/hl7/messages": "interfaces",
            "POST api/hl7/messages/search": "interfaces",
            "GET api/hl7/messages/<int:message>": "one message",
            "POST api/hl7/messages/<int:message>/replay": "one message",
            "POST api/hl7/messages/<int:message>/dismissal": "interfaces form",
            "POST api/hl7/replays": "interfaces",
            "GET api/hl7/destinations": "interfaces",
            "POST api/hl7/destinations": "interfaces form",
            "GET api/hl7/destinations/<int:number>": "one message",
            "PATCH api/hl7/destinations/<int:number>": "one message",
            "POST api/hl7/destinations/<int:number>/try": "one message",
            "GET api/hl7/deliveries": "interfaces",
            "GET api/hl7/deliveries/<int:number>": "one message",
            "POST api/hl7/deliveries/<int:number>/retry": "one message",
            "POST api/hl7/deliveries/<int:number>/give-up": "interfaces form",
            # With the token of the setting, for scrapers (tests/telemetry).
            "GET metrics": "overseen",
            "GET api/access-review": "overseen",
            "GET api/access-review.csv": "overseen",
            # For a role of the house's own that has the right to send messages.
            "POST hl7/v2": "messages",
        },
    ),
    Door(
        "Sign-in",
        "text/html,*/*;q=0.8",
        "302",
        {
            "GET accounts/login/": "sign in",
            "POST accounts/login/": "prove",
            "GET accounts/login/second-factor": "half signed in",
            "POST accounts/login/second-factor": "half signed in",
            "GET accounts/login/set-up": "half signed in",
            "POST accounts/login/set-up": "half signed in",
            "GET accounts/sso/": "led on",
            "POST accounts/sso/": "not set up",
            "GET accounts/sso/return": "not set up",
            "GET s/": "open",
            "POST s/open": "prove",
            "POST share/token": "prove",
            "POST oauth/token/": "no grant",
            "POST oauth/revoke/": "no grant",
            "POST oauth/introspect/": "prove",
            "GET .well-known/smart-configuration": "open",
            "GET .well-known/oauth-authorization-server": "open",
            "GET dicom-web/.well-known/smart-configuration": "open",
            "GET livez": "open",
            "GET readyz": "open",
            "GET status": "open",
        },
    ),
    # By itself: nobody is anybody afterwards.
    Door("Sign-out", "text/html,*/*;q=0.8", "302", {"POST accounts/logout/": "sign out"}),
)


def cells(answers: str, nobody: str) -> dict[str, tuple[str, str]]:
    """Column -> status in and out of scope, of one row of ANSWERS."""
    return _cells(ANSWERS[answers], nobody)


def marked_cells(answers: str, nobody: str) -> dict[str, str]:
    """Column -> status for the marked study, of one row of MARKED."""
    return {column: status for column, (status, _) in _cells(MARKED[answers], nobody).items()}


def _cells(row: str, nobody: str) -> dict[str, tuple[str, str]]:
    words = row.split()
    assert len(words) == len(COLUMNS), row
    return {column: _cell(word, nobody) for column, word in zip(COLUMNS, words, strict=True)}


def _cell(word: str, nobody: str) -> tuple[str, str]:
    named = {"x": "403", ".": nobody, "V": VIEWER}.get(word, word)
    inside, slash, outside = named.partition("/")
    return inside, outside if slash else inside


def lines() -> Iterator[tuple[Door, str, str]]:
    """Door, ``GET route``, and the word of every line."""
    for door in DOORS:
        for line, word in door.rows.items():
            yield door, line, word
