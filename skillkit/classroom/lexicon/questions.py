"""Words and templates of the question-pair task."""

from __future__ import annotations

from skillkit.classroom.drawing import Pool, phrases, words

#: Two verbs that mean the same, and the things they go with.
ACTIONS: dict[str, Pool[str]] = {
    "fix/repair": phrases(
        "a bicycle | a laptop | a roof | a watch | a window | an engine", "a zipper | a pump"
    ),
    "buy/purchase": phrases("a house | a car | a guitar | a camera | a ring | a tent", "a boat | a carpet"),
    "learn/study": phrases("french | chess | history | algebra | music | biology", "spanish | law"),
    "clean/wash": phrases(
        "a blanket | a pillow | a jacket | a kettle | a car | a window", "a rug | a curtain"
    ),
    "cook/prepare": phrases("rice | a soup | a pie | fish | pasta | a steak", "a pudding | an omelette"),
    "grow/raise": phrases("tomatoes | roses | herbs | potatoes | carrots | chickens", "lemons | rabbits"),
    "write/compose": phrases("a letter | a poem | a song | a speech | a story", "an essay | a report"),
    "delete/erase": phrases("a file | a photo | a message | an account | a video", "a folder | a password"),
    "start/begin": phrases("a blog | a company | a diary | a garden | a club", "a podcast | a farm"),
    "choose/select": phrases("a name | a doctor | a college | a lawyer | a dog", "a bank | a hotel"),
    "improve/boost": phrases(
        "my memory | my sleep | my english | my health | my balance", "my voice | my diet"
    ),
    "find/locate": phrases(
        "a job | a flat | a dentist | a teacher | a parking place", "a babysitter | a plumber"
    ),
}

#: Ways to ask the same thing.
INTENTS: dict[str, Pool[str]] = {
    "how": phrases(
        "how do i {verb} {object} | how can i {verb} {object} | what is the best way to {verb} {object}"
        " | what must i do to {verb} {object}",
        "which steps does it take to {verb} {object}",
    ),
    "why": phrases(
        "why do people {verb} {object} | what is the reason to {verb} {object}"
        " | what makes people {verb} {object}",
        "for what reason would anyone {verb} {object}",
    ),
    "where": phrases(
        "where can i {verb} {object} | what is a good place to {verb} {object}"
        " | where do people {verb} {object}",
        "at which place would you {verb} {object}",
    ),
    "when": phrases(
        "when should i {verb} {object} | what is the right time to {verb} {object}"
        " | when do people {verb} {object}",
        "in which month is it best to {verb} {object}",
    ),
    "cost": phrases(
        "how much does it cost to {verb} {object} | how expensive is it to {verb} {object}"
        " | what is the price if i {verb} {object}",
        "how much money do i need to {verb} {object}",
    ),
    "long": phrases(
        "how long does it take to {verb} {object} | how many hours do i need to {verb} {object}"
        " | how much time do i need to {verb} {object}",
        "how much time goes by until i {verb} {object}",
    ),
    "who": phrases(
        "who can {verb} {object} for me | is there anyone who can {verb} {object}"
        " | do you know who can {verb} {object}",
        "which person is able to {verb} {object}",
    ),
}

#: A detail that must be the same in two questions for them to be duplicates.
DETAILS = {
    "city": phrases(
        "in london | in paris | in rome | in madrid | in berlin | in tokyo | in boston",
        "in vienna | in lisbon",
    ),
    "person": phrases(
        "for a child | for my brother | for a beginner | for my mother | for a friend", "for my nephew"
    ),
    "limit": phrases(
        "with little money | in one week | without help | at home | in winter | in a hurry",
        "before sunday | in summer",
    ),
}
CITIES = words("london paris rome madrid berlin tokyo boston", "vienna lisbon")

#: The first of each pair names the origin first, the second the goal first.
ROUTES = {
    "way": phrases(
        "how do i get from {origin} to {goal} | how do i get to {goal} from {origin}"
        " | what is the best way from {origin} to {goal} | what is the best way to {goal} from {origin}",
        "how would you travel from {origin} to {goal}",
    ),
    "train": phrases(
        "when does the train from {origin} to {goal} leave"
        " | when does the train to {goal} leave from {origin}"
        " | at what time is the train from {origin} to {goal}",
        "what is the hour of the train to {goal} from {origin}",
    ),
    "fare": phrases(
        "how much is a ticket from {origin} to {goal} | how much is a ticket to {goal} from {origin}"
        " | what is the price of a flight from {origin} to {goal}",
        "what do i pay for a ticket to {goal} from {origin}",
    ),
}
OPENERS = phrases("hello , | quick question : | please tell me , | i wonder ,", "excuse me ,")
