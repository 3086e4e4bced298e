"""JobCode: where Glue finds what the jobs of customers run."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk_encrypted_data import validation
from cdk_encrypted_data.validation import Text

MODULES = ("cryptography==48.0.1",)
"""What the library's own job needs and Glue's image lacks, as it is tried here."""

_PACKAGE = "cdk_encrypted_data_job"
_SCRIPT = "script.py"

_LOCATION = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.'()/=-]+"
_OBJECT = Text(
    re.compile(_LOCATION),
    "s3://BUCKET/NAME without wildcards",
    "name the object itself: the job may read exactly this one",
)
_ARCHIVE = Text(
    re.compile(rf"{_LOCATION}\.zip"),
    "s3://BUCKET/NAME.zip without wildcards",
    "put the SQL files into a zip: it also stands in where Glue expects an archive",
)
_MODULE = Text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,_-]+\])?==[A-Za-z0-9.!+_-]+|s3://\S+\.whl"),
    "modules with their exact version, such as cryptography==48.0.1, and wheels in S3, s3://BUCKET/NAME.whl",
    "pin it: a job that takes the newest isn't the one that was tried",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCode:
    """Where Glue finds what the jobs run: the same for many customers, who may read it and nothing beside it.

    Where it says nothing, a run can't say something either; `PerCustomerGlueJob.grant_start` says what is left to runs.

    Attributes:
        script: The object that Glue starts, ``s3://BUCKET/NAME``, in Python. One of your own must refuse an argument
            that it is given twice: whoever starts a run could give it once more, as the value of another.
        rules: The sets of rules by name, each a zip of SQL files, ``s3://BUCKET/NAME.zip``.
        packages: Zips of Python packages that the script imports. Default: none.
        modules: Python modules that Glue installs before each run: ``NAME==VERSION`` from PyPI, which a private subnet
            can't reach, or wheels in S3, ``s3://BUCKET/NAME.whl``. Default: none; pip is told to install itself then,
            which it has, so that no run can name others.
        key_arn: The customer managed key of the bucket that they are in. Default: SSE-S3, or a key that needs no grant.
        tables: The names of the tables that each set of rules reads, where they are known: a customer without one of
            them is refused. Default: nobody knows before a run.

    Raises:
        ValueError: If an attribute isn't what Glue takes.
    """

    script: str
    rules: Mapping[str, str]
    packages: Sequence[str] = ()
    modules: Sequence[str] = ()
    key_arn: str | None = None
    tables: Mapping[str, Collection[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what isn't an object or a module."""
        owner = "JobCode"
        validation.check_text(owner, "script", self.script, _OBJECT)
        rules: object = self.rules
        if not isinstance(rules, Mapping) or not rules:
            raise validation.refusal(
                owner,
                "rules",
                got=self.rules,
                allowed="a dict of at least one set of rules",
                remedy='write {"clinical-trials": "s3://BUCKET/NAME.zip"}',
            )
        for location in self.rules.values():
            validation.check_text(owner, "rules", location, _ARCHIVE)
        validation.check_texts(owner, "packages", self.packages, _OBJECT)
        validation.check_texts(owner, "modules", self.modules, _MODULE)
        validation.check_optional_text(owner, "key_arn", self.key_arn, validation.KEY_ARN)

    @classmethod
    def from_assets(
        cls,
        scope: Construct,
        id: str,  # noqa: A002 - the CDK's name for it
        *,
        rules: Mapping[str, str | Path],
        wheels: Sequence[str | Path] = (),
        modules: Sequence[str] | None = None,
    ) -> JobCode:
        """Publish this library's own job, and rules, with the app: as files of its deployment.

        They go to the bucket that ``cdk bootstrap`` made, when the app is deployed. One call for a stack is enough for
        all its customers.

        Args:
            scope: The construct to put the files into, of the customers' stack.
            id: Its id there.
            rules: The directories of SQL files, by the name of the set. They are linted: what names an unknown table or
                column, goes in a circle, or isn't SQL, is refused here, with all that is wrong.
            wheels: Files of Python wheels that Glue installs before each run, for subnets that can't reach PyPI: of
                ``cryptography``, which Glue lacks, and of what that needs. Default: none.
            modules: Modules that it installs from PyPI: ``NAME==VERSION``. Default: ``cryptography`` as it is tried
                here, and none where there are wheels.

        Raises:
            ValueError: If the job or the linter (the extra ``rules``) isn't installed, or rules can't run.
        """
        package = _package(id)
        tables = {name: _linted(id, name, Path(directory)) for name, directory in rules.items()}
        place = Construct(scope, id)
        script = assets.Asset(place, "Script", path=str(package / _SCRIPT))
        # A zip with the package's directory in it: what lies beside the package stays where it is.
        of_package = assets.Asset(
            place,
            "Package",
            path=str(package.parent),
            exclude=["*", f"!{_PACKAGE}", f"!{_PACKAGE}/**", "__pycache__"],
            ignore_mode=cdk.IgnoreMode.GIT,
        )
        sets = {
            name: assets.Asset(place, f"Rules-{name}", path=str(directory)).s3_object_url
            for name, directory in rules.items()
        }
        of_wheels = [
            assets.Asset(place, f"Wheel-{Path(wheel).name}", path=str(wheel)).s3_object_url for wheel in wheels
        ]
        return cls(
            script=script.s3_object_url,
            rules=sets,
            packages=(of_package.s3_object_url,),
            modules=(*of_wheels, *(modules if modules is not None else () if wheels else MODULES)),
            tables=tables,
        )

    def objects(self, rules: str) -> list[str]:
        """Return every object that a job with these rules reads, by its location."""
        wheels = [each for each in self.modules if each.startswith("s3://")]
        return [self.script, self.rules[rules], *self.packages, *wheels]


def _package(owner: str) -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise validation.refusal(
            owner,
            "code",
            got=f"no package {_PACKAGE}",
            allowed="an installation that has it beside the library",
            remedy="install the library's wheel anew, or pass JobCode(script=…) for a job of your own",
        )
    return Path(found.origin).parent


def _linted(owner: str, name: str, directory: Path) -> Collection[str]:
    """Refuse rules that can't run; return the tables that they read."""
    if not directory.is_dir():
        raise validation.refusal(
            owner,
            "rules",
            got=f"{name}: {directory}",
            allowed="directories of SQL files",
            remedy="write its path",
        )
    try:
        from cdk_encrypted_data_job import rules, rules_lint  # noqa: PLC0415 - an extra, which other constructs don't need
    except ModuleNotFoundError as missing:
        raise validation.refusal(
            owner,
            "rules",
            got=f"{name}, and no linter: {missing}",
            allowed="an installation with the extra rules",
            remedy="install the library's wheel with it: README.md, Install",
        ) from missing
    files = {each.name: each.read_text() for each in sorted(directory.iterdir())}
    if problems := rules_lint.lint(files):
        raise validation.refusal(
            owner,
            "rules",
            got=f"{name}: {'; '.join(problems)}",
            allowed="rules that can run",
            remedy="change them; docs/job.md says what rules are",
        )
    return tuple(rules.rules_from(files).tables)
