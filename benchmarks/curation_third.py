"""Wordings of the third part of `curation_faults`, written when the filters had been mended after their measurement on the second."""

from __future__ import annotations

LANGUAGES = {
    "es": "En una granja hay {a} gallinas y {b} vacas; ¿cuál es el número total de patas de todos los animales?",
    "fr": "Une boîte contient {a} crayons. On en retire {b}. Quel est le nombre de crayons restants dans la boîte ?",
    "de": "Die Summe zweier Zahlen beträgt {a}, ihre Differenz {b}. Bestimme das Produkt der beiden Zahlen.",
    "it": "Un negoziante vende {a} libri lunedì e {b} libri martedì: quanti libri ha venduto complessivamente?",
    "pt": "Resolva a equação ${a}x - {b} = 0$ e apresente o resultado na forma de fração irredutível.",
    "nl": "Een fietser rijdt {a} kilometer in {b} uur. Wat is zijn gemiddelde snelheid in kilometer per uur?",
    "da": "{n} har {a} kroner og bruger {b} kroner på en bog. Hvor mange kroner har han tilbage?",
    "cs": "Ve třídě je {a} dívek a {b} chlapců. Kolik žáků chodí do této třídy celkem?",
    "ro": "{n} are {a} timbre și primește încă {b} de la bunicul lui. Câte timbre are acum în total?",
    "hu": "{n} {a} forintot kapott, és ebből {b} forintot elköltött. Mennyi pénze maradt a végén?",
    "ca": "Un tren surt a les {b} i recorre {a} quilòmetres per hora. Quants quilòmetres farà en tres hores?",
    "uk": "У кошику було {a} груш, {b} груш з'їли. Скільки груш залишилося?",
    "he": "לדני יש {a} גולות והוא קיבל עוד {b}. כמה גולות יש לו עכשיו?",
    "th": "มีแอปเปิ้ล {a} ลูก ซื้อเพิ่มอีก {b} ลูก รวมมีกี่ลูก",
    "bn": "একটি ঝুড়িতে {a} টি আম আছে এবং আরও {b} টি রাখা হলো। এখন মোট কতটি আম?",
    "sw": "Juma ana machungwa {a} na rafiki yake amempa mengine {b}. Je, sasa ana machungwa mangapi kwa jumla?",
}
FORMS = (
    ("Options are: ", "{L}) {o}", "; "),
    ("\n\n", "({L}): {o}", "\n"),
    ("", "{L} - {o}", "\n"),
    ("Possible answers:\n", "{i}. {o}", "\n"),
    ("", "$\\mathrm{{({L})}}\\ ${o}", " \\quad "),
    ("\n", "({i}) {o}", " "),
    ("Choose from: ", "{o}", " / "),
    ("\n", "<{L}> {o}", " "),
    ("Alternatives:\n", "* {o}", "\n"),
    ("\nChoices: ", "[{l}] {o}", ", "),
    ("\n", "Option {L}: {o}", "\n"),
    (" ", "(({L})) {o}", " "),
    ("", "{L}.{o}", " "),
    ("\\begin{{enumerate}}\n", "\\item[{L}.] {o}", "\n"),
)
TRUE_FALSE = (
    "Say whether this is right or wrong: {c}.",
    "{c} - true or not?",
    "Verdict on the assertion '{c}': true / false?",
    "Mark as T or F. {c}.",
    "Would you agree that {c} (answer true/false)?",
    'Is the claim "{c}" true?',
    "The following sentence is either true or false; say which. {c}.",
    "Does it hold that {c}? Reply true or false.",
    "Assess the truth of this: {c}.",
    "Check the correctness of the statement: {c}.",
)
TRUTHS = (
    ("TRUE", "FALSE"),
    ("true, by definition", "false, there is a counterexample"),
    ("Right", "Wrong"),
    ("\\text{true}", "\\text{false}"),
    ("Correct.", "Incorrect."),
    ("This is true.", "This is false."),
)
YES_NO = (
    "{b} {q}? Reply with yes or no only.",
    "{b} Now decide: {q}?",
    "{b} Yes or no: {q}?",
    "{b} {q}? Give reasons.",
    "{b}\n\nQuestion: {q}?",
    "{b} Hmm, {q}?",
    "{b} {q}? [yes/no]",
)
ENDS = (
    ("will the final figure be above {m}", 1),
    ("is it possible that the answer is odd", -2),
    ("are {m} of them sufficient", -1),
    ("has the total passed {m}", 1),
    ("should the answer be a multiple of {d}", 3),
)
REPLIES = ("{s}!", "{s}, because it comes to {v}.", "**{s}**", "$\\text{{{s}}}$", "{s} ({v})", "The answer is {s}.")
NUMBERS = (
    "the number $2^{{{k}}} - 1$ leaves remainder 1 when divided by 2",
    "{p} cannot be written as a product of smaller integers",
    "${k}! $ ends in at least one zero or {k} is below 5",
    "the equation $x^2 = -{k}$ has no real root",
    "a regular {k}-gon has {k} axes of symmetry",
)
STATEMENTS = (
    "the angle bisectors of a triangle are concurrent",
    "$e$ is irrational",
    "every finite integral domain is a field",
    "the square of an odd number is one more than a multiple of eight",
    "a continuous function on a closed interval is bounded",
    "the sum of the reciprocals of the squares converges",
    "there is no largest integer",
    "$|a+b| \\le |a| + |b|$",
    "two chords that are equally far from the centre are equal",
    "a number is divisible by 9 if and only if its digit sum is",
)
PROOF = (
    "Argue that {c}.",
    "Convince the reader that {c}.",
    "Supply a proof of the claim: {c}.",
    "By contradiction, prove {c}.",
    "Why is it that {c}? Prove your answer.",
    "Your task is to show that {c}.",
    "Theorem. {c}. Write down its proof.",
    "Try to prove the following: {c}.",
    "Prove or refute: {c}.",
    "{c} - prove it.",
    "Confirm by a formal argument that {c}.",
    "Outline why {c}, with full proof.",
    "Let $n \\ge 1$. It is to be shown that {c}.",
    "Deduce from the axioms that {c}.",
)
OF_ANSWER = (
    "Prove that this number is {a}.",
    "Show why the outcome is {a}.",
    "Justify that the correct value is {a}.",
    "Give an argument that it equals {a}.",
    "It turns out to be {a}; prove this.",
)
PROOF_REPLIES = (
    "",
    "The proof is left to the reader.",
    "By the previous lemma, the claim follows.",
    "Trivial.",
    "Follows from AM-GM.",
    "∎",
)
PARTS = (
    "{b}\n(A) {p}\n(B) {q}",
    "{b} {p}\n{q}",
    "{b} [1] {p} [2] {q}",
    "{b}\n1. {p}\n2. {q}",
    "{b} Question 1: {p} Question 2: {q}",
    "{b} Firstly: {p} Secondly: {q}",
    "{b}\n• {p}\n• {q}",
    "{b} {p} In addition, {r}",
    "{b} a) {p} b) {q}",
    "{b}\n(i) {p} (ii) {q}",
    "{b} {p} Finally, {r}",
    "{b}\nPart 1. {p}\nPart 2. {q}",
)
SECOND = (
    ("How many digits does it have?", lambda v: len(str(v))),
    ("Give its double as well.", lambda v: 2 * v),
    ("What is it modulo 7?", lambda v: v % 7),
    ("Determine its cube.", lambda v: v**3),
)
SEVERAL = ("{x} | {y}", "i. {x}; ii. {y}", "A: {x}, B: {y}", "{x} (first), {y} (second)", "{x}, {y}", "({x}, {y})")
LINKS = (
    "https://t.co/k{n}",
    "http://192.168.0.{n}/list",
    "[sheet](https://drive.host.com/d/{n})",
    "<https://forum.math.net/q/{n}>",
    "www.stats-office.gov/tables?id={n}",
    "mathworld.wolfram.com/N{n}.html",
    "https://doi.org/10.1007/s{n}",
    "goo.gl/q{n}",
    "youtube.com/watch?v=x{n}",
    "khan.edu/ex/{n}",
    "data_{n}.csv",
    "notes{n}.pdf",
)
LINKED = (
    "{q} (The numbers come from {u}.)",
    "Go to {u}; there you find what is needed. {q}",
    "{q}\n[1] {u}",
    "With the calculator on {u}, answer this: {q}",
    "See {u} for details. {q}",
    "{u}\n{q}",
    "Read {u} before you begin. {q}",
)
ABOUT_LINKS = ("Follow the hyperlink to see the table. {q}", "The full statement is behind this link. {q}")
FIGURES = (
    "The diagram on page 4 belongs to this problem. {q}",
    "{q} [figure omitted]",
    "Consider the plot below. {q}",
    "<img src='a.png'> {q}",
    "{q} (see figure)",
    "According to the bar chart, {q}",
    "The picture illustrates the situation. {q}",
    "{q} Read the values from the graph.",
    "The table above lists the prices. {q}",
    "{q}\n\\begin{{tikzpicture}}\\draw (0,0) -- (1,1);\\end{{tikzpicture}}",
    "As can be seen in the image, this is easy. {q}",
    "Fig. 2 shows everything. {q}",
    "In the sketch to the left you see the setting. {q}",
    "Study the map, then answer. {q}",
)
PLACEHOLDERS = (
    "to be added",
    "(solution follows)",
    "Refer to the textbook, p. 31",
    "skip",
    "??",
    "N.A.",
    "[deleted]",
    "\\frac{",
    "As discussed in class",
    "Ans.",
    "no solution given",
    "this one is hard",
    "{}",
    "~",
    "a number of your choice",
    "It is obvious from the context",
    "Yes and no, depending on how one reads it",
    "\\ldots",
    "Same as problem 3",
    "check your notes for the answer",
)
LEAKED = ("{q} Show each step.", "A classic: {q}", "[from a test] {q}", "{q}\n\nThink step by step.")
