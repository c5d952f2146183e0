"""The classroom edition: small text tasks written for this project and two mini models pretrained on their language.

- `TASKS`, `classroom_splits(name, seed)`: the bundled tasks and their adversarial twins (`tasks.py`).
- `corpus_documents(seed)`, `Document`, `vocabulary()`: the pretraining text and all its words (`tasks_corpus.py`,
  `tasks_vocabulary.py`).
- `model_path(name)`: the folder of a mini model (`minis.py`); how they were made: `pretrain.py`.

The grammars are in `grammar_*.py` (how a text is put together), their words and templates in `lexicon_*.py`.
"""

from .grammar import Draw
from .minis import model_path
from .tasks import TASKS, ClassroomTask, classroom_splits
from .tasks_corpus import Document, corpus_documents, draw_document
from .tasks_vocabulary import vocabulary

__all__ = [
    "TASKS",
    "ClassroomTask",
    "Document",
    "Draw",
    "classroom_splits",
    "corpus_documents",
    "draw_document",
    "model_path",
    "vocabulary",
]
