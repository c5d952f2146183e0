"""`skillkit classroom pretrain`: make the bundled mini models from the bundled generator.

The shipped weights are this module's output for `RECIPES`. The tokenizer, the corpus and so the weights
depend on the classroom grammar and lexicons: whoever changes a word or a template there has to pretrain both
models again (about an hour each on one processor core) and to ship the result.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from skillkit.classroom.pretraining.architectures import FAMILIES, build_model, losses
from skillkit.classroom.pretraining.batches import Batches
from skillkit.classroom.pretraining.corpus import label_words, tokenizer_words
from skillkit.classroom.pretraining.model_card import model_card
from skillkit.classroom.pretraining.tokenizer import build_tokenizer
from skillkit.errors import SkillkitError
from skillkit.files import atomic_write
from skillkit.provenance import provenance

CHECKPOINT_EVERY = 250
#: The loss curve has a row for each of the first steps, and for every `CURVE_EVERY`th one after them.
DETAILED_STEPS, CURVE_EVERY = 50, 50


@dataclass(frozen=True)
class Round:
    """A stretch of pretraining over which the learning rate rises once and falls.

    It lasts from the step `start` to the next round's. Word vectors learn `word_rate` times as fast as the
    rest: T5's start with a standard deviation of 1 and hardly move otherwise.
    """

    start: int
    learning_rate: float
    word_rate: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything a run's weights follow from, apart from the grammar and the library versions.

    The loss is that of the answer slots, plus `text_weight` times that of every hidden word, per line.
    A slot's target keeps `answer_doubt` of its mass spread over all label words, so that a question's answer
    says nothing about the answers to the others, and a prompt that asks nothing leads to no answer.
    """

    model: str
    steps: int
    rounds: tuple[Round, ...] = (Round(0, 1e-3),)
    seed: int = 0
    batch_size: int = 16
    warm_up: int = 150
    text_weight: float = 0.3
    answer_doubt: float = 0.1


RECIPES = {
    "mini-roberta": Recipe(
        "mini-roberta", 60_000, (Round(0, 1e-3), Round(20_000, 1e-3), Round(40_000, 1e-3))
    ),
    "mini-t5": Recipe(
        "mini-t5", 60_000, (Round(0, 1e-3, 5.0), Round(20_000, 1e-3, 5.0), Round(40_000, 8e-4, 2.0))
    ),
}


class Run:
    """A pretraining run: model, optimiser, step and loss curve, which can be stored and taken up again."""

    def __init__(self, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = device
        self.tokenizer = build_tokenizer(tokenizer_words())
        self.model: Any = build_model(recipe.model, self.tokenizer).to(device).train()
        self.optimizer = self._new_optimizer()
        family = FAMILIES[recipe.model]
        self._batches = Batches(self.tokenizer, family, seed=recipe.seed, batch_size=recipe.batch_size)
        self._label_ids = torch.tensor(self.tokenizer.convert_tokens_to_ids(label_words()), device=device)
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self._sums = torch.zeros(4, dtype=torch.float64)

    def train_step(self) -> None:
        """Do one step, and add a row to the loss curve when one is due."""
        recipe = self.recipe
        current, share = _schedule(self.step, recipe)
        rate = current.learning_rate * share
        for group, faster in zip(self.optimizer.param_groups, (current.word_rate, 1.0), strict=True):
            group["lr"] = rate * faster
        batch = self._batches[self.step].to(self.device)
        text, slot = losses(self.model, batch, self._label_ids, recipe.answer_doubt)
        loss = (recipe.text_weight * text.sum() + slot.sum()) / recipe.batch_size
        if not torch.isfinite(loss):
            raise SkillkitError(
                f"the loss of {recipe.model} is not finite at step {self.step}; "
                "pretrain with a lower learning rate"
            )
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._sums += torch.tensor(
            [float(text.detach().sum()), len(text), float(slot.detach().sum()), len(slot)]
        )
        if self.step <= DETAILED_STEPS or self.step % CURVE_EVERY == 0 or self.step == recipe.steps:
            text_sum, texts, slot_sum, slots = self._sums.tolist()
            row = {
                "step": self.step,
                "text_loss": text_sum / max(texts, 1),
                "answer_loss": slot_sum / max(slots, 1),
            }
            self.curve.append({**row, "learning_rate": rate})
            self._sums.zero_()

    def _new_optimizer(self) -> torch.optim.Optimizer:
        """AdamW over two groups: word vectors, and all else."""
        words: Any = self.model.get_input_embeddings().weight
        others = [parameter for parameter in self.model.parameters() if parameter is not words]
        groups = [{"params": [words]}, {"params": others}]
        return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def save_checkpoint(self, path: Path) -> None:
        """Write all that a resumed run needs; the old checkpoint stays until the new one is whole."""
        state = {
            "recipe": asdict(self.recipe),
            "vocabulary": self.tokenizer.get_vocab(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "curve": self.curve,
            "sums": self._sums,
            "generator": torch.get_rng_state(),
        }
        beside = path.with_suffix(".part")
        torch.save(state, beside)
        os.replace(beside, path)

    def load_checkpoint(self, path: Path) -> None:
        """Take up the run stored at `path`; SkillkitError if it has another recipe or vocabulary."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["recipe"] != asdict(self.recipe) or state["vocabulary"] != self.tokenizer.get_vocab():
            raise SkillkitError(
                f"{path} belongs to a run with another recipe or vocabulary; "
                "delete it to start afresh, or choose another folder with --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.curve, self._sums = state["step"], state["curve"], state["sums"]
        torch.set_rng_state(state["generator"].cpu())


def _schedule(step: int, recipe: Recipe) -> tuple[Round, float]:
    """The round of a step, and the learning rate as a share of the round's maximum.

    It rises linearly during the warm-up, then falls linearly to a twentieth.
    """
    index = sum(step >= each.start for each in recipe.rounds) - 1
    current = recipe.rounds[index]
    end = min([recipe.steps, *(each.start for each in recipe.rounds[index + 1 :])])
    since = step - current.start
    if since < recipe.warm_up:
        return current, (since + 1) / recipe.warm_up
    return current, 1 - 0.95 * (since - recipe.warm_up) / max(end - current.start - recipe.warm_up, 1)


def pretrain(recipe: Recipe, out: Path, *, device: str = "auto", progress: bool = True) -> Path:
    """Pretrain by a recipe into a folder; a run that was interrupted there goes on where it was.

    The folder holds `checkpoint.pt` until the run is done, then the weights as fp16 safetensors with config,
    tokenizer, `curve.csv`, `training.json` and the model card.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    run = Run(recipe, chosen)
    if checkpoint.exists():
        run.load_checkpoint(checkpoint)
    started, first = time.perf_counter(), run.step
    with tqdm(total=recipe.steps, initial=first, unit="step", desc=recipe.model, disable=not progress) as bar:
        while run.step < recipe.steps:
            run.train_step()
            bar.update()
            if run.curve and run.step % CURVE_EVERY == 0:
                bar.set_postfix_str("text {text_loss:.2f} answer {answer_loss:.2f}".format(**run.curve[-1]))
            if run.step % CHECKPOINT_EVERY == 0:
                run.save_checkpoint(checkpoint)
    save_model(run, out, seconds=time.perf_counter() - started, steps_now=recipe.steps - first)
    checkpoint.unlink(missing_ok=True)
    return out


def save_model(run: Run, out: Path, *, seconds: float, steps_now: int) -> None:
    """Write the folder that `load_backbone` reads.

    Weights are stored as fp16; loading them as float32 is exact.
    """
    out.mkdir(parents=True, exist_ok=True)
    run.model.half().save_pretrained(out)
    run.model.float()
    run.tokenizer.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # the library makes it readable for its owner alone
    with atomic_write(out / "curve.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, ["step", "text_loss", "answer_loss", "learning_rate"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(
            {**row, **{k: f"{v:.5g}" for k, v in row.items() if k != "step"}} for row in run.curve
        )
    training = training_record(run, out / "model.safetensors", seconds_per_step=seconds / max(steps_now, 1))
    with atomic_write(out / "training.json") as beside:
        beside.write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    with atomic_write(out / "README.md") as beside:
        beside.write_text(model_card(training, run.curve), encoding="utf-8")


def training_record(run: Run, weights: Path, *, seconds_per_step: float) -> dict[str, Any]:
    """What made the weights: recipe, sizes, digests of weights and vocabulary, versions, machine."""
    vocabulary = "\n".join(sorted(run.tokenizer.get_vocab()))
    made_by = provenance()
    return {
        "recipe": asdict(run.recipe),
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "bytes": weights.stat().st_size,
        "sha256": sha256(weights),
        "vocabulary_size": len(run.tokenizer),
        "vocabulary_sha256": hashlib.sha256(vocabulary.encode()).hexdigest(),
        "seconds_per_step": round(seconds_per_step, 4),
        **{key: made_by[key] for key in ("machine", "device", "python", "packages", "commit")},
    }


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `skillkit classroom pretrain`."""
    parser.add_argument("--model", required=True, choices=sorted(RECIPES), help="which of the two to make")
    parser.add_argument(
        "--out", type=Path, help="folder for the result and the checkpoint (default: pretrained/<model>)"
    )
    parser.add_argument("--steps", type=int, help="number of steps (default: the shipped weights' number)")
    parser.add_argument(
        "--seed",
        type=int,
        help="seed of the initial weights and the corpus (default: the shipped weights' seed)",
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, or auto (the default: a GPU where there is one)"
    )


def main(args: argparse.Namespace) -> int:
    """Run `skillkit classroom pretrain`."""
    changes = {name: getattr(args, name) for name in ("steps", "seed") if getattr(args, name) is not None}
    recipe = replace(RECIPES[args.model], **changes)
    if recipe.steps < 1:
        raise SkillkitError(f"--steps is {recipe.steps}; give at least 1")
    out = args.out or Path("pretrained") / args.model
    print(f"{pretrain(recipe, out, device=args.device)} is done: load it with load_backbone({str(out)!r})")
    return 0
