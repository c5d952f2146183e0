"""Sentences about one of four topics, sometimes beside a word of another topic.

Factors: `topic` (the label's name), `other` (the topic of the intruding word, or "none"), `frame`,
`template`.
"""

from __future__ import annotations

from skillkit.classroom.drawing import Example, Picker, sentence
from skillkit.classroom.grammar.reviews import remark
from skillkit.classroom.lexicon.topics import FRAMES, MAIN, SUBJECTS, TIMES, TOPICS


def draw_topic(picker: Picker, label: int) -> Example:
    """A sentence about `TOPICS[label]`."""
    subject = SUBJECTS[TOPICS[label]]
    other_name = picker.draw.choice([name for name in TOPICS if name != TOPICS[label]])
    other = SUBJECTS[other_name]
    template, frame = picker.template(MAIN), picker.template(FRAMES)
    agent = picker.word(subject.agents)
    base, past = picker.word(subject.verbs).split("/")
    slots = {"agent": agent, "base": base, "past": past, "object": picker.word(subject.objects)}
    extra = {
        "agent2": lambda: picker.word(subject.agents, but=(agent,)),
        "place": lambda: picker.word(subject.places),
        "event": lambda: picker.word(subject.events),
        "event_x": lambda: picker.word(other.events),
        "place_x": lambda: picker.word(other.places),
        "object_x": lambda: picker.word(other.objects),
        "remark": lambda: remark(picker),
        "time": lambda: picker.word(TIMES),
    }
    for name, draw in extra.items():
        if "{" + name + "}" in template.text + frame.text:
            slots[name] = draw()
    main = template.text.format(**slots)
    intruder = other_name if "_x}" in frame.text else "none"
    return Example(
        texts=(sentence(frame.text.format(main=main, **slots)),),
        label=label,
        factors={
            "topic": TOPICS[label],
            "other": intruder,
            "agent": agent,
            "object": slots["object"],
            "frame": frame.name,
            "template": template.name,
            **picker.flags,
        },
        answers={"topic": TOPICS[label], "agent": agent, "object": slots["object"]},
        key=(agent, slots["object"], base if "{base}" in template.text else past),
    )
