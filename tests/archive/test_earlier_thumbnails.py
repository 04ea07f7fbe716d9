"""Thumbnails of the release before: their objects are let go by the migration, however old they are."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from archive.models import DeletedObject, Series


@pytest.mark.django_db(transaction=True)
def test_objects_of_earlier_thumbnails_are_swept() -> None:
    key = "derived/thumbnails/2020/01/02/00ff.jpg"
    executor = MigrationExecutor(connection)
    last = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate([("archive", "0007_representations")])
        old = executor.loader.project_state([("archive", "0007_representations")]).apps
        patient = old.get_model("archive", "Patient").objects.create(patient_id="P")
        study = old.get_model("archive", "Study").objects.create(study_instance_uid="1.2.3", patient=patient)
        rows = old.get_model("archive", "Series").objects
        rows.create(study=study, series_instance_uid="1.2.3.4", thumbnail_key=key)
        rows.create(study=study, series_instance_uid="1.2.3.5")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(last)
    noted = DeletedObject.objects.get()
    assert (noted.object_key, noted.deleted_by, noted.sop_instance_uid) == (key, "derived", "")
    assert list(Series.objects.values_list("thumbnail_instance", "thumbnail_rank")) == [(None, 0)] * 2
