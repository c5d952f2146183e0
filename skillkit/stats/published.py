"""What the three papers say, beside each of their claims that is tried here.

Numbers are given only where the authors' released files hold them, and say so; the papers' own figures are
left to the papers.
"""

from __future__ import annotations

PUBLISHED: dict[tuple[str, str], str] = {
    ("all three", "The tuned prompt beats"): (
        "Prompt tuning works on a frozen model. RoBERTa-base on SST-2: 93.3 % tuned, 50.8 % with an "
        "untrained prompt (released results of Su et al.)."
    ),
    ("Wang et al.", "The most predictive neuron"): (
        "After prompt tuning, activations of single neurons at the prompt predict the label."
    ),
    ("Wang et al.", "Two seeds share"): "Skill neurons are a property of the model, found by any prompt.",
    ("Wang et al.", "Breaking skill neurons"): (
        "Perturbing skill neurons costs much more accuracy than perturbing as many random ones."
    ),
    ("Wang et al.", "Tasks of one type rank"): "Similar tasks rank the neurons alike; other tasks do not.",
    ("Wang et al.", "adapter:"): (
        "Neurons that prompt tuning finds also matter for adapters, so they come from pretraining."
    ),
    ("Wang et al.", "bitfit:"): (
        "Neurons that prompt tuning finds also matter for BitFit, so they come from pretraining."
    ),
    ("Wang et al.", "With 2%"): "A model pruned to its top 2 % of skill neurons keeps most of its accuracy.",
    ("Wang et al.", "The pruned model is faster"): (
        "The pruned model is faster; 66.6 % of the parameters remain (the released code gives just that)."
    ),
    ("Wang et al.", "ON on skill neurons"): (
        "The overlap of activated neurons indicates transfer better if only skill neurons count."
    ),
    ("Su et al.", "A prompt transfers better"): (
        "Prompts work unchanged on tasks of the same type. RoBERTa-base: the prompt of SST-2 reaches 73.6 % "
        "on IMDB (its own: 89.7 %), and 35.8 % on MNLI (its own: 79.9 %; released results)."
    ),
    ("Su et al.", "Inside a type"): "Prompts work unchanged on tasks of the same type.",
    ("Su et al.", "ON predicts"): (
        "The overlap of activated neurons indicates transfer better than the similarity of embeddings."
    ),
    ("Su et al.", "Starting from a prompt"): "Prompts of similar tasks are better starts than fresh rows.",
    ("Su et al.", "It reaches the fresh run's best"): "Prompts of similar tasks speed the tuning up.",
    ("Su et al.", "A projected prompt"): (
        "A trained projector carries prompts to another model, for tasks like those it was trained on. "
        "T5-base to RoBERTa-base on MNLI: 81.9 % (released results; what the projector was trained on is not "
        "recorded)."
    ),
    ("Su et al.", "Task tuning beats"): "Tuning the projector on a task works better than matching prompts.",
    ("Su et al.", "Tuning from a projected"): "Projected prompts are better starts than fresh rows.",
    ("Ackermann & Ohmer", "Prompts tuned on clean text"): "Prompts are not robust to adversarial text.",
    ("Ackermann & Ohmer", "Accuracy on adversarial"): (
        "RoBERTa falls below chance on adversarial text; T5 stays above it on two of three data sets."
    ),
    ("Ackermann & Ohmer", "Clean and adversarial top"): (
        "T5's skill neurons on clean text are among the most predictive on adversarial text, too; RoBERTa's "
        "are not."
    ),
    ("Ackermann & Ohmer", "Breaking skill neurons"): (
        "Suppressing skill neurons costs more accuracy than suppressing random ones, in RoBERTa and T5."
    ),
    ("Ackermann & Ohmer", "The attack lowers"): "Prompts are not robust to adversarial text.",
    ("Ackermann & Ohmer", "The more of the clean top"): (
        "Robustness may depend on activating the same skill neurons on adversarial text."
    ),
}
"""By paper and the first words of a claim."""


def said(paper: str, claim: str) -> str:
    """What a paper says of a claim, in a sentence; empty where it says nothing that is known here."""
    found = (text for (whose, start), text in PUBLISHED.items() if whose == paper and claim.startswith(start))
    return next(found, "")
