"""The one tokenizer of both bundled mini models: whole grammar words, with characters to fall back on.

Every word of the vocabulary is one token, so a neuron that follows a word follows one position. A word the
vocabulary lacks (a typo) falls apart into its longest known beginning and single characters instead of
becoming `<unk>`, so typos harm a model without blinding it.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

from skillkit.errors import SkillkitError

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(12))
"""What stands for a removed span in an encoder-decoder's input, as in the T5 family."""

PUNCTUATION = '.,;:!?"()'
_CHARACTERS = string.ascii_lowercase + string.digits + "'-"
_MAXIMUM_LENGTH = 192


def build_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """Build the tokenizer of which each of the words is one token.

    Single texts become `<s> text </s>` and pairs `<s> first </s> </s> second </s>`.

    Args:
        words: lower-case words, in any order.

    Raises:
        SkillkitError: for a word that the tokenizer cannot produce (capitals, spaces, punctuation inside).
    """
    whole = sorted(set(words))
    for word in whole:
        if not set(word) <= set(_CHARACTERS) and word not in PUNCTUATION:
            raise SkillkitError(
                f"the word {word!r} cannot be one token: expected lower-case letters, digits, ' and - only; "
                "change the word in the grammar"
            )
    pieces = [*SPECIAL_TOKENS, *PUNCTUATION, *_CHARACTERS, *(f"##{character}" for character in _CHARACTERS)]
    known = dict.fromkeys([*pieces, *whole, *SENTINELS])
    vocabulary = {token: index for index, token in enumerate(known)}

    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="<unk>", max_input_chars_per_word=60))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(f"[{PUNCTUATION}]"), behavior="isolated"),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        sep_token="</s>",
        cls_token="<s>",
        additional_special_tokens=list(SENTINELS),
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=_MAXIMUM_LENGTH,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
