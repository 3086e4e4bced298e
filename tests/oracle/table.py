"""Expectations written as a table: a line of column names, then one line a row, cells between bars."""

from __future__ import annotations


def read_table(text: str) -> dict[str, dict[str, str]]:
    """The cells by column, then by row."""
    header, *lines = ([cell.strip() for cell in line.split("|")] for line in text.strip("\n").split("\n"))
    if wrong := [line[0] for line in lines if len(line) != len(header)]:
        raise ValueError(f"not {len(header)} cells: {wrong}")
    if len({line[0] for line in lines}) != len(lines):
        raise ValueError("a row appears twice")
    return {column: {line[0]: line[position] for line in lines} for position, column in enumerate(header) if position}
