"""Where objects lie: a bucket and a key in each Region, and the checks of them that need no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cdk_encrypted_data_client.errors import SettingsError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_KEY_ARN = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):(\d{12}):key/(mrk-[0-9a-f]{32})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A Region's bucket, and the Region's member of a multi-Region key.

    Args:
        region: The Region of both, as in `eu-central-1`.
        bucket: The bucket's name.
        key_arn: The ARN of the primary or a replica of a multi-Region key (`…:key/mrk-…`) in this Region. Neither an
            alias nor a single-Region key: whoever reads in the other Region could do nothing with it.

    Raises:
        SettingsError: one of them can't be right, or the key is another Region's.
    """

    region: str
    bucket: str
    key_arn: str

    def __post_init__(self) -> None:
        """Check each, and the key against the Region."""
        if not _REGION.fullmatch(self.region):
            raise SettingsError(f"region is {self.region!r}; allowed: the name of a Region; write eu-central-1")
        if not _BUCKET.fullmatch(self.bucket):
            raise SettingsError(f"bucket is {self.bucket!r}; allowed: the name of a bucket, neither ARN nor URL")
        key = _KEY_ARN.fullmatch(self.key_arn)
        if key is None:
            raise SettingsError(
                f"key_arn is {self.key_arn!r}; allowed: the ARN of a multi-Region key, "
                "arn:aws:kms:REGION:ACCOUNT:key/mrk-…; a single-Region key can't be made one: "
                "make a multi-Region key, and put the objects anew"
            )
        if key[2] != self.region:
            raise SettingsError(
                f"key_arn is {self.key_arn!r} and region {self.region!r}; allowed: the key's member in the bucket's "
                f"own Region; replicate the key to {self.region} and name that replica's ARN"
            )

    @property
    def key_id(self) -> str:
        """What the primary and its replicas have in common: `mrk-…`, with the account and the partition."""
        key = _KEY_ARN.fullmatch(self.key_arn)
        assert key is not None  # noqa: S101 - checked when it was made
        return f"{key[1]}:{key[3]}:{key[4]}"

    def __str__(self) -> str:
        """Name all three, as errors do."""
        return f"bucket {self.bucket} in {self.region} under {self.key_arn}"


def home_first(locations: Sequence[Location], home: str | None) -> tuple[Location, ...]:
    """Return the locations with the home Region's first, if they fit together."""
    if not locations:
        raise SettingsError("locations is empty; allowed: one Location for each Region that has a replica")
    regions = [location.region for location in locations]
    if len(set(regions)) != len(regions):
        raise SettingsError(f"locations are in {', '.join(regions)}; allowed: one Location a Region")
    if len({location.bucket for location in locations}) != len(locations):
        raise SettingsError("locations share a bucket; allowed: a bucket in each Region")
    if len({location.key_id for location in locations}) != 1:
        keys = ", ".join(location.key_arn for location in locations)
        raise SettingsError(
            f"locations have the keys {keys}; allowed: one multi-Region key and its replicas; "
            "only related keys can decrypt what the other encrypted"
        )
    first = regions[0] if home is None else home
    if first not in regions:
        raise SettingsError(f"home is {first!r}; allowed: one of {', '.join(regions)}")
    return tuple(sorted(locations, key=lambda location: location.region != first))
