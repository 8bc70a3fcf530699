"""The training loop: curriculum, optimiser, averaged weights, validation, checkpoints."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from ailand_gt4py.core.errors import InputError, RunError, reason
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.trial import require_regular
from ailand_gt4py.core.types import Values
from ailand_gt4py.driver.progress import Count
from ailand_gt4py.training.adaptation import adapt, merged
from ailand_gt4py.training.brightness_term import BrightnessTerm
from ailand_gt4py.training.configuration import Configuration, Stage
from ailand_gt4py.training.curves import Curves
from ailand_gt4py.training.losses import LossScales
from ailand_gt4py.training.models import load_weights
from ailand_gt4py.training.network import StepNetwork
from ailand_gt4py.training.networks import make_network
from ailand_gt4py.training.observed_term import ObservedTerm, rollouts_that_hold
from ailand_gt4py.training.optimisers import Optimisers
from ailand_gt4py.training.rollout import RunPool, batch_loss
from ailand_gt4py.training.tensors import TrainingData, noise_deviations
from ailand_gt4py.training.validation import Scores, Validator
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.schema import GROUPS

#: Called with each line of progress.
Report = Callable[[str], None]
#: The pool holds so many runs for each one in a batch.
POOL_BATCHES = 8
#: Name of the checkpoint in the directory of a training, and what of the trainer it holds.
CHECKPOINT = "checkpoint.pt"
PARTS = ("network", "average", "best", "optimiser", "pool", "brightness")
COUNTERS = ("iteration", "seconds", "is_stopped", "best_iteration", "best_skill")


def learning_rate_factor(iteration: int, total: int, warmup: int, final_fraction: float) -> float:
    """Linear warm-up, then half a cosine down to the final fraction."""
    if iteration < warmup:
        return (iteration + 1) / warmup
    progress = (iteration - warmup) / max(1, total - warmup)
    return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def torch_device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("option 'run.device' is 'cuda', but PyTorch finds no CUDA device; expected 'cpu' here")
    return torch.device(name)


def made_directory(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"training directory {directory}: cannot be made: {reason(error)}") from error
    return directory


class Trainer:
    """One training run, which continues after an interruption as if there had been none.

    Attributes:
        network, average, best: as trained, from the weights of ``beginning`` if there is one; its averaged weights; the
            averaged weights of `best_iteration`.
        brightness: the term of brightness temperature, where there is one, and what it learns.
        iteration, seconds: optimiser steps done and spent on them. is_stopped: it ran out of patience.
    """

    def __init__(
        self,
        configuration: Configuration,
        data: TrainingData,
        validator: Validator | None,
        report: Report,
        beginning: Model | None = None,
    ) -> None:
        self.configuration, run, stages = configuration, configuration.run, configuration.curriculum
        self._stages, self._scaling, self._validator, self._report = stages, data.scaling, validator, report
        shortest, longest = int(data.tensors.n_windows[data.columns].min()), max(stage.steps for stage in stages)
        if longest > shortest:
            raise InputError(
                f"option 'stages': rollouts of {longest} steps, but a column has {shortest} windows only; "
                f"expected at most {shortest} steps"
            )
        directory = made_directory(Path(run.directory))
        self.checkpoint_path, self._curves = directory / CHECKPOINT, Curves(directory, run.tensorboard)
        self._device = device = torch_device(run.device)
        self.network, self.average, self.best = (
            make_network(configuration.network, data.scaling, run.seed).to(device) for _ in range(3)
        )
        adaptation = configuration.adaptation
        self._teacher: StepNetwork | None = None
        if adaptation.distils and beginning is not None:
            self._teacher = make_network(configuration.network, data.scaling, run.seed).to(device).eval()
            load_weights(self._teacher, beginning)
        for network in (self.network, self.average, self.best):
            if beginning is not None:
                load_weights(network, beginning)
            adapt(network, adaptation, run.seed)
        for network in (self.average, self.best):
            network.eval()
        self.best_iteration, self.best_skill = 0, math.inf
        options, term = configuration.brightness, None
        if data.brightness is not None:
            term = BrightnessTerm(options, data.brightness, data.scaling).to(device)
        observed = None
        if data.observed is not None:
            observed = ObservedTerm(data.observed, data.scaling, configuration.loss.diagnostic_scale)
            for sentence in rollouts_that_hold(data.observed, stages):
                report(sentence)
        self.brightness = nn.Module() if term is None else term
        learnt = [one for one in self.brightness.parameters() if one.requires_grad], options.learning_rate
        self.optimiser = Optimisers(configuration.optimiser, self.network, adaptation.decay_to_start, learnt)
        self._generator = np.random.default_rng(run.seed)
        self._noise = torch.Generator().manual_seed(run.seed)
        self._deviations = noise_deviations(configuration.augmentation, data.scaling)
        self._scales = LossScales.of(
            configuration.loss, data.scaling, data.error_scales, device, data.step_seconds, term, observed
        )
        size = POOL_BATCHES * max(stage.batch for stage in stages)
        self.pool = RunPool(data, size, self._generator)
        self.iteration, self.seconds, self.is_stopped = 0, 0.0, False

    def stage(self, iteration: int) -> Stage:
        for stage in self._stages:
            if iteration < stage.iterations:
                return stage
            iteration -= stage.iterations
        return self._stages[-1]

    def step(self) -> tuple[float, float]:
        """One iteration; returns the losses of state and diagnostics, which must be finite."""
        options, stage, network = self.configuration.optimiser, self.stage(self.iteration), self.network
        factor = learning_rate_factor(
            self.iteration, self.configuration.iterations, options.warmup_iterations, options.final_fraction
        )
        self.optimiser.set_rates(factor)
        if self.configuration.network.dropout:
            # By the iteration, so that a run that is resumed drops the same.
            torch.manual_seed(self.configuration.run.seed * 2**31 + self.iteration)
        taken = self.pool.take(stage.batch, stage.steps, stage.restart_probability)
        drawn = (torch.randn(len(taken), len(one), generator=self._noise) * one for one in self._deviations)
        noise = [one.to(self._device) for one in drawn]
        with parametrize.cached():
            state_loss, diagnostic_loss, states = batch_loss(
                network, self.pool, taken, stage.steps, self._scales, *noise, teacher=self._teacher
            )
        total = state_loss + diagnostic_loss
        if not torch.isfinite(total):
            raise RunError(f"training: the loss is {float(total)} at iteration {self.iteration}, expected a number")
        self.optimiser.zero_grad()
        total.backward()
        for part in network.clipped_apart:
            torch.nn.utils.clip_grad_norm_(part.parameters(), options.gradient_clip)
        self.optimiser.step()
        self.pool.put(taken, states, stage.steps)
        # At the beginning a plain mean, so that the random start is forgotten.
        decay = min(options.average_decay, (1.0 + self.iteration) / (10.0 + self.iteration))
        with torch.no_grad():
            for mean, parameter in zip(self.average.parameters(), network.parameters(), strict=True):
                mean.lerp_(parameter, 1.0 - decay)
        self.iteration += 1
        return float(state_loss.detach()), float(diagnostic_loss.detach())

    def run(self, after_iteration: Count = lambda done, where: None) -> None:
        """Train to the end; validates and writes checkpoints on the way."""
        options, end = self.configuration, self.configuration.iterations
        if self.iteration == 0:
            self._curves.forget_after(0)
        done: list[tuple[float, ...]] = []
        while self.iteration < end and not self.is_stopped:
            stage, begun = self.stage(self.iteration), time.perf_counter()
            losses = self.step()
            spent = time.perf_counter() - begun
            self.seconds += spent
            done.append((*losses, stage.steps * stage.batch, spent))
            after_iteration(self.iteration, f"loss {sum(losses):.4f}".format)
            is_due = self.iteration % options.validation.interval == 0 or self.iteration == end
            if self._validator is not None and is_due:
                state, diagnostics, column_steps, seconds = np.mean(done, axis=0)
                self._validate(self._validator, np.array([state, diagnostics]), column_steps / seconds)
                done = []
            if self.iteration % options.run.checkpoint_interval == 0 or self.iteration == end or self.is_stopped:
                self.save()

    def _validate(self, validator: Validator, losses: Values, rate: float) -> None:
        """Score the averaged network, keep it if it is the best so far, and stop if none was for long."""
        with parametrize.cached():
            scores = validator.scores(self.average)
        self._log(scores, losses, rate)
        if scores.skill < self.best_skill:
            self.best.load_state_dict(self.average.state_dict())
            self.best_iteration, self.best_skill = self.iteration, scores.skill
        options, last_stage = self.configuration.validation, self._stages[-1]
        # The last stage is given its time.
        begun = max(self.best_iteration, self.configuration.iterations - last_stage.iterations)
        if 0 < options.patience * options.interval <= self.iteration - begun:
            self._report(f"no better than iteration {self.best_iteration} for long: stopped")
            self.is_stopped = True

    @property
    def chosen(self) -> tuple[StepNetwork, int]:
        """The averaged network that did best on the validation columns and its iteration; the last without them."""
        if self._validator is None:
            return merged(self.average), self.iteration
        return merged(self.best), self.best_iteration

    def _log(self, scores: Scores, losses: Values, rate: float) -> None:
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

    def _conditions(self) -> dict[str, object]:
        """What the results depend on, by name: not where files are, nor texts, threads and intervals."""
        options = self.configuration.model_dump(mode="json")
        data = {name: value for name, value in options["data"].items() if name not in ("directory", "in_files")}
        sections = ("variables", "network", "loss", "brightness", "optimiser", "adaptation", "augmentation")
        stages = [stage.model_dump(mode="json") for stage in self._stages]
        found = {"data": data, "stages": stages, **{name: options[name] for name in sections}}
        found["run.seed"] = options["run"]["seed"]
        for variable in (one for group in GROUPS for one in getattr(self._scaling, group)):
            # Of the training columns, or of the model that training began with.
            normalisation = variable.normalisation
            found[f"the normalisation (shift, scale) of '{variable.name}'"] = [normalisation.shift, normalisation.scale]
        found["the scales of the state's increments"] = self._scaling.increment_std.tolist()
        return found

    def save(self) -> None:
        """Write the checkpoint completely or not at all."""
        content = {
            "conditions": self._conditions(),
            "generator": json.dumps(self._generator.bit_generator.state),
            "noise": self._noise.get_state(),
            **{name: getattr(self, name).state_dict() for name in PARTS},
            **{name: getattr(self, name) for name in COUNTERS},
        }
        with whole_file(self.checkpoint_path, "writing the checkpoint") as temporary:
            torch.save(content, temporary)

    def resume(self) -> None:
        """Continue from the checkpoint in the directory, if its weights mean the same in this run."""
        path = self.checkpoint_path
        try:
            require_regular(path)
            content = torch.load(path, weights_only=True, map_location=self._device)
            if not isinstance(content, dict):
                raise TypeError(f"found a {type(content).__name__}")
        except Exception as error:  # a damaged file makes PyTorch raise many kinds
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"checkpoint {path}: cannot be read: {reason}; expected that of a training") from error
        for name, own in self._conditions().items():
            if (found := content.get("conditions", {}).get(name)) != own:
                raise InputError(f"checkpoint {path}: was made with {name} = {found}, expected that of this run, {own}")
        for name in PARTS:
            getattr(self, name).load_state_dict(content[name])
        for name in COUNTERS:
            setattr(self, name, content[name])
        self._generator.bit_generator.state = json.loads(content["generator"])
        self._noise.set_state(content["noise"].cpu())
        self._curves.forget_after(self.iteration)
