#!/usr/bin/env python3
"""Step 1: write simple, coherent children's stories from a story grammar.

    python stories.py --out stories.jsonl --count 1500000

Each story follows one of the plots below. A plot is a list of paragraphs; [a|b|c] picks one of the alternatives (they
nest, and may be empty), {x.attribute} is filled from the characters and things that the story was cast with. So who
does what to whom stays consistent, while the wording varies freely. Output: one JSON string per line.

The lines of the grammar are as long as the paragraphs they hold. Its text and the order in which random numbers are
drawn are what the bundled model was trained on: a change to either changes every story.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re

STORIES_PER_JOB = 1000
SEED_STRIDE = 1_000_000  # each job has a seed of its own: seed * SEED_STRIDE + job index

GIRLS = """Lily Mia Anna Lucy Rosie Emma Ella Grace Ruby Daisy Zoe Clara Nora Ivy Alice Maya Sophie Hazel Luna Poppy Rose
Willa Amina Priya Yuki Mei Elena Rosa Sofia Nadia Freya Leila Zara Nia Tessa Martha Edith June Pearl Nell Flora Bella
Willow Clover Olive Tilly Lulu Sally Jenny Katie Penny Wendy Maple Ginger Coco""".split()

BOYS = """Max Tom Ben Sam Tim Jack Leo Finn Oscar Noah Henry Oliver Toby Felix Hugo Theo Eli Milo Jasper Arthur Charlie
Simon Peter Omar Kofi Ravi Kenji Lin Carlos Diego Marco Ivan Lars Hassan Tariq Kai Jamal Ned Walter George Albert Otto
Hank Gus Buddy Biscuit Pip Pepper Spot Bruno Patch Mango Dusty Sunny Button Ziggy Bobo Momo Billy Danny Kit""".split()


class Being:
    """A character: {x} is the name, {x.he} {x.him} {x.his} {x.He} {x.His} the pronouns, {x.kind} what it is."""

    def __init__(self, name: str, kind: str, is_girl: bool, trait: str) -> None:
        self.name, self.kind, self.trait = name, kind, trait
        self.he, self.him, self.his = ("she", "her", "her") if is_girl else ("he", "him", "his")
        self.hers = "hers" if is_girl else "his"
        self.He, self.His = self.he.capitalize(), self.his.capitalize()
        self.self = self.him + "self"
        self.a = with_article(kind)
        self.atrait = with_article(f"{trait} {kind}")

    def __str__(self) -> str:
        return self.name


class Thing:
    """A thing: {x} is 'ball', {x.plain} 'a ball', {x.full} 'red ball', {x.a} 'a red ball'."""

    def __init__(self, noun: str, adjective: str = "") -> None:
        self.noun, self.adjective = noun, adjective
        self.full = f"{adjective} {noun}".strip()
        self.a, self.plain = with_article(self.full), with_article(noun)

    def __str__(self) -> str:
        return self.noun


def with_article(words: str) -> str:
    """`words` after "a" or "an"."""
    return ("an " if words[0].lower() in "aeiou" and not words.startswith(("uni", "use")) else "a ") + words


def words(text: str) -> list[str]:
    """The items of a list separated by commas."""
    return [word.strip() for word in text.replace("\n", " ").split(",")]


ANIMALS = words("""dog, puppy, cat, kitten, rabbit, mouse, fox, bear, squirrel, hedgehog, owl, duck, hen, frog, turtle, bee,
butterfly, ladybug, otter, beaver, deer, pony, donkey, lamb, goat, pig, elephant, lion, monkey, giraffe, panda, koala, badger,
mole, raccoon, hamster, penguin, chipmunk, sparrow, crow, robin, snail, ant, lizard, cow, sheep, parrot, wolf, bunny, tiger""")
PEOPLE = words("girl, girl, girl, boy, boy, boy, princess, prince, farmer, baker, painter, gardener, sailor, robot")
GOOD = words("""kind, clever, cheerful, friendly, gentle, curious, brave, helpful, little, happy, young, small, funny, quiet,
playful, thoughtful, tiny, lively, sweet, honest""")
COLORS = words("red, blue, green, yellow, purple, orange, pink, white, golden, silver")
LOOKS = words("shiny, old, new, tiny, big, little, beautiful, soft, wooden, bright, pretty, special, small, lovely")
TOYS = words("""ball, kite, drum, teddy bear, toy car, toy boat, doll, hat, scarf, book, whistle, balloon, bell, bucket, basket,
blanket, umbrella, ribbon, button, ring, toy train, puzzle, paintbrush, flute, lantern, cup, mitten, music box, backpack, pillow""")
FINDS = words("""key, shell, coin, feather, stone, bell, ring, button, map, lantern, bottle, letter, marble, necklace, whistle, hat,
glove, watch, basket, umbrella, kite, ball, scarf, book, compass, box""")
FOODS = words("""cake, pie, loaf of bread, apple pie, sandwich, bowl of soup, pancake, cookie, muffin, jar of honey, pot of jam,
carrot cake, berry tart, plate of cookies""")
FRUITS = words("apple, pear, plum, peach, carrot, pumpkin, tomato, sunflower, strawberry, melon, cherry tree, rose, bean, tulip")
HOMES = words("""in a small village, by the sea, at the edge of the forest, on a farm, near a river, in a little house on a hill,
by a quiet lake, under an old oak tree, in a cozy cottage, in a green valley, in a small town, next to a windmill, near the mountains,
in a house with a blue door, beside a meadow full of flowers, at the end of a long road, in a tall tree, behind the school""")
PLACES = words("""the park, the forest, the beach, the meadow, the garden, the river, the lake, the market, the hill, the farm, the pond,
the orchard, the playground, the old bridge, the valley, the big field, the harbor""")
SPOTS = words("""under a bush, behind a big rock, next to a tree, in the tall grass, under the bench, near the gate, beside the path,
behind the fence, under a pile of leaves, between two stones, by the well, at the bottom of the steps, inside a hollow log,
on top of a wall, beside the water""")
TIMES = words("""sunny morning, rainy afternoon, cold winter morning, warm summer day, windy day, spring morning, quiet evening, bright day,
foggy morning, autumn afternoon, Sunday morning, Saturday afternoon, cloudy day, hot afternoon""")
FEARS = {"the dark": ("[turned off the lamp|sat in the dark room|went outside at night]", "the stars were [beautiful|bright|like tiny lamps]"),
         "the water": ("[put one foot in the water|stepped into the water|walked to the edge of the water]", "the water was [warm|cool|soft] and [fun|nice|pleasant]"),
         "thunder": ("[listened to the thunder|looked out of the window|counted after each flash]", "the thunder was only a [big|loud] noise [in the sky|far away]"),
         "high places": ("[climbed one step|climbed to the first branch|went up the ladder a little]", "the view from the top was [wonderful|beautiful|amazing]"),
         "the old house": ("[walked up to the old house|knocked on the door of the old house|looked through the window of the old house]", "there was only [a kind old woman with a cat|a family of mice|an old clock that went tick tock] inside"),
         "loud noises": ("[listened to the drum|stood near the drum|tapped the drum softly]", "a loud noise [could be fun|was only a noise|could be like music]")}
NOISES = words("""a mouse with a nut, a branch that tapped on the window, a loose door in the wind, a hungry kitten, a little owl on the roof,
an apple that had rolled down the stairs, a frog in the watering can, a clock that had fallen over""")
GOALS = {"the sea": "[blue|wide|deep] and [shining|full of waves|endless]", "the top of the mountain": "[high|cold] and [quiet|full of snow|close to the clouds]",
         "the big city": "[bright|loud|full of people] and [busy|exciting|full of tall houses]", "the waterfall": "[tall|loud|white] and [full of rainbows|very beautiful|wild]",
         "the lighthouse": "[tall|white] and [very bright|round like a candle|full of stairs]", "the end of the rainbow": "[bright|warm] and [full of color|soft like a dream]"}
JOBS = {"a boat": "It floated on the water", "a kite": "It flew high in the sky", "a treehouse": "It stood strong in the tree",
        "a bridge": "It reached all the way across the stream", "a birdhouse": "A little bird moved in the same day", "a sled": "It went down the hill like the wind",
        "a wagon": "It rolled down the road without a sound", "a sandcastle": "It had four tall towers", "a swing": "It went up and down, up and down"}
BREAKABLES = words("vase, plate, teapot, cup, lamp, mirror, bowl, clock")
DREAMS = words("whale, cloud, star, swan, bear, giant, fish")
FEMININE = {"boy": "girl", "prince": "princess"}
MASCULINE = {"girl": "boy", "princess": "prince"}
MORALS = words("""It is good to share, Friends help each other, It is always best to tell the truth, Small things can make a big difference,
Being kind makes everyone happy, It is fine to ask for help, Good things take time, You should never give up,
Everyone is good at something, A true friend is the best treasure""")

HELLO = """[Once upon a time, there was {a.atrait} named {a}. {a.He} lived {home}.|Once upon a time, {home}, there lived {a.atrait} named {a}.|{a} was {a.atrait}. {a.He} lived {home}.|There once was {a.atrait} named {a} who lived {home}.|Once there was {a.a} named {a}. {a} was very {a.trait} and lived {home}.|{home^}, there lived {a.atrait}. {a.His} name was {a}.|{a} the {a.kind} lived {home}.|Long ago, {a.atrait} named {a} lived {home}.|Far away, {home}, lived {a.a} called {a}.]"""
HABIT = """[| {a} loved to [play|sing|run|read|draw|dance|explore|help others|look at the clouds|tell stories].| Every day, {a} [went for a walk|played outside|helped {a.his} [mother|father|neighbors]|swept the floor and fed the birds].| {a.He} was [small|young], but {a.he} had a big heart.| Everyone [liked|loved|knew] {a}.| {a.He} had [bright eyes|a big smile|a soft voice|a warm smile] and was [never|almost never] [sad|angry|bored].| {a.His} best friend was {b.a} named {b}.]"""
ALONE = HABIT.rsplit("|", 1)[0] + "]"
ONEDAY = "[One day|One {time}|It was a {time}, and|One {time}|That morning|One day]"
HAPPY = "[happy|glad|very happy|so happy|full of joy|proud]"
SAD = "[sad|very sad|unhappy|so sad|upset]"
END = """[
{a} and {b} were best friends from that day on.|
From that day on, {a} and {b} [played together every day|were the best of friends|always helped each other].|
That night, {a} [went to bed with a smile|slept well and had sweet dreams|fell asleep with a smile on {a.his} face].|
And they all lived happily ever after.|
{a} learned that day. {moral}.|
{a} never forgot that day.|
"{moral}," {a} [said|thought|told everyone] [with a smile|softly|at dinner|that evening].|
{a} went home, ate a warm dinner, and told {a.his} [mother|father|family|grandmother] all about it.|
]"""

PLOTS = {
    "lost": """{HELLO}{HABIT} {a} had {o.a}. [It was {a.his} favorite thing in the world.|{a.He} took it everywhere.|{a.His} grandmother had given it to {a.him}.|It was a birthday gift from {b}.]
{ONEDAY} {a} went to {place} with the {o}. {a.He} [played|ran and jumped|had fun|looked at the flowers] [all morning|for a long time|until noon]. But when it was time to go home, the {o} was [gone|not there|missing]! "[Oh no!|Oh dear!|Where is it?] [I have lost my {o}|My {o} is gone|I can't find my {o}]!" [cried|said] {a}. {a.He} felt {SAD}.
[First, {a.he} asked {c} the {c.kind}.|{a.He} met {c} the {c.kind} on the path.] "Have you seen my {o}?" [asked {a}|{a.he} asked]. "No, I have not," said {c}. "[But I can help you look.|Maybe {b} knows where it is.|Try to remember where you played.]"
Then {a} [saw|met|asked] {b} the {b.kind}. "[Please help me,|{b}, can you help me?] I lost my {o}," said {a}. {b} [thought for a moment|nodded|smiled kindly]. "[Let's look together|Don't worry, we will find it|Let us go back and look again]," said {b}.
They looked [here and there|up and down|everywhere|high and low]. [They looked in the water and in the trees.|They looked behind every stone.|They walked all the way back to {place}.|] [At last|Finally|After a while], {b} [saw something|pointed at something|found something] {adjective} {spot}. [It was the {o}!|There was the {o}!] "[Hooray!|You found it!|Thank you, {b}!] [You are a true friend|I am so happy|I will take better care of it]," said {a}, and {a.he} [gave {b} a big hug|hugged {b}|danced with joy].{END}""",

    "owner": """{HELLO}{HABIT}
{ONEDAY} {a} was walking [to|near|through] {place} when {a.he} saw something {spot}. It was {f.a}! "[What a nice {f}|How pretty|Look at this]," [said|thought] {a}. "[Who lost it?|I wonder whose it is.|Someone must be looking for it.]" {a} wanted to keep the {f}, but {a.he} knew [it was not {a.hers}|that it belonged to someone else].
{a} [took|carried] the {f} to {c} the {c.kind}. "Is this {f} yours?" asked {a}. "No, [it is not mine|my {f} is at home|I have never seen it]," said {c}. "[Ask {b}.|Maybe it belongs to {b} the {b.kind}.|You should ask {b}. {b.He} was here this morning.]"
So {a} [went|walked|ran] to {b}'s house. {b} was sitting [by the door|at the window|on the steps] and looked {SAD}. "[What is wrong|Why are you sad|Why are you crying], {b}?" asked {a}. "I lost my {f}," said {b}. "[My father gave it to me|It was a gift from my grandmother|I looked for it all day], and now it is gone."
{a} [smiled and|] held out the {f}. "Is this your {f}?" {b} [jumped up|clapped|could not believe it]. "Yes! [You found it!|That is my {f}!|Oh, thank you!]" {b.he} [said|cried]. {b} was so [happy|glad|full of joy] that {b.he} [gave {a} a warm cookie|hugged {a}|asked {a} to stay for tea]. {a} felt [warm inside|proud|good], because {a.he} had done the right thing.{END}""",

    "share": """{HELLO}{HABIT} {ONEDAY} {a}'s [mother|father|grandmother|aunt] gave {a.him} {o.a}. {a} loved it [very much|at once|right away].
{a} took the {o} to {place}. {b} the {b.kind} came [by|along|over]. "[What a nice {o}|I like your {o}|That is a lovely {o}]! [May I play with it|Can I play too|Can I hold it for a moment]?" asked {b}. "No!" said {a}. "[It is mine|This is my {o}|I don't want to share]." {b} [looked down|was {SAD}] and [walked away|went home|left].
{a} [played alone|sat alone with the {o}|played by {a.self}]. [At first it was fun.|The sun was shining.|The birds were singing.|] But soon {a.he} [felt lonely|was bored|did not feel happy]. "[It is not fun to play alone|I was not kind to {b}|A {o} is no fun without a friend]," {a.he} [thought|said to {a.self}].
So {a} [ran|went|walked] to find {b}. "I am sorry, {b}," said {a}. "[I was not kind|I was wrong|I should share]. [Let's play together|Do you want to play with me|You can play with my {o} now]." {b} [smiled|was {HAPPY}|jumped up]. "[Yes, please|Thank you|Of course]!" {b.he} said.
They [played with the {o}|took turns with the {o}|laughed and played] [until the sun went down|all afternoon|until dinner]. [It was the best day ever.|It was much more fun than before.|{a} was {HAPPY}.] {a} [knew|learned] that [sharing makes things better|it is good to share|a toy is more fun with a friend].{END}""",

    "fear": """{HELLO}{HABIT} But {a} had a [secret|problem]. {a.He} was afraid of {fear}. [{a.He} did not tell anyone.|When {a.he} thought of it, {a.his} knees shook.|The other children did not know.|]
{ONEDAY} {b} the {b.kind} came to [visit|see] {a}. "[What is the matter|Why do you look so worried|Are you all right], {a}?" asked {b}. {a} [looked at the ground|sighed|took a deep breath]. "I am afraid of {fear}," {a.he} [whispered|said in a small voice|said].
{b} did not laugh. "[Everyone is afraid of something|I was afraid of {fear} too|That is all right], " said {b}. "[I will help you|We can try together|I will hold your hand]. [We will go slowly|Just take one small step|You can stop when you want]."
So {a} [took a deep breath and|held {b}'s hand and|closed {a.his} eyes and] {facing}. {a.His} heart [went boom, boom, boom|beat fast]. "[I can't do it|It is too scary|I want to go home]," said {a}. "[You are doing well|I am right here|Just a little more]," said {b}. {a} [tried again|opened {a.his} eyes|waited a moment]. And then {a.he} saw that {truth}.
"[I did it|It is not so bad|I am not afraid anymore]!" [cried|shouted|said] {a}. {b} [clapped|smiled|cheered]. "[I knew you could do it|You are very brave|I am proud of you]," {b.he} said. [After that|From then on], {a} was not afraid of {fear} anymore.{END}""",

    "stuck": """{HELLO}{HABIT}
{ONEDAY} {a} heard a [small|sad|quiet] voice near {place}. "Help! [Please help me|Somebody help me|I am stuck]!" {a} [ran|hurried] to see. It was {b} the {b.kind}. {b} was stuck [in the mud|in a deep hole|between two rocks|in a thorny bush|in an old net]. "[Don't worry|Stay calm|Hold on], I will help you," said {a}.
First, {a} [pulled {b}'s hand|pushed with all {a.his} strength|tried to lift {b}]. But {b} did not move. [Then|Next], {a} used a [long stick|strong branch|piece of rope]. [It broke|It was too short|That did not work]. "[What should we do now|This is hard|I am not strong enough]," said {a}. "[Maybe we need more help|Please don't leave me|Can you call someone]," said {b}.
{a} [called|ran to get|shouted for] {c} the {c.kind}. {c} came [at once|right away|quickly] [with a rope|]. "[One, two, three, pull|Let's pull together]!" said {c}. They pulled and pulled. [Pop|At last]! {b} was free.
"Thank you, {a}! Thank you, {c}!" said {b}. "[You saved me|I was so scared|You are very kind]." {b} was [dirty and tired|tired|muddy] but {HAPPY}. {a} [laughed|smiled]. "[Together we are strong|That is what friends are for|I am glad you are safe]," {a.he} said. Then they all [went to wash in the river|shared a big lunch|had {food.plain} together|walked home].{END}""",

    "newfriend": """{HELLO} But {a} was lonely. {a.He} had no one to play with. [Every day {a.he} sat at the window and watched the others.|"I wish I had a friend," {a.he} said.|The days were long and quiet.]
{ONEDAY} {a} went to {place}. There {a.he} saw {b.a} sitting {spot}. [{a.He} had never seen {b.him} before.|{b.He} was all alone.] "Hello," said {a}. "[What is your name|Who are you|Are you new here]?" "[My name is {b}|I am {b}]," said the {b.kind}. "[I just moved here|I don't know anyone here|I come from far away]."
"[Would you like to play|Do you want to play with me|Let's play together]?" asked {a}. {b} [nodded|smiled|looked up]. "[I would like that|Yes, please|But I don't know any games]," {b.he} said. [So {a} showed {b} how to [skip stones|play hide and seek|fly a kite|climb the hill].|They played hide and seek.|They ran and jumped and laughed.|They built a tower out of stones.] Then {b} showed {a} [how to whistle|a secret path|a funny dance|how to make a crown of flowers].
When the sun went down, {b} asked, "Will you come back tomorrow?" "[Of course|Yes, I will|Every day, if you like]!" said {a}. "[You are my friend now|Friends always come back|I will bring {food.plain}]." {a} [ran|skipped|walked] home. {a.He} was not lonely anymore.{END}""",

    "race": """{HELLO}{ALONE} {ONEDAY} there was [going to be|] a big race at {place}. All the animals wanted to win. "I am the fastest," said {c} the {c.kind}. "[No one can beat me|I will win for sure]." {a} was not very fast, but {a.he} wanted to try.
{b} the {b.kind} helped {a}. Every [morning|day] they [ran up the hill|ran around the pond|practiced together]. At first {a} was slow. "[I will never win|My legs are too short|I am so tired]," said {a}. "[Just do your best|Keep going|Don't give up]," said {b}. [Day by day|Little by little], {a} got faster.
On the day of the race, everyone [came to watch|was excited|cheered]. "Ready, set, go!" They all ran. {c} was [first|in front]. {a} ran as fast as {a.he} could. [Near the end|Then], {c} [tripped over a stone|slipped in the mud|fell down] and [hurt {c.his} foot|began to cry].
{a} could run on and win. But {a} stopped. "[Are you hurt|Can you stand up|Let me help you], {c}?" asked {a}. {a.He} helped {c} up, and they [walked|went] to the finish line together. {b} [cheered|clapped]. "[You did not win the race|You were not the first], but you [are the kindest|have a good heart|are a real winner]," said {b}. "[Thank you|I am sorry that I was so proud]," said {c}. Everyone [cheered for {a}|clapped for {a}|gave {a} a flower].{END}""",

    "baking": """{HELLO}{HABIT} {ONEDAY} {a} wanted to make {food.plain}. "[It will be a surprise for {b}|Today is {b}'s birthday|I will share it with {b}]," {a.he} [said|thought].
{a} put [flour|some flour], [milk|butter], and [eggs|honey] on the table. But there was no [sugar|sugar left]! "[Oh no|Oh dear], what can I do?" said {a}. {a.He} went to {c} the {c.kind}. "[Hello|Good morning], {c}. [Do you have some sugar|May I have a little sugar]?" asked {a}. "[Of course|Yes, I have plenty|Here you are]," said {c}. "[What are you making|It smells good in your house]?" "I am making {food.plain} for {b}," said {a}.
{a} went home and [mixed everything in a big bowl|stirred and stirred]. Then {a.he} put it [in the oven|on the stove] and waited. [Soon the whole house smelled sweet|The kitchen was warm and smelled good]. When it was ready, {a} [took it out|put it on a plate] and [carried it to {b}'s house|called {b}].
"[Surprise|Look what I made]!" said {a}. {b}'s eyes [grew wide|lit up]. "[For me|Did you make this|It looks wonderful]?" asked {b}. "[Yes, it is for you|I made it for you]," said {a}. They [sat down and ate|ate it together] with {c}. "[This is the best {food} in the world|It is delicious|Yum]!" said {b}. {a} was {HAPPY}.{END}""",

    "seed": """{HELLO}{HABIT} {ONEDAY} {b} the {b.kind} gave {a} a [tiny|small|little] seed. "[Plant it and take care of it|Put it in the ground and wait|If you water it, something will grow]," said {b}.
{a} [dug a small hole|made a hole in the garden] and put the seed in it. {a.He} [covered it with soil|gave it some water]. Then {a.he} [sat down and waited|waited]. Nothing happened. The next day, {a} [watered the seed again|gave it more water|looked again]. Still nothing. "[Why does it not grow|Maybe it is asleep|When will it grow]?" {a} asked. "[Be patient|Good things take time|Wait and see]," said {b}.
[Days passed|A week went by|The sun shone and the rain fell]. Every morning {a} [watered the ground|sang a song to the seed|looked at the ground]. Then one morning there was [a tiny green leaf|something small and green]! "[Look|Come and see], {b}! It is growing!" [cried|shouted] {a}. The plant grew [bigger and bigger|taller and taller].
At the end of the summer, there was a big {fruit} in the garden. [It was the most beautiful {fruit} in the village|{a} had never seen such a fine {fruit}]. {a} [shared it with {b}|showed it to everyone|was {HAPPY}]. "[You were right|I am glad I waited]," {a.he} said to {b}. "[Good things take time|It was only a little seed, and now look]!"{END}""",

    "truth": """{HELLO}{HABIT} {a}'s [mother|grandmother|father] had {v.a}. It stood [on the table|on a shelf|by the window]. "[Please be careful with it|Do not play near it]," {a}'s family always said.
{ONEDAY} {a} was playing [with a ball|] in the house. {a.He} [ran too fast|jumped too high|did not look]. Crash! The {v} fell [to the floor|down] and broke. {a} was scared. {a.He} [hid the pieces under the bed|put the pieces in a box|swept the pieces behind the door].
[In the evening|Later], {a}'s grandmother came in. "[Where is my {v}|Have you seen the {v}]?" she asked. "[I don't know|I did not see it]," said {a}. But {a.his} [tummy|heart] felt [heavy|bad|funny]. {a.He} could not eat {a.his} dinner. {a.He} could not sleep.
{a} [went to {b} the {b.kind}|told {b} the {b.kind} about it]. "[I told a lie|I did something wrong]," said {a}. "[You should tell the truth|Say that you are sorry|Go and tell her]," said {b}. "[Then you will feel better|She will understand]."
So {a} went to {a.his} grandmother. "I am sorry," said {a}. "I broke the {v}, and I did not tell you." [A tear ran down {a.his} face.|] Grandmother [hugged {a.him}|was quiet for a moment|took {a.his} hand]. "[I am sad about the {v}|It was only a {v}]," she said, "but I am glad that you told the truth." They [glued the pieces together|fixed the {v} with glue]. {a} felt [much better|light again].{END}""",

    "journey": """{HELLO}{HABIT} {a} had a dream. {a.He} wanted to see {goal}. "[One day I will go there|I want to go there]," {a.he} told {b} the {b.kind}. "[It is far away|The way is long]," said {b}, "but I will go with you."
{ONEDAY} they packed [bread and cheese|some apples|a little food] and [set off|started to walk]. They walked [over the hills|through the forest|along the road]. [The sun was hot.|The birds sang above them.|] After a while they came to a [wide|deep] river. "[How can we get across|We cannot swim that far]?" asked {a}. {c} the {c.kind} was sitting by the water. "[I have a small boat|There is a bridge behind those trees|I know where the water is low]," said {c}. "[Come with me|I will show you]." "[Thank you|You are very kind]!" said {b}.
[That night|When it got dark], they slept under [a big tree|the stars]. {a} was tired. "[Maybe we should go home|My feet hurt|Is it still far]," {a.he} said. "[Just one more hill|Don't give up now|We are almost there]," said {b}.
In the morning they [climbed the last hill|walked around a bend], and there it was. {goal^} was {sight}. {a} [could not say a word|stood very still|jumped up and down]. "[It is even better than my dream|It is so beautiful|We made it]!" said {a} [at last|]. They stayed [all day|until evening]. Then they went home, [tired but {HAPPY}|hand in hand].{END}""",

    "build": """{HELLO}{HABIT} {ONEDAY} {a} had an idea. "I will build {job}!" {a.he} said. {a.He} [found some wood|took some wood] and [a hammer|some nails] and [string|glue]. {a} worked [all morning|all day]. But when {a.he} was done, it [fell apart|broke|fell down]. "[Oh no|It is no good]," said {a}. {a.He} was {SAD}.
{b} the {b.kind} came by. "[What are you doing|What happened]?" asked {b}. "I wanted to build {job}, but [it broke|I can't do it]," said {a}. "[Let me see|May I look at it]," said {b}. "[The wood is too thin|It needs more nails|You need a stronger piece of wood]. [We can fix it|Let's try again together]."
So they tried again. {a} [held the wood|cut the wood] and {b} [used the hammer|tied the string]. They [worked slowly and carefully|laughed and talked while they worked]. [It took a long time.|] [At last|Finally] it was [done|ready]. "[Let's try it|Is it strong enough]?" asked {b}. They tried it. {jobend}! "[It works|We did it|Hooray]!" [shouted|cried] {a}.
{c} the {c.kind} came to [look|see it]. "[Did you make that|How did you do it]?" asked {c}. "[We made it together|{b} helped me]," said {a} [proudly|with a smile]. "[The first time it broke, but we tried again|We did not give up]." {c} [wanted to help next time|thought it was wonderful].{END}""",

    "birthday": """{HELLO}{HABIT} {ONEDAY} {a} woke up very early. It was {a.his} birthday! {a.He} [jumped out of bed|got dressed quickly] and ran outside. {a.He} saw {b} the {b.kind}. "Good morning, {b}! [Do you know what day it is|Isn't it a special day]?" asked {a}. "[It is a {time}|It is an ordinary day]," said {b}. "[Sorry, I have no time today|I am very busy]." And {b} [hurried away|went away].
Then {a} met {c} the {c.kind}. "Hello, {c}! [Can you play with me|Do you want to play]?" asked {a}. "[Not today|I can't, I have a lot to do]," said {c}. {a} was {SAD}. "[Everyone forgot my birthday|No one remembers me]," {a.he} [thought|said to {a.self}]. {a.He} [walked alone to {place}|sat down {spot}] and [watched the clouds|threw stones into the water].
[In the evening|When the sun went down], {a} went home. The house was dark. {a.He} opened the door, and suddenly there was light everywhere. "Surprise!" [shouted|cried] {b} and {c}. There were [balloons|candles|flowers] and a big cake. "[We did not forget|We were busy all day with your party|Happy birthday, {a}]!" said {b}.
{a} [laughed and cried at the same time|could not believe it|was {HAPPY}]. {b} gave {a.him} {o.a}, and {c} [sang a song|gave {a.him} a book|had made the cake]. They [danced and ate cake|played games] until [late at night|the moon was high]. "[This is the best birthday ever|You are the best friends in the world]," said {a}.{END}""",

    "wayhome": """{HELLO}{ALONE} {ONEDAY} {a} followed a [butterfly|blue bird|little stream|trail of footprints] into the forest. {a.He} went [deeper and deeper|on and on]. When {a.he} looked around, {a.he} did not know where {a.he} was. [All the trees looked the same|It was getting dark]. "[I am lost|How can I get home]," said {a}, and {a.he} began to cry.
[High up in a tree|On a branch] sat {b.a}. "[Why are you crying|Who is crying down there]?" asked the {b.kind}. "[I can't find my way home|I am lost and I want to go home]," said {a}. "[Don't cry|Don't be afraid]," said the {b.kind}. "My name is {b}. [I know this forest well|I will help you]. What can you see from your home?" {a} [thought hard|wiped {a.his} eyes]. "[I can see an old mill and a river|There is a river and a big bridge]," {a.he} said.
"[Then we must follow the river|I know where the river is]," said {b}. They [walked side by side|walked through the trees]. {b} [told funny stories|sang a song], and soon {a} was not afraid anymore. They met {c} the {c.kind}, who [gave them some berries|had a small lantern]. "[It is not far now|The river is just behind those bushes]," said {c}.
At last {a} saw [a light in a window|the river and the bridge]. "[That is my house|I am home]!" {a.he} [cried|shouted]. {a}'s mother [ran to the door|was waiting outside] and [hugged {a.him} tight|held {a.him} in her arms]. "[Where have you been|I was so worried]?" she asked. "[I got lost, but {b} helped me|{b} showed me the way]," said {a}. "Thank you, {b}," said {a}'s mother. "[Please stay for dinner|You are always welcome here]."{END}""",

    "noise": """{HELLO}{HABIT} One night, {a} was lying in bed. [The moon was bright|The wind was blowing|It was very quiet]. Suddenly {a.he} heard a noise. [Tap, tap, tap|Scratch, scratch|Bump, bump]. "[What is that|Who is there]?" [whispered|asked] {a}. No one answered. {a} pulled the blanket over {a.his} head.
[Tap, tap, tap|Scratch, scratch|Bump, bump]. There it was again! {a} [got up|took a lamp] and went to {b} the {b.kind}, who [lived next door|slept in the next room]. "{b}, [wake up|please wake up]! [There is a monster in the house|I heard a strange noise]," said {a}. {b} [rubbed {b.his} eyes|yawned]. "[A monster|A noise]? [Let's go and see|We will look together]," said {b}.
They [tiptoed down the stairs|walked slowly through the dark|opened the door very slowly]. {a} held {b}'s hand. The noise [got louder|came closer]. {b} [lifted the lamp|turned on the light]. And what did they see? It was only {noise}!
{a} and {b} looked at each other and [laughed|began to laugh]. "[That is not a monster at all|What a funny monster]," said {a}. "[Things look different in the light|Most monsters are very small]," said {b}. They [drank some warm milk|had a cookie] and went back to bed. [Soon {a} was asleep|This time {a} was not afraid].{END}""",

    "quarrel": """{a} and {b} were [best friends|good friends|neighbors]. {a} was {a.atrait}, and {b} was {b.atrait}. They lived {home}. [They did everything together.|Every day they played together at {place}.]
{ONEDAY} they found {o.a} {spot}. "I saw it first!" said {a}. "No, I saw it first!" said {b}. {a} pulled on one side and {b} pulled on the other. [Rip|Crack|Snap]! The {o} broke. "[That was your fault|Look what you did]!" [shouted|said] {a}. "[No, it was your fault|I don't want to play with you anymore]!" [shouted|said] {b}. They both went home, angry and {SAD}.
The next day, {a} stayed at home. {a.He} [looked out of the window|sat in {a.his} chair]. "[It is so quiet without {b}|I miss {b}]," {a.he} thought. At {b}'s house, {b} was thinking the same thing. "[I miss {a}|It is boring without {a}]," {b.he} thought.
[Then {c} the {c.kind} came to see {a}.|In the afternoon {c} the {c.kind} knocked on {a}'s door.] "Why are you not playing with {b}?" asked {c}. "[We had a fight about a {o}|We are angry with each other]," said {a}. "[Is a {o} more important than a friend|Which do you want more, the {o} or your friend]?" asked {c}. {a} [thought about it|was quiet]. Then {a.he} [ran out of the door|put on {a.his} shoes].
On the way {a.he} met {b}, who was coming to see {a.him}. "I am sorry," they both said at the same time. Then they [laughed|hugged]. "[We can fix the {o} together|Let's fix it and share it]," said {b}. And that is what they did.{END}""",

    "wish": """{HELLO}{HABIT} {ONEDAY} {a} found {f.a} {spot}. {a.He} [rubbed it|picked it up|cleaned it], and [a tiny fairy came out|a little voice spoke]. "I am the fairy of the {f}," it said. "[You may have one wish|You can make one wish. Choose well]."
{a} thought [for a long time|hard]. "[I could wish for gold|I could wish for a castle|I could wish for a hundred cakes]," {a.he} said. Then {a.he} [remembered|thought of] {b} the {b.kind}. {b} was [ill and had to stay in bed|very old and could not walk well|poor and had nothing to eat|always alone]. {a.His} friend needed help.
"I know what I want," said {a}. "[I wish that {b} is well and happy again|I wish for {b} to be happy]." The fairy smiled. "[That is a good wish|You have a kind heart]," she said. [There was a flash of light|A warm wind blew], and the fairy was gone.
{a} ran to {b}'s house. {b} [opened the door|was standing in the garden] and [laughed|smiled]. "[I feel wonderful|Something strange happened, I feel so well]!" said {b}. "[Do you know why|What happened]?" {a} [only smiled|told {b.him} about the fairy]. "[You used your only wish for me|You could have had anything]," said {b}. "[You are worth more than gold|I have everything I need when my friend is well]," said {a}.{END}""",

    "hideseek": """{HELLO}{HABIT} {ONEDAY} {a}, {b} the {b.kind} and {c} the {c.kind} played hide and seek at {place}. "[I will count|Let me count first]," said {a}. {a.He} closed {a.his} eyes. "One, two, three, four, five, six, seven, eight, nine, ten! [Here I come|Ready or not, here I come]!"
{a} looked [behind the trees|under the bench|in the bushes]. There was no one. Then {a.he} saw [a tail|a foot|an ear] {spot}. "[I found you|I can see you], {c}!" said {a}. {c} [came out and laughed|laughed]. "[You are good at this game|How did you see me]?" said {c}. "Now we must find {b}."
They looked [everywhere|high and low]. They called, "{b}, where are you?" But {b} did not answer. [The sun went down|It was getting late]. {a} began to worry. "[What if {b} is lost|I hope nothing happened to {b}]," said {a}. "[Let's be quiet and listen|Listen]," said {c}. They stood very still. Then they heard [a soft sound|someone snoring]. It came from [a big basket|a pile of leaves|an old barrel|a hollow tree].
{a} [looked inside|went closer]. There was {b}, fast asleep! {a} and {c} [laughed so loud that {b} woke up|began to laugh]. "[Did I win|Is the game over]?" asked {b} and [yawned|rubbed {b.his} eyes]. "[Yes, you won|You had the best hiding place of all]," said {a}. They walked home together.{END}""",

    "fishing": """{HELLO}{HABIT} {ONEDAY} {a} and {b} the {b.kind} went fishing at the [lake|river|pond]. They [sat on a rock|sat in a small boat] and waited. [The water was calm|The sun was warm]. {b} caught a [small fish|big fish]. Then {b.he} caught another. But {a} caught nothing. "[Why do the fish not like me|This is no fun]," said {a}. "[Be patient|Fishing takes time]," said {b}.
Then something pulled on {a}'s line. "[I have one|It is a big one]!" [shouted|cried] {a}. {a.He} pulled and pulled. Out of the water came [an old boot|an old hat|a rusty pot]! {b} laughed, and then {a} laughed too. {a.He} tried again. [Soon|After a while] there was another pull. This time it was a [golden|silver|beautiful] fish.
"Please let me go," said the fish. "[My family is waiting for me|I have little ones at home]." {a} looked at the fish. {a.He} wanted to show it to everyone. But {a.he} felt sorry for it. "[All right|Go home, little fish]," said {a}, and {a.he} put the fish back into the water. "[Thank you|I will not forget it]!" said the fish and swam away.
"[You let it go|That was your only fish]," said {b}. "[It wanted to go home|It was the right thing to do]," said {a}. {b} smiled. "[You can have one of mine|Then we will share my fish]," {b.he} said. They made a fire, cooked their dinner, and [watched the stars|talked until the moon came up].{END}""",

    "snow": """{HELLO}{HABIT} One winter morning, {a} looked out of the window. Everything was white. "It is snowing!" [shouted|cried] {a}. {a.He} put on [a warm coat|{a.his} boots] and a hat and ran outside. {b} the {b.kind} was already there. "[Let's build a snowman|Shall we make a snowman]," said {b}.
They rolled [a big ball|one big ball] of snow, and then a [smaller one|little one] for the head. {a} found two [stones|buttons] for the eyes. {b} brought a carrot for the nose. "[He looks cold|Something is missing]," said {a}. {a.He} took off {a.his} own scarf and put it around the snowman's neck. "[Now he is perfect|Now he looks happy]," said {b}.
The next days were cold, and they played with the snowman every day. But then the sun came out, and it got warm. The snowman got smaller and smaller. {a} was {SAD}. "[Our snowman is going away|He is melting]," said {a}. "[Don't be sad|Look]," said {b}. "[He is turning into water for the flowers|When winter comes back, we will build him again]."
{a} [picked up the scarf|took the scarf] from the ground. Where the snowman had stood, [a small flower was growing|there was a tiny green plant]. "[He left us a gift|Look, a flower]!" said {a}. {b} [smiled|nodded]. "Spring is here," {b.he} said.{END}""",

    "bedtime": """It was late, and the moon was [high|bright|round]. {a} the {a.kind} lay in bed, but {a.he} could not sleep. {a.He} turned to the left. {a.He} turned to the right. [{a.He} counted to ten.|{a.He} closed {a.his} eyes very tight.|] "[I can't sleep|I am not tired]," {a.he} called.
{a}'s mother came in. "[What is the matter|Why are you still awake], my dear?" she asked. "[My head is full of thoughts|The night is so long and so dark]," said {a}. Mother sat down on the bed. "[Shall I tell you a story|Tell me about your day]," she said.
So [she told {a.him} about|they talked about] {b} the {b.kind}, who [sailed across the sea in a tiny boat|lived on the moon and lit the stars every night|had a garden full of singing flowers|flew over the mountains on a big white bird]. {b} [met|talked to|made friends with] a {dream}, and the {dream} said, "[Even the sea must sleep|Everyone needs to rest]. Close your eyes and listen."
{a} listened. [Outside, the wind sang in the trees|Somewhere an owl called]. {a.His} eyes [grew heavy|closed]. "Did {b} [get home|fall asleep]?" {a.he} [asked|whispered]. "Yes," said Mother [softly|quietly]. "{b.He} [got home|fell asleep], and so [can|will] you." She [kissed {a.him} on the head|turned off the lamp]. "Good night, {a}." But {a} did not answer. {a.He} was already asleep.""",

    "trade": """{HELLO}{HABIT} {ONEDAY} {a} went to the market with {o.a}. On the way {a.he} met {b} the {b.kind}, who looked {SAD}. "[I am going to see my sick mother, and I have nothing to bring her|My little sister has no gift for her birthday]," said {b}. "[She would love {o.plain} like yours|Your {o} would make her smile]." {a} thought for a moment. "[Take my {o}|You can have it]," {a.he} said. "[Thank you|You are so kind]!" said {b}. "Please take this {f.full}. It is all that I have."
So {a} walked on with the {f}. Soon {a.he} met {c} the {c.kind}. {c} was looking at the ground. "[I need a {f}|I have been looking for a {f} all day]," said {c}. "[Without it I can't finish my work|My old one is lost]." "[You can have mine|Here, take this one]," said {a}. {c} [was {HAPPY}|jumped for joy] and gave {a} a big basket with {food.plain} in it.
At the market {a} saw [a poor old man|a hungry family|a hungry old woman]. {a} looked at the {food}. It smelled so good! But {a.he} gave it away. "[Please eat|This is for you]," said {a}. "[You have a good heart|Thank you, little one]," they said.
{a} went home with empty hands. But when {a.he} [came home|opened the door], {b} and {c} were there. "[We heard what you did today|You gave everything away]," they said. "[Now we want to give you something|So we made dinner for you]." There was [soup|warm bread] and [cake|fruit] on the table. {a} [smiled|was {HAPPY}]. {a.He} had given everything away, and now {a.he} had more than before.{END}""",

    "storm": """{HELLO}{HABIT} {ONEDAY} {a} was at {place} when the sky got dark. The wind began to blow. [Drip, drop|Boom], the rain came down. {a} ran, but {a.his} house was too far away. {a.He} was cold and wet.
Then {a.he} saw a small house with a light in the window. {a.He} knocked on the door. {b} the {b.kind} opened it. "[Come in, come in|You are all wet], {a}!" said {b}. "[Sit by the fire|Warm yourself by the fire]." {b} gave {a} [a dry towel|a warm blanket] and [a cup of hot tea|a bowl of soup]. "[Thank you|This is so nice], {b}," said {a}.
[A little later|Soon] there was another knock. It was {c} the {c.kind}. "[My roof has a hole|The wind took my roof], and everything is wet," said {c}. "[Can I stay here|May I come in]?" The house was very small, but {b} said, "[There is always room for one more|Of course you can]." They sat close together and [told stories|sang songs] while the storm went on outside.
In the morning the storm was over. The sun was shining, and there was a rainbow in the sky. "[Let's fix your roof, {c}|We will help you with your roof], " said {a}. {a} carried the wood, {b} [held the ladder|brought the nails], and {c} [used the hammer|climbed up]. By noon the roof was [as good as new|whole again]. "[Now you must come to my house|Tonight I will cook for all of us]," said {c}.{END}""",

    "gift": """{HELLO}{HABIT} {b} the {b.kind} was {a}'s best friend. "[What can I give {b} for {b.his} birthday|I want to make a gift for {b}]?" thought {a}. [{a.He} had no money.|] "[I know|I have an idea]! I will [make {b.him} a crown of flowers|paint a picture for {b.him}|make a necklace of shells for {b.him}|write a song for {b.him}]." {a} worked on it [all day|for three days].
{ONEDAY} it was finished. {a} [wrapped it in paper|put it in a small bag] and went to {b}'s house. On the way, [the wind blew it out of {a.his} hands|{a.he} slipped and fell into a puddle], and the gift was ruined. {a} [sat down and cried|was {SAD}]. "[Now I have nothing for {b}|All my work was for nothing]," {a.he} said.
{c} the {c.kind} came along. "[Go to the party anyway|{b} will be happy to see you]," said {c}. So {a} went. "Happy birthday, {b}," said {a}. "[I made you a gift, but it is ruined|I wanted to give you something, but I lost it]." {b} [took {a}'s hand|hugged {a}]. "[You made something just for me|You worked for days because of me]?" {b.he} asked. "[That is the best gift|I don't need a gift]. [I am happy that you are here|You came, and that is what counts]."
They [danced|ate cake] and [laughed|played games] until evening. [Later they made a new one together.|The next day they made a new gift together, and it was even more beautiful.|]{END}""",
}

PARTS = dict(HELLO=HELLO, HABIT=HABIT, ALONE=ALONE, ONEDAY=ONEDAY, HAPPY=HAPPY, SAD=SAD, END=END)
PART_NESTING = 3  # parts may hold parts, this deep
CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)(\^|\.\w+)?\}")
SPEECH = re.compile(r'([A-Z][^.!?"\n]*)([.,!?])(?:(" (?:\w+ )?)(asked|said|cried)\b|("))')
ASKS = re.compile(r"(?:(?:Oh no|Oh dear|Hello|[A-Z]\w+), )?"
                  r"(?:What(?! a\b)|When will|Where|Who|Why|How(?! pretty)|Can|May|Shall|Is|Are|Have|Would|"
                  r"Will|Did|Has|Does|Do(?! not|n't))\b", re.A)


def cast(rng: random.Random) -> dict[str, Being | Thing | str]:
    """Characters, things and places for one story, by the names of the grammar's slots."""
    used = set()

    def being(animal_share: float = 0.7) -> Being:
        is_girl = rng.random() < 0.5
        name = rng.choice(GIRLS if is_girl else BOYS)
        while name in used:
            name = rng.choice(GIRLS if is_girl else BOYS)
        used.add(name)
        kind = rng.choice(ANIMALS if rng.random() < animal_share else PEOPLE)
        while kind in used:
            kind = rng.choice(ANIMALS)
        kind = (FEMININE if is_girl else MASCULINE).get(kind, kind)
        used.add(kind)
        return Being(name, kind, is_girl, rng.choice(GOOD))

    def thing(nouns: list[str]) -> Thing:
        noun = rng.choice(nouns)
        while noun in used:
            noun = rng.choice(nouns)
        used.add(noun)
        return Thing(noun, rng.choice(COLORS if rng.random() < 0.5 else LOOKS))

    fear, goal, job = rng.choice(list(FEARS)), rng.choice(list(GOALS)), rng.choice(list(JOBS))
    slots = dict(
        a=being(0.5), b=being(), c=being(0.85), o=thing(TOYS), f=thing(FINDS), food=Thing(rng.choice(FOODS)),
        v=Thing(rng.choice(BREAKABLES), rng.choice(COLORS + LOOKS)), home=rng.choice(HOMES), place=rng.choice(PLACES),
        spot=rng.choice(SPOTS), time=rng.choice(TIMES), fruit=rng.choice(FRUITS), fear=fear, facing=FEARS[fear][0],
        truth=FEARS[fear][1], goal=goal, sight=GOALS[goal], job=job, jobend=JOBS[job], dream=rng.choice(DREAMS),
        noise=rng.choice(NOISES), moral=rng.choice(MORALS))
    slots["adjective"] = slots["o"].adjective
    return slots


def write(rng: random.Random) -> str:
    """One story: paragraphs separated by newlines."""
    slots = cast(rng)
    text = rng.choice(list(PLOTS.values()))
    for _ in range(PART_NESTING):
        text = re.sub(r"\{([A-Z]+)\}", lambda match: PARTS[match[1]], text)
    for name in ("facing", "truth", "sight"):  # these hold choices of their own
        text = text.replace(f"{{{name}}}", slots[name])
    replaced = 1
    while replaced:  # innermost choices first
        text, replaced = CHOICE.subn(lambda match: rng.choice(match[1].split("|")), text)

    def fill(match: re.Match[str]) -> str:
        value, form = slots[match[1]], match[2]
        if form == "^":
            return value[0].upper() + value[1:]
        return str(getattr(value, form[1:]) if form else value)

    text = SLOT.sub(fill, text)
    text = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()
    text = re.sub(r" ([.,!?])", r"\1", text)
    return SPEECH.sub(punctuate, text)


def punctuate(match: re.Match[str]) -> str:
    """Questions in direct speech end in a question mark and are asked, the rest is said."""
    sentence, mark, between, verb, _ = match.groups()
    asks = ASKS.match(sentence)
    if asks and mark in ".,":
        mark, verb = "?", verb and "asked"
    elif mark == "?" and not asks:
        mark, verb = ("," if verb else "."), verb and "said"
    return sentence + mark + (between + verb if verb else '"')


def write_batch(job: tuple[int, int]) -> list[str]:
    """The stories of a job (seed, count), as JSON."""
    seed, count = job
    rng = random.Random(seed)
    return [json.dumps(write(rng)) for _ in range(count)]


def main() -> None:
    """Writes the stories with as many processes as there are cores; their order between jobs varies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file to write, one JSON string per line")
    parser.add_argument("--count", type=int, default=1_000_000, help="number of stories (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.count <= 0:
        parser.error(f"--count must be positive, not {arguments.count}")

    jobs = [(arguments.seed * SEED_STRIDE + index, min(STORIES_PER_JOB, arguments.count - start))
            for index, start in enumerate(range(0, arguments.count, STORIES_PER_JOB))]
    with multiprocessing.Pool() as pool, open(arguments.out, "w") as out:
        for lines in pool.imap_unordered(write_batch, jobs):
            out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
