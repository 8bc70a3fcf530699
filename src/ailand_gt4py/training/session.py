"""A whole training session: data, statistics, network, loop, model file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.dataset import location_groups, read_windows
from ailand_gt4py.training.export import describe_training, to_model
from ailand_gt4py.training.loop import Trainer, made_directory
from ailand_gt4py.training.scaling import Scaling, clip_targets, error_scales, measure, normalised_tensors
from ailand_gt4py.training.start import described, load_weights, scaling_of
from ailand_gt4py.training.validation import Scores, Validator
from ailand_gt4py.training.windows import Values, WindowData, split_columns
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import read_model, write_model


def train(
    configuration: Configuration,
    files: Sequence[Path],
    output: Path,
    resume: bool,
    command: str,
    code_version: str,
    report: Callable[[str], None],
) -> Model:
    """Train on files and write the model.

    Args:
        files: existing data files.
        output: model file.
        resume: continue from the checkpoint in the configured directory.
        command, code_version: for the provenance.
        report: called with each line of progress.

    Returns:
        the model written.

    Raises:
        InputError: data, checkpoint or paths are not usable.
        RunError: the loss is not a number, or writing fails.
    """
    start = configuration.run.start_from
    beginning = read_model(start) if start else None
    with _torch_settings(configuration.run.threads):
        data = _read(configuration, files, report)
        training, validation = split_columns(
            location_groups(data), configuration.data.validation_fraction, configuration.run.seed
        )
        trainer, validator, scaling = _prepared(configuration, data, training, validation, beginning, report)
        if resume:
            trainer.resume()
            report(f"continuing from iteration {trainer.iteration}")
        trainer.run()
        network, iteration = trainer.chosen
        if validator is not None:
            report(f"the network of iteration {iteration} did best on the validation columns")
            leads = configuration.validation.leads_days
            for line in score_table(validator.scores(network), scaling.state, scaling.diagnostics, leads):
                report(line)
    provenance = describe_training(
        configuration,
        files,
        training.size,
        validation.size,
        (iteration, trainer.iteration),
        trainer.seconds,
        command,
        code_version,
    )
    if beginning is not None:
        provenance["start"] = described(beginning)
    model = to_model(network, scaling, data.step_seconds, provenance)
    write_model(model, output)
    report(f"wrote {output}: {model.parameter_count} parameters")
    return model


@contextlib.contextmanager
def _torch_settings(threads: int) -> Iterator[None]:
    torch.set_num_threads(threads)
    # Denormal numbers, which dead units produce, take a hundred times as long. This holds for the whole thread.
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _read(configuration: Configuration, files: Sequence[Path], report: Callable[[str], None]) -> WindowData:
    """The data, in model units."""
    options = configuration.data
    report(f"reading {', '.join(path.name for path in files)}")
    data = read_windows(
        files,
        configuration.variable_set,
        exclude_boxes=options.exclude_boxes,
        exclude_locations_of=[files[0].parent / name for name in options.exclude_locations_of],
        may_lack=options.may_lack,
        cache=made_directory(Path(configuration.run.directory, "data")) if options.in_files else None,
    )
    for sentence in data.history:
        report(f"  {sentence}")
    return data


def _prepared(
    configuration: Configuration,
    data: WindowData,
    training: Values,
    validation: Values,
    beginning: Model | None,
    report: Callable[[str], None],
) -> tuple[Trainer, Validator | None, Scaling]:
    """What trains and what validates, with the statistics; the data are normalised in place."""
    variables, options = configuration.variable_set, configuration.validation
    n_windows = int(data.n_windows[training].sum())
    for name, count in clip_targets(data, variables, configuration.data.clip, training).items():
        report(f"{name}: {count} of {n_windows} values clipped")
    scaling = measure(data, variables, training)
    if beginning is not None:
        scaling = scaling_of(beginning, scaling)
    scales = error_scales(data, scaling, configuration.loss.anomaly_factor, training)
    frequencies = column_frequencies(configuration, data)
    tensors = normalised_tensors(data, scaling)
    validator = None
    if validation.size:
        validator = Validator(data, tensors, validation, scaling, options.leads_days, options.starts)
    report(f"{training.size} columns for training, {validation.size} for validation, {n_windows} windows to learn from")
    directory = Path(configuration.run.directory)
    trainer = Trainer(configuration, scaling, tensors, training, validator, directory, scales, report, frequencies)
    if beginning is not None:
        for network in (trainer.network, trainer.average, trainer.best):
            load_weights(network, beginning)
        report(f"beginning with the weights of {configuration.run.start_from}")
    return trainer, validator, scaling


def column_frequencies(configuration: Configuration, data: WindowData) -> Values:
    """(n_columns,) how many times as often as elsewhere a column's windows are drawn; data in model units."""
    options = configuration.data
    frequencies = np.array([options.frequency.get(name, 1) for name in options.train])[data.source]
    names = [variable.name for variable in configuration.variable_set.static]
    for name, (threshold, factor) in options.frequency_above.items():
        frequencies = np.where(data.static[:, names.index(name)] > threshold, frequencies * factor, frequencies)
    return frequencies


def score_table(
    scores: Scores, state: Sequence[Variable], diagnostics: Sequence[Variable], leads_days: Sequence[float]
) -> list[str]:
    """Lines with the RMSE on the validation columns by variable and lead: model / persistence / climatology."""
    rows = [
        [
            variable.name,
            *(
                " / ".join(f"{float(values[index]):.4g}" for values in triple)
                for triple in zip(scores.model, scores.persistence, scores.climatology, strict=True)
            ),
            f"{scores.whole_run[index]:.4g}",
            variable.units,
        ]
        for index, variable in enumerate(state)
    ]
    titles = ["", *(f"{lead:g}" for lead in leads_days), "whole run", "units"]
    listed = zip(diagnostics, np.asarray(scores.diagnostics), strict=True)
    return [
        "RMSE on validation columns, model / persistence / climatology of the verified years, by lead in days",
        *aligned(titles, rows, left=1),
        "diagnostics: " + ", ".join(f"{v.name} {float(value):.4g} {v.units}" for v, value in listed),
    ]
