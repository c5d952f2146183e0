"""A backbone is checked when it is made: each missing or broken part is named in one sentence."""

import pytest
import torch
from tiny import FAMILIES, MODELS, SPECIALS, TASK, WORDS, tiny_model, tiny_tokenizer, toy_dataset
from transformers import RobertaForSequenceClassification, RobertaModel, T5EncoderModel

from skillkit.errors import SkillkitError
from skillkit.models.activations import record
from skillkit.models.backbones import make_backbone
from skillkit.models.prompts import SoftPrompt, label_logits

MASKED, T5 = ("roberta", "bert"), ("t5", "t5-gated")
LAYERS = {"gpt2": "n_layer", "t5": "num_layers", "t5-gated": "num_layers"}


def made(model, tokenizer=None):
    return make_backbone("tiny", model, tokenizer or tiny_tokenizer(), device="cpu")


def model_with(family, **sizes):
    config, model, usual = MODELS[family]
    return model(config(vocab_size=len(SPECIALS) + len(WORDS), **{**usual, **sizes}))


def tokenizer_without(*tokens):
    tokenizer = tiny_tokenizer()
    for token in tokens:
        setattr(tokenizer, f"{token}_token", None)
    return tokenizer


@pytest.mark.parametrize("family", MASKED)
def test_a_masked_lm_needs_a_mask_token(family):
    with pytest.raises(SkillkitError, match="no mask token"):
        made(tiny_model(family), tokenizer_without("mask"))


@pytest.mark.parametrize("family", MASKED)
def test_an_encoder_that_hides_the_text_is_refused(family):
    with pytest.raises(SkillkitError, match="is_decoder=True, which hides the text"):
        made(model_with(family, is_decoder=True))


@pytest.mark.parametrize("family", T5)
@pytest.mark.parametrize("start", [None, -1, 1000, "1"])
def test_a_decoder_needs_a_start_token(family, start):
    model = tiny_model(family)
    model.config.decoder_start_token_id = start
    with pytest.raises(SkillkitError, match="decoder_start_token_id="):
        made(model)


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_needs_something_to_fill_batches_with(self, family):
        with pytest.raises(SkillkitError, match="neither a pad token nor an end token"):
            made(tiny_model(family), tokenizer_without("pad", "eos"))

    def test_takes_the_end_token_where_there_is_no_pad_token(self, family):
        backbone = made(tiny_model(family), tokenizer_without("pad"))
        assert backbone.tokenizer.pad_token == "</s>"
        label_logits(backbone, SoftPrompt.initial(backbone, 2, 0), toy_dataset(5, 0), TASK)

    def test_needs_an_embedding_for_every_token(self, family):
        tokenizer = tiny_tokenizer()
        tokenizer.add_tokens(["added"])
        with pytest.raises(SkillkitError, match="has 49 tokens, the model has embeddings for 48"):
            made(tiny_model(family), tokenizer)

    def test_needs_words(self, family):
        tokenizer = tiny_tokenizer()
        tokenizer.add_special_tokens({"additional_special_tokens": WORDS})
        with pytest.raises(SkillkitError, match="knows no words"):
            made(tiny_model(family), tokenizer)

    def test_needs_layers(self, family):
        with pytest.raises(SkillkitError, match="has no layer in"):
            made(model_with(family, **{LAYERS.get(family, "num_hidden_layers"): 0}))

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_needs_weights_that_are_numbers(self, family, value):
        model = tiny_model(family)
        path, weight = list(model.named_parameters())[3]
        with torch.no_grad():
            weight.view(-1)[1] = value
        with pytest.raises(SkillkitError, match=rf"{path} \(float32\) holds 1 of .* NaN or infinite"):
            made(model)

    def test_that_overflows_in_float16_is_refused_by_dtype(self, family):
        model = tiny_model(family)
        path, weight = list(model.named_parameters())[-1]
        with torch.no_grad():
            weight.view(-1)[0] = 1e6
        assert made(model).family
        with pytest.raises(SkillkitError, match=rf"{path} \(float16\) .* load it with dtype='float32'"):
            made(model.half())

    def test_gives_whole_sites_and_named_outputs_whatever_its_config_says(self, family):
        """Chunked FFNs would show a site in pieces, and a bare tuple has no last hidden state."""
        plain, dataset = made(tiny_model(family)), toy_dataset(5, 0)
        odd = model_with(family, chunk_size_feed_forward=2, return_dict=False, output_hidden_states=True)
        odd.load_state_dict(plain.model.state_dict())
        prompt = SoftPrompt.initial(plain, 3, 0)
        found, expected = (record(each, prompt, dataset, TASK) for each in (made(odd), plain))
        torch.testing.assert_close(found, expected, equal_nan=True)


def test_large_finite_weights_pass():
    """Their sum is infinite, they are not."""
    model = tiny_model("roberta")
    with torch.no_grad():
        model.roberta.embeddings.word_embeddings.weight.fill_(3e38)
    assert made(model).family == "masked-lm"


def test_the_tokenizer_of_another_model_is_refused():
    model = tiny_model("roberta")
    model.config.pad_token_id, model.config.bos_token_id, model.config.eos_token_id = 2, 1, 0
    with pytest.raises(SkillkitError, match="belongs to another model"):
        made(model)


@pytest.mark.parametrize(
    ("model", "lacking"),
    [
        (lambda: RobertaModel(tiny_model("roberta").config), "RobertaModel, which has no 'roberta'"),
        (lambda: RobertaForSequenceClassification(tiny_model("roberta").config), "no 'lm_head.decoder'"),
        (lambda: T5EncoderModel(tiny_model("t5").config), "no 'decoder.block'"),
        (lambda: None, "model is None; expected"),
        (lambda: torch.nn.Linear(2, 2), "model is a Linear"),
    ],
)
def test_a_model_that_cannot_answer_is_refused(model, lacking):
    with pytest.raises(SkillkitError, match=lacking):
        made(model())


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(SkillkitError, match=r"tokenizer is .bert-base-uncased.; expected"):
        make_backbone("tiny", tiny_model("bert"), "bert-base-uncased")
