"""Dockerfile, .dockerignore and compose.yaml, as far as they can be held to account without a container engine.

What an engine would do is done by hand where that is possible: the files the image would hold are laid out and started
from, and the compose file's S3 server and bucket role are run with their own command lines.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from standalone.services.postgres import _COUNTING
from standalone.services.seaweedfs import free_port

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
COMPOSE = ROOT / "compose.yaml"
SECRETS = {
    "PACS_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "PACS_S3__ACCESS_KEY_ID",
    "PACS_S3__SECRET_ACCESS_KEY",
    "PACS_METRICS__TOKEN",
}
OURS = {"web", "worker", "relay", "hl7", "migrate", "bucket"}
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+(\.\d+)+(-[a-z0-9.-]+)?(@sha256:[0-9a-f]{64})?")
VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Z_0-9]+)([^}]*)\}?")

Instruction = tuple[str, str]


def dockerfile() -> list[list[Instruction]]:
    """The stages of the Dockerfile, each a list of (instruction, arguments); stages[-1] is the image."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            if name == "FROM":
                stages.append([])
            stages[-1].append((name, arguments.strip()))
    return stages


def arguments(name: str, stage: int = -1) -> list[str]:
    return [value for instruction, value in dockerfile()[stage] if instruction == name]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ignored_by_docker(path: Path) -> bool:
    """.dockerignore as this project writes it: everything out, a list of names back in, compiled Python out again."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")}
    assert set(rules) == {"*", "**/__pycache__/", "**/*.pyc"} | {rule for rule in rules if rule.startswith("!")}
    return path.parts[0] not in kept or "__pycache__" in path.parts or path.suffix == ".pyc"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of the image: what its COPY lines take from the checkout, and nothing else."""
    target = tmp_path_factory.mktemp("image")
    for value in arguments("COPY"):
        if not value.startswith("--from="):
            source, destination = value.split()
            assert not ignored_by_docker(Path(source)), source
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, target / destination, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
                )
            else:
                shutil.copy(ROOT / source, target / destination)
    return target


def run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the image's folder, with the folders of the image that are read-only for it left alone."""
    environment = {
        key: value for key, value in os.environ.items() if key.startswith("PACS_") or key in ("PATH", "HOME")
    }
    environment |= {"PYTHONPATH": str(image), "DJANGO_SETTINGS_MODULE": "pacs_project.settings"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PACS_DATA": str(image.with_name("data"))}
    return subprocess.run(
        [sys.executable, *command], cwd=image, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


# --- Dockerfile -------------------------------------------------------------------------------------------------------


def test_hadolint_has_nothing_to_say() -> None:
    result = subprocess.run(
        [SCRIPTS / "hadolint", "--no-color", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_base_images_are_pinned_by_tag() -> None:
    images = [value.split()[0] for stage in dockerfile() for name, value in stage if name == "FROM"]
    assert len(images) == 3
    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert images[1] == images[2], "wheels are installed by the Python that runs them"


def test_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert arguments("USER") == ["10001:10001"]
    names = [name for name, _ in dockerfile()[-1]]
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])
    assert "10001" in arguments("RUN")[0]


def test_image_holds_no_secret_and_adds_nothing_from_the_net() -> None:
    everything = [instruction for stage in dockerfile() for instruction in stage]
    assert not [value for name, value in everything if name in ("ADD", "ARG")]
    environment = " ".join(value for name, value in everything if name == "ENV")
    assert not re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY", environment)


def test_requirements_are_installed_with_their_hashes_from_wheels() -> None:
    (install,) = arguments("RUN", stage=1)
    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install
    pins = re.findall(
        r"^([a-z0-9._-]+(?:\[[^]]*\])?)==\S+(?: ;.*?)? \\$", (ROOT / "requirements.txt").read_text(), re.M | re.I
    )
    assert len(pins) > 50
    for dropped in install.partition("uninstall --yes ")[2].split():
        assert dropped in pins


def test_health_check_asks_livez() -> None:
    (check,) = arguments("HEALTHCHECK")
    command = json.loads(check.partition(" CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert "http://127.0.0.1:8080/livez" in command[2]
    ast.parse(command[2])
    assert "--bind=0.0.0.0:8080" in json.loads(arguments("CMD")[0])


def test_every_room_of_the_product_is_in_the_image(image: Path) -> None:
    """All packages of the import rules but the launcher, which starts what are services of their own here."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rooms = {path.name for path in image.iterdir() if path.is_dir()}
    assert rooms == set(rules["root_packages"]) - {"standalone"}


def test_image_starts_from_what_it_holds(image: Path) -> None:
    result = run(image, "manage.py", "check", "--fail-level", "ERROR")
    assert result.returncode == 0, result.stderr[-2000:]


def test_image_web_command_is_valid(image: Path) -> None:
    program, *options = json.loads(arguments("CMD")[0])
    assert program == "gunicorn"
    result = run(image, "-m", "gunicorn", "--check-config", *options)
    assert result.returncode == 0, result.stderr[-2000:]


def test_viewer_script_is_copied_and_takes_the_option() -> None:
    assert "COPY tools/ tools/" in {f"{name} {value}" for name, value in dockerfile()[0]}
    (command,) = arguments("RUN", stage=0)
    program, script, option, _ = command.split()
    assert (program, option) == ("python3", "--destination")
    shown = subprocess.run(
        [sys.executable, ROOT / script, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert option in shown.stdout
    assert not ignored_by_docker(Path(script))
    assert "COPY --from=viewer /build/viewer /opt/lightbox-viewer" in (ROOT / "Dockerfile").read_text()
    assert "PACS_VIEWER_DIR=/opt/lightbox-viewer" in arguments("ENV")[0]


# --- compose.yaml -----------------------------------------------------------------------------------------------------


def test_services() -> None:
    assert set(services()) == OURS | {"nginx", "postgres", "valkey", "seaweedfs"}


def test_images_are_pinned_by_tag() -> None:
    assert [service["image"] for service in services().values() if not PINNED.fullmatch(service["image"])] == []
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {services()[name]["image"] for name in OURS} == {f"lightbox:{version}"}


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    text = re.sub(r"^\s*#.*\n", "", COMPOSE.read_text(), flags=re.MULTILINE)
    used = VARIABLE.findall(text)
    assert {name for name, _ in used} == SECRETS | {"PACS_PUBLIC_ROOT", "TLS_FOLDER"}
    assert [name for name, rest in used if not re.fullmatch(r":\?.+", rest)] == []


def secret_settings(node: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar of the compose file that sets something secret: (name of the setting, value)."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from secret_settings(value, str(key))
    elif isinstance(node, list):
        for before, value in zip([name, *node], node, strict=False):
            yield from secret_settings(value, before if str(before).startswith("--") else name)
    elif re.search(r"password|secret|auth$|requirepass|_key(_id)?$|_url$", name, re.IGNORECASE):
        yield name, str(node)


def test_no_secret_is_written_down() -> None:
    found = list(secret_settings(services()))
    assert {name for name, _ in found} >= {"PACS_SECRET_KEY", "POSTGRES_PASSWORD", "--requirepass", "PACS_DATABASE_URL"}
    harmless = {"http://seaweedfs:8333"}
    assert [name for name, value in found if "${" not in value and value not in harmless] == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service, "the image's own user, which is not root"
    assert not {"privileged", "cap_add", "pid", "network_mode"} & set(service)


def test_the_proxy_is_no_root_and_writes_in_one_folder() -> None:
    proxy = services()["nginx"]
    assert (proxy["user"], proxy["read_only"], proxy["cap_drop"]) == ("101:101", True, ["ALL"])
    written = [volume for volume in proxy["volumes"] if not volume.endswith(":ro")]
    assert written == ["bodies:/tmp"]
    files = [volume.split(":")[0] for volume in proxy["volumes"] if volume.startswith("./")]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    text = (ROOT / files[0]).read_text()
    assert [path for path in re.findall(r"_path (\S+);", text) if not path.startswith("/tmp/")] == []


def test_only_nginx_and_hl7_are_reachable() -> None:
    assert {name for name, service in services().items() if "ports" in service} == {"nginx", "hl7"}
    listening = set(re.findall(r"listen (\d+)", (ROOT / "deploy/nginx/lightbox.conf").read_text()))
    assert {port.split(":")[1] for port in services()["nginx"]["ports"]} == listening
    assert services()["hl7"]["ports"] == ["127.0.0.1:2575:2575"]
    outside = {name for name, service in services().items() if service["networks"] != ["inside"]}
    assert outside == {"nginx", "web", "relay", "hl7"}
    assert compose()["networks"]["inside"] == {"internal": True}


def test_the_database_counts_statements_as_the_launcher_has_it() -> None:
    postgres = services()["postgres"]
    for name, value in _COUNTING.items():
        assert f"{name}={value}" in postgres["command"]
    [script] = [volume.split(":") for volume in postgres["volumes"] if volume.endswith(".sql:ro")]
    assert "CREATE EXTENSION IF NOT EXISTS pg_stat_statements" in (ROOT / script[0]).read_text()
    assert script[1].startswith("/docker-entrypoint-initdb.d/")


def test_every_service_is_watched() -> None:
    own = {name for name, service in services().items() if "test" in service.get("healthcheck", {})}
    unwatched = {name for name, service in services().items() if service.get("healthcheck", {}).get("disable")}
    assert own == {"nginx", "worker", "hl7", "postgres", "valkey", "seaweedfs"}
    assert unwatched == {"relay", "migrate", "bucket"}  # one without an address, two that end
    assert arguments("HEALTHCHECK")  # web


def test_order_of_start() -> None:
    known = services()
    for service in known.values():
        for other, needed in service.get("depends_on", {}).items():
            if needed["condition"] == "service_healthy":
                assert "test" in known[other]["healthcheck"], other
            if needed["condition"] == "service_completed_successfully":
                assert known[other]["restart"] == "no", other
    for name in ("web", "worker", "relay", "hl7"):
        assert {"migrate", "bucket"} <= set(known[name]["depends_on"])
    assert set(known["migrate"]["depends_on"]) == {"postgres"}


def test_named_volumes_are_declared_and_hold_all_data() -> None:
    used = {volume.partition(":")[0] for service in services().values() for volume in service["volumes"]}
    assert {name for name in used if name[0] not in "./$"} == set(compose()["volumes"])
    assert services()["web"]["volumes"] == [f"work:{arguments('VOLUME')[0][2:-2]}"]


def test_settings_are_those_of_the_product() -> None:
    """Each PACS_ name is a field of Config; a misspelt one would be passed over in silence."""
    from pacs_project.config import Config
    from pacs_project.config_hl7 import Hl7Config
    from pacs_project.config_metrics import MetricsConfig
    from pacs_project.config_s3 import S3Config

    known = {f"PACS_{field}".upper() for field in Config.model_fields}
    known |= {f"PACS_S3__{field}".upper() for field in S3Config.model_fields}
    known |= {f"PACS_HL7__{field}".upper() for field in Hl7Config.model_fields}
    known |= {f"PACS_METRICS__{field}".upper() for field in MetricsConfig.model_fields}
    for name in OURS:
        assert set(services()[name]["environment"]) <= known
    environment = re.findall(r"(PACS_\w+)=", arguments("ENV")[0])
    # Backups ask for their programs beside the settings.
    assert set(environment) - {"PACS_PG_BIN"} <= known


@pytest.mark.parametrize("name", ["relay", "migrate", "hl7"])
def test_management_commands_exist(image: Path, name: str) -> None:
    program, *command = services()[name]["command"]
    assert program == "python"
    result = run(image, *command, "--help")
    assert result.returncode == 0, result.stderr[-2000:]


def test_worker_command_is_valid() -> None:
    from celery.bin.worker import worker

    program, app, role, *options = services()["worker"]["command"]
    assert (program, app, role) == ("celery", "--app=pacs_project", "worker")
    assert worker.make_context("worker", options, resilient_parsing=True).params["concurrency"] == 2
    with pytest.raises(Exception, match="No such option"):
        worker.make_context("worker", [*options, "--no-such-option"], resilient_parsing=False)


# --- the S3 server and its bucket, run --------------------------------------------------------------------------------


@pytest.fixture
def s3_server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """`weed` with the command line of compose.yaml; only the folder and the ports are those of this machine."""
    taken: set[int] = set()
    ports = {name: free_port(taken) for name in ("master", "volume", "filer", "s3")}
    service = services()["seaweedfs"]
    assert service["entrypoint"] == ["/usr/bin/weed"]
    here = {"-dir=/data": f"-dir={tmp_path / 'data'}", "-s3.port=8333": f"-s3.port={ports['s3']}"}
    here |= {"-s3.ip.bind=0.0.0.0": "-s3.ip.bind=127.0.0.1"}
    assert set(here) <= set(service["command"])
    command = [here.get(word, word) for word in service["command"]]
    command += [f"-{name}.port={ports[name]}" for name in ("master", "volume", "filer")]
    keys = {"AWS_ACCESS_KEY_ID": "lightbox-test", "AWS_SECRET_ACCESS_KEY": "made-for-this-test"}
    assert set(service["environment"]) == set(keys)
    (tmp_path / "data").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [SCRIPTS / "weed", *command], env={"PATH": os.environ["PATH"], **keys}, stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        address = f"http://127.0.0.1:{ports['s3']}"
        health = service["healthcheck"]["test"][-1].replace("http://127.0.0.1:8333", address)
        deadline = time.monotonic() + 60
        while not answers(health):
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield address, keys
    finally:
        process.kill()
        process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.timeout(120)
def test_s3_server_and_bucket_role(s3_server: tuple[str, dict[str, str]], image: Path) -> None:
    address, keys = s3_server
    program, *command = services()["bucket"]["command"]
    assert program == "python"
    settings = {
        "PACS_S3__ENDPOINT_URL": address,
        "PACS_S3__BUCKET": services()["bucket"]["environment"]["PACS_S3__BUCKET"],
        "PACS_S3__ACCESS_KEY_ID": keys["AWS_ACCESS_KEY_ID"],
        "PACS_S3__SECRET_ACCESS_KEY": keys["AWS_SECRET_ACCESS_KEY"],
        "PACS_SECRET_KEY": "x" * 50,
        "PYTHONPATH": str(image),
        "PATH": os.environ["PATH"],
    }

    def make_bucket(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            env=settings | changes,
            cwd=image,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    # At once: compose starts the role as soon as the server says that it is well, and only once.
    result = make_bucket()
    assert result.returncode == 0, result.stderr
    assert make_bucket().returncode == 0, "it may run again"
    assert make_bucket(PACS_S3__SECRET_ACCESS_KEY="another").returncode != 0
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address}/lightbox", timeout=5)
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name=services()["bucket"]["environment"]["PACS_S3__REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    client.put_object(Bucket="lightbox", Key="a", Body=b"whole", IfNoneMatch="*")
    assert client.get_object(Bucket="lightbox", Key="a", Range="bytes=1-3")["Body"].read() == b"hol"
    client.close()
