"""Contract: S3 replicates by the rules, as the role, under the replica's key; what it couldn't do, it says."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from devtools.embedded_aws.server import Credentials
from tests.embedded_aws.account import Account, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@dataclass
class Pair:
    """A bucket here, one elsewhere, each with a key, and a role that may do what replication takes, and no more."""

    here: Account
    there: Account
    bucket_key: bool = True
    source: str = ""
    destination: str = ""
    source_key: str = ""
    replica_key: str = ""
    role: str = ""
    statements: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source_key, self.replica_key = self.here.key(), self.there.key()
        self.source = _versioned(self.here, self.source_key, bucket_key=self.bucket_key)
        self.destination = _versioned(self.there, self.replica_key, bucket_key=self.bucket_key)
        self.statements = [
            _allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], _arn(self.source)),
            _allow(
                ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"],
                _arn(self.source, "*"),
            ),
            _allow(["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"], _arn(self.destination, "*")),
            self._use("kms:Decrypt", self.source_key, self.here.region, self.source),
            self._use(["kms:Encrypt", "kms:Decrypt"], self.replica_key, self.there.region, self.destination),
        ]
        self.role = self.here.name("replication")
        self.trust({"Service": "s3.amazonaws.com"}, create=True)
        self.allow(self.statements)

    def _use(self, actions: object, key: str, region: str, bucket: str) -> dict[str, Any]:
        context = _arn(bucket) if self.bucket_key else _arn(bucket, "*")
        condition = {
            "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": context},
        }
        return {**_allow(actions, key), "Condition": condition}

    @property
    def role_arn(self) -> str:
        return f"arn:aws:iam::111122223333:role/{self.role}"

    def trust(self, principal: object, *, create: bool = False, condition: object = None) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        document = _policy({**statement, **({"Condition": condition} if condition else {})})
        if create:
            self.here.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=document)
        else:
            self.here.iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=document)

    def allow(self, statements: Sequence[object]) -> None:
        self.here.iam.put_role_policy(RoleName=self.role, PolicyName="all", PolicyDocument=_policy(*statements))

    def rule(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - what the API takes
        return {
            "ID": "all",
            "Priority": 1,
            "Filter": {"Prefix": ""},
            "Status": "Enabled",
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": _arn(self.destination),
                "EncryptionConfiguration": {"ReplicaKmsKeyID": self.replica_key},
            },
        } | changes

    def configure(self, *rules: dict[str, Any]) -> None:
        configuration = {"Role": self.role_arn, "Rules": list(rules) or [self.rule()]}
        self.here.s3.put_bucket_replication(Bucket=self.source, ReplicationConfiguration=configuration)

    def put(self, key: str = "a", **how: Any) -> tuple[str | None, Any]:  # noqa: ANN401 - what the API takes
        """Write an object; its status, and the replica or None."""
        version = self.here.s3.put_object(Bucket=self.source, Key=key, Body=b"x", **how)["VersionId"]
        return self.status(key, version), self.replica(key, version)

    def status(self, key: str, version: str) -> str | None:
        return _status(self.here, self.source, key, version)

    def replica(self, key: str, version: str) -> Any:  # noqa: ANN401 - boto3
        try:
            return self.there.s3.head_object(Bucket=self.destination, Key=key, VersionId=version)
        except ClientError:
            return None

    @property
    def last_failure(self) -> dict[str, str]:
        return [each for each in self.here.aws.replication_failures() if each["bucket"] == self.source][-1]


@pytest.fixture
def pair(account: Account, elsewhere: Account) -> Pair:
    return Pair(account, elsewhere)


class TestReplicationConfigurationsAreChecked:
    @pytest.mark.parametrize(
        ("changes", "code", "sentence"),
        [
            ({}, "", ""),
            ({"Destination": {"Bucket": "arn:aws:s3:::nowhere"}}, "InvalidRequest", "Destination bucket must exist."),
            ({"Destination": {"Bucket": "{unversioned}"}}, "InvalidRequest", "must have versioning enabled"),
            ({"Destination": {"Bucket": "{source}"}}, "InvalidRequest", "the same as the source"),
            ({"Priority": None}, "InvalidRequest", "Priority must be specified"),
            ({"DeleteMarkerReplication": None}, "InvalidRequest", "DeleteMarkerReplication must be specified"),
            ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}}, "InvalidRequest", "not supported if any Tag filter"),
            ({"Destination": {"Bucket": "{destination}"}}, "InvalidRequest", "ReplicaKmsKeyID must be specified"),
        ],
    )
    def test_rules(self, pair: Pair, changes: dict[str, Any], code: str, sentence: str) -> None:
        rule = {name: value for name, value in pair.rule(**changes).items() if value is not None}
        if code and "Destination" in changes:
            words = {"source": pair.source, "destination": pair.destination, "unversioned": pair.there.bucket()}
            rule["Destination"] = {"Bucket": _arn(rule["Destination"]["Bucket"].rpartition(":")[2].format(**words))}
            if "destination" not in changes["Destination"]["Bucket"]:
                rule.pop("SourceSelectionCriteria")
        if not code:
            pair.configure(rule)
            return
        with pytest.raises(ClientError, match=sentence) as refusal:
            pair.configure(rule)
        assert refusal.value.response["Error"]["Code"] == code
        with pytest.raises(ClientError, match="ReplicationConfigurationNotFoundError"):
            pair.here.s3.get_bucket_replication(Bucket=pair.source)

    def test_a_refused_one_leaves_the_one_before(self, pair: Pair) -> None:
        pair.configure()
        with pytest.raises(ClientError, match="have the priority 1"):
            pair.configure(pair.rule(), pair.rule(ID="other"))
        rules = pair.here.s3.get_bucket_replication(Bucket=pair.source)["ReplicationConfiguration"]["Rules"]
        assert [rule["ID"] for rule in rules] == ["all"]

    def test_the_source_must_be_versioned(self, pair: Pair) -> None:
        pair.source = pair.here.bucket()
        with pytest.raises(ClientError, match="Versioning must be 'Enabled'"):
            pair.configure()


class TestReplicationInAStack:
    def test_created_read_back_carried_out_and_taken_back(self, pair: Pair) -> None:
        rule = {
            "Id": "some",
            "Priority": 3,
            "Filter": {"And": {"Prefix": "a/", "TagFilters": [{"Key": "copy", "Value": "yes"}]}},
            "Status": "Enabled",
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "SourceSelectionCriteria": {
                "SseKmsEncryptedObjects": {"Status": "Enabled"},
                "ReplicaModifications": {"Status": "Enabled"},
            },
            "Destination": {
                "Bucket": _arn(pair.destination),
                "StorageClass": "STANDARD_IA",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": pair.replica_key},
                "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
            },
        }
        other = {
            "Id": "tagged",
            "Priority": 1,
            "Filter": {"TagFilter": {"Key": "a", "Value": "b"}},
            "Status": "Disabled",
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": _arn(pair.destination)},
        }
        properties = {
            "VersioningConfiguration": {"Status": "Enabled"},
            "ReplicationConfiguration": {"Role": pair.role_arn, "Rules": [rule, other]},
        }
        stack = pair.here.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        assert pair.here.status(stack) == "CREATE_COMPLETE", pair.here.failures(stack)
        bucket = pair.here.physical_id(stack, "Bucket")
        read = pair.here.s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
        tags = [{"Key": "copy", "Value": "yes"}]
        expected = {name: value for name, value in rule.items() if name != "Id"}
        expected |= {"ID": "some", "Filter": {"And": {"Prefix": "a/", "Tags": tags}}}
        second = {name: value for name, value in other.items() if name != "Id"}
        second |= {"ID": "tagged", "Filter": {"Tag": {"Key": "a", "Value": "b"}}}
        assert read == {"Role": pair.role_arn, "Rules": [expected, second]}

        changed = {**properties, "ReplicationConfiguration": {"Role": pair.role_arn, "Rules": [{**rule, "Id": "new"}]}}
        pair.here.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": changed}}, stack=stack)
        read = pair.here.s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
        assert [each["ID"] for each in read["Rules"]] == ["new"]
        without = {"VersioningConfiguration": {"Status": "Enabled"}}
        pair.here.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": without}}, stack=stack)
        code = refused(pair.here.s3.get_bucket_replication, Bucket=bucket)
        assert code == "ReplicationConfigurationNotFoundError"

    def test_to_a_destination_that_is_not_there(self, pair: Pair) -> None:
        rule = {"Destination": {"Bucket": "arn:aws:s3:::nowhere"}, "Status": "Enabled", "Prefix": ""}
        properties = {
            "VersioningConfiguration": {"Status": "Enabled"},
            "ReplicationConfiguration": {"Role": pair.role_arn, "Rules": [rule]},
        }
        stack = pair.here.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
        assert pair.here.status(stack) == "ROLLBACK_COMPLETE"
        assert (
            "ReplicationConfiguration: InvalidRequest: Destination bucket must exist." in pair.here.failures(stack)[0]
        )


class TestObjectsAreReplicatedAsTheRole:
    @pytest.mark.parametrize("bucket_key", [True, False])
    def test_under_the_replicas_key(self, account: Account, elsewhere: Account, bucket_key: bool) -> None:  # noqa: FBT001
        pair = Pair(account, elsewhere, bucket_key=bucket_key)
        pair.configure()
        status, replica = pair.put(Metadata={"who": "me"}, Tagging="team=a&x=y", ContentType="text/plain")
        assert status == "COMPLETED", pair.last_failure
        assert replica["ReplicationStatus"] == "REPLICA"
        assert (replica["ServerSideEncryption"], replica["SSEKMSKeyId"]) == ("aws:kms", pair.replica_key)
        assert replica.get("BucketKeyEnabled") == (True if bucket_key else None)
        assert (replica["Metadata"], replica["ContentType"]) == ({"who": "me"}, "text/plain")
        tags = elsewhere.s3.get_object_tagging(Bucket=pair.destination, Key="a")["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "a", "x": "y"}
        read = elsewhere.s3.get_object(Bucket=pair.destination, Key="a")
        assert (read["Body"].read(), read["ReplicationStatus"]) == (b"x", "REPLICA")
        here = account.s3.get_object(Bucket=pair.source, Key="a")
        assert (here["ReplicationStatus"], here["SSEKMSKeyId"]) == ("COMPLETED", pair.source_key)
        assert here["VersionId"] == read["VersionId"]

    def test_uploads_in_parts_and_copies(self, pair: Pair) -> None:
        pair.configure()
        s3, put = pair.here.s3, {"Bucket": pair.source, "Key": "parts"}
        upload = s3.create_multipart_upload(**put)["UploadId"]
        part = s3.upload_part(**put, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
        done = s3.complete_multipart_upload(**put, UploadId=upload, MultipartUpload=parts)
        assert pair.replica("parts", done["VersionId"])["SSEKMSKeyId"] == pair.replica_key
        copied = s3.copy_object(Bucket=pair.source, Key="copy", CopySource=f"{pair.source}/parts")
        assert pair.replica("copy", copied["VersionId"])["ReplicationStatus"] == "REPLICA"

    def test_what_is_there_before_the_rule_stays_alone(self, pair: Pair) -> None:
        assert pair.put() == (None, None)
        pair.configure()
        assert pair.status("a", "") is None

    def test_kms_objects_only_when_selected(self, pair: Pair) -> None:
        rule = pair.rule(Destination={"Bucket": _arn(pair.destination)})
        rule.pop("SourceSelectionCriteria")
        pair.configure(rule)
        assert pair.put() == (None, None)
        status, replica = pair.put(ServerSideEncryption="AES256")
        assert (status, replica["ServerSideEncryption"]) == ("COMPLETED", "AES256")

    def test_sse_s3_stays_sse_s3(self, pair: Pair) -> None:
        pair.configure()
        status, replica = pair.put(ServerSideEncryption="AES256")
        assert (status, replica["ServerSideEncryption"]) == ("COMPLETED", "AES256")
        assert "SSEKMSKeyId" not in replica

    @pytest.mark.parametrize(("blocked", "status"), [("NONE", "COMPLETED"), ("SSE-C", "FAILED")])
    def test_customer_keys(self, pair: Pair, blocked: str, status: str) -> None:
        default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        rule = {**default, "BlockedEncryptionTypes": {"EncryptionType": [blocked]}}
        configuration = {"Rules": [rule]}
        pair.there.s3.put_bucket_encryption(Bucket=pair.destination, ServerSideEncryptionConfiguration=configuration)
        pair.configure()
        version = pair.here.s3.put_object(Bucket=pair.source, Key="a", Body=b"x", **_SSE_C)["VersionId"]
        head = pair.here.s3.head_object(Bucket=pair.source, Key="a", VersionId=version, **_SSE_C)
        assert head["ReplicationStatus"] == status

    @pytest.mark.parametrize(
        ("conditions", "copied"),
        [
            ({"Prefix": "a"}, {"a", "ab"}),
            ({"Tag": {"Key": "copy", "Value": "yes"}}, {"b", "ab"}),
            ({"And": {"Prefix": "a", "Tags": [{"Key": "copy", "Value": "yes"}]}}, {"ab"}),
        ],
    )
    def test_filters(self, pair: Pair, conditions: dict[str, Any], copied: set[str]) -> None:
        pair.configure(pair.rule(Filter=conditions, DeleteMarkerReplication={"Status": "Disabled"}))
        tags = {"a": "copy=no", "b": "copy=yes", "ab": "copy=yes&more=x", "c": ""}
        statuses = {key: pair.put(key, Tagging=tagging)[0] for key, tagging in tags.items()}
        assert {key for key, status in statuses.items() if status} == copied
        assert {status for status in statuses.values() if status} == {"COMPLETED"}

    def test_the_highest_priority_counts_and_a_disabled_rule_does_not(self, pair: Pair) -> None:
        first = {"Bucket": _arn(pair.destination), "EncryptionConfiguration": {"ReplicaKmsKeyID": pair.replica_key}}
        archive, cold = {**first, "StorageClass": "GLACIER"}, {**first, "StorageClass": "STANDARD_IA"}
        pair.configure(
            pair.rule(ID="low", Priority=1, Destination=archive),
            pair.rule(ID="high", Priority=2, Destination=cold),
            pair.rule(ID="off", Priority=3, Status="Disabled"),
        )
        assert pair.put()[1]["StorageClass"] == "STANDARD_IA"

    def test_several_destinations_are_done_when_all_are(self, pair: Pair) -> None:
        second = _versioned(pair.there, pair.replica_key)
        other = {**pair.rule()["Destination"], "Bucket": _arn(second)}
        pair.configure(pair.rule(), pair.rule(ID="second", Priority=2, Destination=other))
        status, replica = pair.put()
        assert (status, replica["ReplicationStatus"]) == ("FAILED", "REPLICA")
        assert (pair.last_failure["destination"], pair.last_failure["reason"]) == (second, "DstPutObjectNotPermitted")

    def test_replicas_are_not_replicated_so_two_ways_do_not_loop(self, pair: Pair) -> None:
        back = Pair(pair.there, pair.here)
        third = _versioned(pair.here, pair.source_key)
        back.source, back.destination, back.replica_key = pair.destination, pair.source, pair.source_key
        back.allow([_allow(["s3:*", "kms:*"], "*")])
        onward = {**back.rule()["Destination"], "Bucket": _arn(third)}
        back.configure(back.rule(), back.rule(ID="onward", Priority=2, Destination=onward))
        pair.configure()
        status, replica = pair.put()
        assert (status, replica["ReplicationStatus"]) == ("COMPLETED", "REPLICA")
        assert pair.here.s3.list_object_versions(Bucket=third).get("Versions") is None
        assert len(pair.here.s3.list_object_versions(Bucket=pair.source)["Versions"]) == 1
        status, replica = back.put("b")
        assert (status, replica["ReplicationStatus"]) == ("COMPLETED", "REPLICA")
        assert _status(pair.here, third, "b", "") == "REPLICA"

    @pytest.mark.parametrize("markers", ["Enabled", "Disabled"])
    def test_delete_markers_as_the_rule_says(self, pair: Pair, markers: str) -> None:
        pair.configure(pair.rule(DeleteMarkerReplication={"Status": markers}))
        pair.put()
        marker = pair.here.s3.delete_object(Bucket=pair.source, Key="a")
        found = pair.there.s3.list_object_versions(Bucket=pair.destination).get("DeleteMarkers", [])
        assert [each["VersionId"] for each in found] == ([marker["VersionId"]] if markers == "Enabled" else [])
        gone = refused(pair.there.s3.head_object, Bucket=pair.destination, Key="a")
        assert gone == ("404" if markers == "Enabled" else "")

    def test_delete_markers_of_older_rules_and_deletions_of_versions(self, pair: Pair) -> None:
        rule = pair.rule(Prefix="")
        for name in ("Filter", "Priority", "DeleteMarkerReplication"):
            rule.pop(name)
        pair.configure(rule)
        pair.put()
        keys = {"Objects": [{"Key": "a"}]}
        pair.here.s3.delete_objects(Bucket=pair.source, Delete=keys)
        assert len(pair.there.s3.list_object_versions(Bucket=pair.destination)["DeleteMarkers"]) == 1
        version = pair.here.s3.put_object(Bucket=pair.source, Key="b", Body=b"x")["VersionId"]
        pair.here.s3.delete_object(Bucket=pair.source, Key="b", VersionId=version)
        assert pair.replica("b", version)

    def test_object_lock_comes_along(self, account: Account, elsewhere: Account) -> None:
        pair = Pair(account, elsewhere)
        names = [account.name("locked"), account.name("locked")]
        for there, name in zip((account, elsewhere), names, strict=True):
            where = {"LocationConstraint": there.region}
            there.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where)
        unlocked, (pair.source, locked) = pair.destination, names
        locks = ["s3:GetObjectRetention", "s3:GetObjectLegalHold"]
        until = time.time() + 3600
        hold: dict[str, Any] = {
            "ObjectLockMode": "GOVERNANCE",
            "ObjectLockRetainUntilDate": until,
            "ObjectLockLegalHoldStatus": "ON",
        }

        pair.allow([_allow("s3:*", "*")])
        pair.configure(pair.rule(Destination={**pair.rule()["Destination"], "Bucket": _arn(unlocked)}))
        assert pair.put(**hold)[0] == "FAILED"
        assert pair.last_failure["reason"] == "DstBucketObjectLockConfigMissing"

        pair.destination = locked
        pair.configure()
        pair.allow([_allow("s3:*", "*"), {**_allow(locks, "*"), "Effect": "Deny"}])
        assert pair.put(**hold)[0] == "FAILED"
        assert pair.last_failure["reason"] == "SrcGetObjectNotPermitted"
        pair.allow([_allow("s3:*", "*")])
        status, replica = pair.put(**hold)
        assert (status, replica["ObjectLockMode"], replica["ObjectLockLegalHoldStatus"]) == (
            "COMPLETED",
            "GOVERNANCE",
            "ON",
        )

    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            ("s3:GetReplicationConfiguration", "SrcGetObjectNotPermitted"),
            ("s3:GetObjectVersionForReplication", "SrcGetObjectNotPermitted"),
            ("s3:GetObjectVersionAcl", "SrcGetObjectNotPermitted"),
            ("s3:ReplicateObject", "DstPutObjectNotPermitted"),
            ("kms:Encrypt", "DstPutObjectNotPermitted"),
            ("kms:Decrypt", "SrcGetObjectNotPermitted"),
        ],
    )
    def test_a_right_the_role_lacks(self, pair: Pair, action: str, reason: str) -> None:
        pair.configure()
        pair.allow([*pair.statements, {**_allow(action, "*"), "Effect": "Deny"}])
        assert pair.put() == ("FAILED", None)
        failure = pair.last_failure
        assert (failure["key"], failure["destination"]) == ("a", pair.destination)
        assert failure["reason"] == reason
        assert f"{pair.role_arn} may not {action} on " in failure["message"]
        assert failure["message"] in pair.here.aws.log.read_text()
        pair.allow(pair.statements)
        assert pair.put()[0] == "COMPLETED"

    def test_getobjectversion_is_enough_without_kms(self, pair: Pair) -> None:
        pair.configure()
        statements = json.loads(
            json.dumps(pair.statements).replace("GetObjectVersionForReplication", "GetObjectVersion")
        )
        pair.allow(statements)
        assert pair.put(ServerSideEncryption="AES256")[0] == "COMPLETED"
        assert pair.put()[0] == "FAILED"

    @pytest.mark.parametrize("action", ["s3:GetObjectVersionTagging", "s3:ReplicateTags"])
    def test_without_rights_to_tags_they_stay_behind(self, pair: Pair, action: str) -> None:
        pair.configure()
        pair.allow([*pair.statements, {**_allow(action, "*"), "Effect": "Deny"}])
        assert pair.put(Tagging="team=a")[0] == "COMPLETED"
        assert pair.there.s3.get_object_tagging(Bucket=pair.destination, Key="a")["TagSet"] == []

    def test_a_rule_by_tags_needs_to_read_them(self, pair: Pair) -> None:
        tag = {"Tag": {"Key": "team", "Value": "a"}}
        pair.configure(pair.rule(Filter=tag, DeleteMarkerReplication={"Status": "Disabled"}))
        pair.allow([*pair.statements, {**_allow("s3:GetObjectVersionTagging", "*"), "Effect": "Deny"}])
        assert pair.put(Tagging="team=a")[0] == "FAILED"
        assert pair.last_failure["reason"] == "SrcGetTaggingNotPermitted"

    @pytest.mark.parametrize("action", ["s3:ListBucket", "s3:ReplicateDelete"])
    def test_a_delete_marker_the_role_may_not_copy(self, pair: Pair, action: str) -> None:
        pair.configure()
        pair.allow([*pair.statements, {**_allow(action, "*"), "Effect": "Deny"}])
        assert pair.put()[0] == "COMPLETED"
        pair.here.s3.delete_object(Bucket=pair.source, Key="a")
        assert "DeleteMarkers" not in pair.there.s3.list_object_versions(Bucket=pair.destination)
        assert (pair.last_failure["operation"], action in pair.last_failure["message"]) == ("OBJECT_DELETE", True)

    @pytest.mark.parametrize(
        ("conditions", "status"),
        [
            ({"StringEquals": {"kms:ViaService": "s3.{here}.amazonaws.com"}}, "FAILED"),
            ({"StringEquals": {"kms:ViaService": "s3.{there}.amazonaws.com"}}, "COMPLETED"),
            ({"StringLike": {"kms:EncryptionContext:aws:s3:arn": "{source}*"}}, "FAILED"),
            ({"StringLike": {"kms:EncryptionContext:aws:s3:arn": "{destination}/*"}}, "FAILED"),
            ({"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "{destination}"}}, "COMPLETED"),
        ],
    )
    def test_what_s3_says_to_kms(self, pair: Pair, conditions: dict[str, Any], status: str) -> None:
        words = {
            "here": pair.here.region,
            "there": pair.there.region,
            "source": _arn(pair.source),
            "destination": _arn(pair.destination),
        }
        text = json.dumps(conditions)
        for name, value in words.items():
            text = text.replace("{" + name + "}", value)
        encrypt = {**_allow(["kms:Encrypt", "kms:Decrypt"], pair.replica_key), "Condition": json.loads(text)}
        pair.configure()
        pair.allow([*pair.statements[:-1], encrypt])
        assert pair.put()[0] == status

    def test_the_key_policies_count_as_well(self, pair: Pair) -> None:
        pair.configure()
        here, there = (pair.source_key, pair.here), (pair.replica_key, pair.there)
        for (key, account), action, reason in (
            (here, "kms:Decrypt", "SrcGetObjectNotPermitted"),
            (there, "kms:Encrypt", "DstPutObjectNotPermitted"),
            (there, "kms:Decrypt", "DstPutObjectNotPermitted"),
        ):
            before = account.kms.get_key_policy(KeyId=key)["Policy"]
            role = {"ArnEquals": {"aws:PrincipalArn": pair.role_arn}}
            deny = {**_allow(action, "*"), "Effect": "Deny", "Principal": "*", "Condition": role}
            policy = json.loads(before)
            policy["Statement"].append(deny)
            account.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
            assert pair.put()[0] == "FAILED"
            assert pair.last_failure["reason"] == reason
            account.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)
        assert pair.put()[0] == "COMPLETED"

    def test_a_key_policy_must_let_the_role_in_and_may_do_so_alone(self, pair: Pair) -> None:
        administration = {**_allow("kms:*", "*"), "Principal": {"AWS": pair.here.root_arn}}
        administration["Action"] = ["kms:PutKeyPolicy", "kms:DescribeKey"]
        use = {**_allow(["kms:Encrypt", "kms:Decrypt"], "*"), "Principal": {"AWS": pair.role_arn}}
        without_keys = [each for each in pair.statements if pair.replica_key not in json.dumps(each)]
        pair.configure()
        for key_policy, role_policy, status in (
            ([administration], pair.statements, "FAILED"),
            ([administration, use], pair.statements, "COMPLETED"),
            ([administration, use], without_keys, "COMPLETED"),
            ([administration], without_keys, "FAILED"),
        ):
            policy = _policy(*key_policy)
            pair.there.kms.put_key_policy(KeyId=pair.replica_key, PolicyName="default", Policy=policy)
            pair.allow(role_policy)
            assert pair.put()[0] == status

    def test_another_accounts_bucket_and_key_must_let_the_role_in(self, pair: Pair) -> None:
        theirs = Credentials(access_key_id="444455556666", secret_access_key="test")  # noqa: S106 - any will do
        s3, kms = (pair.there.client(service, credentials=theirs) for service in ("s3", "kms"))
        pair.destination = pair.here.name("theirs")
        where = {"LocationConstraint": pair.there.region}
        s3.create_bucket(Bucket=pair.destination, CreateBucketConfiguration=where)
        s3.put_bucket_versioning(Bucket=pair.destination, VersioningConfiguration={"Status": "Enabled"})
        pair.replica_key = kms.create_key()["KeyMetadata"]["Arn"]
        mine = _allow(["s3:ReplicateObject", "kms:Encrypt", "kms:Decrypt"], "*")
        pair.allow([*pair.statements, mine])
        pair.configure()

        assert pair.put()[0] == "FAILED"
        assert "kms:Encrypt" in pair.last_failure["message"]
        root = {**_allow("kms:*", "*"), "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}
        use = {**_allow(["kms:Encrypt", "kms:Decrypt"], "*"), "Principal": {"AWS": pair.role_arn}}
        kms.put_key_policy(KeyId=pair.replica_key, PolicyName="default", Policy=_policy(root, use))
        assert pair.put()[0] == "FAILED"
        assert "s3:ReplicateObject" in pair.last_failure["message"]
        let_in = {**_allow("s3:ReplicateObject", _arn(pair.destination, "*")), "Principal": {"AWS": pair.role_arn}}
        s3.put_bucket_policy(Bucket=pair.destination, Policy=_policy(let_in))
        version = pair.here.s3.put_object(Bucket=pair.source, Key="a", Body=b"x")["VersionId"]
        assert pair.status("a", version) == "COMPLETED"
        copied = s3.head_object(Bucket=pair.destination, Key="a", VersionId=version)
        assert (copied["SSEKMSKeyId"], copied["ReplicationStatus"]) == (pair.replica_key, "REPLICA")
        pair.allow(pair.statements)
        assert pair.put()[0] == "FAILED"

    @pytest.mark.parametrize("side", ["source", "destination"])
    def test_the_bucket_policies_count_as_well(self, pair: Pair, side: str) -> None:
        pair.configure()
        bucket, action = {
            "source": (pair.source, "s3:GetObjectVersionForReplication"),
            "destination": (pair.destination, "s3:ReplicateObject"),
        }[side]
        not_others = {"ArnEquals": {"aws:PrincipalArn": pair.role_arn}}
        (pair.here if side == "source" else pair.there).deny(bucket, not_others, action)
        assert pair.put()[0] == "FAILED"
        assert action in pair.last_failure["message"]

    def test_denials_of_plain_http_and_of_puts_do_not_concern_it(self, pair: Pair) -> None:
        pair.configure()
        deny = {"Effect": "Deny", "Principal": "*", "Resource": [_arn(pair.destination), _arn(pair.destination, "*")]}
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        old = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
        not_kms = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
        statements = [
            {**deny, "Action": "s3:*", "Condition": insecure},
            {**deny, "Action": "s3:*", "Condition": old},
            {**deny, "Action": "s3:PutObject", "Condition": not_kms},
        ]
        pair.there.s3.put_bucket_policy(Bucket=pair.destination, Policy=_policy(*statements))
        assert pair.put()[0] == "COMPLETED"
        assert pair.put(ServerSideEncryption="AES256")[0] == "COMPLETED"
        plain = pair.here.client("s3", plain_http=True)
        plain.put_object(Bucket=pair.source, Key="plain", Body=b"x", ServerSideEncryption="AES256")
        assert pair.status("plain", "") == "COMPLETED"

    def test_the_replicas_encryption_is_a_condition_key(self, pair: Pair) -> None:
        pair.configure()
        name = "s3:x-amz-server-side-encryption-aws-kms-key-id"
        pair.there.deny(pair.destination, {"StringNotEquals": {name: pair.replica_key}}, "s3:ReplicateObject")
        assert pair.put()[0] == "COMPLETED"
        assert pair.put(ServerSideEncryption="AES256")[0] == "FAILED"

    @pytest.mark.parametrize(
        ("principal", "condition", "status"),
        [
            ({"Service": "s3.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": "111122223333"}}, "COMPLETED"),
            ({"Service": "s3.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": "444455556666"}}, "FAILED"),
            ({"Service": ["lambda.amazonaws.com", "s3.amazonaws.com"]}, None, "COMPLETED"),
            ({"Service": "lambda.amazonaws.com"}, None, "FAILED"),
            ({"AWS": "arn:aws:iam::111122223333:root"}, None, "FAILED"),
        ],
    )
    def test_s3_must_be_trusted(self, pair: Pair, principal: object, condition: object, status: str) -> None:
        pair.configure()
        pair.trust(principal, condition=condition)
        assert pair.put()[0] == status
        if status == "FAILED":
            assert pair.last_failure["reason"] == "AssumeRoleNotPermitted"

    def test_a_role_or_its_boundary(self, pair: Pair) -> None:
        pair.configure()
        only_s3 = _policy(_allow("s3:*", "*"))
        boundary = pair.here.iam.create_policy(PolicyName=pair.here.name("b"), PolicyDocument=only_s3)["Policy"]["Arn"]
        pair.here.iam.put_role_permissions_boundary(RoleName=pair.role, PermissionsBoundary=boundary)
        assert pair.put()[0] == "FAILED"
        assert "kms:Decrypt" in pair.last_failure["message"]
        pair.here.iam.delete_role_policy(RoleName=pair.role, PolicyName="all")
        pair.here.iam.delete_role(RoleName=pair.role)
        assert pair.put()[0] == "FAILED"
        assert pair.last_failure["reason"] == "AssumeRoleNotPermitted"

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda it: it.there.kms.disable_key(KeyId=it.replica_key), "DstKmsKeyInvalidState"),
            (lambda it: it.there.kms.schedule_key_deletion(KeyId=it.replica_key), "DstKmsKeyInvalidState"),
            (lambda it: it.there.s3.delete_bucket(Bucket=it.destination), "DstBucketNotFound"),
            (
                lambda it: it.there.s3.put_bucket_versioning(
                    Bucket=it.destination, VersioningConfiguration={"Status": "Suspended"}
                ),
                "DstBucketUnversioned",
            ),
        ],
    )
    def test_what_changed_since(self, pair: Pair, spoil: Callable[[Pair], object], reason: str) -> None:
        pair.configure()
        assert pair.put()[0] == "COMPLETED"
        for version in pair.there.s3.list_object_versions(Bucket=pair.destination)["Versions"]:
            pair.there.s3.delete_object(Bucket=pair.destination, Key="a", VersionId=version["VersionId"])
        spoil(pair)
        assert pair.put() == ("FAILED", None)
        assert pair.last_failure["reason"] == reason

    def test_a_key_that_is_not_there(self, pair: Pair) -> None:
        missing = f"arn:aws:kms:{pair.there.region}:111122223333:key/none"
        destination = {"Bucket": _arn(pair.destination), "EncryptionConfiguration": {"ReplicaKmsKeyID": missing}}
        pair.configure(pair.rule(Destination=destination))
        assert pair.put()[0] == "FAILED"
        assert pair.last_failure["reason"] == "DstKmsKeyNotFound"

    def test_an_alias_is_its_key_when_the_role_may_use_the_key(self, pair: Pair) -> None:
        alias = f"alias/{pair.there.name('alias')}"
        pair.there.kms.create_alias(AliasName=alias, TargetKeyId=pair.replica_key)
        named = f"arn:aws:kms:{pair.there.region}:111122223333:{alias}"
        destination = {"Bucket": _arn(pair.destination), "EncryptionConfiguration": {"ReplicaKmsKeyID": named}}
        pair.configure(pair.rule(Destination=destination))
        assert pair.put()[1]["SSEKMSKeyId"] == pair.replica_key
        on_the_alias = json.loads(json.dumps(pair.statements).replace(pair.replica_key, named))
        pair.allow(on_the_alias)
        assert pair.put()[0] == "FAILED"

    def test_related_multi_region_keys_are_two_keys(self, pair: Pair) -> None:
        primary = pair.here.key(MultiRegion=True)
        pair.here.kms.replicate_key(KeyId=primary, ReplicaRegion=pair.there.region)
        related = primary.replace(pair.here.region, pair.there.region)
        statements = json.dumps(pair.statements).replace(pair.source_key, primary).replace(pair.replica_key, related)
        pair.allow(json.loads(statements))
        pair.source_key, pair.replica_key = primary, related
        pair.configure()
        status, replica = pair.put(ServerSideEncryption="aws:kms", SSEKMSKeyId=primary)
        assert (status, replica["SSEKMSKeyId"]) == ("COMPLETED", related)
        pair.allow(json.loads(statements.replace(related, primary)))
        assert pair.put(ServerSideEncryption="aws:kms", SSEKMSKeyId=primary)[0] == "FAILED"

    def test_a_failure_is_notified_where_the_rule_has_metrics(self, pair: Pair) -> None:
        sqs = pair.here.client("sqs")
        queue = sqs.create_queue(QueueName=pair.here.name("queue"))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        let_s3 = {**_allow("sqs:SendMessage", arn), "Principal": {"Service": "s3.amazonaws.com"}}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _policy(let_s3)})
        notifications = {
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:Replication:OperationFailedReplication"]}]
        }
        put_notifications = pair.here.s3.put_bucket_notification_configuration
        put_notifications(Bucket=pair.source, NotificationConfiguration=notifications)
        metrics = {**pair.rule()["Destination"], "Metrics": {"Status": "Enabled"}}
        pair.configure(pair.rule(Destination=metrics))
        pair.allow([_allow("s3:ListBucket", "*")])
        pair.put()
        records: list[dict[str, Any]] = []
        give_up = time.monotonic() + 10
        while not records and time.monotonic() < give_up:
            messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                records += json.loads(message["Body"]).get("Records", [])
        assert records[0]["eventName"] == "Replication:OperationFailedReplication"
        assert records[0]["replicationEventData"]["failureReason"] == "SrcGetObjectNotPermitted"
        assert records[0]["s3"]["object"]["key"] == "a"


class TestChangesOfReplicasAreReplicated:
    def test_later_tags_of_the_source(self, pair: Pair) -> None:
        pair.configure()
        pair.put()
        _tag(pair.here, pair.source, "new")
        assert _tags(pair.there, pair.destination) == {"team": "new"}
        pair.here.s3.delete_object_tagging(Bucket=pair.source, Key="a")
        assert _tags(pair.there, pair.destination) == {}
        pair.allow([*pair.statements, {**_allow("s3:ReplicateTags", "*"), "Effect": "Deny"}])
        _tag(pair.here, pair.source, "newer")
        assert _tags(pair.there, pair.destination) == {}
        assert (pair.status("a", ""), pair.last_failure["reason"]) == ("FAILED", "DstPutObjectNotPermitted")

    @pytest.mark.parametrize("synced", ["Enabled", "Disabled", ""])
    def test_tags_of_the_replica_when_the_rule_back_says_so(self, pair: Pair, synced: str) -> None:
        back = Pair(pair.there, pair.here)
        back.source, back.destination, back.replica_key = pair.destination, pair.source, pair.source_key
        back.allow([_allow(["s3:*", "kms:*"], "*")])
        criteria = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
        if synced:
            criteria["ReplicaModifications"] = {"Status": synced}
        back.configure(back.rule(SourceSelectionCriteria=criteria))
        pair.configure()
        pair.put()
        _tag(pair.there, pair.destination, "there")
        assert _tags(pair.here, pair.source) == ({"team": "there"} if synced == "Enabled" else {})
        assert _status(pair.there, pair.destination, "a", "") == "REPLICA"


def _versioned(account: Account, key: str, *, bucket_key: bool = True) -> str:
    bucket = account.bucket(key=key, bucket_key=bucket_key)
    account.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def _status(account: Account, bucket: str, key: str, version: str) -> str | None:
    which = {"VersionId": version} if version else {}
    status: str | None = account.s3.head_object(Bucket=bucket, Key=key, **which).get("ReplicationStatus")
    return status


def _tag(account: Account, bucket: str, value: str) -> None:
    account.s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "team", "Value": value}]})


def _tags(account: Account, bucket: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in account.s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]}


def _arn(bucket: str, key: str = "") -> str:
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _allow(actions: object, resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _policy(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
