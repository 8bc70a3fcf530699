"""A whole training session: data, statistics, network, loop, model file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.dataset import read_windows, split_columns
from ailand_gt4py.training.export import describe_training, to_model
from ailand_gt4py.training.loop import Trainer
from ailand_gt4py.training.scaling import clip_targets, error_scales, measure, normalised_tensors
from ailand_gt4py.training.validation import Scores, Validator
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import write_model


def train(
    configuration: Configuration,
    files: Sequence[Path],
    output: Path,
    directory: Path,
    resume: bool,
    threads: int,
    command: str,
    code_version: str,
    report: Callable[[str], None],
) -> Model:
    """Train on files and write the model.

    Args:
        files: existing data files.
        output: model file.
        directory: for checkpoint and log.
        resume: go on from the checkpoint there.
        threads: for PyTorch.
        command, code_version: for the provenance.
        report: called with each line of progress.

    Returns:
        the model written.

    Raises:
        InputError: data, checkpoint or paths are not usable.
        RunError: the loss is not a number, or writing fails.
    """
    torch.set_num_threads(threads)
    # Denormal numbers, which dead units produce, take a hundred times as long. The setting is the whole thread's.
    torch.set_flush_denormal(True)
    try:
        return _train(configuration, files, output, directory, resume, command, code_version, report)
    finally:
        torch.set_flush_denormal(False)


def _train(
    configuration: Configuration,
    files: Sequence[Path],
    output: Path,
    directory: Path,
    resume: bool,
    command: str,
    code_version: str,
    report: Callable[[str], None],
) -> Model:
    report(f"reading {', '.join(path.name for path in files)}")
    data = read_windows(files)
    training, validation = split_columns(data.climate, configuration.data.validation_fraction, configuration.run.seed)
    learnt = data.select(training)
    checked = data.select(validation) if validation.size else None
    step_seconds = data.step_seconds
    del data  # half a gigabyte
    for name, count in clip_targets(learnt, configuration.data.clip).items():
        report(f"{name}: {count} of {learnt.n_columns * learnt.n_windows} values clipped")
    scaling = measure(learnt)
    scales = error_scales(learnt, scaling, configuration.loss.anomaly_factor)
    validator = None
    if checked is not None:
        validator = Validator(checked, scaling, configuration.validation.leads_days, configuration.validation.starts)
    tensors = normalised_tensors(learnt, scaling)
    report(f"{training.size} columns for training, {validation.size} for validation, {tensors.n_windows} windows each")
    trainer = Trainer(configuration, scaling, tensors, validator, directory, scales, report)
    if resume:
        trainer.resume()
        report(f"going on from iteration {trainer.iteration}")
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
    model = to_model(network, scaling, step_seconds, provenance)
    write_model(model, output)
    report(f"wrote {output}: {model.parameter_count} parameters")
    return model


def score_table(
    scores: Scores, state: Sequence[Variable], diagnostics: Sequence[Variable], leads_days: Sequence[float]
) -> list[str]:
    """Lines with the RMSE on the validation columns by variable and lead: model / persistence / climatology."""
    lines = ["RMSE on validation columns, model / persistence / climatology of the verified years, by lead in days"]
    lines.append(f"{'':8}" + "".join(f"{lead:>28g}" for lead in leads_days) + f"{'whole run':>12}")
    for index, variable in enumerate(state):
        cells = "".join(
            f"{' / '.join(f'{float(values[index]):.4g}' for values in triple):>28}"
            for triple in zip(scores.model, scores.persistence, scores.climatology, strict=True)
        )
        lines.append(f"{variable.name:8}{cells}{scores.whole_run[index]:>12.4g} {variable.units}")
    listed = zip(diagnostics, np.asarray(scores.diagnostics), strict=True)
    lines.append("diagnostics: " + ", ".join(f"{v.name} {float(value):.4g} {v.units}" for v, value in listed))
    return lines
