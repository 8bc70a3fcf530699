"""Text tables: words to the left, numbers to the right, nothing behind the last column; tables in Markdown."""

from __future__ import annotations

import pytest

from ailand_gt4py.core.text_table import aligned, markdown


def test_columns_are_as_wide_as_their_widest_cell():
    lines = aligned(("name", "note", "n"), [("a", "", "1"), ("bcdef", "x", "200")], left=2, indent=1)
    assert lines == [" name   note    n", " -----  ----  ---", " a              1", " bcdef  x     200"]


def test_no_blanks_at_the_end():
    assert aligned(("name",), [("a",)], left=1)[-1] == "a"


def test_a_short_row_is_a_mistake():
    with pytest.raises(ValueError, match="argument"):
        aligned(("name", "n"), [("a",)], left=1)


def test_a_table_in_markdown_has_its_rule_and_ends_with_an_empty_line():
    assert markdown(("a", "b"), [("1", "2")]) == ["| a | b |", "|---|---|", "| 1 | 2 |", ""]
    assert markdown(("a",), []) == ["| a |", "|---|", ""]
