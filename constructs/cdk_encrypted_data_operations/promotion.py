"""Make another Region's key the primary of a multi-Region key: what stands against it, the move, what is so afterwards.

Nothing that was encrypted is touched, and the keys can be used all the time. See
https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-update.html.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cdk_encrypted_data_operations.answers import code, denied, explained, is_outage, said
from cdk_encrypted_data_operations.checks import Check, Outcome
from cdk_encrypted_data_operations.errors import RefusedError, SettingsError, UnavailableError, UnfinishedError
from cdk_encrypted_data_operations.related_keys import Member, Rotation, member_of
from cdk_encrypted_data_operations.stacks import Declaration, declaration_of

WAIT_SECONDS = 300
"""How long a move is waited for; KMS says that it takes seconds."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_KEY = re.compile(
    r"(arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):)?"
    r"(?P<name>alias/[A-Za-z0-9/_-]+|(key/)?(?P<id>mrk-[0-9a-f]+))"
)
_MOVING = {"Creating", "Updating"}
_PAUSE_SECONDS = (0.5, 5.0)
# What the round trip is encrypted with, so that it can be told in CloudTrail.
_CONTEXT = {"purpose": "encrypted-data-operations promote"}
_AWS_ERRORS = (BotoCoreError, ClientError)
# What KMS says where the primary is moving, or isn't any more.
_NO_PRIMARY_THERE = {"KMSInvalidStateException", "UnsupportedOperationException"}
_STATE_REMEDIES = {
    "Creating": "wait until it is Enabled, and run this again",
    "Disabled": "enable it, and run this again",
    "PendingDeletion": "cancel its deletion and enable it, if it isn't meant to go",
    "PendingImport": "import its key material",
    "PendingReplicaDeletion": "cancel its deletion and enable it, if it isn't meant to go",
    "Unavailable": "see the key in the console: KMS can't use it now",
    "Updating": "wait until it is Enabled, and run this again",
}


class Stage(Enum):
    """How far a move is."""

    REFUSED = "refused"
    """Something stands against it."""
    READY = "ready"
    """Nothing is known to stand against it."""
    UNDER_WAY = "under way"
    """KMS is moving the primary, or the Regions don't agree yet on where it is."""
    DONE = "done"
    """Both Regions say that the primary is where it was to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found before a move.

    Args:
        stage: What follows from it.
        checks: All that was looked at, in the order to show it.
        home: The key in the Region to move from; none if it can't be described.
        away: The key in the Region to move to; none if it can't be described.
        rotation: How the key is rotated; none if that can't be read.
        declaration: What the stack of the Region to move to has; none if that isn't known.
        caller: The ARN of who asks; none if that can't be found out.
    """

    stage: Stage
    checks: tuple[Check, ...]
    home: Member | None
    away: Member | None
    rotation: Rotation | None
    declaration: Declaration | None
    caller: str | None


class Promotion:
    """A move of a multi-Region key's primary from one Region to another.

    Any number of them may be made and inspected: only `promote` changes anything, and it does so once. What another
    run began, `wait` and `verify` of a new one see through.

    Args:
        key: The alias (`alias/…`), the ARN of the key or the alias in either Region, or the key's id (`mrk-…`).
        from_region: Where the primary is.
        to_region: Where it is to be; there must be a replica.
        session: Where credentials and configuration come from. Default: boto3's own search.
        config: Settings of the clients; they go before those of this class (10 s to connect, 20 s to read, 3 attempts).

    Raises:
        SettingsError: An argument can't be right.
    """

    def __init__(
        self,
        *,
        key: str,
        from_region: str,
        to_region: str,
        session: boto3.session.Session | None = None,
        config: Config | None = None,
    ) -> None:
        for argument, region in (("from", from_region), ("to", to_region)):
            if not _REGION.fullmatch(region):
                raise SettingsError(f"{argument} is {region!r}; allowed: the name of a Region; write eu-central-1")
        if from_region == to_region:
            raise SettingsError(f"from and to are both {to_region!r}; allowed: two Regions; name the replica's by to")
        named = _KEY.fullmatch(key)
        if named is None:
            raise SettingsError(
                f"key is {key!r}; allowed: alias/NAME, mrk-…, or the ARN of one of them; a key whose id doesn't begin "
                "with mrk- is of one Region and can't be made one of several"
            )
        if named["region"] not in {None, from_region, to_region}:
            raise SettingsError(
                f"key is {key!r}; allowed: a key of {from_region} or {to_region}; name the one to move from"
            )
        self.key = key
        self.from_region = from_region
        self.to_region = to_region
        self._name = named["id"] or named["name"]
        self._account = named["account"]
        self._session = session or _default_session()
        own = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        self._config = own.merge(config) if config else own
        self._clients: dict[tuple[str, str], Any] = {}

    # Before

    def inspect(self) -> Inspection:
        """Look at everything that can be looked at without changing anything.

        Raises:
            UnavailableError: KMS of one of the two Regions doesn't answer.
            RefusedError: There are no credentials, or nothing can be reached from here.
        """
        checks: list[Check] = []
        caller = self._caller(checks)
        home = self._described(self.from_region, self._name, checks)
        away = self._described(self.to_region, home.key_id if home else self._name, checks)
        checks += self._alias_checks(home)
        stage = Stage.REFUSED
        rotation = declaration = None
        if home and away:
            stage, primary = self._stage(home, away)
            checks.append(primary)
            if stage is not Stage.DONE:
                checks += [check for each in (home, away) for check in self._state_checks(each, stage)]
                checks += self._other_checks(home, away)
            rotation = self._rotation(away.region if stage is Stage.DONE else home.region, home.key_id, checks)
            self._declared(home, checks)
            declaration = self._declared(away, checks)
            if stage is Stage.READY:
                # KMS knows no dry run of it, and IAM's simulator leaves the policies of keys out for roles.
                checks.append(
                    Check(
                        subject="right to move it",
                        found="not known before the call: KMS asks the policies of both keys, and changes nothing if "
                        "one refuses",
                        outcome=Outcome.UNKNOWN,
                    )
                )
        if stage is Stage.READY and any(check.outcome is Outcome.REFUSED for check in checks):
            stage = Stage.REFUSED
        return Inspection(
            stage=stage,
            checks=tuple(checks),
            home=home,
            away=away,
            rotation=rotation,
            declaration=declaration,
            caller=caller,
        )

    def _caller(self, checks: list[Check]) -> str | None:
        try:
            found = self._client("sts", self.from_region).get_caller_identity()
        except _AWS_ERRORS as error:
            if isinstance(error, BotoCoreError) and not is_outage(error):
                # No credentials, a certificate or proxy that doesn't convince: it would be the same everywhere.
                raise explained(error, str(self), remedy="configure it as for the AWS CLI") from error
            checks.append(Check(subject="who asks", found=said(error), outcome=Outcome.UNKNOWN))
            return None
        arn, account = str(found["Arn"]), str(found["Account"])
        if self._account not in {None, account}:
            checks.append(
                Check(
                    subject="who asks",
                    found=f"{arn}, of another account than the key's, {self._account}",
                    outcome=Outcome.REFUSED,
                    remedy="use credentials of the key's account: KMS takes the move from nobody else",
                )
            )
        else:
            checks.append(Check(subject="who asks", found=arn))
        return arn

    def _described(self, region: str, name: str, checks: list[Check]) -> Member | None:
        subject = f"key in {region}"
        try:
            metadata = self._client("kms", region).describe_key(KeyId=name)["KeyMetadata"]
        except _AWS_ERRORS as error:
            if is_outage(error):
                raise self._out(region, error) from error
            remedy = "allow kms:DescribeKey on it" if denied(error) else "see what AWS says, and run this again"
            if code(error) == "NotFoundException":
                remedy = (
                    "name the key by an alias or ARN of this Region and account"
                    if region == self.from_region
                    else "add a stack of this Region to the pair's replicas, or name another Region"
                )
            checks.append(Check(subject=subject, found=said(error), outcome=Outcome.REFUSED, remedy=remedy))
            return None
        if not metadata.get("MultiRegion"):
            checks.append(
                Check(
                    subject=subject,
                    found=f"{metadata['KeyId']} is a key of one Region",
                    outcome=Outcome.REFUSED,
                    remedy="name a multi-Region key: KMS makes none of a key that isn't",
                )
            )
            return None
        member = member_of(region, metadata)
        checks.append(Check(subject=subject, found=f"{member.key_id}, {member.kind}, {member.state}"))
        return member

    def _out(self, region: str, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"KMS of {region} doesn't answer ({said(error)}); moving the primary takes both Regions, so it has to "
            "wait, and it can: every key of the pair encrypts and decrypts by itself, under the same alias"
        )

    def _alias_checks(self, home: Member | None) -> Iterator[Check]:
        """Look whether the alias leads to the same key in the other Region, where one was named."""
        if not self._name.startswith("alias/") or not home:
            return
        subject = f"{self._name} in {self.to_region}"
        try:
            found = self._client("kms", self.to_region).describe_key(KeyId=self._name)["KeyMetadata"]["KeyId"]
        except _AWS_ERRORS as error:
            absent = code(error) == "NotFoundException"
            yield Check(
                subject=subject,
                found="absent" if absent else said(error),
                outcome=Outcome.UNKNOWN,
                remedy="applications that name the key by its alias don't find it there" if absent else "",
            )
            return
        if found == home.key_id:
            yield Check(subject=subject, found="the same key")
        else:
            yield Check(
                subject=subject,
                found=f"another key, {found}",
                outcome=Outcome.REFUSED,
                remedy="name the key by its ARN, if it is the one that is meant",
            )

    def _stage(self, home: Member, away: Member) -> tuple[Stage, Check]:
        """Find out how far the move is, by what both Regions say of the primary."""
        subject = "the primary"
        said_by = {home.primary_region, away.primary_region}
        # KMS may call both of them replicas for some seconds.
        kinds = tuple("PRIMARY" if {each.region} == said_by else "REPLICA" for each in (home, away))
        if "Updating" in {home.state, away.state} or len(said_by) > 1 or (home.kind, away.kind) != kinds:
            return Stage.UNDER_WAY, Check(
                subject=subject,
                found=f"is moving: {home.region} says {home.kind}, {home.state}; {away.region} says {away.kind}, "
                f"{away.state}",
                outcome=Outcome.UNKNOWN,
                remedy="waiting settles it",
            )
        (primary,) = said_by
        if primary == self.to_region:
            return Stage.DONE, Check(subject=subject, found=f"is in {primary} already")
        if primary == self.from_region:
            return Stage.READY, Check(subject=subject, found=f"is in {primary}")
        return Stage.REFUSED, Check(
            subject=subject,
            found=f"is in {primary}",
            outcome=Outcome.REFUSED,
            remedy=f"move it from there: --from {primary}",
        )

    def _state_checks(self, member: Member, stage: Stage) -> Iterator[Check]:
        if member.state == "Enabled" or (stage is Stage.UNDER_WAY and member.state in _MOVING):
            return
        yield Check(
            subject=f"state in {member.region}",
            found=member.state,
            outcome=Outcome.REFUSED,
            remedy=_STATE_REMEDIES.get(member.state, "KMS moves the primary between keys that are Enabled"),
        )

    def _other_checks(self, home: Member, away: Member) -> Iterator[Check]:
        """Look at the other replicas: as long as one of them is being made or moved, it is too early."""
        for region in sorted({*home.regions, *away.regions} - {home.region, away.region}):
            subject = f"key in {region}"
            try:
                state = self._client("kms", region).describe_key(KeyId=home.key_id)["KeyMetadata"]["KeyState"]
            except _AWS_ERRORS as error:
                yield Check(subject=subject, found=said(error), outcome=Outcome.UNKNOWN)
                continue
            busy = state in _MOVING
            yield Check(
                subject=subject,
                found=f"{home.key_id}, {state}",
                outcome=Outcome.REFUSED if busy else Outcome.HOLDS,
                remedy=_STATE_REMEDIES[state] if busy else "",
            )

    def _rotation(self, region: str, key_id: str, checks: list[Check]) -> Rotation | None:
        subject = "rotation"
        try:
            status = self._client("kms", region).get_key_rotation_status(KeyId=key_id)
        except _AWS_ERRORS as error:
            checks.append(
                Check(subject=subject, found=f"can't be read in {region}: {said(error)}", outcome=Outcome.UNKNOWN)
            )
            return None
        rotation = Rotation(enabled=status["KeyRotationEnabled"], period_days=status.get("RotationPeriodInDays"))
        checks.append(Check(subject=subject, found=str(rotation)))
        return rotation

    def _declared(self, member: Member, checks: list[Check]) -> Declaration | None:
        """Look for the key's stack: what is being deployed may meet the key in either place."""
        subject = f"stack in {member.region}"
        try:
            found = declaration_of(self._client("cloudformation", member.region), member.key_id)
        except _AWS_ERRORS as error:
            checks.append(Check(subject=subject, found=said(error), outcome=Outcome.UNKNOWN))
            return None
        if found is None:
            checks.append(Check(subject=subject, found="not found", outcome=Outcome.UNKNOWN))
            return None
        words = f"{found.stack}, {found.status}, has it as {found.resource_type}"
        if found.is_being_deployed:
            remedy = "wait until its deployment has ended, and run this again"
            checks.append(Check(subject=subject, found=words, outcome=Outcome.REFUSED, remedy=remedy))
        else:
            checks.append(Check(subject=subject, found=words))
        return found

    # The move

    def promote(self, inspection: Inspection) -> None:
        """Ask KMS to move the primary, once.

        Args:
            inspection: What was found before. Its stage is `Stage.READY`.

        Raises:
            RefusedError: Something stood against it, or KMS refused; nothing was changed.
            UnfinishedError: KMS didn't answer, so that it may have begun.
        """
        if inspection.stage is not Stage.READY or inspection.home is None:
            raise RefusedError(f"{self}: the move is {inspection.stage.value}; allowed: one that is ready; inspect it")
        try:
            self._client("kms", self.from_region).update_primary_region(
                KeyId=inspection.home.key_id, PrimaryRegion=self.to_region
            )
        except _AWS_ERRORS as error:
            if is_outage(error):
                raise UnfinishedError(
                    f"{self}: KMS of {self.from_region} gave no answer ({said(error)}), so the move may have begun; "
                    "run the same command again"
                ) from error
            if code(error) in _NO_PRIMARY_THERE and (_retried(error) or self._has_begun(inspection.home.key_id)):
                # An earlier attempt, whose answer was lost, or somebody else has begun it.
                return
            who = inspection.caller or "who asks"
            raise explained(
                error,
                f"{self}: nothing was changed",
                remedy=f"allow {who} kms:UpdatePrimaryRegion in the policies of both keys: it is for the pair's "
                "administrators, where it names them"
                if denied(error)
                else "run the same command again to see why",
            ) from error

    def _has_begun(self, key_id: str) -> bool:
        seen = self._both(key_id)
        return seen is not None and self._stage(*seen)[0] in {Stage.UNDER_WAY, Stage.DONE}

    def wait(
        self,
        inspection: Inspection,
        *,
        seconds: float = WAIT_SECONDS,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """Wait until both Regions agree on where the primary is, and neither moves it.

        Args:
            inspection: What was found before. If the move was ready, it has been asked for.
            seconds: How long at most.
            progress: Called with what both Regions say, each time they are asked. Default: nothing.

        Raises:
            UnfinishedError: They didn't within that time.
        """
        if inspection.home is None:
            raise RefusedError(f"{self}: the key wasn't found; allowed: a key that was; inspect it")
        # KMS answers as of some seconds ago, at times: once it was asked to move it, "not yet" isn't "no".
        still = {Stage.UNDER_WAY, Stage.READY} if inspection.stage is Stage.READY else {Stage.UNDER_WAY}
        give_up = time.monotonic() + seconds
        pause, longest = _PAUSE_SECONDS
        while True:
            seen = self._both(inspection.home.key_id)
            words = "no answer" if seen is None else "; ".join(f"{e.region}: {e.kind}, {e.state}" for e in seen)
            if progress:
                progress(words)
            if seen and self._stage(*seen)[0] not in still:
                return
            if time.monotonic() + pause > give_up:
                raise UnfinishedError(
                    f"{self}: not settled after {seconds:g} s ({words}); the keys can be used meanwhile; run the same "
                    "command again, with a longer --wait"
                )
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _both(self, key_id: str) -> tuple[Member, Member] | None:
        """Return what both Regions say now, or nothing when one doesn't answer."""
        home = self._now(self.from_region, key_id)
        away = self._now(self.to_region, key_id)
        return (home, away) if home and away else None

    def _now(self, region: str, key_id: str) -> Member | None:
        try:
            return member_of(region, self._client("kms", region).describe_key(KeyId=key_id)["KeyMetadata"])
        except _AWS_ERRORS as error:
            if is_outage(error):
                return None
            raise UnfinishedError(
                f"{self}: KMS of {region} doesn't say how far it is ({said(error)}); allow kms:DescribeKey on the key "
                "there, and run the same command again"
            ) from error

    # Afterwards

    def verify(self, inspection: Inspection) -> tuple[Check, ...]:
        """Look whether the move came to what it should.

        The keys are tried, one Region's against the other's, where who asks may use them; administrators of a pair may
        not, and then it says that it wasn't tried.

        Args:
            inspection: What was found before.

        Raises:
            UnfinishedError: A Region doesn't say.
        """
        if inspection.home is None:
            raise RefusedError(f"{self}: the key wasn't found; allowed: a key that was; inspect it")
        seen = self._both(inspection.home.key_id)
        if seen is None:
            raise UnfinishedError(
                f"{self}: a Region doesn't answer, so nothing is verified; run the same command again"
            )
        home, away = seen
        stage, primary = self._stage(home, away)
        checks = [
            Check(subject="the primary", found=f"is in {self.to_region}")
            if stage is Stage.DONE
            else Check(
                subject="the primary",
                found=primary.found,
                outcome=Outcome.REFUSED,
                remedy="run the same command again",
            )
        ]
        for each in seen:
            checks += self._state_checks(each, stage) if each.state != "Enabled" else [_enabled(each)]
        self._compare_rotation(inspection, checks)
        checks += [self._round_trip(home, away), self._round_trip(away, home)]
        return tuple(checks)

    def _compare_rotation(self, inspection: Inspection, checks: list[Check]) -> None:
        read: list[Check] = []
        now = self._rotation(self.to_region, self._name_of(inspection), read)
        if now is None or inspection.rotation is None or inspection.stage is not Stage.READY:
            # Of a move that another run began it isn't known how the rotation was before.
            checks += read
        elif now == inspection.rotation:
            checks.append(Check(subject="rotation", found=f"{now}, as before"))
        else:
            checks.append(
                Check(
                    subject="rotation",
                    found=f"{now}; it was {inspection.rotation}",
                    outcome=Outcome.REFUSED,
                    remedy=f"set it with the AWS CLI in {self.to_region}",
                )
            )

    @staticmethod
    def _name_of(inspection: Inspection) -> str:
        return inspection.home.key_id if inspection.home else ""

    def _round_trip(self, writer: Member, reader: Member) -> Check:
        """Encrypt in one Region, decrypt in the other."""
        subject = f"{writer.region} to {reader.region}"
        if not writer.encrypts:
            return Check(subject=subject, found="not tried: the key isn't for that", outcome=Outcome.UNKNOWN)
        try:
            # A data key, as applications ask for it: the policies of a pair allow no more.
            made = self._client("kms", writer.region).generate_data_key(
                KeyId=writer.arn, KeySpec="AES_256", EncryptionContext=_CONTEXT
            )
            opened = self._client("kms", reader.region).decrypt(
                KeyId=reader.arn, CiphertextBlob=made["CiphertextBlob"], EncryptionContext=_CONTEXT
            )
        except _AWS_ERRORS as error:
            if denied(error):
                return Check(subject=subject, found="not tried: who asks may not use the keys", outcome=Outcome.UNKNOWN)
            return Check(
                subject=subject,
                found=said(error),
                outcome=Outcome.REFUSED,
                remedy="run the same command again; see both keys' states and the AWS Health Dashboard",
            )
        if hmac.compare_digest(made["Plaintext"], opened["Plaintext"]):
            return Check(subject=subject, found="a data key of the first opens in the second")
        return Check(
            subject=subject,
            found="a data key opens as another one",
            outcome=Outcome.REFUSED,
            remedy="stop using the key and call AWS Support",
        )

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        if (service, region) not in self._clients:
            make: Any = self._session.client
            self._clients[service, region] = make(service, region_name=region, config=self._config)
        return self._clients[service, region]

    def __str__(self) -> str:
        """Name all three, as errors do."""
        return f"{self.key} from {self.from_region} to {self.to_region}"


def regions_of(inspection: Inspection) -> Sequence[str]:
    """Return all Regions that have a key, the two of the move first."""
    members = [each for each in (inspection.home, inspection.away) if each]
    first = [each.region for each in members]
    return [*first, *sorted({region for each in members for region in each.regions} - {*first})]


def _enabled(member: Member) -> Check:
    return Check(subject=f"state in {member.region}", found=member.state)


def _retried(error: Exception) -> bool:
    metadata = error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}
    return int(metadata.get("RetryAttempts", 0)) > 0


def _default_session() -> boto3.session.Session:
    try:
        return boto3.session.Session()
    except BotoCoreError as error:
        raise SettingsError(
            f"the AWS configuration can't be used: {said(error)}; name a profile that it has"
        ) from error
