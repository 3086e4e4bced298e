"""What a fleet costs to synthesize: PerCustomerGlueJob, and the same resources by hand, in Python and in TypeScript.

``make benchmark`` runs it. Each measurement is a process of its own, from its start to its templates, so that none
finds anything warm and each has its own memory. The three of one repetition run one after the other in changing order;
the ratios are taken within a repetition, and shown are their median and range: the seconds say something about this
machine at this moment only. The last column is the processor's time for one customer more than in the rows above: the
program's start isn't in it, and it stays the same where the cost grows as the number does.

By hand (`fleet_by_hand.py`, `fleet_by_hand.cjs`) stands what a careful person writes with the CDK's L2s for the same
protection. That both languages make the same templates, and that these say what ours say, resource by resource and
statement by statement, is checked before anything is measured. The TypeScript is run as its compiler would leave it, on
the aws-cdk-lib that the Python package of that name brings along. The CDK's own validator is off: it costs everybody
the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # its import is measured
    import aws_cdk as cdk

_PROJECT = Path(__file__).parents[1]
_BY_HAND = Path(__file__).with_name("fleet_by_hand.cjs")
_REPETITIONS = {10: 5, 100: 3, 1000: 3}
# A customer has ten resources of 15 kB; CloudFormation takes 500 and 1 MB.
_CUSTOMERS_IN_A_STACK = 40
_WIDTH_IN_A_FILE = 200
_OURS, _PYTHON, _TYPESCRIPT = "PerCustomerGlueJob", "plain L2s", "plain L2s, TypeScript"
_MAKERS = (_OURS, _PYTHON, _TYPESCRIPT)
_ACCOUNT, _REGION = "111122223333", "eu-central-1"
_Make = Callable[[str], None]


class Cost(NamedTuple):
    """What one program took: seconds, and megabytes at their most, Python's and Node's together."""

    whole: float
    imports: float
    construct: float
    synth: float
    processor: float
    megabytes: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a fleet costs to synthesize, against doing it by hand.")
    parser.add_argument("--customers", type=int, action="append", help="only so many; may be repeated")
    parser.add_argument("--repetitions", type=int, help="how often each is measured")
    parser.add_argument("--one", nargs=3, metavar=("MAKER", "CUSTOMERS", "DIRECTORY"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        return _one(options.one[0], int(options.one[1]), options.one[2])
    sizes = options.customers or list(_REPETITIONS)
    with tempfile.TemporaryDirectory() as directory:
        modules = _node_modules(Path(directory))
        if problems := _differences(modules):
            print(*problems, sep="\n", file=sys.stderr)
            return 1
        _measure({size: options.repetitions or _REPETITIONS.get(size, 1) for size in sizes}, modules)
    return 0


def _measure(repetitions: dict[int, int], modules: Path) -> None:
    from rich.console import Console  # noqa: PLC0415 - not in the processes that are measured
    from rich.progress import Progress  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_FILE
    parts = ("whole, s", "imports", "construct", "synth", "processor, s", "memory, MB")
    columns = (*parts, "ours : this", "processor", "ms for one more")
    load = [os.getloadavg()[0]]
    table = Table(title="A fleet of customers, from the start of the program to its templates")
    table.add_column("customers", justify="right")
    table.add_column("made with")
    for column in columns:
        table.add_column(column, justify="right")
    fewer: dict[str, tuple[int, float]] = {}
    with Progress(console=console, transient=True) as progress:
        for size, times in sorted(repetitions.items()):
            rounds = [
                {maker: _measured(maker, size, modules) for maker in (*_MAKERS[turn % 3 :], *_MAKERS[: turn % 3])}
                for turn in progress.track(range(times), description=f"{size} customers")
            ]
            for maker in _MAKERS:
                costs = [each[maker] for each in rounds]
                cells = [
                    _spread([getattr(cost, part) for cost in costs], digits=0 if part == "megabytes" else 1)
                    for part in Cost._fields
                ]
                for part in ("whole", "processor"):
                    ratios = [getattr(each[_OURS], part) / getattr(each[maker], part) for each in rounds]
                    cells.append("" if maker == _OURS else _spread(ratios, digits=2))
                processor = statistics.median(cost.processor for cost in costs)
                if maker in fewer:
                    before, then = fewer[maker]
                    cells.append(f"{(processor - then) / (size - before) * 1000:.1f}")
                fewer[maker] = (size, processor)
                last = maker == _MAKERS[-1]
                table.add_row(str(size) if maker == _OURS else "", maker, *cells, end_section=last)
            load.append(os.getloadavg()[0])
    table.caption = (
        f"median (least-most); {min(load):.1f} to {max(load):.1f} programs wanted the {os.cpu_count()} processors"
    )
    console.print(table)


def _spread(values: list[float], *, digits: int) -> str:
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _measured(maker: str, customers: int, modules: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=modules) as outdir:
        return _run(maker, customers, Path(outdir), modules)


def _run(maker: str, customers: int, outdir: Path, modules: Path) -> Cost:
    """Run one program, which puts its templates into a directory; return what it cost."""
    environment = os.environ | {"NODE_PATH": str(modules), "PYTHONPATH": f"{_PROJECT / 'constructs'}:{_PROJECT}"}
    command = [sys.executable, "-m", "benchmarks.fleet", "--one", maker, str(customers), str(outdir)]
    if maker == _TYPESCRIPT:
        node = environment.get("JSII_NODE", "node")
        command = [node, str(_BY_HAND), str(customers), str(_CUSTOMERS_IN_A_STACK), str(outdir), json.dumps(_flags())]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    whole = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{maker}, {customers} customers: {done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(whole=whole, processor=processor, **said)


def _node_modules(directory: Path) -> Path:
    """Unpack the CDK that Python's packages bring along, for Node to find."""
    for package in ("@aws-cdk/cloud-assembly-schema", "aws-cdk-lib", "constructs"):
        name = package.removeprefix("@").replace("/", ".")
        (archive,) = (Path(str(file.locate())) for file in distribution(name).files or [] if file.name.endswith(".tgz"))
        with tarfile.open(archive) as content:
            content.extractall(directory / "unpacked", filter="data")
        (directory / package).parent.mkdir(exist_ok=True)
        (directory / "unpacked" / "package").rename(directory / package)
    return directory


def _differences(modules: Path) -> list[str]:
    """Return what the three programs' templates don't say alike."""
    from benchmarks.fleet_protection import differences  # noqa: PLC0415 - not in the processes that are measured

    made = {maker: modules / f"of 2 customers, {number}" for number, maker in enumerate(_MAKERS)}
    for maker, directory in made.items():
        _run(maker, 2, directory, modules)
    python, typescript = (
        {file.name: json.loads(file.read_text()) for file in made[maker].glob("*.template.json")}
        for maker in (_PYTHON, _TYPESCRIPT)
    )
    if python != typescript:
        return ["by hand, Python and TypeScript make different templates: bring them up to date"]
    return differences(made[_OURS], made[_PYTHON])


def _flags() -> dict[str, object]:
    """Return the feature flags of our own app, which are those that `cdk init` recommends."""
    context = json.loads((_PROJECT / "cdk.json").read_text())["context"]
    return {name: value for name, value in context.items() if name.startswith("@aws-cdk")}


# What is measured, in a process of its own.


def _one(maker: str, customers: int, outdir: str) -> int:
    start = time.perf_counter()
    import aws_cdk as cdk  # noqa: PLC0415 - the imports are measured

    customers_of = _ours() if maker == _OURS else _by_hand()
    imported = time.perf_counter()
    app = cdk.App(outdir=outdir, context=_flags(), builtin_cloud_formation_validation=False)
    make: _Make | None = None
    for number in range(customers):
        if make is None or number % _CUSTOMERS_IN_A_STACK == 0:
            stack = cdk.Stack(
                app,
                f"Customers{number // _CUSTOMERS_IN_A_STACK}",
                env=cdk.Environment(account=_ACCOUNT, region=_REGION),
                # As CellStack does it: with white space the templates come near to what CloudFormation takes.
                suppress_template_indentation=True,
            )
            make = customers_of(stack)
        make(f"customer-{number}")
    constructed = time.perf_counter()
    app.synth()
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "imports": imported - start,
                "construct": constructed - imported,
                "synth": ended - constructed,
                "megabytes": _megabytes(),
            }
        )
    )
    return 0


def _megabytes() -> float:
    """Return the most memory that this process and its Node have had."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):  # on Linux; elsewhere Node's isn't known
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue  # it has ended
        process = int(status.parent.name)
        parents[process] = int(lines["PPid"])
        peaks[process] = int(lines.get("VmHWM", "0 kB").split()[0])
    # Node is a child of jsii's, which is one of ours.
    family = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return own + sum(peaks[process] for process in family - {os.getpid()}) / 1024


def _ours() -> Callable[[cdk.Stack], _Make]:
    from cdk_encrypted_data import Customer, JobCode, PerCustomerGlueJob, TableSource  # noqa: PLC0415

    code = JobCode(script="s3://acme-code/script.py", rules={"clinical-trials": "s3://acme-code/rules.zip"})
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    tables = [TableSource(name="subjects", source="public.subjects")]

    def customers_of(stack: cdk.Stack) -> _Make:
        def make(name: str) -> None:
            customer = Customer(
                name=name,
                secret_arn=_secret(name),
                jdbc_url=f"jdbc:postgresql://{name}.example.com:5432/clinical",
                ca_certificate=certificate,
                tables=tables,
                rules="clinical-trials",
                schedule="cron(0 3 * * ? *)",
            )
            PerCustomerGlueJob(
                stack,
                name,
                customer=customer,
                code=code,
                subnet_id="subnet-0123456789abcdef0",
                availability_zone="eu-central-1a",
                security_group_ids=["sg-0123456789abcdef0"],
            )

        return make

    return customers_of


def _by_hand() -> Callable[[cdk.Stack], _Make]:
    from benchmarks import fleet_by_hand  # noqa: PLC0415

    def customers_of(stack: cdk.Stack) -> _Make:
        place = fleet_by_hand.place_in(stack)
        return lambda name: fleet_by_hand.customer(stack, place, name, _secret(name))

    return customers_of


def _secret(name: str) -> str:
    return f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{name}/database-AbCdEf"


if __name__ == "__main__":
    sys.exit(main())
