"""Other ways of tuning a backbone, in the loop of prompt tuning: do they use the same neurons?

BitFit, bottleneck adapters and LoRA leave the weights into and out of the FFN neurons as they were
pretrained, so a neuron keeps its identity and can be compared with those that prompt tuning finds (Wang et
al. 2022, "origin"). Full tuning, which changes them, is the contrast. There is no prompt: the answer is read
at the usual slot (Wang et al.'s code reads it at ``<s>`` and inserts no [MASK]).
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from skillkit.checks import Seed, check_arguments
from skillkit.data.loading import TaskData
from skillkit.errors import unknown
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import EncodedTask, encode
from skillkit.models.prompts import label_logits
from skillkit.tuning.budget import TuningBudget, resolve_budget
from skillkit.tuning.loop import Run, epochs, minimise
from skillkit.tuning.prompt import accuracy_and_loss, answer_loss


@dataclass(frozen=True)
class TunedBackbone:
    """A tuned copy of a backbone.

    Attributes:
        backbone: at its best validation accuracy.
        history: the learning curve, as in ``TunedPrompt``.
        validation_accuracy: the best one.
        trained: number of parameters that learned.
        seconds: wall time.
    """

    backbone: Backbone
    history: pd.DataFrame
    validation_accuracy: float
    trained: int
    seconds: float


#: Method to learning rate. Each is what its literature uses for models of this size, none was tuned here.
LEARNING_RATES = {"bitfit": 1e-3, "adapter": 1e-3, "lora": 1e-3, "full": 1e-4}


@check_arguments
def learning_rates(given: Mapping[str, float]) -> dict[str, float]:
    """Every method's learning rate: the given one, or else its usual one.

    Raises:
        SkillkitError: a rate for an unknown method.
    """
    for method in given:
        if method not in LEARNING_RATES:
            raise unknown("tuning method", method, LEARNING_RATES)
    return {**LEARNING_RATES, **given}


@check_arguments
def tune_method(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    method: str,
    budget: TuningBudget | None = None,
    *,
    seed: Seed = 0,
    label_words: str = "own",
    **budget_fields: Any,
) -> TunedBackbone:
    """Tune a copy of the backbone; the given backbone is left as it is.

    - ``bitfit``: all biases. Where a linear layer of a layer stack has none (T5, LLaMA), one of zeros is
      added.
    - ``adapter``: after each FFN, x + up(ReLU(down(x))) with a bottleneck of a sixteenth of the hidden size;
      ``up`` starts at zero.
    - ``lora``: rank 8 on the attention's query and value projections (PEFT), merged into them at the end.
    - ``full``: all parameters.

    The loop, the choice of the checkpoint and the evaluation mode are those of ``tune_prompt``.

    Args:
        method: ``bitfit``, ``adapter``, ``lora`` or ``full``.
        budget: how long to tune; its fields can be given by name, as in ``tune_prompt``. Without a budget and
            without a ``learning_rate``, the method's usual rate is taken. There is no prompt, so ``length``
            is not used.
        label_words: a scheme of ``skillkit.data.tasks``.

    Raises:
        SkillkitError: unknown method, an impossible budget, a loss that is not finite, or a missing split.
    """
    if method not in LEARNING_RATES:
        raise unknown("tuning method", method, LEARNING_RATES)
    usual = TuningBudget(learning_rate=LEARNING_RATES[method])
    budget = resolve_budget(budget or usual, budget_fields)
    tuned = backbone.changed(f"{backbone.name}-{method}", copy.deepcopy(backbone.model), backbone.sites)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parameters, finish = _PREPARE[method](tuned)
    run = _tune(tuned, task_data, parameters, budget, seed, label_words)
    with torch.no_grad():
        for parameter, best in zip(parameters, run.best, strict=True):
            parameter.copy_(best)
    tuned = replace(tuned, model=finish())
    tuned.model.requires_grad_(False).eval()
    trained = sum(parameter.numel() for parameter in parameters)
    return TunedBackbone(tuned, run.history, run.accuracy, trained, run.seconds)


def _tune(
    backbone: Backbone,
    task_data: TaskData | EncodedTask,
    parameters: list[nn.Parameter],
    budget: TuningBudget,
    seed: int,
    label_words: str,
) -> Run:
    """Minimise the loss of answering without a prompt."""
    task = task_data.task
    train, validation = (encode(backbone, split, task) for split in (task_data.train, task_data.validation))

    def evaluate() -> tuple[float, float]:
        logits = label_logits(
            backbone, None, validation, task, batch_size=2 * budget.batch_size, label_words=label_words
        )
        return accuracy_and_loss(logits, validation.labels)

    return minimise(
        answer_loss(backbone, task, label_words),
        parameters,
        epochs(train, budget.batch_size, seed, backbone.device),
        budget,
        evaluate=evaluate,
        description=f"{backbone.name} · {task.name} · seed {seed}",
    )


@check_arguments
def reinitialised(backbone: Backbone, seed: Seed = 0) -> Backbone:
    """The same architecture with random weights, as ``transformers`` initialises them: the control without
    pretraining.

    Every site keeps its width; the tokenizer is shared.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(backbone.model)(copy.deepcopy(backbone.model.config))
    model.to(backbone.device).requires_grad_(False).eval()  # type: ignore[arg-type]
    return replace(backbone, name=f"{backbone.name}-random", model=model)


#: The parameters that learn, and what makes the final model once they have learnt.
_Prepared = tuple[list[nn.Parameter], Callable[[], PreTrainedModel]]


def _prepare_full(backbone: Backbone) -> _Prepared:
    backbone.model.requires_grad_(True)
    return list(backbone.model.parameters()), lambda: backbone.model


def _prepare_bitfit(backbone: Backbone) -> _Prepared:
    for linear in _linear_layers(backbone):
        if linear.bias is None:
            linear.bias = nn.Parameter(linear.weight.new_zeros(linear.out_features))
    # T5's relative_attention_bias is an embedding: its parameter's name ends in "weight".
    biases = [parameter for name, parameter in backbone.model.named_parameters() if name.endswith("bias")]
    return _learn(biases), lambda: backbone.model


def _prepare_lora(backbone: Backbone) -> _Prepared:
    from peft import LoraConfig, get_peft_model

    transposed = backbone.architecture.name == "gpt2"  # Conv1D holds its weight as [inputs, outputs]
    config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, fan_in_fan_out=transposed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # peft reads a property that transformers is about to rename
        wrapped = get_peft_model(backbone.model, config)

    learning = _learn([p for name, p in backbone.model.named_parameters() if "lora_" in name])
    return learning, wrapped.merge_and_unload  # type: ignore[return-value]


class Bottleneck(nn.Module):
    """x + up(ReLU(down(x))), the identity at first."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        inner = max(1, hidden // 16)
        self.down, self.up = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden] to [..., hidden]."""
        return x + self.up(torch.relu(self.down(x)))


def _prepare_adapter(backbone: Backbone) -> _Prepared:
    parameters: list[nn.Parameter] = []
    for site in backbone.sites:
        down = backbone.down(site)
        down.adapter = Bottleneck(backbone.hidden_size).to(backbone.device)
        down.register_forward_hook(_through_adapter)
        parameters += down.adapter.parameters()
    return parameters, lambda: backbone.model


def _through_adapter(module: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return module.adapter(output)


_PREPARE: dict[str, Callable[[Backbone], _Prepared]] = {
    "bitfit": _prepare_bitfit,
    "adapter": _prepare_adapter,
    "lora": _prepare_lora,
    "full": _prepare_full,
}


def _learn(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def _linear_layers(backbone: Backbone) -> Iterator[nn.Linear]:
    """The linear layers inside the layer stacks (not the vocabulary projection)."""
    for stack in backbone.architecture.stacks:
        for module in backbone.model.get_submodule(stack.layers).modules():
            if isinstance(module, nn.Linear):
                yield module
