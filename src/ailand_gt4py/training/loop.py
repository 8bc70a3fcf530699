"""The training loop: curriculum, optimiser, averaged weights, validation, checkpoints."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.training.configuration import Configuration, Stage
from ailand_gt4py.training.curves import Curves
from ailand_gt4py.training.losses import LossScales
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.noise import Noise
from ailand_gt4py.training.rollout import RunPool, batch_loss
from ailand_gt4py.training.scaling import Scaling
from ailand_gt4py.training.soil_heat import soil_heat_of
from ailand_gt4py.training.tensors import Tensors
from ailand_gt4py.training.validation import Scores, Validator
from ailand_gt4py.weights.architectures import Sizes
from ailand_gt4py.weights.schema import GROUPS

#: The pool holds so many runs for each one in a batch.
POOL_BATCHES = 8


def build_network(configuration: Configuration, scaling: Scaling) -> LayerNormNetwork:
    """An untrained network of the configured size."""
    options = configuration.network
    lower, upper = scaling.bounds()
    return LayerNormNetwork(
        Sizes(len(scaling.static), len(scaling.forcing), len(scaling.state), len(scaling.diagnostics)),
        options.width,
        options.depth,
        options.diagnostic_width,
        options.diagnostic_depth,
        scaling.increment_scale,
        lower,
        upper,
        scaling.bounds_by_static(),
        configuration.run.seed,
        soil_heat_of(scaling),
    )


def learning_rate_factor(iteration: int, total: int, warmup: int, final_fraction: float) -> float:
    """Linear warm-up, then half a cosine down to the final fraction."""
    if iteration < warmup:
        return (iteration + 1) / warmup
    progress = (iteration - warmup) / max(1, total - warmup)
    return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def torch_device(name: str) -> torch.device:
    """PyTorch's device of a name.

    Raises:
        InputError: CUDA is asked for and PyTorch has none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("option 'run.device' is 'cuda', but PyTorch finds no CUDA device; expected 'cpu' here")
    return torch.device(name)


#: What a checkpoint holds beside the parts.
_COUNTERS = ("iteration", "seconds", "is_stopped", "best_iteration", "best_skill")


class _Part(Protocol):
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


def made_directory(directory: Path) -> Path:
    """A directory of the training, made if need be.

    Raises:
        InputError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"training directory {directory}: cannot be made: {error.strerror or error}") from error
    return directory


class Trainer:
    """One training run, which continues after an interruption as if there had been none.

    Args:
        configuration: all options.
        scaling: statistics of the training columns.
        tensors: the data, normalised. columns: those to train on.
        validator: validation columns, or None for none.
        directory: for the checkpoint and the log; made if need be.
        frequencies: (n_columns,) see `RunPool`; None: every window as often as any other.
        error_scales: (n_leads, n_state) from `scaling.error_scales`.
        report: called with each line of progress.

    Attributes:
        network, average, best: as trained, its averaged weights, and the averaged weights of `best_iteration`.
        iteration: number of optimiser steps done. seconds: spent on them.
        is_stopped: whether the run came to an end before its last iteration, out of patience.

    Raises:
        InputError: no CUDA device or TensorBoard where asked for, a directory that cannot be made, or rollouts that are
            longer than a column.
    """

    def __init__(
        self,
        configuration: Configuration,
        scaling: Scaling,
        tensors: Tensors,
        columns: np.ndarray,
        validator: Validator | None,
        directory: Path,
        error_scales: np.ndarray,
        report: Callable[[str], None] = print,
        frequencies: np.ndarray | None = None,
    ) -> None:
        self.configuration, run = configuration, configuration.run
        self._tensors, self._validator, self._report, self._scaling = tensors, validator, report, scaling
        shortest, longest = int(tensors.n_windows[columns].min()), max(s.steps for s in configuration.stages)
        if longest > shortest:
            raise InputError(
                f"option 'stages': rollouts of {longest} steps, but a column has {shortest} windows only; "
                f"expected at most {shortest} steps"
            )
        self._directory = made_directory(directory)
        self._device = device = torch_device(run.device)
        self.network, self.average, self.best = (build_network(configuration, scaling).to(device) for _ in range(3))
        self.best_iteration, self.best_skill = 0, math.inf
        options = configuration.optimiser
        matrices = [p for p in self.network.parameters() if p.ndim == 2]
        vectors = [p for p in self.network.parameters() if p.ndim == 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=options.learning_rate,
        )
        self._generator = np.random.default_rng(run.seed)
        self._noise = Noise(configuration.augmentation, scaling, run.seed, device)
        self._scales = LossScales.of(configuration.loss, scaling, error_scales, device)
        largest = max(stage.batch for stage in configuration.stages)
        self._pool = RunPool(tensors, columns, POOL_BATCHES * largest, self._generator, frequencies)
        self._curves = Curves(directory, run.tensorboard)
        self.iteration, self.seconds, self.is_stopped = 0, 0.0, False

    @property
    def checkpoint_path(self) -> Path:
        return self._directory / "checkpoint.pt"

    def stage(self, iteration: int) -> Stage:
        """The stage of the curriculum that an iteration belongs to."""
        for stage in self.configuration.stages:
            if iteration < stage.iterations:
                return stage
            iteration -= stage.iterations
        return self.configuration.stages[-1]

    def step(self) -> tuple[float, float]:
        """One iteration; returns the losses of state and diagnostics.

        Raises:
            RunError: the loss is not finite.
        """
        options, stage = self.configuration.optimiser, self.stage(self.iteration)
        factor = learning_rate_factor(
            self.iteration, self.configuration.iterations, options.warmup_iterations, options.final_fraction
        )
        for group in self._optimiser.param_groups:
            group["lr"] = options.learning_rate * factor
        taken = self._pool.take(stage.batch, stage.steps, stage.restart_probability)
        noise = self._noise.draw(len(taken))
        losses = batch_loss(self.network, self._tensors, self._pool, taken, stage.steps, self._scales, *noise)
        state_loss, diagnostic_loss, states = losses
        total = state_loss + diagnostic_loss
        if not torch.isfinite(total):
            raise RunError(f"training: the loss is {float(total)} at iteration {self.iteration}, expected a number")
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        # Apart, because the two blocks share no gradient: the larger one must not shrink the other's steps.
        network = self.network
        for blocks in ((network.trunk, network.prognostic), (network.diagnostic,)):
            parameters = [parameter for block in blocks for parameter in block.parameters()]
            torch.nn.utils.clip_grad_norm_(parameters, options.gradient_clip)
        self._optimiser.step()
        self._pool.put(taken, states, stage.steps)
        self._update_average(options.average_decay)
        self.iteration += 1
        return float(state_loss.detach()), float(diagnostic_loss.detach())

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        """Exponential average; at the beginning a plain mean, so that the random start is forgotten."""
        decay = min(decay, (1.0 + self.iteration) / (10.0 + self.iteration))
        for mean, parameter in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(parameter, 1.0 - decay)

    def run(self, until: int | None = None) -> None:
        """Train to the end (or to an iteration); validates and writes checkpoints on the way."""
        options, total = self.configuration, self.configuration.iterations
        end = total if until is None else min(until, total)
        if self.is_stopped:
            return
        if self.iteration == 0:
            self._curves.forget_after(0)
        losses: list[tuple[float, float]] = []
        begun, steps_done = time.perf_counter(), 0
        while self.iteration < end:
            stage = self.stage(self.iteration)
            losses.append(self.step())
            steps_done += stage.steps * stage.batch
            # Not at `until`: a run in parts must not validate more often than an uninterrupted one.
            is_due = self.iteration % options.validation.interval == 0 or self.iteration == total
            if self._validator is not None and is_due:
                taken = time.perf_counter() - begun
                self.seconds += taken
                self._validate(self._validator, np.mean(losses, axis=0), steps_done / taken)
                end = self.iteration if self.is_stopped else end
                losses, steps_done, begun = [], 0, time.perf_counter()
            if self.iteration % options.run.checkpoint_interval == 0 or self.iteration == end:
                self.seconds += time.perf_counter() - begun
                begun = time.perf_counter()
                self.save()

    def _validate(self, validator: Validator, losses: np.ndarray, rate: float) -> None:
        """Score the averaged network, write it down, and keep it if it is the best so far."""
        scores = validator.scores(self.average)
        self._log(scores, losses, rate)
        if scores.skill < self.best_skill:
            self.best.load_state_dict(self.average.state_dict())
            self.best_iteration, self.best_skill = self.iteration, scores.skill
        if self._is_out_of_patience():
            self._report(f"no better than iteration {self.best_iteration} for long: stopped")
            self.is_stopped = True

    def _is_out_of_patience(self) -> bool:
        """Whether the last stage has run for `patience` validations without a better network."""
        options, last_stage = self.configuration.validation, self.configuration.stages[-1]
        if options.patience == 0 or self.stage(self.iteration) is not last_stage:
            return False
        begun = max(self.best_iteration, self.configuration.iterations - last_stage.iterations)
        return self.iteration - begun >= options.patience * options.interval

    @property
    def chosen(self) -> tuple[LayerNormNetwork, int]:
        """The averaged network that did best on the validation columns and its iteration; the last without them."""
        return (self.average, self.iteration) if self._validator is None else (self.best, self.best_iteration)

    def _log(self, scores: Scores, losses: np.ndarray, rate: float) -> None:
        """One line of text and one JSON record for figures."""
        stage = self.stage(self.iteration - 1)
        names = [variable.name for variable in self._scaling.state]
        ratios = zip(names, scores.ratio.T, strict=True)
        worst = ", ".join(f"{name} {np.max(ratio[np.isfinite(ratio)], initial=0.0):.2f}" for name, ratio in ratios)
        self._report(
            f"iteration {self.iteration}/{self.configuration.iterations}, {self.seconds / 60.0:.1f} min, "
            f"{rate:.0f} column steps/s, rollout {stage.steps}: loss {losses[0]:.4f} + {losses[1]:.4f}, "
            f"skill {scores.skill:.3f}; worst RMSE over better baseline: {worst}"
        )
        record = {"seconds": self.seconds, "loss": losses.tolist()}
        record |= {name: value.tolist() for name, value in dataclasses.asdict(scores).items()}
        values = {"loss/state": losses[0], "loss/diagnostics": losses[1], "skill": scores.skill}
        values["column_steps_per_second"] = rate
        for lead, row in zip(self.configuration.validation.leads_days, scores.model, strict=True):
            values |= {f"rmse_{lead:g}d/{name}": value for name, value in zip(names, row, strict=True)}
        diagnostics = zip(self._scaling.diagnostics, scores.diagnostics, strict=True)
        values |= {f"rmse/{variable.name}": value for variable, value in diagnostics}
        self._curves.write(self.iteration, record, values)

    def _configuration_text(self) -> str:
        return json.dumps(self.configuration.model_dump(), sort_keys=True)

    def _normalisation(self) -> dict[str, list[float]]:
        """Shift and scale of each variable by name."""
        groups = (getattr(self._scaling, name) for name in GROUPS)
        return {v.name: [v.normalisation.shift, v.normalisation.scale] for group in groups for v in group}

    def save(self) -> None:
        """Write the checkpoint completely or not at all."""
        content = {
            "configuration": self._configuration_text(),
            "normalisation": self._normalisation(),
            "generator": json.dumps(self._generator.bit_generator.state),
            "noise": self._noise.generator.get_state(),
            **{name: part.state_dict() for name, part in self._parts().items()},
            **{name: getattr(self, name) for name in _COUNTERS},
        }
        with whole_file(self.checkpoint_path, "writing the checkpoint") as temporary:
            torch.save(content, temporary)

    def _parts(self) -> dict[str, _Part]:
        """What a checkpoint holds that keeps its own state."""
        networks: dict[str, _Part] = {"network": self.network, "average": self.average, "best": self.best}
        return networks | {"optimiser": self._optimiser, "pool": self._pool}

    def resume(self) -> None:
        """Continue from the checkpoint in the directory.

        Raises:
            InputError: there is none, or it was made with other options, or in other statistics (of other data, or of a
                model that training began with), in which its weights mean something else.
        """
        path = self.checkpoint_path
        if not path.exists():
            raise InputError(f"checkpoint {path}: no such file; start without --resume")
        try:
            content = torch.load(path, weights_only=True, map_location=self._device)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise InputError(f"checkpoint {path}: cannot be read: {str(error).splitlines()[0]}") from error
        self._check_fits(content)
        for name, part in self._parts().items():
            part.load_state_dict(content[name])
        for name in _COUNTERS:
            setattr(self, name, ({"is_stopped": False} | content)[name])
        self._generator.bit_generator.state = json.loads(content["generator"])
        self._noise.generator.set_state(content["noise"].cpu())
        self._curves.forget_after(self.iteration)

    def _check_fits(self, content: Mapping[str, Any]) -> None:
        """Whether a checkpoint is of this configuration and these statistics."""
        path = self.checkpoint_path
        mine, theirs = (_decisive(json.loads(text)) for text in (self._configuration_text(), content["configuration"]))
        for name in mine:
            if mine[name] != theirs.get(name):
                raise InputError(
                    f"checkpoint {path}: was made with {name} = {theirs.get(name)}, the configuration says {mine[name]}"
                )
        for name, own in self._normalisation().items():
            found = content.get("normalisation", {}).get(name)
            if found != own:
                raise InputError(
                    f"checkpoint {path}: found the normalisation {found} (shift, scale) of '{name}', expected {own} of "
                    "the training columns, or of the model that training began with (--start-from)"
                )


def _decisive(configuration: dict[str, Any]) -> dict[str, Any]:
    """The options that the numbers depend on, by name: not where files are, nor texts, threads and intervals."""
    data = {key: value for key, value in configuration["data"].items() if key not in ("directory", "in_files")}
    sections = ("stages", "variables", "network", "loss", "optimiser", "augmentation")
    kept = {name: configuration[name] for name in sections}
    # Checkpoints of before there were further terms had none.
    kept["loss"] = {"terms": {}} | kept["loss"]
    return {"data": data, **kept, "run.seed": configuration["run"]["seed"]}
