"""docs/input_files.md says what the program reads by now."""

from studies.input_files.__main__ import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == "\n".join(page()) + "\n", "python -m studies.input_files writes it anew"


def test_the_page_tells_what_matters() -> None:
    text = "\n".join(page())
    for row in (
        "| `met_swdown` | downward short-wave radiation | `ssrd`, `surface_solar_radiation_downwards`",
        "accumulated since 00 UTC (at 00 UTC: of the day before)",
        "sum over 1 h that ends at the label",
        "estimate, only if asked for",
    ):
        assert row in text
