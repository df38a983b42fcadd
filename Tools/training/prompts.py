"""Prompts for the teacher model: short questions and answers in simple words, on everyday topics.

Each prompt is a pair (head, opening). The head is the chat up to the assistant's turn; the opening is put
in the assistant's mouth, so the document starts with it. Run alone, prints some.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

TOPICS = """rain;snow;the sun;the moon;the stars;the sea;rivers;mountains;forests;deserts;islands;volcanoes;clouds;wind;
rainbows;thunder;ice;fire;water;air;soil;seeds;trees;flowers;leaves;fruit;vegetables;bread;milk;cheese;honey;eggs;rice;
soup;sleep;dreams;friendship;kindness;sharing;honesty;courage;patience;anger;fear;happiness;sadness;family;school;books;
reading;writing;counting;numbers;colors;shapes;music;drums;singing;dancing;drawing;painting;games;sports;swimming;running;
bicycles;cars;trains;ships;airplanes;bridges;houses;farms;cities;villages;markets;shops;money;clocks;time;days;months;
seasons;spring;summer;autumn;winter;birthdays;letters;maps;lamps;windows;doors;doctors;teachers;farmers;firefighters;
bakers;sailors;builders;cats;dogs;horses;cows;sheep;goats;chickens;ducks;birds;owls;penguins;fish;whales;dolphins;sharks;
frogs;turtles;snakes;bees;ants;butterflies;spiders;bears;wolves;foxes;rabbits;mice;lions;elephants;monkeys;giraffes;
teeth;hands;eyes;ears;the heart;washing hands;brushing teeth;eating well;exercise;recycling;gardens;shadows;sound;light;
magnets;the wheel;paper;glass;wood;stone;gold;sand;salt;sugar;shoes;hats;coats;umbrellas;kites;balloons;toys;puzzles;
telling the truth;saying thank you;saying sorry;helping others;making friends;being brave;
taking turns;asking questions;trying again;keeping promises;being on time;listening;cleaning up
""".replace("\n", "").split(";")

PLURAL = "teeth mice".split()
SINGULAR = "happiness sadness kindness glass recycling".split()

QUESTIONS = """What {be} {t}?;What {be} {t}?;What {be} {t}?;Why do we need {t}?;Why {be} {t} important?;Can you tell me about {t}?;
What can we learn from {t}?;What is special about {t}?;How would you explain {t} to a child?;What should I know about {t}?;
Where can we find {t}?;What do people like about {t}?;How {be} {t} useful?;Why do people talk about {t}?;
What is the difference between {t} and {u}?;How are {t} and {u} alike?;What do {t} and {u} have in common?;
What have {t} to do with {u}?;Which is more important, {t} or {u}?;What can {t} teach us about {u}?;
What would the world be like without {t}?;How does {t} make us feel?""".replace("\n", "").split(";")

STYLES = """Answer in two or three short sentences.;Answer in simple words.;Answer in one short paragraph.;
Answer for a young child.;Give a short answer.;Answer in a few simple sentences.""".replace("\n", "").split(";")


def prompts(seed: int) -> Iterator[tuple[str, str]]:
    """Endless stream of (head, opening)."""
    rng = random.Random(seed)
    while True:
        topic, other = rng.sample(TOPICS, 2)
        is_plural = (topic.endswith("s") and topic not in SINGULAR) or topic in PLURAL
        question = rng.choice(QUESTIONS).format(t=topic, u=other, be="are" if is_plural else "is")
        if is_plural:
            question = question.replace("How does", "How do")
        elif question.startswith("What have"):
            question = question.replace("What have", "What has")
        yield (f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question} {rng.choice(STYLES)}<|im_end|>\n"
               f"<|im_start|>assistant\n"), f"Question: {question}\nAnswer:"


if __name__ == "__main__":
    stream = prompts(0)
    for _ in range(20):
        print(next(stream))
