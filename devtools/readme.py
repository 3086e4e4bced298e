"""The tables of the documentation, made from what the tests try and from the rules themselves.

``make readme`` writes them; a test fails when they are stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdk_encrypted_data import ServerSideEncryption, UploadPolicy
from cdk_encrypted_data.proofs.rules import RULES
from devtools.attempts import Attempt
from devtools.promises import Target, access, configuration, uploads

_PROJECT = Path(__file__).resolve().parents[1]
README = _PROJECT / "README.md"
PROOFS = _PROJECT / "docs" / "proofs.md"

_COLUMNS = {
    "default": (ServerSideEncryption.SSE_KMS, UploadPolicy.RESPECT_DEFAULT),
    "`REQUIRE_HEADER`": (ServerSideEncryption.SSE_KMS, UploadPolicy.REQUIRE_HEADER),
    "`DSSE_KMS`": (ServerSideEncryption.DSSE_KMS, UploadPolicy.RESPECT_DEFAULT),
    "`SSE_S3`": (ServerSideEncryption.SSE_S3, UploadPolicy.RESPECT_DEFAULT),
}


def main() -> None:
    """Write the tables into the documents."""
    for document in (README, PROOFS):
        document.write_text(with_tables(document))


def with_tables(document: Path) -> str:
    """Return a document with its tables made anew."""
    text = document.read_text()
    for name, table in _tables(document).items():
        start, end = f"<!-- {name}: made by `make readme` -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed) or start in after:
            raise ValueError(f"{document.name} needs one place between {start} and {end}")
        text = f"{before}{start}\n{table}\n{end}{after}"
    return text


def _tables(document: Path) -> Mapping[str, str]:
    return {"rules": _rules()} if document == PROOFS else {"refuses": _refuses(), "makes": _makes()}


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


def _rules() -> str:
    parts = []
    for rule in RULES.values():
        sources = ", ".join(f"[{number}]({source})" for number, source in enumerate(rule.sources, 1))
        parts.append(f"### {rule.id}\n\n*{rule.severity.word}.* {rule.claim} {rule.because}\n\n{rule.remedy} {sources}")
    return "\n\n".join(["", *parts, ""])


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
