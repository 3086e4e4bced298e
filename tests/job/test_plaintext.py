"""Markers in the data are looked for in everything a run leaves and writes while it runs: none is there."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devtools import customers, spark
from devtools.clinical_data import MARKER
from tests.job.conftest import SMALL_RULES

if TYPE_CHECKING:
    from typing import Self

    from devtools.customers import Customer
    from devtools.embedded_aws.server import EmbeddedAws
    from devtools.postgresql import Postgresql

_SUBJECTS = 30
# All there is for sorts and shuffles: what doesn't fit is spilled.
_SPILLING = {
    "spark.driver.memory": "512m",
    "spark.memory.fraction": "0.05",
    "spark.memory.storageFraction": "0.0",
    "spark.shuffle.spill.numElementsForceSpillThreshold": "500",
    "spark.sql.windowExec.buffer.spill.threshold": "100",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    # Compressed, a marker could hide.
    "spark.shuffle.compress": "false",
    "spark.shuffle.spill.compress": "false",
    "spark.broadcast.compress": "false",
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
}
# A join, a sort and a window over all texts.
_RULES = SMALL_RULES | {
    "20_numbered_results.sql": "SELECT *, row_number() OVER (PARTITION BY full_name ORDER BY remark, result_id) AS n "
    "FROM named_results",
    "write_results.sql": "SELECT * FROM numbered_results",
}
_FORMS = (MARKER.encode(), MARKER.encode("utf-16-le"), MARKER.encode("utf-16-be"))


@dataclass
class Hunter:
    """Reads every file below a folder, again and again while a program runs, and keeps what held a marker."""

    folder: Path
    found: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._hunt)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.look()

    def _hunt(self) -> None:
        while not self._stop.wait(0.2):
            self.look()

    def look(self) -> None:
        for parent, _folders, files in os.walk(self.folder):
            for name in files:
                path = Path(parent, name)
                try:
                    size = path.stat().st_size
                    if self.seen.get(str(path)) == size:
                        continue
                    content = path.read_bytes()
                except OSError:  # gone meanwhile
                    continue
                self.seen[str(path)] = size
                if any(form in content for form in _FORMS):
                    self.found.add(str(path.relative_to(self.folder)))

    @property
    def temporary(self) -> list[str]:
        """The files of Spark's own: shuffles, spills, cached blocks."""
        return [path for path in self.seen if "/local/" in path and ("shuffle" in path or "temp_" in path)]


@pytest.fixture(scope="module")
def umbrella(aws: EmbeddedAws, server: Postgresql, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    lacking = spark.missing()
    if lacking:
        pytest.skip(f"not run: {lacking}")
    folder = tmp_path_factory.mktemp("rules")
    for name, text in _RULES.items():
        (folder / name).write_text(text)
    made = customers.make(aws, server, "umbrella", subjects=_SUBJECTS, seed=3, rules=folder)
    # With bookmarks, rows are also kept and read again.
    return replace(made.with_bookmarks(), tables=made.with_bookmarks().tables[:1] + made.with_bookmarks().tables[2:3])


def run(customer: Customer, aws: EmbeddedAws, files: Path, run_id: str, **settings: str) -> tuple[int, str, Hunter]:
    """Run the job as Glue does, in a process of its own, and hunt in all that it writes."""
    options = spark.settings(files) | _SPILLING | settings
    with Hunter(files) as hunter, (files / "output.txt").open("wb") as output:
        done = subprocess.run(
            spark.command(customer.arguments(run_id), options),
            env=customer.environment(aws) | spark.environment() | {"TMPDIR": str(files / "tmp")},
            cwd=files,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode, (files / "output.txt").read_text(), hunter


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hunt")


def test_nothing_lies_in_the_clear(umbrella: Customer, aws: EmbeddedAws, files: Path) -> None:
    # At this level it logs its plans and settings as well.
    status, log, hunter = run(umbrella, aws, files, "run-1", **{"spark.log.level": "INFO"})
    assert status == 0, log[-3000:]
    assert hunter.found == set()
    # It did spill, and wrote an event log with plans in it; else there would be nothing to find.
    assert len(hunter.temporary) > 10
    (events,) = (files / "events").iterdir()
    assert b"sparkPlanInfo" in events.read_bytes()
    secrets = (umbrella.database.password, "BEGIN PRIVATE KEY", umbrella.credentials.secret_access_key)
    assert not [each for each in secrets if each in log]
    # Arguments are in the event log; so none may be secret.
    s3 = aws.client("s3")
    listed = s3.list_object_versions(Bucket=umbrella.bucket)["Versions"]
    # Of both: what readers read, and rows from before the rules.
    assert {each["Key"].partition("/")[0] for each in listed} == {"etl", "state"}
    for each in listed:
        stored = s3.get_object(Bucket=umbrella.bucket, Key=each["Key"], VersionId=each["VersionId"])
        body = stored["Body"].read()
        assert not [form for form in (*_FORMS, b"PAR1", b'"rows"') if form in body], each["Key"]
        assert stored["Metadata"]["x-amz-wrap-alg"] == "kms+context"


def test_the_hunt_would_find_it(umbrella: Customer, aws: EmbeddedAws, tmp_path: Path) -> None:
    """The same rows through the same shuffle, without encryption of Spark's files."""
    script = tmp_path / "plain.py"
    script.write_text(
        "import sys\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "rows = spark.range(5000).selectExpr('id', f\"concat('{sys.argv[1]}', id) AS text\")\n"
        "rows.repartition(4).sortWithinPartitions('text').write.format('noop').mode('overwrite').save()\n"
    )
    options = spark.settings(tmp_path) | _SPILLING | {"spark.io.encryption.enabled": "false"}
    command = spark.command([MARKER], options)
    command[command.index(str(spark.PACKAGE / "script.py"))] = str(script)
    with Hunter(tmp_path / "local") as hunter:
        done = subprocess.run(
            command, env=umbrella.environment(aws) | spark.environment(), cwd=tmp_path, capture_output=True, check=False
        )
        time.sleep(0.3)
    assert done.returncode == 0, done.stderr[-2000:]
    assert hunter.found
