"""Names made from a construct's path, in the characters that AWS takes."""

from __future__ import annotations

import hashlib
import re

# An alias has at most 256 characters: "alias/", a stack's name of 128, a slash, the path, a hyphen and a digest of 8.
_ALIAS_PATH_LENGTH = 112
# S3 appends an account, a Region and -an, and takes 63 characters; a hyphen and a digest of 8 are ours.
_BUCKET_LENGTH = 23
# Glue takes names of 255 characters, of which a log group's of 512 has two, and a digest of their own each.
_PHYSICAL_LENGTH = 128


def readable(path: str) -> str:
    """Return a path as KMS descriptions, tags and log prefixes take it, still to be recognized by people."""
    return re.sub(r"[^A-Za-z0-9/_.-]", "-", path)[:200]


def alias_name(path: str, *, stack_name: str) -> str:
    """Return an alias that no other construct of the stack, and no other stack, has: ``alias/STACK/PATH``."""
    # The stack's own id would only repeat its name.
    below = path.split("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9/_-]", "-", below)
    if name != below or len(name) > _ALIAS_PATH_LENGTH:
        # Two paths may differ only in what was replaced or cut off.
        digest = hashlib.sha256(path.encode()).hexdigest()[:8]
        name = f"{name[:_ALIAS_PATH_LENGTH]}-{digest}"
    return f"alias/{stack_name}/{name}"


def bucket_prefix(name: str, path: str) -> str:
    """Return a prefix for the name of a bucket: readable, and of no other path."""
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9-]", "-", name.lower())[:_BUCKET_LENGTH].strip("-")
    return f"{plain}-{digest}"


def physical(path: str) -> str:
    """Return a name for a resource that has none of CloudFormation's making: readable, and of no other path."""
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', path)[:_PHYSICAL_LENGTH]}-{digest}"
