"""The prompted forward pass: against the full-vocabulary path, PEFT, and itself under other batchings."""

import pytest
import torch
from datasets import Dataset
from tiny import FAMILIES, PAIR_TASK, TASK, tiny_backbone, toy_data, toy_dataset

from skillkit.data.loading import TaskData, binary_subtasks
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode, encode_task
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_logits, label_token_ids
from skillkit.tuning.prompt import tune_prompt


def full_vocabulary_logits(backbone, prompt, text):
    """One example through the model's own forward method and vocabulary projection, written out by hand."""
    model, embed = backbone.model, backbone.embeddings
    ids = torch.tensor([backbone.tokenizer(text)["input_ids"]])
    rows, words = prompt.matrix[None], embed(ids)
    if backbone.family == "masked-lm":
        slot = embed(torch.tensor([[backbone.tokenizer.mask_token_id]]))
        return model(inputs_embeds=torch.cat([slot, rows, words], 1)).logits[0, 0]
    if backbone.family == "encoder-decoder":
        start = torch.tensor([[model.config.decoder_start_token_id]])
        return model(inputs_embeds=torch.cat([rows, words], 1), decoder_input_ids=start).logits[0, 0]
    return model(inputs_embeds=torch.cat([words, rows], 1)).logits[0, -1]


def test_label_logits_equal_the_full_vocabulary_path(backbone):
    dataset, prompt = toy_dataset(9, 0), SoftPrompt.initial(backbone, 4, 1)
    logits = label_logits(backbone, prompt, dataset, TASK, batch_size=4)
    ids = label_token_ids(backbone, TASK)
    with torch.no_grad():
        expected = torch.stack(
            [full_vocabulary_logits(backbone, prompt, text)[ids] for text in dataset["text"]]
        )
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_batch_size_and_padding_do_not_matter(backbone, batch_size):
    dataset, prompt = toy_dataset(40, 0), SoftPrompt.initial(backbone, 3, 0)
    alone = label_logits(backbone, prompt, dataset, TASK, batch_size=1)
    torch.testing.assert_close(
        label_logits(backbone, prompt, dataset, TASK, batch_size=batch_size), alone, atol=1e-5, rtol=1e-5
    )


def test_logits_come_in_the_order_of_the_data_set(backbone):
    dataset, prompt = toy_dataset(20, 0), SoftPrompt.initial(backbone, 3, 0)
    order = list(reversed(range(20)))
    forward = label_logits(backbone, prompt, dataset, TASK)
    torch.testing.assert_close(
        label_logits(backbone, prompt, dataset.select(order), TASK), forward[order], atol=1e-5, rtol=1e-5
    )


def test_no_prompt_is_allowed(backbone):
    assert label_logits(backbone, None, toy_dataset(5, 0), TASK).shape == (5, 2)


def test_an_encoded_data_set_serves_as_well(backbone):
    dataset, prompt = toy_dataset(11, 0), SoftPrompt.initial(backbone, 3, 0)
    encoded = encode(backbone, dataset, TASK)
    assert torch.equal(
        label_logits(backbone, prompt, encoded, TASK), label_logits(backbone, prompt, dataset, TASK)
    )


def test_an_encoded_task_serves_as_well_as_its_texts():
    backbone, data = tiny_backbone("roberta"), toy_data()
    encoded = encode_task(backbone, data)
    assert encoded.task is data.task and encoded.source == data.source
    for name, split in encoded.splits.items():
        expected = encode(backbone, data.split(name), TASK)
        assert split is encoded.split(name) and split.ids == expected.ids
        assert encode(backbone, split, TASK) is split
        assert encoded.labels(name).tolist() == data.labels(name).tolist() == data.split(name)["label"]
    assert encoded.train.digest != encoded.test.digest
    assert encode_task(backbone, encoded).test is encoded.test
    with pytest.raises(SkillkitError, match="no 'extra' split"):
        encoded.split("extra")
    with pytest.raises(SkillkitError, match="encode it again"):
        encode_task(backbone, encoded, "su")


def test_subtasks_of_an_encoded_task_are_its_encoded_subtasks():
    task = Task("many", "topic", ("text",), ("a", "b", "c", "d"), ("bad", "good", "middling", "word1"))
    splits = {name: toy_dataset(40, i, classes=4) for i, name in enumerate(("train", "validation", "test"))}
    backbone, data = tiny_backbone("roberta"), TaskData(task, splits, "the test")
    for name, part in binary_subtasks(encode_task(backbone, data)).items():
        expected = encode_task(backbone, binary_subtasks(data)[name])
        assert part.task == expected.task and part.source == expected.source
        for split in splits:
            assert part.split(split).ids == expected.split(split).ids
            assert torch.equal(part.split(split).labels, expected.split(split).labels)


def test_prompt_positions_see_the_text(backbone):
    """The answer must depend on the text through the prompt: change the text, and the answer changes."""
    prompt = SoftPrompt.initial(backbone, 3, 0)
    texts = Dataset.from_dict({"text": ["word1 word2", "word30 word31"], "label": [0, 1]})
    logits = label_logits(backbone, prompt, texts, TASK)
    assert (logits[0] - logits[1]).abs().max() > 1e-4


def test_parity_with_peft_on_t5():
    """Same loss and same gradient as PEFT's prompt tuning (encoder prompt only) for the same prompt."""
    from peft import PromptTuningConfig, TaskType, get_peft_model

    backbone, dataset = tiny_backbone("t5"), toy_dataset(8, 0)
    prompt = SoftPrompt.initial(backbone, 5, 0)
    encoded, ids = encode(backbone, dataset, TASK), label_token_ids(backbone, TASK)
    batch = encoded.batch(range(8), torch.device("cpu"))
    matrix = prompt.matrix.clone().requires_grad_()
    hidden = answer_hidden(backbone, matrix, batch)
    every = torch.arange(backbone.embeddings.weight.shape[0])
    loss = torch.nn.functional.cross_entropy(backbone.answer_logits(hidden, every), ids[batch.labels])
    loss.backward()

    config = PromptTuningConfig(
        task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=5, num_transformer_submodules=1
    )
    peft_model = get_peft_model(backbone.model, config)
    weight = peft_model.prompt_encoder["default"].embedding.weight
    with torch.no_grad():
        weight.copy_(prompt.matrix)
    output = peft_model(input_ids=batch.ids, attention_mask=batch.mask, labels=ids[batch.labels][:, None])
    output.loss.backward()
    torch.testing.assert_close(loss, output.loss, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(matrix.grad, weight.grad, atol=1e-6, rtol=1e-4)


class TestPaperLayouts:
    def test_su_replaces_row_0_by_the_mask_and_takes_off_position_embeddings(self):
        """Against the embedding layer of Su et al.'s code: zeroed positions, token type, LayerNorm."""
        backbone = tiny_backbone("roberta")
        prompt = SoftPrompt(SoftPrompt.initial(backbone, 6, 0).matrix, {"layout": "su"})
        dataset = toy_dataset(4, 0)
        logits = label_logits(backbone, prompt, dataset, TASK)
        layer = backbone.model.roberta.embeddings
        for row, text in enumerate(dataset["text"]):
            ids = torch.tensor(backbone.tokenizer(text)["input_ids"])
            sequence = torch.cat([prompt.matrix, layer.word_embeddings(ids)])
            sequence[0] = layer.word_embeddings.weight[backbone.tokenizer.mask_token_id]
            positions = layer.position_embeddings(torch.arange(2, 2 + len(sequence))).clone()
            positions[:6] = 0
            embedded = layer.LayerNorm(sequence + positions + layer.token_type_embeddings.weight[0])
            with torch.no_grad():
                hidden = embedded[None]
                for block in backbone.model.roberta.encoder.layer:
                    hidden = block(hidden)
                expected = backbone.model.lm_head(hidden)[0, 0, label_token_ids(backbone, TASK)]
            torch.testing.assert_close(logits[row], expected, atol=1e-5, rtol=1e-5)

    def test_row_0_is_dead_under_su_and_alive_otherwise(self):
        backbone, dataset = tiny_backbone("roberta"), toy_dataset(4, 0)
        matrix = SoftPrompt.initial(backbone, 6, 0).matrix
        moved = matrix.clone()
        moved[0] += 1
        for layout, alive in (("su", False), ("standard", True), ("wang", True)):
            one, two = (
                label_logits(backbone, SoftPrompt(m, {"layout": layout}), dataset, TASK)
                for m in (matrix, moved)
            )
            assert (not torch.equal(one, two)) == alive

    def test_t5_attends_to_the_padding_under_su(self):
        backbone = tiny_backbone("t5")
        encoded = encode(backbone, toy_dataset(3, 0), TASK, layout="su")
        batch = encoded.batch(range(3), torch.device("cpu"))
        assert batch.ids.shape == (3, 130)
        assert batch.mask.all()

    def test_texts_are_written_as_the_papers_do(self):
        backbone = tiny_backbone("roberta")
        nli = Task("nli", "inference", ("premise", "hypothesis"), ("yes", "no"), ("bad", "good"))
        dataset = Dataset.from_dict({"premise": ["word1"], "hypothesis": ["word2 word3"], "label": [0]})
        decode = backbone.tokenizer.decode
        assert decode(encode(backbone, dataset, nli, "su").ids[0]) == "<s> word2 word3 </s> word1 </s>"
        assert decode(encode(backbone, dataset, nli).ids[0]) == "<s> word1 </s> word2 word3 </s>"
        assert (
            decode(encode(backbone, dataset, nli, "wang").ids[0]) == "<s> <unk> word3 </s>"
        )  # "word1word2": nothing in between

    def test_the_wrong_family_is_refused(self):
        with pytest.raises(SkillkitError, match="masked LMs"):
            encode(tiny_backbone("gpt2"), toy_dataset(3, 0), TASK, "wang")
        with pytest.raises(SkillkitError, match="RoBERTa and T5"):
            encode(tiny_backbone("llama"), toy_dataset(3, 0), TASK, "su")
        with pytest.raises(SkillkitError, match="standard"):
            encode(tiny_backbone("bert"), toy_dataset(3, 0), TASK, "standart")


def test_pairs_go_through_the_tokenizers_own_form():
    dataset = Dataset.from_dict({"first": ["word1"], "second": ["word2"], "label": [0]})
    bert, gpt2 = tiny_backbone("bert"), tiny_backbone("gpt2")
    encoded = encode(bert, dataset, PAIR_TASK)
    assert bert.tokenizer.decode(encoded.ids[0]) == "<s> word1 </s> word2 </s>"
    assert encoded.types == [[0, 0, 0, 1, 1]]
    assert encode(gpt2, dataset, PAIR_TASK).types is None


class TestSoftPrompt:
    def test_is_seeded(self):
        backbone = tiny_backbone("roberta")
        one, same, other = (SoftPrompt.initial(backbone, 5, seed).matrix for seed in (0, 0, 1))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_vocabulary_rows_are_word_embeddings_and_normal_ones_have_their_spread(self):
        backbone = tiny_backbone("roberta")
        weight = backbone.embeddings.weight
        rows = SoftPrompt.initial(backbone, 6, 0).matrix
        assert all((weight == row).all(1).any() for row in rows)
        assert SoftPrompt.initial(backbone, 500, 0, "normal").matrix.std() == pytest.approx(
            weight.std().item(), rel=0.05
        )
        with pytest.raises(SkillkitError, match="vocabulary"):
            SoftPrompt.initial(backbone, 5, 0, "vocab")
        with pytest.raises(SkillkitError, match="length is 0; expected"):
            SoftPrompt.initial(backbone, 0, 0)

    def test_survives_the_disk(self, tmp_path):
        prompt = SoftPrompt(torch.randn(4, 6), {"task": "toy", "layout": "su"})
        loaded = SoftPrompt.load(prompt.save(tmp_path / "prompt.safetensors"))
        assert torch.equal(loaded.matrix, prompt.matrix)
        assert loaded.meta == prompt.meta

    def test_bad_files_are_named(self, tmp_path):
        from safetensors.torch import save_file

        with pytest.raises(SkillkitError, match="Run notebook 01_prompt_tuning first"):
            SoftPrompt.load(tmp_path / "absent.safetensors")
        path = SoftPrompt(torch.randn(40, 60)).save(tmp_path / "prompt.safetensors")
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(SkillkitError, match="truncated or foreign"):
            SoftPrompt.load(path)
        save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
        with pytest.raises(SkillkitError, match="not a soft prompt"):
            SoftPrompt.load(tmp_path / "foreign.safetensors")

    def test_bad_matrices_are_refused(self):
        with pytest.raises(SkillkitError, match="shape"):
            SoftPrompt(torch.zeros(3))
        with pytest.raises(SkillkitError, match="NaN"):
            SoftPrompt(torch.full((2, 2), torch.nan))


def test_a_prompt_of_another_width_is_refused():
    with pytest.raises(SkillkitError, match="7 wide"):
        label_logits(tiny_backbone("roberta"), SoftPrompt(torch.zeros(3, 7)), toy_dataset(3, 0), TASK)


def test_what_does_not_fit_the_positions_is_refused():
    with pytest.raises(SkillkitError, match="shorter prompt"):
        label_logits(tiny_backbone("roberta"), SoftPrompt(torch.zeros(90, 12)), toy_dataset(3, 0), TASK)


def test_bad_label_words_are_refused():
    backbone = tiny_backbone("roberta")
    with pytest.raises(SkillkitError, match="unknown to the tokenizer"):
        label_token_ids(backbone, Task("t", "s", ("text",), ("a", "b"), ("bad", "splendid")))
    with pytest.raises(SkillkitError, match="share a first"):
        label_token_ids(backbone, Task("t", "s", ("text",), ("a", "b"), ("bad", "bad")))
    with pytest.raises(SkillkitError, match="do not fit the vocabulary"):
        label_token_ids(backbone, Task("t", "s", ("text",), ("a", "b"), (3, 50_000)))


def test_an_empty_or_wrong_data_set_is_refused():
    backbone = tiny_backbone("roberta")
    with pytest.raises(SkillkitError, match="empty"):
        label_logits(backbone, None, toy_dataset(3, 0).select([]), TASK)
    with pytest.raises(SkillkitError, match="'text'"):
        label_logits(backbone, None, toy_dataset(3, 0).rename_column("text", "body"), TASK)


@pytest.mark.parametrize(
    "family, layout, taken",  # positions that the input takes beside prompt and text
    [
        ("roberta", "standard", 1),
        ("roberta", "su", 0),
        ("bert", "standard", 1),
        ("gpt2", "standard", 0),
        ("llama", "standard", 0),
    ],
)
def test_an_input_may_fill_the_last_position_and_no_more(family, layout, taken):
    backbone = tiny_backbone(family)
    prompt = SoftPrompt.initial(backbone, 5, 0, layout=layout)
    words = backbone.max_positions - 5 - taken - len(backbone.tokenizer("word1")["input_ids"]) + 1
    fitting, longer = (Dataset.from_dict({"text": ["word1 " * n], "label": [0]}) for n in (words, words + 1))
    assert label_logits(backbone, prompt, fitting, TASK).isfinite().all()
    with pytest.raises(SkillkitError, match=f"take {backbone.max_positions + 1} positions"):
        label_logits(backbone, prompt, longer, TASK)


@pytest.mark.parametrize("family", FAMILIES)
def test_autocast_does_not_reach_the_answer(family):
    backbone = tiny_backbone(family)
    hidden = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    ids = label_token_ids(backbone, TASK)
    plain = backbone.answer_logits(hidden, ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(backbone.answer_logits(hidden, ids), plain)
        half = backbone.answer_logits(hidden.bfloat16(), ids)  # as a body under autocast may leave it
    assert half.dtype == torch.float32
    assert torch.equal(half, backbone.answer_logits(hidden.bfloat16().float(), ids))


def test_the_digest_of_a_prompt_tells_its_rows_apart():
    prompt = SoftPrompt(torch.arange(6.0).reshape(3, 2))
    assert prompt.digest == SoftPrompt(torch.arange(6.0).reshape(3, 2), {"seed": 1}).digest
    assert prompt.digest != SoftPrompt(prompt.matrix.flip(0)).digest


def test_tuned_prompts_remember_their_layout():
    backbone = tiny_backbone("roberta")
    start = SoftPrompt.initial(backbone, 3, 0, layout="su")
    tuned = tune_prompt(backbone, toy_data(), steps=2, evaluate_every=2, start=start)
    assert tuned.prompt.meta["layout"] == "su"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_knows_its_model(family):
    backbone, other, dataset = tiny_backbone(family), tiny_backbone(family, 1), toy_dataset(5, 0)
    prompt = SoftPrompt.initial(backbone, 3, 0)
    label_logits(backbone, prompt, dataset, TASK)
    with pytest.raises(SkillkitError, match=r"was made for .* are others"):
        label_logits(other, prompt, dataset, TASK)
    label_logits(other, prompt.unbound(), dataset, TASK)
    label_logits(backbone.changed("changed", other.model, other.sites), prompt, dataset, TASK)
