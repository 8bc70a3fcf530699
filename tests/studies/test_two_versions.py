"""The study that sets the derivatives of two versions side by side."""

import re
import shutil
from pathlib import Path

import pytest
from studies.derivatives import __main__ as study


@pytest.mark.study
def test_a_version_is_as_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study.main([str(study.HERE), "-o", str(tmp_path / "page.md"), "--columns", "50", "--rounds", "2"])
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \| (.+) to (.+) \| .+ \|$", (tmp_path / "page.md").read_text(), re.M)
    assert [name for name, *_ in rows][:3] == ["step", "tangent-linear", "tangent-linear of three states"]
    assert len(rows) == 9
    for name, difference, median, low, high in rows:
        assert float(difference) == 0.0, name
        assert 0.1 < float(low) <= float(median) <= float(high) < 10.0, name


@pytest.mark.study
def test_other_derivatives_are_seen(tmp_path: Path) -> None:
    shutil.copytree(study.HERE / "src" / "ailand_gt4py", tmp_path / "src" / "ailand_gt4py")
    file = tmp_path / "src" / "ailand_gt4py" / "emulator" / "emulator.py"
    text, call = file.read_text(), "self._derivatives.adjoint(inputs, results)\n"
    assert call in text
    file.write_text(text.replace(call, call + "        for result in results:\n            result *= 2.0\n"))
    found = study.differences(tmp_path, study.DEFAULT, study.read_model(), ["step", "adjoint"])
    assert found == {"step": 0.0, "adjoint": pytest.approx(0.5)}


def test_another_version_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a checkout"):
        study.differences(tmp_path, study.DEFAULT, study.read_model())
