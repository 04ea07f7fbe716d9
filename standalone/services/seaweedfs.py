"""SeaweedFS as the S3 server of the tests. Its data are thrown away, so it is killed, never drained."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from standalone.errors import StandaloneError
from standalone.services.service import Service

GRPC_OFFSET = 10000
_PORTS = range(20000, 32000)
_PROBE_BUCKET = "readiness"


def free_port(taken: set[int]) -> int:
    """A port below the ephemeral range that is free together with its gRPC port (port + 10000)."""
    for port in random.sample(_PORTS, 400):
        if port in taken:
            continue
        try:
            for each in (port, port + GRPC_OFFSET):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        taken.add(port)
        return port
    raise StandaloneError("No free pair of ports for the S3 server between 20000 and 42000 on 127.0.0.1.")


class SeaweedFS(Service):
    """`weed server` on loopback with one generated key pair. Ready means a bucket was made and an object put."""

    name = "seaweedfs"
    stop_signal = signal.SIGKILL
    region = "us-east-1"

    def __init__(self, home: Path, *, log: Path) -> None:
        super().__init__(log, home)
        self.home = home
        self.access_key = "lightbox" + secrets.token_hex(6)
        self.secret_key = secrets.token_hex(20)
        self.ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3']}"

    def prepare(self) -> None:
        (self.home / "data").mkdir(parents=True, exist_ok=True)
        taken: set[int] = set()
        self.ports = {name: free_port(taken) for name in ("master", "volume", "filer", "s3")}
        who = {
            "name": "lightbox",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        config = self.home / "s3.json"
        config.touch(0o600)
        config.write_text(json.dumps({"identities": [who]}))

    def command(self) -> list[str]:
        return [
            str(Path(sysconfig.get_path("scripts")) / "weed"),
            "server",
            f"-dir={self.home / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={self.ports['master']}",
            f"-volume.port={self.ports['volume']}",
            "-filer",
            f"-filer.port={self.ports['filer']}",
            "-s3",
            f"-s3.port={self.ports['s3']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self.home / 's3.json'}",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=100",
            "-volume.preStopSeconds=0",
            "-master.telemetry=false",
        ]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "WEED_S3_SSE_KEK": secrets.token_hex(32)}

    def ready(self) -> bool:
        import boto3
        import botocore.config
        import botocore.exceptions

        once = botocore.config.Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0})
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=once,
        )
        try:
            if _PROBE_BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=_PROBE_BUCKET)
            client.put_object(Bucket=_PROBE_BUCKET, Key="probe", Body=b"ready")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return False
        finally:
            client.close()
        return True
