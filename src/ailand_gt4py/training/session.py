"""A whole training session: data, statistics, network, loop, model file."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import ailand_gt4py
from ailand_gt4py.core.files import claimed
from ailand_gt4py.core.shipped import configuration_path
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.driver.progress import counted
from ailand_gt4py.io.points import read_points
from ailand_gt4py.training.beginning import adopted
from ailand_gt4py.training.brightness_term import BrightnessTerm
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.loop import CHECKPOINT, Report, Trainer, made_directory
from ailand_gt4py.training.models import described, file_digest, scaling_of, to_model
from ailand_gt4py.training.observed_data import Wanted
from ailand_gt4py.training.scaling import Scaling, clip_targets, constants, error_scales, measure, measured_variability
from ailand_gt4py.training.tensors import TrainingData, normalised_tensors
from ailand_gt4py.training.validation import Scores, Validator
from ailand_gt4py.training.windows import Values, WindowData, split_columns
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model


def train(
    configuration: Configuration,
    files: Sequence[Path],
    output: Path,
    resume: bool,
    command: str,
    report: Report,
    quiet: bool = True,
) -> Model:
    """Train on existing files, or go on from the checkpoint in the directory, and write the model.

    Args:
        report: takes lines on what is done. quiet: whether standard error does not tell how far it is.
    """
    run = configuration.run
    beginning = read_model(run.start_from) if run.start_from else None
    if beginning is not None:
        configuration = adopted(configuration, beginning, report)
    torch.set_num_threads(run.threads)
    with contextlib.ExitStack() as stack:
        stack.enter_context(claimed([made_directory(Path(run.directory)) / CHECKPOINT]))
        # Denormal numbers, which dead units produce, take a hundred times as long. This holds for the whole thread.
        torch.set_flush_denormal(True)
        stack.callback(torch.set_flush_denormal, False)
        windows = _read(configuration, files, report)
        kinds = windows.kinds([variable.name for variable in configuration.variable_set.state])
        split = split_columns(windows.locations, configuration.data.validation_fraction, run.seed, kinds)
        data, validator = _prepared(configuration, windows, *split, beginning, report)
        trainer = Trainer(configuration, data, validator, report, beginning)
        if beginning is not None:
            report(f"starting from the weights of {run.start_from}")
        if resume:
            trainer.resume()
            report(f"continuing from iteration {trainer.iteration}")
        end = configuration.iterations
        with counted(end, "iterations", sys.stderr, trainer.iteration, quiet) as count:
            trainer.run(count)
        for line in learnt_of_operator(trainer):
            report(line)
        network, iteration = trainer.chosen
        if validator is not None:
            report(f"the network of iteration {iteration} was best on the validation columns")
            for line in score_table(validator.scores(network), data.scaling, configuration.validation.leads_days):
                report(line)
    beside = configuration.data.observation_files(files[0].parent).values()
    provenance = _provenance(trainer, [*files, *(path for paths in beside for path in paths)], split, command)
    if beginning is not None:
        provenance["start"] = described(beginning)
    model = to_model(network, data.scaling, windows.step_seconds, provenance, data.variability)
    write_model(model, output)
    report(f"wrote {output}: {model.parameter_count} parameters")
    return model


def _read(configuration: Configuration, files: Sequence[Path], report: Report) -> WindowData:
    options = configuration.data
    beside = options.observation_files(files[0].parent)
    report(f"reading {', '.join(path.name for path in files)}")
    windows = read_windows(
        files,
        configuration.variable_set,
        exclude_boxes=options.exclude_boxes,
        exclude_locations_of=[files[0].parent / name for name in options.exclude_locations_of],
        exclude_points=read_points(configuration_path(options.exclude_points)) if options.exclude_points else (),
        may_lack=options.may_lack,
        observed=Wanted(
            options.observed,
            {files[options.train.index(name)]: paths for name, paths in beside.items()},
            options.observation_errors,
            options.least_measured,
        ),
        only_observed=[files[options.train.index(name)] for name in options.only_observed],
        brightness=configuration.brightness_names,
        cache=made_directory(Path(configuration.run.directory, "data")) if options.in_files else None,
    )
    for sentence in windows.history:
        report(f"  {sentence}")
    return windows


def _prepared(
    configuration: Configuration,
    windows: WindowData,
    training: Values,
    validation: Values,
    beginning: Model | None,
    report: Report,
) -> tuple[TrainingData, Validator | None]:
    """What to learn from and what validates; the windows are clipped and normalised in place."""
    variables = configuration.variable_set
    n_windows = int(windows.n_windows[training].sum())
    for name, count in clip_targets(windows, variables, configuration.data.clip, training).items():
        report(f"{name}: {count} of {n_windows} values clipped")
    scaling = measure(windows, variables, training, beginning)
    if configuration.network.architecture == "point_wise":
        scaling = scaling.same_at_all_times()
    if beginning is not None:
        scaling = scaling_of(beginning, scaling, configuration.network)
    elif constant := constants(windows, variables, training):
        report(f"the same in all windows to learn from, with the scale 1: {', '.join(constant)}")
    variability = None if beginning is None else beginning.variability
    if variability is None:
        variability = measured_variability(windows, scaling, training)
    scales = error_scales(variability, scaling.state, configuration.loss.anomaly_factor)
    frequencies = column_frequencies(configuration, windows)
    tensors = normalised_tensors(windows, scaling, configuration.network.input_steps)
    data = TrainingData(
        tensors,
        training,
        scaling,
        scales,
        frequencies,
        windows.step_seconds,
        variability,
        windows.observed,
        windows.brightness,
    )
    # Where no state is known there is nothing to validate with.
    validation = validation[windows.state_known[validation].any(axis=1)]
    validator = Validator(configuration.validation, windows, data, validation) if validation.size else None
    report(f"{training.size} columns for training, {validation.size} for validation, {n_windows} windows to learn from")
    return data, validator


def column_frequencies(configuration: Configuration, windows: WindowData) -> Values:
    """(n_columns,) how many times as often as elsewhere a column's windows are drawn; data in model units."""
    options = configuration.data
    frequencies = np.array([options.frequency.get(name, 1) for name in options.train])[windows.source]
    names = [variable.name for variable in configuration.variable_set.static]
    for name, (threshold, factor) in options.frequency_above.items():
        frequencies[windows.static[:, names.index(name)] > threshold] *= factor
    return frequencies


def learnt_of_operator(trainer: Trainer) -> list[str]:
    """A line for each part of the operator of brightness temperature that was learnt, types as they are in the data."""
    term = trainer.brightness
    if not isinstance(term, BrightnessTerm):
        return []
    return [f"brightness temperature, learnt {name}: {text}" for name, text in term.texts.items()]


def score_table(scores: Scores, scaling: Scaling, leads_days: Sequence[float]) -> list[str]:
    """Lines with the RMSE on the validation columns by variable and lead: model / persistence / climatology."""
    by_lead = np.stack([scores.model, scores.persistence, scores.climatology], axis=-1)
    rows = [
        [
            variable.name,
            *(" / ".join(f"{value:.4g}" for value in values) for values in by_lead[:, index]),
            f"{scores.whole_run[index]:.4g}",
            variable.units,
        ]
        for index, variable in enumerate(scaling.state)
    ]
    listed = zip(scaling.diagnostics, scores.diagnostics, strict=True)
    return [
        "RMSE on validation columns, model / persistence / climatology of the verified years, by lead in days",
        *aligned(["", *(f"{lead:g}" for lead in leads_days), "whole run", "units"], rows, left=1),
        "diagnostics: " + ", ".join(f"{variable.name} {value:.4g} {variable.units}" for variable, value in listed),
    ]


def _provenance(trainer: Trainer, files: Sequence[Path], split: Sequence[Values], command: str) -> dict[str, str]:
    """The configuration's own texts and what the run itself knows: its length, resumed parts included, and the rest."""
    configuration, (n_training, n_validation) = trainer.configuration, map(len, split)
    length = f"{trainer.iteration} iterations"
    if n_validation:
        length = f"iteration {trainer.chosen[1]} of {trainer.iteration}, the best on the validation columns,"
    capability = torch.backends.cpu.get_cpu_capability()
    device = f"{torch.get_num_threads()} thread(s) of a {platform.machine()} processor ({capability})"
    if configuration.run.device != "cpu":
        device = f"one {torch.cuda.get_device_name()}"
    groups = configuration.variable_set.groups.values()
    wet = ", ".join(variable.name for group in groups for variable in group if variable.wet_only)
    return {
        **configuration.provenance,
        **({"brightness_temperature": "; ".join(learnt)} if (learnt := learnt_of_operator(trainer)) else {}),
        "data_files": "; ".join(f"{path.name} sha256:{file_digest(path)}" for path in files),
        "columns": f"{n_training} columns for training, {n_validation} other columns for validation",
        "command": command,
        "code_version": f"ailand_gt4py {ailand_gt4py.__version__}, PyTorch {torch.__version__}",
        "seed": str(configuration.run.seed),
        "training": f"{length} in {trainer.seconds / 60.0:.0f} minutes on {device}",
        "normalisation_note": "statistics are of the training columns"
        + (f"; those of {wet} are of the values above zero" if wet else ""),
    }
