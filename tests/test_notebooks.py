"""Every notebook runs, on tiny random models and the bundled tasks, and is stored the way the book needs it."""

import ast
import json
import os
from pathlib import Path

import nbformat
import papermill
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from skillkit.backbones import load_backbone
from skillkit.classroom import TASKS, vocabulary
from skillkit.data import load_task
from skillkit.execute import QUIET
from skillkit.neurons import score_task
from skillkit.notebooks import NOTEBOOKS, notebook_parameters
from skillkit.prompts import SoftPrompt
from skillkit.results import Cell, read_table
from skillkit.subtasks import combine_subtasks

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))
MINE = ("01_prompt_tuning", "02_skill_neurons", "03_perturbation", "04_adversarial", "12_factors")
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]

# As little work as the pages can be run with: what is tested is that they run, not what they find.
TINY = {
    "01_prompt_tuning": {"length": 2, "steps": 4, "evaluate_every": 2, "batch_size": 8, "limit": 60},
    "02_skill_neurons": {"examples": 60, "permutations": 20},
    "03_perturbation": {"examples": 40, "fractions": [0.1, 0.3]},
    "04_adversarial": {"examples": 60},
    "12_factors": {"examples": 200},
    "10_comparison": {},
}


def save_tiny_model(folder: Path, family: str) -> Path:
    """A random model of a real class that reads the bundled tasks' words, as a folder that `load_backbone` takes."""
    words = sorted(
        {*vocabulary(), *(word for task in TASKS.values() for word in task.label_words)} - set(SPECIALS)
    )
    table = {word: number for number, word in enumerate(SPECIALS + words)}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    torch.manual_seed(0)
    if family == "roberta":
        model = RobertaForMaskedLM(
            RobertaConfig(
                vocab_size=len(table), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                max_position_embeddings=140, initializer_range=0.3, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1,
            )
        )  # fmt: skip
    else:
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=len(table), d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, pad_token_id=1, eos_token_id=2,
                decoder_start_token_id=1,
            )
        )  # fmt: skip
    path = folder / f"tiny-{family}"
    model.save_pretrained(path)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        cls_token="<s>", sep_token="</s>",
    ).save_pretrained(path)  # fmt: skip
    return path


def write_untuned_cells(workplace: Path, model: str, tasks: list[str], limit: int) -> None:
    """Untuned prompts and their scores for seeds 0 and 1, where notebooks 01 and 02 put theirs."""
    backbone = load_backbone(model, device="cpu")
    for number, task in enumerate(tasks):
        data = load_task(task, limit=limit)
        cell = Cell("tiny", model, task, workplace / "results")
        for seed in (0, 1):
            prompt = SoftPrompt.initial(backbone, 2, 10 * number + seed, "normal")
            prompt.save(cell.prompt(seed))
            combine_subtasks(score_task(backbone, prompt, data)).save(cell.scores(seed))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


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
    shell = InteractiveShell.instance()
    declared = notebook_parameters(FOLDER / f"{name}.ipynb")
    given = {"study": "tiny", "results": str(results), **TINY.get(name, {}), **parameters}
    for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            with capture_output():
                shell.run_cell(cell.source).raise_error()
        if "parameters" in cell.metadata.get("tags", []):
            shell.push({key: value for key, value in given.items() if key in declared})


@pytest.mark.slow
def test_the_pages_of_one_task_run_and_write_what_they_should(workplace: Path) -> None:
    model, task = str(save_tiny_model(workplace, "roberta")), "film_sentiment"
    for name in MINE:
        notebook, results = run(workplace, name, model=model, task=task, seeds=[0, 1])
        check_results(name, Cell("tiny", model, task, results))
        shown = outputs(notebook)
        figures = [data for data in shown if 'role="figure"' in data.get("text/html", "")]
        assert figures and all(len(data["text/plain"]) > 40 for data in figures)
        kinds = {kind for data in shown for kind in data}
        assert kinds <= {"text/html", "text/plain", "text/markdown"}, (
            "widgets make a page load from elsewhere"
        )
        assert any(
            "**held**" in text or "**did not hold**" in text or "**undecided**" in text
            for text in map(markdown, shown)
        )
        assert not any("nan" in markdown(data).lower().split() for data in shown)
    notebook, results = run(workplace, "10_comparison", models=[model], tasks=[task])
    assert len(read_table(Cell("tiny", root=results).table("10_comparison")))
    assert any('role="figure"' in data.get("text/html", "") for data in outputs(notebook))


@pytest.mark.slow
def test_they_run_for_an_encoder_decoder_with_three_classes_and_one_seed(workplace: Path) -> None:
    model, task = str(save_tiny_model(workplace, "t5")), "home_inference"
    for name in MINE:
        run_here(name, workplace / "results", model=model, task=task, seeds=[3])
        check_results(name, Cell("tiny", model, task, workplace / "results"), seeds=(3,))


def test_a_page_that_fails_after_tuning_keeps_what_it_tuned(workplace: Path) -> None:
    """Snakemake deletes the prompts of a failed page; its checkpoints are no outputs, so they stay."""
    model, task = str(save_tiny_model(workplace, "roberta")), "food_sentiment"
    cell = Cell("tiny", model, task, workplace / "results")
    place = {"model": model, "task": task, "seeds": [0]}
    checkpoint = cell.prompt(0).with_suffix(".checkpoint")
    with pytest.raises(Exception):  # noqa: B017  # whatever the page says of it
        run_here("01_prompt_tuning", workplace / "results", **place, examples="none")
    assert checkpoint.is_file()
    tuned = SoftPrompt.load(cell.prompt(0)).matrix
    cell.prompt(0).unlink()
    run_here("01_prompt_tuning", workplace / "results", **place, examples=20)
    assert torch.equal(SoftPrompt.load(cell.prompt(0)).matrix, tuned) and not checkpoint.exists()


def check_results(name: str, cell: Cell, seeds: tuple[int, ...] = (0, 1)) -> None:
    table = read_table(cell.table(name))
    assert len(table) and table["metric"].notna().all() and table["value"].notna().any()
    accuracies = table[table["metric"] == "accuracy"]
    assert accuracies[["n", "low", "high"]].notna().all().all()
    assert all(cell.prompt(seed).is_file() for seed in seeds)
    assert all(cell.scores(seed).is_file() for seed in seeds) or not NOTEBOOKS[name].scores


def markdown(data: dict[str, str]) -> str:
    return data.get("text/markdown", "")


# ---------------------------------------------------------------------------------------- how they are stored


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    identifiers = [cell["id"] for cell in notebook.cells]
    assert len(set(identifiers)) == len(identifiers)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert {"parameters", "remove-cell"} <= set(first.metadata["tags"])
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, "notebooks are stored without outputs"
    assert sum(cell.source.startswith("# ") for cell in notebook.cells if cell.cell_type == "markdown") == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_tells_and_leaves_the_work_to_the_package(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.end_lineno - node.lineno < 8, f"{node.name} belongs into the package"
    assert "write_table(" in code and "charts.enable()" in code
    assert sum(cell["cell_type"] == "markdown" for cell in cells) >= 4


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_parameters_cover_the_place_and_are_plain(name: str) -> None:
    declared = notebook_parameters(FOLDER / f"{name}.ipynb")
    scope = NOTEBOOKS[name].scope
    wanted = {"cell": {"model", "task", "seeds"}, "model": {"model"}, "study": set()}[scope]
    assert {"study", "results", *wanted} <= set(declared)


def test_every_notebook_file_is_in_the_table() -> None:
    assert {path.stem for path in FILES} <= set(NOTEBOOKS)
