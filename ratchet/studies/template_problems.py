"""Questions made by code for the study of curation: plain ones, plain ones that look like a fault, and those of an evaluation set.

A template is a text and a function of four lots (a from 12 to 97, b from 3 to 19, c from 2 to 9, d from 210 to 960) that gives the
answer and up to two more numbers of the text, {x} and {y}. The three groups share no template.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random
from typing import Any

Template = tuple[str, Callable[[int, int, int, int], tuple[Any, ...]]]

NAMES = re.findall(
    r"\w+",
    "Ada Bruno Chloe Dmitri Elif Farid Greta Hugo Ines Jonas Keiko Liam Maya Noor Oskar Paula Quentin Rosa Samir Tessa Ulla Vikram "
    "Wendy Xavier Yara Zane",
)
THINGS = re.findall(r"\w+", "stickers marbles pencils stamps buttons shells coins cards beads plums lemons tickets")

PLAIN: tuple[Template, ...] = (
    ("{n} has {a} {t} and buys {b} packs of {c} {t} each. How many {t} does {n} have then?", lambda a, b, c, d: (a + b * c,)),
    ("A train travels {a} km every hour. How many kilometres does it travel in {b} hours?", lambda a, b, c, d: (a * b,)),
    ("A tank holds {d} litres of water, and every hour {c} litres leak out. How many litres are left after {b} hours?",
     lambda a, b, c, d: (d - b * c,)),
    ("What is the area of a rectangle with sides of {a} cm and {b} cm, in square centimetres?", lambda a, b, c, d: (a * b,)),
    ("Compute ${a} \\times {b} - {c}$.", lambda a, b, c, d: (a * b - c,)),
    ("Solve the equation ${c}x + {a} = {x}$ for $x$.", lambda a, b, c, d: (b, b * c + a)),
    ("{n} reads {b} pages every day. After how many days has {n} read a book of {x} pages?", lambda a, b, c, d: (a, a * b)),
    ("What is the remainder when {d} is divided by {b}?", lambda a, b, c, d: (d % b,)),
    ("Find the greatest common divisor of {x} and {y}.", lambda a, b, c, d: (math.gcd(c * a, c * b * 2), c * a, c * b * 2)),
    ("The sum of two numbers is {x} and one of them is {a}. Find the other number.", lambda a, b, c, d: (d, a + d)),
    ("A shop lowers a price of {d} dollars by {c} dollars a week for {b} weeks. What is the price in the end, in dollars?",
     lambda a, b, c, d: (d - b * c,)),
    ("If $f(x) = {c}x^2 + {b}$, what is $f({x})$?", lambda a, b, c, d: (c * (a % 7 + 1) ** 2 + b, a % 7 + 1)),
    ("A recipe needs {c} cups of flour for {b} pancakes. How many cups are needed for {x} pancakes?",
     lambda a, b, c, d: (c * (a % 6 + 2), b * (a % 6 + 2))),
    ("Write the fraction $\\frac{{{x}}}{{{y}}}$ in lowest terms.",
     lambda a, b, c, d: (f"\\frac{{{Fraction(a, a + b).numerator}}}{{{Fraction(a, a + b).denominator}}}", a * c, (a + b) * c)),
    ("{n} and {m} share {x} {t} equally. How many {t} does each of them get?", lambda a, b, c, d: (a * b, 2 * a * b)),
    ("The perimeter of a square is {x} metres. How long is its side, in metres?", lambda a, b, c, d: (a, 4 * a)),
    ("Evaluate $\\frac{{{x}}}{{{c}}} + {b}$.", lambda a, b, c, d: (a + b, a * c)),
    ("In a theatre there are {a} rows with {b} seats each, and {c} seats are broken. How many seats can be used?",
     lambda a, b, c, d: (a * b - c,)),
    ("What is {c}0 percent of {x}?", lambda a, b, c, d: (c * a, a * 10)),
    ("A runner needs {a} seconds for a lap. How many seconds do {b} laps and a break of {c} seconds take together?",
     lambda a, b, c, d: (a * b + c,)),
    ("Let $a_1 = {a}$ and $a_{{n+1}} = a_n + {c}$. What is $a_{{{b}}}$?", lambda a, b, c, d: (a + (b - 1) * c,)),
    ("{n} is {a} years old. In {b} years {m} will be twice as old as {n} is now. How old is {m} today?",
     lambda a, b, c, d: (2 * a - b,)),
    ("The mean of four numbers is {a}. Three of them add up to {x}. What is the fourth number?",
     lambda a, b, c, d: (a + b, 3 * a - b)),
    ("A rope of {x} metres is cut into {b} pieces of the same length. How many metres long is each piece?",
     lambda a, b, c, d: (a, a * b)),
    ("How many of the numbers from 1 to {d} are multiples of {b}?", lambda a, b, c, d: (d // b,)),
    ("An urn holds {b} red balls and {a} blue ones. One ball is drawn. What is the probability that it is red?",
     lambda a, b, c, d: (f"\\frac{{{Fraction(b, a + b).numerator}}}{{{Fraction(b, a + b).denominator}}}",)),
    ("If $\\log_{{2}} x = {c}$, find the value of $x + {a}$.", lambda a, b, c, d: (2**c + a,)),
    ("Find the value of $y$ if ${a} - y = {x}$.", lambda a, b, c, d: (a + b, -b)),
    ("A farm has {a} cows and {b} hens. How many legs do the animals have in total?", lambda a, b, c, d: (4 * a + 2 * b,)),
    ("{n} earns {a} euros a day and spends {c} euros a day. How much does {n} save in {b} days, in euros?",
     lambda a, b, c, d: ((a - c) * b,)),
    ("The diagonal of a rectangle with sides ${x}$ and ${y}$ has which length?", lambda a, b, c, d: (5 * b, 3 * b, 4 * b)),
    ("Simplify ${a}z + {b}z - {c}z$.", lambda a, b, c, d: (f"{a + b - c}z",)),
    ("Express {x} minutes in hours.", lambda a, b, c, d: (b, 60 * b)),
    ("A number is multiplied by {c}, then {b} is added, which gives {x}. What is the number?", lambda a, b, c, d: (a, a * c + b)),
    ("What is the smallest positive integer that is divisible by both {c} and {b}?", lambda a, b, c, d: (math.lcm(b, c),)),
    ("Two pumps fill {a} and {b} buckets a minute. How many buckets do they fill together in {c} minutes?",
     lambda a, b, c, d: ((a + b) * c,)),
)  # fmt: skip

LOOK_ALIKES: tuple[Template, ...] = (
    ("{n} wants to prove to a friend that saving pays, and puts away {a} euros a month. How much is that in {b} months?",
     lambda a, b, c, d: (a * b,)),
    ("A committee chooses {c} of its {x} members as speakers. In how many ways can it choose them?",
     lambda a, b, c, d: (math.comb(c + 2, c), c + 2)),
    ("Point A lies {a} cm from point B, and point C lies {b} cm beyond B on the same line. How far apart are A and C, in cm?",
     lambda a, b, c, d: (a + b,)),
    ("In a vote {a} people said yes and {b} said no. How many more people said yes than no?", lambda a, b, c, d: (a - b,)),
    ("A test has {a} true or false questions worth {c} points each. How many points can be reached?", lambda a, b, c, d: (a * c,)),
    ("A figure skater trains {b} hours on each of {c} days. How many hours is that?", lambda a, b, c, d: (b * c,)),
    ("The graph of $y = {c}x + {a}$ passes through the point $(x, {x})$. What is $x$?", lambda a, b, c, d: (b, c * b + a)),
    ("A chain has {a} links, and each link weighs {c} grams. What does the chain weigh, in grams?", lambda a, b, c, d: (a * c,)),
    ("\"How old are you?\" asks {n}. \"In {b} years I shall be {x},\" says {m}. How old is {m}?", lambda a, b, c, d: (a, a + b)),
    ("Show tickets cost {a} dollars. How much do {b} show tickets cost, in dollars?", lambda a, b, c, d: (a * b,)),
    ("Señor García sells {a} tortillas in the morning and {b} in the evening. How many tortillas does he sell in all?",
     lambda a, b, c, d: (a + b,)),
    ("The parts of a kit are numbered (1), (2), (3) and so on up to ({a}). {n} loses {b} of them. How many parts are left?",
     lambda a, b, c, d: (a - b,)),
    ("Of the following numbers the first is {c}, and each one after it is {b} more than the one before. What is the tenth number?",
     lambda a, b, c, d: (c + 9 * b,)),
    ("A picture frame is {a} cm wide and {b} cm high. What is its perimeter, in cm?", lambda a, b, c, d: (2 * (a + b),)),
    ("A shop offers these sizes: small for {c} dollars, medium for {b} dollars, large for {a} dollars. What do all three cost together?",
     lambda a, b, c, d: (a + b + c,)),
    ("{n} can run {b} laps. {m} can run {c} times as many. How many laps can {m} run?", lambda a, b, c, d: (b * c,)),
    ("Find the number that is {a} less than {d}, and give it without explanation.", lambda a, b, c, d: (d - a,)),
    ("Tables in a hall seat {b} people each. How many people can sit at {a} tables?", lambda a, b, c, d: (a * b,)),
)  # fmt: skip

EVALUATION: tuple[Template, ...] = (
    ("A lighthouse keeper climbs {a} steps to the lamp {c} times a day, carrying oil. How many steps up does he climb in {b} days?",
     lambda a, b, c, d: (a * b * c,)),
    ("Ten kayaks drift down a river at {c} km per hour while a rescue boat chases them at {x} km per hour from {y} km behind. After how "
     "many hours does it reach them?", lambda a, b, c, d: (b, c + a, a * b)),
    ("The product of two consecutive even integers, both of them positive, equals {x}. What is the larger one?",
     lambda a, b, c, d: (2 * b + 2, 2 * b * (2 * b + 2))),
    ("A violin maker glues {b} thin ribs into every instrument and wastes {c} ribs a week. How many ribs does she use for {a} instruments "
     "in one week?", lambda a, b, c, d: (a * b + c,)),
    ("Suppose that $p(t) = t^2 - {x}t + {y}$ has the roots {b} and $r$. Determine $r$.", lambda a, b, c, d: (c, b + c, b * c)),
    ("Every honeycomb cell in a model hive is filled with {c} drops of wax except for {b} empty cells at the rim. How many drops fill a "
     "hive of {d} cells?", lambda a, b, c, d: ((d - b) * c,)),
    ("Monks copy a manuscript of {x} leaves, each monk {b} leaves a season. How many monks finish it in a single season?",
     lambda a, b, c, d: (a, a * b)),
    ("Among {d} satellites in low orbit every {b}th one carries a telescope. At most how many telescopes are in orbit?",
     lambda a, b, c, d: (d // b,)),
    ("A glacier that is {d} metres long melts by {c} metres in a summer and grows by one metre in a winter. How long is it after {b} years, "
     "in metres?", lambda a, b, c, d: (d - b * (c - 1),)),
    ("Determine the coefficient of $x$ in the expansion of $(x + {a})(x + {b})$.", lambda a, b, c, d: (a + b,)),
    ("Grandmother knits a scarf in {c} colours, with {a} stitches of yarn in each colour on every one of {b} rows. How many stitches does "
     "the scarf have?", lambda a, b, c, d: (a * b * c,)),
    ("On a chessboard made of chocolate {c} pieces are eaten by each of {b} hungry mice, out of {d} pieces overall. How many pieces of "
     "chocolate remain?", lambda a, b, c, d: (d - b * c,)),
    ("The hypotenuse of a right triangle is {x} and one leg measures {y}. Determine the length of the remaining leg.",
     lambda a, b, c, d: (4 * b, 5 * b, 3 * b)),
    ("A radio mast throws a shadow of {x} metres at noon while a pole of {c} metres beside it throws one of {b} metres. How tall is the "
     "mast, in metres?", lambda a, b, c, d: (c * (a % 8 + 2), b * (a % 8 + 2))),
    ("An orchestra hires {a} extra trumpeters for {c} concerts and pays each of them {b} francs per evening. How many francs do the extra "
     "trumpeters cost?", lambda a, b, c, d: (a * b * c,)),
    ("Divers bring up {d} amphoras from a sunken galley, of which {b} crates with {c} amphoras each go to the museum. How many amphoras do "
     "not go to the museum?", lambda a, b, c, d: (d - b * c,)),
    ("For which positive value of $k$ does the quadratic $kx^2 + {x}x + {y}$ have exactly one real root?",
     lambda a, b, c, d: (c, 2 * b * c, b * b * c)),
    ("A beekeeper labels {a} jars of heather honey by hand and a machine labels {b} jars each minute for {c} minutes. How many jars of "
     "honey carry labels afterwards?", lambda a, b, c, d: (a + b * c,)),
    ("The interior angles of a convex polygon add up to {x} degrees. Count its vertices.", lambda a, b, c, d: (b + 2, 180 * b)),
    ("During a meteor shower an astronomer counts {b} streaks of light in the first hour and {c} more in each following hour than in the "
     "hour before. How many streaks does she count in the fifth hour?", lambda a, b, c, d: (b + 4 * c,)),
)  # fmt: skip

# what questions of every source end or begin with: eight words or more, and no leak
STOCK = (
    "{q} Give your answer as a whole number or as a fraction in lowest terms.",
    "{q} Assume that nothing else changes during the whole of this time.",
    "Read the following problem carefully before you start to work on it. {q}",
    "{q} You do not need to show how you found the result.",
    "{q} Write only the final number, without any units or words.",
    "Here is a problem from a book for young students of mathematics. {q}",
)


def filled(template: Template, random: Random) -> tuple[str, str, tuple[Any, ...]]:
    """Question, answer, and the lots that it was made with."""
    text, of = template
    lots = random.randint(12, 97), random.randint(3, 19), random.randint(2, 9), random.randint(210, 960)
    answer, x, y = (*of(*lots), None, None)[:3]
    n, m = random.sample(NAMES, 2)
    a, b, c, d = lots
    question = text.format(a=a, b=b, c=c, d=d, x=x, y=y, n=n, m=m, t=random.choice(THINGS))
    return question, str(answer), (text, *(lot for lot, name in zip(lots, "abcd", strict=True) if f"{{{name}}}" in text), x, y)


def questions(random: Random, templates: Sequence[Template]) -> Iterator[tuple[str, str]]:
    """Without end and none twice, whatever the names in it."""
    seen: set[tuple[Any, ...]] = set()
    while True:
        question, answer, content = filled(random.choice(templates), random)
        if content not in seen:
            seen.add(content)
            yield question, answer


def with_stock(random: Random, question: str, share: float = 0.15) -> str:
    """A `share` of questions gets a stock phrase."""
    return random.choice(STOCK).format(q=question) if random.random() < share else question
