"""The tables in the README that say what a bucket makes and refuses, made from the attempts the tests try.

``make readme`` writes them; a test fails when they are stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy
from devtools.promises import Attempt, Target, access, configuration, uploads

README = Path(__file__).resolve().parents[1] / "README.md"

_COLUMNS = {
    "default": (ServerSideEncryption.SSE_KMS, UploadPolicy.RESPECT_DEFAULT),
    "`REQUIRE_HEADER`": (ServerSideEncryption.SSE_KMS, UploadPolicy.REQUIRE_HEADER),
    "`DSSE_KMS`": (ServerSideEncryption.DSSE_KMS, UploadPolicy.RESPECT_DEFAULT),
    "`SSE_S3`": (ServerSideEncryption.SSE_S3, UploadPolicy.RESPECT_DEFAULT),
}


def main() -> None:
    """Write the tables into the README."""
    README.write_text(with_tables(README.read_text()))


def with_tables(text: str) -> str:
    """Return a README with its tables made anew."""
    for name, table in (("refuses", _refuses()), ("makes", _makes())):
        start, end = f"<!-- {name}: made by `make readme` -->", f"<!-- /{name} -->"
        text, found = re.subn(
            f"{re.escape(start)}.*?{re.escape(end)}", f"{start}\n{table}\n{end}", text, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f"the README has {found} places between {start} and {end}; it needs one")
    return text


def _refuses() -> str:
    columns = {}
    for title, (encryption, upload_policy) in _COLUMNS.items():
        target = _target(encryption, upload_policy)
        columns[title] = {attempt.what: attempt.expected for attempt in (*uploads(target), *access(target))}
    rows = list(columns["default"])
    lines = ["| tried | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(column.get(row, "-") for column in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def _makes() -> str:
    rows: list[Attempt] = configuration(_target(*_COLUMNS["default"]))
    return "\n".join(["| read back | says |", "|---|---|", *(f"| {row.what} | {row.expected} |" for row in rows)])


def _target(encryption: ServerSideEncryption, upload_policy: UploadPolicy) -> Target:
    """Return a target of which only the expectations are read: nothing is tried on it."""
    return Target(
        bucket_name="bucket",
        encryption=encryption,
        upload_policy=upload_policy,
        key_arn=None if encryption is ServerSideEncryption.SSE_S3 else "key",
        other_key_arn="another key",
        access_log_bucket_name="log bucket",
        owner=lambda _: None,
        writer=None,
        reader=None,
        stranger=None,
        writer_over_http=None,
        writer_over_old_tls=None,
    )


if __name__ == "__main__":
    main()
