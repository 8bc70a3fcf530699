"""The example of docs/derivatives.md runs as it stands, and its numbers agree with each other."""

import pathlib
import re

import numpy as np

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "derivatives.md"


def test_the_example_runs(capsys) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict = {}
    exec(compile(example, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["input", "swvl1", "swvl2", "swvl3"]
    assert "t2m" in printed
    # Forward times a change is the Jacobian's column times that change.
    state = [variable.name for variable in names["model"].state]
    column = names["jacobian"][:, 1:, 0] * 0.01
    found = names["d_new_state"][:, [state.index(name) for name in names["layers"]]]
    np.testing.assert_allclose(found, column, rtol=1e-12)
    assert (names["g_start"][:, state.index("stl3")] > 0.0).all()  # warm soil stays warm, where the air is far
