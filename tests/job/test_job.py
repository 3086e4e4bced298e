"""A run on a real database: what it writes, what it refuses, and that a run counts once or not at all."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

from cdk_encrypted_data_job.envelope import CONTEXT, seal
from cdk_encrypted_data_job.errors import (
    ChecksFailedError,
    JobError,
    NoRunError,
    NotAuthenticError,
    OvertakenError,
    SettingsError,
)
from cdk_encrypted_data_job.storage import StoredFile
from devtools import clinical_data
from tests.job.conftest import ADD, ADDED, BOOKMARKED, SMALL_RULES, SMALL_TABLES, in_database

if TYPE_CHECKING:
    from devtools.customers import Customer
    from devtools.postgresql import Postgresql
    from tests.job.conftest import Case

_SUBJECTS = {"name": "subjects", "source": "subjects"}
_RESULTS = json.loads(SMALL_RULES["tables.json"])["lab_results"]
_ALONE = {
    "tables.json": json.dumps({"lab_results": _RESULTS}),
    "10_named_results": None,
    "check_results_twice": None,
    "write_results": "SELECT * FROM lab_results",
}


def test_a_run_writes_what_the_rules_select(case: Case, server: Postgresql, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cdk_encrypted_data_job")
    summary = case.run()
    assert case.rows() == in_database(server)
    steps = {(step.kind, step.name): step for step in case.finished().summary().steps}
    assert list(steps) == [
        ("table", "subjects"),
        ("table", "lab_results"),
        ("rule", "named_results"),
        ("check", "check_results_twice"),
        ("output", "results"),
    ]
    counts = clinical_data.count(server, "acme")
    rule, written = steps["rule", "named_results"], steps["output", "results"]
    assert rule.rows_in == counts["subjects"] + counts["lab_results"]
    assert rule.rows == written.rows == counts["lab_results"]
    assert written.files == len(case.objects("runs/run-1/results/")) == 2
    # A data key a file, and those of the summary and the manifest.
    assert summary.kms_calls == written.files + 2
    assert case.finished().verify() == written.files + 1
    assert any('"name": "named_results", "rows_in"' in line for line in caplog.messages)
    assert clinical_data.MARKER not in caplog.text


def test_a_finished_run_isnt_run_again(case: Case, server: Postgresql) -> None:
    first = case.run()
    objects = case.objects()
    server_down = {"jdbc_url": "jdbc:postgresql://127.0.0.1:1/acme"}
    assert case.run(**server_down) == first
    assert case.objects() == objects
    assert case.rows() == in_database(server)


def test_what_no_manifest_names_doesnt_exist(case: Case) -> None:
    case.aws.client("s3").put_object(
        Bucket=case.customer.bucket, Key=f"{case.prefix}runs/x/results/a.parquet", Body=b"x"
    )
    with pytest.raises(NoRunError, match="no finished run of acme"):
        case.finished().read("results")
    case.run()
    with pytest.raises(NoRunError, match="the run wrote no 'a'; it wrote results"):
        case.finished().read("a")
    with pytest.raises(NoRunError):
        case.finished().read("results", 2)


def test_of_two_runs_at_the_same_time_one_counts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdk_encrypted_data_job import manifests

    finish = manifests.finish

    def other_first(storage: Any, manifest: Any) -> None:
        monkeypatch.setattr(manifests, "finish", finish)
        case.run("run-2")
        finish(storage, manifest)

    monkeypatch.setattr(manifests, "finish", other_first)
    with pytest.raises(OvertakenError, match="another run was finished as number 1"):
        case.run("run-1")
    assert case.finished().manifest().run_id == "run-2"


def test_a_manifest_whose_answer_was_lost_counts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdk_encrypted_data_job.storage import Storage

    put_new = Storage.put_new

    def sent_twice(storage: Storage, name: str, data: bytes) -> bool:
        assert put_new(storage, name, data)
        return put_new(storage, name, data)

    monkeypatch.setattr(Storage, "put_new", sent_twice)
    case.run()
    assert case.finished().manifest().run_id == "run-1"


def test_no_task_overwrites_what_another_one_wrote(case: Case) -> None:
    """A task that is run again writes beside what its first attempt wrote; the manifest names one of them."""
    case.run("run-1")
    before = set(case.objects("runs/"))
    manifest = case.aws.client("s3").get_object(Bucket=case.customer.bucket, Key=case.objects("manifests/")[0])
    assert manifest["ContentLength"] > 0
    case.aws.client("s3").delete_object(Bucket=case.customer.bucket, Key=case.objects("manifests/")[0])
    case.run("run-1")
    after = set(case.objects("runs/"))
    assert before < after
    named = {file["name"] for file in case.finished().manifest().outputs["results"]["files"]}
    assert not named & before


def read_now(case: Case) -> int:
    """Return how many rows of the table with a bookmark the last finished run has read."""
    (found,) = [step.rows_in for step in case.finished().summary().steps if step.name == "lab_results"][:1]
    return int(found)


def results_in_database(server: Postgresql) -> list[dict[str, Any]]:
    return in_database(server, f"SELECT {', '.join(_RESULTS)} FROM lab_results")  # noqa: S608 - our own names


class TestBookmarks:
    @pytest.fixture
    def case(self, bookmarked: Case, put_rules: Any) -> Case:
        """The table with a bookmark and nothing else: most of a run's time goes by its steps."""
        return bookmarked.with_tables(BOOKMARKED).with_rules(put_rules(**_ALONE))

    def test_new_and_changed_rows_are_read_and_the_others_kept(self, case: Case, server: Postgresql) -> None:
        case.run("run-1")
        assert case.rows() == results_in_database(server)
        every = read_now(case)
        with server.connect("acme") as owner:
            owner.execute(ADD, [ADDED])
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id IN (2, 3)")
        case.run("run-2")
        assert (read_now(case), case.rows()) == (3, results_in_database(server))
        with server.connect("acme") as owner:
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id IN (3, %s)", [ADDED])
        case.run("run-3")
        assert (read_now(case), case.rows()) == (2, results_in_database(server))
        state = case.finished().manifest().tables["lab_results"]
        assert sum(file["rows"] for file in state["files"]) == every + 3 + 2
        case.run("run-4")
        assert (read_now(case), case.rows()) == (0, results_in_database(server))
        assert case.finished().manifest().tables["lab_results"]["files"] == state["files"]
        # What earlier runs wrote is theirs.
        assert len(case.rows(number=1)) == every

    def test_what_is_committed_late_is_read(self, case: Case, server: Postgresql) -> None:
        """Rows of smaller numbers, committed after a run has read a greater one, by who began before or after."""
        with server.connect("acme") as late, server.connect("acme") as later, server.connect("acme") as owner:
            late.execute("BEGIN")
            late.execute(ADD, [ADDED])
            later.execute("BEGIN")
            later.execute(ADD, [ADDED + 1])
            # By a subtransaction, which PostgreSQL's snapshots don't name.
            later.execute("SAVEPOINT one")
            later.execute(ADD, [ADDED + 2])
            later.execute("RELEASE SAVEPOINT one")
            owner.execute(ADD, [ADDED + 3])
            case.run("run-1")
            assert case.rows() == results_in_database(server)
            late.execute("COMMIT")
            case.run("run-2")
            # The greatest was written after those that were late began, and is read again.
            assert (read_now(case), case.rows()) == (2, results_in_database(server))
            later.execute("COMMIT")
        case.run("run-3")
        assert (read_now(case), case.rows()) == (3, results_in_database(server))
        case.run("run-4")
        assert (read_now(case), case.rows()) == (0, results_in_database(server))

    def test_rows_that_are_deleted_stay_until_it_is_begun_anew(self, case: Case, server: Postgresql) -> None:
        case.run("run-1")
        with server.connect("acme") as owner:
            owner.execute("DELETE FROM lab_results WHERE result_id = 2")
        case.run("run-2")
        assert len(case.rows()) == len(results_in_database(server)) + 1
        case.with_tables(SMALL_TABLES[1]).run("run-3")
        assert case.finished().manifest().tables == {}
        case.run("run-4")
        assert case.rows() == results_in_database(server)

    def test_after_a_restart_all_of_it_is_read(self, case: Case, server: Postgresql) -> None:
        """A server that was restored gives numbers of transactions a second time."""
        case.run("run-1")
        server.kill()
        server.start_again()
        with server.connect("acme") as owner:
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id = 2")
        case.run("run-2")
        assert (read_now(case), case.rows()) == (len(results_in_database(server)), results_in_database(server))
        case.run("run-3")
        assert read_now(case) == 0

    def test_a_run_that_ends_between_two_writes(
        self, case: Case, server: Postgresql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before each of its writes in turn, tried again by the same name or by another, until it isn't disturbed."""
        case.run("first")
        before = case.finished().manifest()
        kept = sum(file["rows"] for file in before.tables["lab_results"]["files"])
        with server.connect("acme") as owner:
            owner.execute(ADD, [ADDED])
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id = 2")
        attempts = [
            ("second", "/second/results/"),
            ("second", "second/lab_results/"),
            ("third", "/third/summary-"),
            ("third", "manifests/"),
        ]
        for run_id, last in attempts:
            with ending_before(last, monkeypatch), pytest.raises(KeyboardInterrupt):
                case.run(run_id)
            assert case.finished().manifest() == before
        case.run("third")
        assert (read_now(case), case.rows()) == (2, results_in_database(server))
        assert sum(file["rows"] for file in case.finished().manifest().tables["lab_results"]["files"]) == kept + 2

    def test_worn_files_are_stored_anew(
        self, case: Case, server: Postgresql, put_rules: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from cdk_encrypted_data_job import output, state

        # After this step nobody reads the table any more but who stores it.
        rules = _ALONE | {
            "10_named_results": "SELECT * FROM lab_results",
            "write_results": "SELECT * FROM named_results",
        }
        case = case.with_rules(put_rules(**rules))
        write, cached = output.write, []

        def writing(rows: Any, **where: Any) -> Any:
            cached.append(rows.is_cached)
            return write(rows, **where)

        def kept() -> dict[str, int]:
            return {file["name"]: file["rows"] for file in case.finished().manifest().tables["lab_results"]["files"]}

        case.run("run-1")
        first = kept()
        with server.connect("acme") as owner:
            owner.execute(ADD, [ADDED])
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id IN (2, 3)")
        with monkeypatch.context() as patched:
            patched.setattr(state, "FILES_OF_A_TASK", 0)
            with ending_before("manifests/", monkeypatch), pytest.raises(KeyboardInterrupt):
                case.run("run-2")
            assert kept() == first
            patched.setattr(output, "write", writing)
            summary = case.run("run-2")
            # What is stored of the table isn't read and decrypted a second time.
            assert cached == [False, True]
            every = results_in_database(server)
            assert (read_now(case), case.rows(), sum(kept().values())) == (3, every, len(every))
            assert not first.keys() & kept().keys()
            # Those that were read, those that were stored, the output's, the summary, the manifest and the one before.
            written = case.finished().manifest().outputs["results"]["files"]
            assert summary.kms_calls == len(first) + len(kept()) + len(written) + 3
            # Nothing new is no reason.
            second = kept()
            case.run("run-3")
            assert kept() == second
        with server.connect("acme") as owner:
            owner.execute("UPDATE lab_results SET value = value + 1 WHERE result_id = 3")
        case.run("run-4")
        assert (read_now(case), case.rows()) == (1, results_in_database(server))
        assert second.items() < kept().items()
        # What earlier runs kept is still there, for those who go back to them.
        assert first.keys() < set(case.state_objects())

    @pytest.mark.parametrize(
        ("count", "size", "rows", "partitions", "worn"),
        [
            (64, 1000, 64, 2, False),
            (65, 1000, 65, 2, True),
            (65, 1000, 65, 3, False),
            # Stored anew they would be as many.
            (65, 2**24, 65, 2, False),
            (65, 2**24 - 1, 65, 2, True),
            # More than every other row is there again, younger.
            (10, 2**24, 5, 2, False),
            (11, 2**24, 5, 2, True),
        ],
    )
    def test_what_is_stored_anew(self, count: int, size: int, rows: int, partitions: int, *, worn: bool) -> None:
        from cdk_encrypted_data_job.state import are_worn

        files = [StoredFile(name=str(number), rows=1, size=size, sha256="") for number in range(count)]
        assert are_worn(files, rows=rows, partitions=partitions) is worn

    def test_a_failed_check_leaves_the_bookmark_where_it_was(
        self, case: Case, server: Postgresql, put_rules: Any
    ) -> None:
        case.run("run-1")
        state = case.state_objects()
        with server.connect("acme") as owner:
            owner.execute(ADD, [ADDED])
        rules = put_rules(**_ALONE, check_names="SELECT result_id FROM lab_results WHERE remark = 'added'")
        with pytest.raises(ChecksFailedError):
            case.with_rules(rules).run("run-2")
        assert case.state_objects() == state
        case.with_rules(put_rules(**_ALONE)).run("run-2")
        assert (read_now(case), case.rows()) == (1, results_in_database(server))

    def test_what_was_kept_and_changed_is_refused(self, case: Case) -> None:
        case.run("run-1")
        s3, bucket = case.aws.client("s3"), case.customer.bucket
        name = next(name for name in case.state_objects() if name.endswith(".parquet"))
        stored = s3.get_object(Bucket=bucket, Key=name)
        body = bytearray(stored["Body"].read())
        body[100] ^= 1
        s3.put_object(Bucket=bucket, Key=name, Body=bytes(body), Metadata=stored["Metadata"])
        with pytest.raises(Exception, match="isn't what the manifest names"):
            case.run("run-2")
        assert case.finished().manifest().run_id == "run-1"

    def test_other_columns_than_before(self, case: Case, put_rules: Any) -> None:
        case.run("run-1")
        tables = json.dumps({"lab_results": _RESULTS | {"unit": "string"}})
        with pytest.raises(SettingsError, match="its columns or its primary key are others than in earlier runs"):
            case.with_rules(put_rules(**_ALONE | {"tables.json": tables})).run("run-2")

    @pytest.mark.parametrize(
        ("made", "words"),
        [
            ("CREATE VIEW it AS SELECT * FROM lab_results", "it is no table"),
            ("CREATE MATERIALIZED VIEW it AS SELECT * FROM lab_results", "it is no table"),
            ("CREATE TABLE it (LIKE lab_results)", "its primary key is missing"),
            ("CREATE TABLE it (LIKE lab_results, other int PRIMARY KEY)", "its primary key is other"),
            ("CREATE TABLE it (LIKE lab_results INCLUDING ALL); CREATE TABLE heir () INHERITS (it)", "inherited from"),
            (
                "CREATE TABLE it (LIKE lab_results INCLUDING ALL); ALTER TABLE it ENABLE ROW LEVEL SECURITY",
                "it is a table with row security",
            ),
            ("CREATE TABLE it (LIKE lab_results INCLUDING ALL) USING other", "it is stored by an extension"),
            ("SELECT 1", "it is not there"),
        ],
    )
    def test_tables_that_cant_be_read_so(self, case: Case, server: Postgresql, made: str, words: str) -> None:
        with server.connect("acme") as owner:
            # PostgreSQL's own under another name, which is what the job goes by.
            owner.execute("CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler")
            try:
                for each in (*made.split(";"), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO acme_reader"):
                    owner.execute(each)
                with pytest.raises(SettingsError, match=f"lab_results: .*{words}"):
                    case.with_tables(BOOKMARKED | {"source": "it"}).run()
            finally:
                kind = "VIEW" if "CREATE VIEW" in made else "MATERIALIZED VIEW" if "MATERIALIZED" in made else "TABLE"
                owner.execute(f"DROP {kind} IF EXISTS it CASCADE")
                owner.execute("DROP ACCESS METHOD other")

    def test_partitions_of_a_table_are_read_too(self, case: Case, server: Postgresql) -> None:
        case = case.with_tables(BOOKMARKED | {"source": "it"})
        with server.connect("acme") as owner:
            owner.execute("CREATE TABLE it (LIKE lab_results INCLUDING ALL) PARTITION BY RANGE (result_id)")
            try:
                owner.execute("CREATE TABLE small PARTITION OF it FOR VALUES FROM (0) TO (100)")
                owner.execute("CREATE TABLE others PARTITION OF it DEFAULT")
                owner.execute("INSERT INTO it SELECT * FROM lab_results WHERE result_id <= 200")
                owner.execute("GRANT SELECT ON it TO acme_reader")
                # What was read of another table isn't this one's.
                case.with_tables(BOOKMARKED).run("run-1")
                case.run("run-2")
                assert (read_now(case), len(case.rows())) == (200, 200)
                owner.execute("CREATE TABLE later (LIKE it INCLUDING ALL)")
                owner.execute("INSERT INTO later SELECT * FROM lab_results WHERE result_id BETWEEN 301 AND 310")
                owner.execute("UPDATE it SET remark = 'changed' WHERE result_id IN (99, 100)")
                case.run("run-3")
                assert (read_now(case), len(case.rows())) == (2, 200)
                assert sum(row["remark"] == "changed" for row in case.rows()) == 2
                # Its rows were written before the last run.
                owner.execute("ALTER TABLE it ATTACH PARTITION later FOR VALUES FROM (301) TO (400)")
                case.run("run-4")
                assert (read_now(case), len(case.rows())) == (10, 210)
            finally:
                owner.execute("DROP TABLE it CASCADE")

    @pytest.mark.parametrize(
        ("xmin", "oldest", "youngest", "young"),
        [
            (758, 758, 760, True),
            (757, 758, 760, False),
            (760, 758, 760, True),
            # Nothing was written since.
            (757, 758, 757, False),
            # The numbers in rows begin again where the real ones don't.
            (5, 2**32 - 3, 2**32 + 10, True),
            (2**32 - 3, 2**32 - 3, 2**32 + 10, True),
            (2**32 - 4, 2**32 - 3, 2**32 + 10, False),
            (700, 7 * 2**32 + 701, 7 * 2**32 + 800, False),
            (701, 7 * 2**32 + 701, 7 * 2**32 + 800, True),
            # Frozen, and of rows that were there from the beginning.
            (2, 758, 760, False),
            # Older than numbers can tell: read once more.
            (9, 5, 2**32 + 10, True),
        ],
    )
    def test_numbers_of_transactions_go_in_a_circle(
        self, server: Postgresql, *, xmin: int, oldest: int, youngest: int, young: bool
    ) -> None:
        from cdk_encrypted_data_job.extract import written_since

        condition = written_since(f"'{xmin}'::xid", oldest, youngest)
        with server.connect() as owner:
            ((found,),) = owner.execute(f"SELECT {condition}").fetchall()
        assert found is young


@contextlib.contextmanager
def ending_before(what: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let runs end before they write something, as if the driver were killed then."""
    from cdk_encrypted_data_job import output
    from cdk_encrypted_data_job.storage import Storage

    write, put, put_new = output.write, Storage.put, Storage.put_new

    def end_at(name: str) -> None:
        if what in name:
            raise KeyboardInterrupt

    def writing(rows: Any, **where: Any) -> Any:
        end_at(where["folder"])
        return write(rows, **where)

    def putting(storage: Storage, name: str, data: bytes, **more: Any) -> Any:
        end_at(name)
        return put(storage, name, data, **more)

    def putting_new(storage: Storage, name: str, data: bytes) -> bool:
        end_at(name)
        return put_new(storage, name, data)

    with monkeypatch.context() as patched:
        patched.setattr(output, "write", writing)
        patched.setattr(Storage, "put", putting)
        patched.setattr(Storage, "put_new", putting_new)
        yield


class TestRefusals:
    @pytest.mark.parametrize("tables", [SMALL_TABLES, (_SUBJECTS, BOOKMARKED)], ids=["whole", "bookmark"])
    def test_a_check_fails_with_counts_and_without_rows(self, case: Case, put_rules: Any, tables: Any) -> None:
        rules = put_rules(check_names="SELECT full_name FROM named_results WHERE sample_id < 300")
        case = case.with_tables(*tables).with_rules(rules)
        with pytest.raises(ChecksFailedError, match=r"^check_names: [0-9]+ rows; nothing was written$"):
            case.run()
        assert case.objects() == case.state_objects() == []
        with pytest.raises(NoRunError):
            case.finished().manifest()

    def test_types_that_the_rules_arent_about(self, case: Case, put_rules: Any) -> None:
        tables = {"subjects": {"subject_id": "int", "full_name": "string"}}
        rules = put_rules(
            **{"tables.json": json.dumps(tables), "10_named_results": None, "check_results_twice": None},
            write_results="SELECT * FROM subjects",
        )
        with pytest.raises(SettingsError, match="subject_id is bigint in the database"):
            case.with_rules(rules).run()

    def test_a_table_that_isnt_read(self, case: Case) -> None:
        with pytest.raises(SettingsError, match="tables has no lab_results"):
            case.with_tables(_SUBJECTS).run()

    def test_another_authority(self, case: Case) -> None:
        import trustme

        from cdk_encrypted_data_job.errors import kind_of

        with pytest.raises(Exception, match="SSL") as refused:
            case.run(ca_certificate=trustme.CA().cert_pem.bytes().decode())
        assert "SSLHandshakeException" in kind_of(refused.value)

    def test_a_host_of_another_name(self, case: Case, server: Postgresql) -> None:
        from cdk_encrypted_data_job.errors import kind_of

        with pytest.raises(Exception, match="hostname") as refused:
            case.run(jdbc_url=f"jdbc:postgresql://localhost:{server.port}/acme")
        assert "SQLSTATE" in kind_of(refused.value)

    def test_a_key_that_isnt_the_customers(self, case: Case, aws: Any) -> None:
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        with pytest.raises(Exception, match="AccessDenied"):
            case.run(key_arn=key)
        assert case.objects() == []

    def test_a_session_that_doesnt_encrypt(self, case: Case) -> None:
        from cdk_encrypted_data_job.session import check

        check(case.spark.session)
        conf = case.spark.session.sparkContext._conf  # noqa: SLF001
        conf.set("spark.io.encryption.enabled", "false")
        try:
            with pytest.raises(SettingsError, match=r"spark\.io\.encryption\.enabled isn't true"):
                check(case.spark.session)
        finally:
            conf.set("spark.io.encryption.enabled", "true")


def test_a_task_that_fails_says_nothing_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow", reason="not run: pyarrow isn't there")
    from cdk_encrypted_data_job import output

    class Place:
        pass

    def files(_batches: Any, _most: int) -> Any:
        raise pa.ArrowInvalid(f"can't convert {clinical_data.MARKER}")

    monkeypatch.setattr(output, "parquet_files", files)
    monkeypatch.setattr(output, "storage_at", lambda _place: None)
    with pytest.raises(JobError, match=r"results/: it can't be stored: ArrowInvalid$") as refused:
        list(output._store(iter(()), place=Place(), folder="results/", most_bytes=1))  # type: ignore[arg-type] # noqa: SLF001
    assert refused.value.__suppress_context__


@pytest.fixture(scope="module")
def finished_case(cases: Callable[[], Case]) -> Case:
    case = cases()
    case.run()
    return case


class TestTampering:
    """What was changed in the bucket is refused; the run is shared, so each test puts back what it changed."""

    @pytest.fixture
    def case(self, finished_case: Case) -> Case:
        return finished_case

    def test_a_manifest_from_elsewhere(self, case: Case) -> None:
        s3, bucket = case.aws.client("s3"), case.customer.bucket
        (manifest,) = case.objects("manifests/")
        stored = s3.get_object(Bucket=bucket, Key=manifest)
        body = stored["Body"].read()
        other = manifest.replace("0000000001", "0000000002")
        s3.put_object(Bucket=bucket, Key=other, Body=body, Metadata=stored["Metadata"])
        try:
            with pytest.raises(NotAuthenticError, match="no manifest of acme for this place and number"):
                case.finished().manifest()
            with pytest.raises(NotAuthenticError):
                case.run("run-2")
        finally:
            s3.delete_object(Bucket=bucket, Key=other)
        assert case.finished().manifest().number == 1

    @pytest.mark.parametrize("at", [0, 1, -17, -1])
    def test_a_changed_manifest(self, case: Case, at: int) -> None:
        with changed(case, "/manifests/", at), pytest.raises(NotAuthenticError, match="was changed"):
            case.finished().manifest()
        assert case.finished().verify()

    @pytest.mark.parametrize("what", [".parquet", "/summary-"])
    def test_a_changed_file(self, case: Case, what: str) -> None:
        with changed(case, what, 100), pytest.raises(NotAuthenticError, match="isn't what the manifest names"):
            case.finished().verify()
        with changed(case, ".parquet", 100), pytest.raises(NotAuthenticError, match="isn't what the manifest names"):
            case.finished().read("results")

    def test_a_file_that_is_gone(self, case: Case) -> None:
        s3, bucket = case.aws.client("s3"), case.customer.bucket
        name = next(name for name in case.objects() if name.endswith(".parquet"))
        stored = s3.get_object(Bucket=bucket, Key=name)
        body = stored["Body"].read()
        s3.delete_object(Bucket=bucket, Key=name)
        try:
            with pytest.raises(NotAuthenticError, match="it is gone"):
                case.finished().read("results")
        finally:
            s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata=stored["Metadata"])

    @pytest.mark.parametrize(
        "change",
        [
            {"x-amz-wrap-alg": None},
            {"x-amz-wrap-alg": "kms"},
            {"x-amz-cek-alg": "AES/CBC/PKCS5Padding"},
            {"x-amz-tag-len": "96"},
            {"x-amz-key-v2": "AAAA"},
            {"x-amz-key-v2": "?"},
            {"x-amz-iv": "AAAAAAAAAAAAAAAA"},
        ],
    )
    def test_changed_metadata(self, case: Case, change: dict[str, str | None]) -> None:
        with changed(case, "/manifests/", None, change), pytest.raises(NotAuthenticError):
            case.finished().manifest()

    def test_a_key_of_somebody_elses(self, case: Case) -> None:
        """Encrypted as the job does, but under a key that anybody may have made."""
        kms, s3 = case.aws.client("kms"), case.aws.client("s3")
        other = kms.create_key()["KeyMetadata"]["Arn"]
        body, metadata = seal(b"{}", kms=kms, key_arn=other)
        where = {"Bucket": case.customer.bucket, "Key": f"{case.prefix}manifests/0000000002"}
        s3.put_object(**where, Body=body, Metadata=metadata)
        try:
            with pytest.raises(NotAuthenticError, match="its data key isn't one of"):
                case.finished(case.aws.root).manifest()
        finally:
            s3.delete_object(**where)

    def test_a_manifest_in_the_clear(self, case: Case) -> None:
        where = {"Bucket": case.customer.bucket, "Key": f"{case.prefix}manifests/0000000002"}
        case.aws.client("s3").put_object(**where, Body=json.dumps({"format": "cdk-encrypted-data-job 1"}).encode())
        try:
            with pytest.raises(NotAuthenticError, match="isn't encrypted as the job does"):
                case.finished().manifest()
        finally:
            case.aws.client("s3").delete_object(**where)


@contextlib.contextmanager
def changed(case: Case, what: str, at: int | None, metadata: dict[str, str | None] | None = None) -> Iterator[None]:
    """Change a bit of an object, or its metadata, as long as the `with` block lasts."""
    s3, bucket = case.aws.client("s3"), case.customer.bucket
    name = next(name for name in case.objects() if what in name)
    stored = s3.get_object(Bucket=bucket, Key=name)
    body = stored["Body"].read()
    other = bytearray(body)
    if at is not None:
        other[at] ^= 1
    given = stored["Metadata"] | (metadata or {})
    others = {name: value for name, value in given.items() if value is not None}
    s3.put_object(Bucket=bucket, Key=name, Body=bytes(other), Metadata=others)
    try:
        yield
    finally:
        s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata=stored["Metadata"])


class TestOtherReaders:
    """What the job writes, read by what knows nothing of it."""

    def test_aws_own_client(self, finished_case: Case) -> None:
        case = finished_case
        pq = pytest.importorskip("pyarrow.parquet")
        session: Any = case.aws.session(case.customer.credentials)
        s3, kms = session.client("s3"), session.client("kms")
        client = S3EncryptionClient(
            s3,
            S3EncryptionClientConfig(
                keyring=KmsKeyring(kms, case.customer.key_arn),
                commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
                encryption_algorithm=AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
            ),
        )
        rows = 0
        for file in case.finished().manifest().outputs["results"]["files"]:
            body = client.get_object(Bucket=case.customer.bucket, Key=file["name"])["Body"].read()
            rows += pq.read_table(io.BytesIO(body)).num_rows
        assert rows == case.finished().read("results").num_rows > 0


class TestOtherCustomers:
    """Whoever has all that one customer's job has, has nothing of another's."""

    def test_objects_key_and_secret(self, finished_case: Case, globex: Customer) -> None:
        case = finished_case
        theirs: Any = case.aws.session(globex.credentials)
        name = case.objects("runs/")[0]
        stored = case.aws.client("s3").get_object(Bucket=case.customer.bucket, Key=name)
        wrapped = base64.b64decode(stored["Metadata"]["x-amz-key-v2"])
        s3, kms, secrets = (theirs.client(each) for each in ("s3", "kms", "secretsmanager"))
        attempts: list[Callable[[], object]] = [
            lambda: s3.get_object(Bucket=case.customer.bucket, Key=name),
            lambda: s3.put_object(Bucket=case.customer.bucket, Key=name, Body=b""),
            lambda: s3.list_objects_v2(Bucket=case.customer.bucket),
            lambda: kms.decrypt(CiphertextBlob=wrapped, KeyId=case.customer.key_arn, EncryptionContext=CONTEXT),
            lambda: kms.generate_data_key(KeyId=case.customer.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT),
            lambda: secrets.get_secret_value(SecretId=case.customer.secret_arn),
            lambda: case.finished(globex.credentials).read("results"),
        ]
        for attempt in attempts:
            with pytest.raises(ClientError) as refused:
                attempt()
            assert refused.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
        # Their own are open to them, so it isn't that they may do nothing.
        assert secrets.get_secret_value(SecretId=globex.secret_arn)["SecretString"]
        assert kms.generate_data_key(KeyId=globex.key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
        s3.list_objects_v2(Bucket=globex.bucket)

    def test_the_database(self, case: Case, server: Postgresql, globex: Customer) -> None:
        theirs = {"user": globex.database.username, "password": globex.database.password}
        server.connect(globex.name, **theirs).close()
        with pytest.raises(Exception, match="permission denied for database"):
            server.connect(case.customer.name, **theirs)

    def test_a_job_with_anothers_arguments(self, case: Case, globex: Customer) -> None:
        """The session has acme's rights."""
        with pytest.raises(ClientError, match="AccessDenied"):
            case.run(output=f"s3://{globex.bucket}/etl/", state=f"s3://{globex.bucket}/state/", key_arn=globex.key_arn)
        with pytest.raises(ClientError, match="AccessDenied"):
            case.run(secret_arn=globex.secret_arn)
