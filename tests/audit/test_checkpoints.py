"""Checkpoints are signed notes that others can read; the folder is only added to; the commands say what they find."""

import base64
import json
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from audit import checkpoints, sealer
from audit.checkpoints import BadCheckpoint, PublicKey, Signer, read
from audit.models import AccessEvent
from audit.places import Folder
from audit.record import record
from audit.sealer import Sealer, checkpoint, state
from tests.audit.logs import Log, an_event, as_superuser, hash_everything_anew, rows, sequence_at

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2030, 1, 31, 12, 0, 0, 5, UTC)
SIGNER = Signer("pacs.example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def test_a_checkpoint_is_these_bytes() -> None:
    made = SIGNER.sign(1234, bytes(32), NOW)
    assert made.text == (
        "pacs.example.org/log\n1234\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntime 2030-01-31T12:00:00Z\n\n"
        "\u2014 pacs.example.org/log "
        "bxGcvaVsO1QhUkSpdMNBEL0sR6FJA3rqCFaoQq0SxqiBiGBYbEqE8kCWEodRab6oLEDbfcimEzZbAsIqVKq51lOgrgE=\n"
    )
    assert str(SIGNER.public) == "pacs.example.org/log+6f119cbd+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert read(made.text, [SIGNER.public]) == made
    assert (made.size, made.root, made.time) == (1234, bytes(32), NOW.replace(microsecond=0))


def test_a_key_that_go_made_is_read() -> None:
    """The example of golang.org/x/mod/sumdb/note."""
    known = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = PublicKey.parse(known)
    assert str(key) == known
    assert key.key_id.hex() == "c74f20a3"


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a+00000000+AAAA", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
)
def test_no_key(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        PublicKey.parse(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1234", "1235"),
        ("\nAAAA", "\nAAAB"),
        ("time 2030", "time 2031"),
        ("pacs.example.org/log\n1", "pacs.example.com/log\n1"),
        ("1234", "01234"),
        ("\n\n", "\n"),
        ("\u2014 ", "- "),
        ("1234\n", ""),
    ],
)
def test_what_was_changed_is_not_believed(old: str, new: str) -> None:
    text = SIGNER.sign(1234, bytes(32), NOW).text
    with pytest.raises(BadCheckpoint):
        read(text.replace(old, new, 1), [SIGNER.public])


def test_another_key_is_not_believed() -> None:
    other = Signer(SIGNER.public.name, Ed25519PrivateKey.generate())
    with pytest.raises(BadCheckpoint, match="not signed"):
        read(other.sign(1, bytes(32), NOW).text, [SIGNER.public])


def test_the_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secrets/key"
    first = checkpoints.signer(path, "a.example/log")
    assert path.stat().st_mode & 0o777 == 0o600
    again = checkpoints.signer(path, "renamed.example/log")
    assert again.public == first.public
    assert read(again.sign(1, bytes(32), NOW).text, [first.public]).size == 1


@pytest.mark.django_db
class TestTheFolder:
    def test_nothing_is_written_over(self, tmp_path: Path) -> None:
        log = Log(tmp_path)
        log.grow(3)
        [path] = log.folder.checkpoints()
        before = path.read_bytes()
        log.sign_again()
        assert log.folder.checkpoints() == [path]
        assert path.read_bytes() == before
        assert log.folder.newest() == path
        assert not list(tmp_path.glob("checkpoints/*/.*"))

    def test_without_news_nothing_is_signed(self, tmp_path: Path) -> None:
        log = Log(tmp_path)
        assert checkpoint(log.folder, log.signer) is None
        log.grow(1)
        assert checkpoint(log.folder, log.signer) is None

    def test_the_leaves_are_those_of_the_log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealer, "LEAVES_PER_FILE", 4)
        log = Log(tmp_path)
        log.grow(10)
        log.grow(3)
        assert [path.name for path in sorted(log.folder.path.glob("*/*.leaves"))] == [
            "000000000001-000000000004.leaves",
            "000000000005-000000000008.leaves",
            "000000000009-000000000010.leaves",
            "000000000011-000000000013.leaves",
        ]
        stored = rows("SELECT position, sequence, leaf_hash FROM audit_sealedevent ORDER BY position")
        for first, last in ((1, 13), (3, 9), (12, 40)):
            wanted = [(p, (s, bytes(leaf))) for p, s, leaf in stored if first <= p <= last]
            assert list(log.folder.leaves(first, last)) == wanted


@pytest.fixture
def own(settings: Any, tmp_path: Path) -> Log:
    """The log of this installation, as the commands know it."""
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    log = Log(tmp_path)
    folder = sealer.folder()
    assert isinstance(folder, Folder)
    log.folder, log.signer = folder, sealer.own_signer()
    return log


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
class TestCommands:
    def test_verify(self, own: Log, capsys: pytest.CaptureFixture[str]) -> None:
        own.grow(5)
        own.grow(2, sign=False)
        record([an_event()])
        call_command("audit_verify")
        told = capsys.readouterr().out
        assert "7 sealed events read" in told
        assert "1 signed checkpoints, the newest of 5 events" in told
        assert "2 sealed events are under no checkpoint yet" in told
        assert "1 events wait to be sealed" in told
        assert "The trail is what was sealed and signed." in told

    def test_verify_names_the_first_bad_one(self, own: Log, capsys: pytest.CaptureFixture[str]) -> None:
        own.grow(50)
        victim = sequence_at(20)
        as_superuser(("UPDATE audit_accessevent SET bytes = 5 WHERE sequence = %s", [victim]), hash_everything_anew)
        for where in (own.folder.path, own.folder.newest()):
            with pytest.raises(CommandError, match="not what it was"):
                call_command("audit_verify", "--checkpoint", str(where), "--key", said("audit_key"))
            assert f"BAD position 20, sequence {victim}: another event stood here" in capsys.readouterr().out

    def test_a_foreign_checkpoint_is_a_finding(self, own: Log, capsys: pytest.CaptureFixture[str]) -> None:
        own.grow(1)
        with pytest.raises(CommandError):
            call_command("audit_verify", "--key", str(SIGNER.public))
        assert "checkpoint 000000000001.checkpoint: it is not signed" in capsys.readouterr().out
        for words in (["--checkpoint", "nowhere"], ["--key", "rubbish"]):
            with pytest.raises(CommandError):
                call_command("audit_verify", *words)

    def test_seal(self, own: Log) -> None:
        record([an_event(), an_event()])
        assert said("audit_seal") == "2 events sealed; checkpoint of 2 events\n"
        assert said("audit_seal") == "0 events sealed; nothing to sign\n"
        as_superuser("DELETE FROM audit_sealedevent WHERE position = 2")
        with pytest.raises(CommandError, match=r"2 events were sealed at .*, and 1 are left"):
            said("audit_seal")

    def test_proof_that_an_outsider_checks(self, own: Log, tmp_path: Path) -> None:
        """The script of the documentation, without any package, as it stands there."""
        record([an_event(query="Größe=1\n", source_ip="::1")])
        own.grow(700)
        script = tmp_path / "check.py"
        text = (ROOT / "docs/audit-proofs.md").read_text()
        script.write_text(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[0])
        key = said("audit_key").strip()

        def checks(proof: dict[str, Any]) -> bool:
            (tmp_path / "proof.json").write_text(json.dumps(proof))
            command = [sys.executable, "-I", "-S", str(script), str(tmp_path / "proof.json"), key]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode in (0, 1), done.stderr
            assert ("is in the log" in done.stdout) == (done.returncode == 0), done.stdout + done.stderr
            return done.returncode == 0

        first = AccessEvent.objects.order_by("sequence").first()
        assert first is not None
        proof = json.loads(said("audit_proof", str(first.sequence)))
        assert proof["event"]["query"] == "Größe=1\n"
        assert checks(proof)
        for position in (256, 300, 701):
            assert checks(json.loads(said("audit_proof", str(sequence_at(position)))))
        assert not checks(proof | {"event": proof["event"] | {"bytes": 1}})
        assert not checks(proof | {"leaf_index": 1})
        assert not checks(proof | {"audit_path": proof["audit_path"][:-1]})
        assert not checks(proof | {"checkpoint": proof["checkpoint"].replace("\n701\n", "\n702\n")})
        forged = Signer(own.signer.public.name, Ed25519PrivateKey.generate())
        newest = own.folder.newest()
        assert newest is not None
        root = read(newest.read_text(), [own.signer.public]).root
        assert not checks(proof | {"checkpoint": forged.sign(701, root, NOW).text})
        assert AccessEvent.objects.filter(kind="read_trail").count() == 4

    def test_no_proof(self, own: Log) -> None:
        own.grow(3)
        own.grow(1, sign=False)
        record([an_event()])
        for sequence, reason in (
            (sequence_at(4), "under no checkpoint"),
            (sequence_at(4) + 1, "not sealed"),
            (0, "exist"),
        ):
            with pytest.raises(CommandError, match=reason):
                said("audit_proof", str(sequence))
        with pytest.raises(CommandError, match="which event"):
            said("audit_proof")
        as_superuser(("UPDATE audit_accessevent SET bytes = 5 WHERE sequence = %s", [sequence_at(2)]))
        with pytest.raises(CommandError, match="not the one that was signed"):
            said("audit_proof", str(sequence_at(2)))

    def test_growth_between_checkpoints(self, own: Log) -> None:
        from audit.merkle import is_consistent

        own.grow(300)
        own.grow(41)
        proof = json.loads(said("audit_proof", "--from", "300", "--to", "341"))
        old, new = (read(proof[name], [own.signer.public]) for name in ("first", "second"))
        path = [base64.b64decode(text) for text in proof["consistency_path"]]
        assert is_consistent(300, old.root, 341, new.root, path)
        with pytest.raises(CommandError, match="not the sizes"):
            said("audit_proof", "--from", "299", "--to", "341")

    def test_state(self, own: Log) -> None:
        assert state() == {"sealed": 0, "signed": 0, "unsealed_seconds": 0.0, "unsigned_seconds": 0.0}
        own.grow(2)
        own.grow(1, sign=False)
        record([an_event()])
        found = state()
        assert (found["sealed"], found["signed"]) == (3, 2)
        assert found["unsealed_seconds"] >= 0
        assert found["unsigned_seconds"] >= 0


@pytest.mark.django_db(transaction=True)
def test_the_thread_seals_and_signs_within_seconds(own: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "PAUSE", 0.05)
    stop = threading.Event()
    with Sealer(stop):
        record([an_event()])
        for _ in range(200):
            if own.folder.newest():
                break
            stop.wait(0.05)
        assert own.verify().signed == 1
        record([an_event()])
    assert own.verify().signed == 2, "at the end it signs what is left"


@pytest.mark.django_db
def test_a_turn_outlives_what_fails(own: Log, caplog: pytest.LogCaptureFixture) -> None:
    own.grow(2)
    as_superuser("DELETE FROM audit_sealedevent WHERE position = 2")
    Sealer(threading.Event()).turn()
    assert "THE ACCESS TRAIL WAS ALTERED" in caplog.text
    own.folder.path.rename(own.folder.path.with_name("away"))
    own.folder.path.write_text("no folder")
    Sealer(threading.Event()).turn()
    assert "no checkpoint of the access trail could be written" in caplog.text


def test_an_empty_folder_has_no_checkpoints(tmp_path: Path) -> None:
    assert Folder(tmp_path / "none").newest() is None
    assert Folder(tmp_path / "none").checkpoints() == []
