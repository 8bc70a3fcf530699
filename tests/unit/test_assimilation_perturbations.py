"""Errors of initial state and weather: sizes, correlations, memory, seeds; and settings changed by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from ailand_gt4py.assimilation.perturbations import (
    WEATHER_CORRELATION,
    WEATHER_ERRORS,
    initial_errors,
    layer_correlation,
    perturbed_weather,
    weather_noise,
)
from ailand_gt4py.assimilation.settings import AssimilationSettings, Limits, Screening, observation_errors
from ailand_gt4py.cli.assimilate import Options
from ailand_gt4py.cli.options import parse
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler
from helpers import small_model

MODEL = small_model()
NAMES = [variable.name for variable in MODEL.forcing]
STEP = 21_600.0


def noise(n_steps: int = 60, n_columns: int = 2000, seed: int = 0, before=None) -> np.ndarray:
    return weather_noise(np.random.default_rng(seed), n_steps, n_columns, STEP, before)


def test_noise_has_unit_variance_its_correlations_and_a_day_of_memory() -> None:
    values = noise()
    np.testing.assert_allclose(values.var(axis=(0, 1)), 1.0, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(values.reshape(-1, 3).T), WEATHER_CORRELATION, atol=0.02)
    for steps in (1, 4):
        found = (values[steps:, :, 0] * values[:-steps, :, 0]).mean()
        assert found == pytest.approx(np.exp(-steps / 4.0), abs=0.02)


def test_noise_goes_on_from_what_was_before() -> None:
    before = np.full((5000, 3), 2.0)
    values = noise(1, 5000, before=before)
    np.testing.assert_allclose(values[0].mean(axis=0), 2.0 * np.exp(-0.25), atol=0.05)


def weather(n_steps: int = 40, n_columns: int = 1500) -> np.ndarray:
    forcing = np.ones((n_steps, n_columns, len(NAMES)))
    forcing[..., NAMES.index("met_lwdown")] = 300.0
    return forcing


def test_rain_and_sun_get_factors_of_mean_one_and_long_wave_an_addition() -> None:
    sizes = np.array([0.5, 0.3, 20.0])
    found, last = perturbed_weather(np.random.default_rng(0), MODEL, weather(), sizes)
    np.testing.assert_array_equal(last, noise(40, 1500)[-1])
    for name, mean, size in (
        ("met_rainf", 1.0, 0.5),
        ("met_snowf", 1.0, 0.5),
        ("met_swdown", 1.0, 0.3),
        ("met_lwdown", 300.0, 20.0),
    ):
        values = found[..., NAMES.index(name)]
        assert values.mean() == pytest.approx(mean, rel=0.02), name
        assert values.std() == pytest.approx(size, rel=0.05), name
        assert values.min() > 0.0
    untouched = [
        position
        for position, name in enumerate(NAMES)
        if not name.startswith(("met_rain", "met_snow", "met_sw", "met_lw"))
    ]
    np.testing.assert_array_equal(found[..., untouched], weather()[..., untouched])


def test_inputs_of_the_previous_window_follow_the_perturbed_weather() -> None:
    assembler = ForcingAssembler(MODEL.forcing)
    assert assembler.previous
    forcing = weather(5, 3)
    forcing[0][..., assembler.previous] = 7.0
    found, _ = perturbed_weather(np.random.default_rng(0), MODEL, forcing, WEATHER_ERRORS)
    np.testing.assert_array_equal(found[1:, ..., assembler.previous], found[:-1, ..., assembler.previous_of])
    np.testing.assert_array_equal(found[0][..., assembler.previous], 7.0)


def test_no_errors_leave_the_weather_as_it_is() -> None:
    forcing = weather(5, 3)
    found, last = perturbed_weather(np.random.default_rng(0), MODEL, forcing, 0.0 * WEATHER_ERRORS)
    np.testing.assert_array_equal(found, forcing)
    assert last is None


def test_initial_errors_have_their_sizes_and_correlation_and_a_seed() -> None:
    found = initial_errors(np.random.default_rng(1), 40_000, 0.05, 3)
    np.testing.assert_allclose(found.std(axis=0), 0.05, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(found.T), layer_correlation(3), atol=0.02)
    np.testing.assert_array_equal(found, initial_errors(np.random.default_rng(1), 40_000, 0.05, 3))


def changed(*words: str) -> AssimilationSettings:
    return parse(Options, ["file.nc", *words]).part(AssimilationSettings)


def test_settings_are_changed_by_name_and_nothing_else() -> None:
    found = changed(
        "--set", "errors.observation.ssm=0.03", "--set", "limits.plant_range_from=3", "--set",
        "screening.largest_departure=4",
    )  # fmt: skip
    assert found.errors.observation == {**observation_errors(), "ssm": 0.03}
    assert found.limits.plant_range_from == 3.0
    assert found.screening.largest_departure == 4.0
    assert found.errors.model == AssimilationSettings().errors.model
    assert AssimilationSettings().errors.observation["ssm"] == observation_errors()["ssm"]
    assert (
        found.replace(errors=AssimilationSettings().errors, limits=Limits(), screening=Screening())
        == AssimilationSettings()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("errors.observation.ssm", "found 'errors.observation.ssm', expected NAME=VALUE"),
        ("sede=3", "option 'sede' is unknown; did you mean 'seed'?"),
        ("errors.observation.lai=3", "option 'errors.observation': found 'lai'; expected one of rh2m"),
        ("errors.observation.ssm.more=3", "option 'errors.observation.ssm': found .*, expected a number"),
        ("errors.observation=3", "option 'errors.observation': found 3, expected names with values"),
        (
            "errors.covariance=sometimes",
            "option 'errors.covariance': found 'sometimes', expected 'cycled' or 'constant'",
        ),
        ("errors.observation.ssm=small", "option 'errors.observation.ssm': found 'small', expected a number"),
        ("errors.background.swvl1=-0.1", "option 'errors.background.swvl1': found -0.1, expected at least 0"),
        ("errors.observation.t2m=nan", "option 'errors.observation.t2m': found nan, expected a finite number"),
        ("screening.largest_departure=-1", "option 'screening.largest_departure': found -1, expected more than 0"),
        ("limits.largest_increment=0", "option 'limits.largest_increment': found 0, expected more than 0"),
    ],
)
def test_unusable_changes_are_named(change: str, message: str) -> None:
    with pytest.raises(InputError, match=f"option --set: .*{message}"):
        changed("--set", change)


def test_a_file_changes_what_it_names_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("errors: {observation: {ssm: 0.03, t2m: 2}}\nlimits:\n  driest: 0.02\n", encoding="utf-8")
    found = changed("--config", str(path), "--set", "errors.observation.t2m=1.5", "--background-error", "constant")
    assert found.errors.observation == {**observation_errors(), "ssm": 0.03, "t2m": 1.5}
    assert found.errors.covariance == "constant"
    assert found.limits == AssimilationSettings().limits.replace(driest=0.02)
    assert found.screening == AssimilationSettings().screening


def test_the_file_that_ships_holds_every_number_with_its_default() -> None:
    path = Path(__file__).parents[2] / "configs" / "assimilation.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = AssimilationSettings().model_dump()
    del defaults["errors"]["covariance"]
    assert content == {part: defaults[part] for part in ("errors", "screening", "limits")}
    assert changed("--config", str(path)) == AssimilationSettings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- errors", "found a list at the top, expected options with values"),
        ("errors: {observation: {lai: 1.0}}", "option 'errors.observation': found 'lai'; expected one of rh2m"),
        ("errors: {observation: {ssm: yes}}", "option 'errors.observation.ssm': found True, expected a number"),
        ("errors: {observation: {ssm: }}", "option 'errors.observation.ssm': found nothing, expected a number"),
        ("errors: {observatoin: {ssm: 1.0}}", "option 'errors.observatoin' is unknown; did you mean 'observation'?"),
        ("errors: [", "is not YAML in line 1"),
    ],
)
def test_unusable_files_are_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="wrong.yaml") as found:
        changed("--config", str(path))
    assert message in str(found.value)
