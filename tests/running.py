"""Run the notebooks on tiny random models, and read what they show."""

import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import nbformat
import papermill
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from papermill.translators import PythonTranslator
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from skillkit.classroom.tasks import TASKS
from skillkit.classroom.vocabulary import vocabulary
from skillkit.data.loading import load_task
from skillkit.models.backbones import load_backbone
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_task
from skillkit.neurons.subtasks import combine_subtasks
from skillkit.provenance import READS
from skillkit.results import Place, read_table
from skillkit.study.environment import QUIET
from skillkit.study.table import NOTEBOOKS, notebook_parameters

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TOKEN_IDS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

# As little work as the pages can be run with: what is tested is that they run, not what they find.
TINY = {
    "01_prompt_tuning": {"length": 2, "steps": 4, "evaluate_every": 2, "batch_size": 8, "limit": 60},
    "02_skill_neurons": {"examples": 60, "permutations": 20},
    "03_perturbation": {"examples": 40, "fractions": [0.1, 0.3], "modes": ["absolute noise", "mean"]},
    "04_adversarial": {"examples": 60},
    "12_factors": {"examples": 200},
    "10_comparison": {},
}


def save_tiny_model(folder: Path, family: str) -> Path:
    """A folder for `load_backbone`, the caller's own: a random model that reads the bundled tasks' words."""
    return Path(shutil.copytree(made_once(family), folder / f"tiny-{family}", dirs_exist_ok=True))


@cache
def made_once(family: str) -> Path:
    """The folder that `save_tiny_model` copies, made when a session first asks for it."""
    path = Path(mkdtemp(prefix=f"tiny-{family}-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    words = {*vocabulary(), *(word for task in TASKS.values() for word in task.label_words)}
    tokenizer = word_tokenizer(sorted(words - set(SPECIALS)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random_model(family, len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def word_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    table = {word: number for number, word in enumerate(SPECIALS + words)}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        cls_token="<s>",
        sep_token="</s>",
    )


def random_model(family: str, words: int) -> PreTrainedModel:
    """Hidden 16, 2 (+2) layers, 24 FFN neurons."""
    if family == "roberta":
        config = RobertaConfig(
            vocab_size=words,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=140,
            initializer_range=0.3,
            type_vocab_size=1,
            **TOKEN_IDS,
        )
        return RobertaForMaskedLM(config)
    sizes = dict(d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    return T5ForConditionalGeneration(
        T5Config(vocab_size=words, **sizes, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1)
    )


def write_untuned_cells(workplace: Path, model: str, tasks: list[str], limit: int) -> None:
    """Untuned prompts and their scores for seeds 0 and 1, where notebooks 01 and 02 put theirs."""
    backbone = load_backbone(model, device="cpu")
    for number, task in enumerate(tasks):
        data = load_task(task, limit=limit)
        place = Place("tiny", model, task, workplace / "results")
        for seed in (0, 1):
            prompt = SoftPrompt.initial(backbone, 2, 10 * number + seed, "normal")
            prompt.save(place.prompt(seed))
            combine_subtasks(score_task(backbone, prompt, data)).save(place.scores(seed))


def run(workplace: Path, name: str, **parameters: object) -> tuple[nbformat.NotebookNode, Path]:
    """Execute a notebook as the study does; its outputs, and the results folder."""
    os.environ |= QUIET | {"OMP_NUM_THREADS": "1"}
    results = workplace / "results"
    given = {"study": "tiny", "results": str(results), **TINY.get(name, {}), **parameters}
    declared = notebook_parameters(FOLDER / f"{name}.ipynb")
    out = workplace / f"{name}-{parameters.get('task', 'all')}.ipynb"
    papermill.execute_notebook(
        str(FOLDER / f"{name}.ipynb"),
        str(out),
        {k: v for k, v in given.items() if k in declared},
        progress_bar=False,
    )
    return nbformat.read(out, as_version=4), results


def outputs(notebook: nbformat.NotebookNode) -> list[dict[str, str]]:
    return [
        output["data"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    ]


def run_here(name: str, results: Path, **parameters: object) -> None:
    """The same in this process, without starting a kernel: quicker, for a second configuration."""
    declared = notebook_parameters(FOLDER / f"{name}.ipynb")
    given = {"study": "tiny", "results": str(results), **TINY.get(name, {}), **parameters}
    given = {key: value for key, value in given.items() if key in declared}
    READS.clear()
    with notebook_shell() as shell:
        for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                with capture_output():
                    shell.run_cell(cell.source, store_history=True).raise_error()
            if "parameters" in cell.metadata.get("tags", []):
                shell.run_cell(PythonTranslator.codify(given), store_history=True).raise_error()


@contextmanager
def notebook_shell() -> Iterator[InteractiveShell]:
    """A shell like a notebook's; afterwards this process is no notebook again, as later tests expect."""
    shell = InteractiveShell.instance()
    shell.reset()
    try:
        yield shell
    finally:
        shell.reset()
        InteractiveShell.clear_instance()


def check_results(name: str, place: Place, seeds: tuple[int, ...] = (0, 1)) -> None:
    table = read_table(place.table(name))
    assert len(table) and table["metric"].notna().all() and table["value"].notna().any()
    accuracies = table[table["metric"] == "accuracy"]
    assert accuracies[["n", "low", "high"]].notna().all().all()
    assert all(place.prompt(seed).is_file() for seed in seeds)
    assert all(place.scores(seed).is_file() for seed in seeds) or not NOTEBOOKS[name].scores


def markdown(data: dict[str, str]) -> str:
    return data.get("text/markdown", "")
