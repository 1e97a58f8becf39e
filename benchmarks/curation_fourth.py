"""Wordings of the fourth part of `curation_faults`, written when the filters had been mended after their measurement on the third."""

from __future__ import annotations

LANGUAGES = {
    "es": "María prepara {a} galletas y las reparte entre {b} amigos por igual. ¿Cuántas galletas quedan sin repartir?",
    "fr": "Trouver le plus petit entier strictement supérieur à {a} qui soit divisible par {b}.",
    "de": "Ein Zug fährt in {b} Stunden {a} Kilometer weit. Welche Strecke legt er in einer Stunde zurück?",
    "it": "Trova la somma dei primi {a} numeri naturali e dividila per {b}.",
    "pt": "Ana leu {a} páginas de um livro e faltam {b} páginas. Quantas páginas tem esse livro?",
    "nl": "Los de volgende vergelijking op: ${a}x + {b} = 0$. Geef het antwoord als een breuk in zijn eenvoudigste vorm.",
    "no": "Kari har {a} epler. Hun gir bort {b} av dem til naboen sin. Hvor mange epler har hun igjen?",
    "sk": "Na parkovisku stálo {a} áut a {b} z nich odišlo preč. Koľko áut tam zostalo?",
    "hr": "U košari se nalazi {a} jabuka i {b} krušaka. Koliko ukupno ima voća u košari?",
    "lt": "Parduotuvėje buvo {a} knygų, pardavė {b} knygas. Kiek knygų liko parduotuvėje?",
    "eu": "Anek {a} sagar ditu eta beste {b} erosi ditu dendan. Zenbat sagar ditu orain guztira?",
    "tl": "May {a} na mansanas si Pedro at binigyan pa siya ng {b}. Ilan na ang mansanas niya ngayon?",
    "fa": "علی {a} سیب دارد و {b} سیب دیگر می‌خرد. او اکنون چند سیب دارد؟",
    "ta": "ராமனிடம் {a} மாம்பழங்கள் உள்ளன. மேலும் {b} வாங்கினான். மொத்தம் எத்தனை?",
    "zh-hant": "小華有{a}顆糖，又買了{b}顆，請問他一共有幾顆糖？",
}
FORMS = (
    ("\n", "{L}) {o}", "   "),
    ("\nOptions\n", "({L}) {o}", "\n"),
    (" ", "[{L}] {o}", " "),
    ("\n", "{l}) {o}", "\n"),
    ("\nAnswer choices:\n", "{L}. {o}", "\n"),
    ("\n$", "\\text{{({L}) }} {o}", "\\quad "),
    (" (", "{L}: {o}", "; "),
    ("\nChoose one:\n", "○ {o}", "\n"),
    ("\n", "({L}) {o}", ", "),
    ("\nSelect the answer from: ", "{o}", ", "),
    ("\n| ", "{L} | {o}", " | "),
    ("\n", "{L}. {o}", "  "),
)
TRUE_FALSE = (
    "Consider the claim that {c}. Is it true?",
    "Tell whether the following sentence is true or false: {c}.",
    "{c}: true or false?",
    "Is the statement that {c} correct?",
    "Write 'true' if {c}, and 'false' otherwise.",
    "Determine the truth value of: {c}.",
    "A student says that {c}. Is the student right?",
    "True/False question: {c}.",
)
TRUTHS = (
    ("True", "False"),
    ("true", "false"),
    ("T", "F"),
    ("yes, true", "no, false"),
    ("true statement", "false statement"),
    ("It is true.", "It is false."),
)
YES_NO = (
    "{b} {q}?",
    "{b} So, {q}?",
    "{b} Answer with yes or no: {q}?",
    "{b} {q}? Why?",
    "{b} In that case, {q}?",
    "{b} {q}? Type Yes or No.",
)
ENDS = (
    ("is {m} less than the answer", 1),
    ("does the answer end in an even digit", 2),
    ("can all of it be covered with {m}", -1),
    ("is the result divisible by {d}", 3),
)
REPLIES = ("{s}", "{s}.", "{s}, it does", "{s} - {v}", "\\boxed{{{s}}}")
NUMBERS = (
    "{k} is smaller than $2^{{{k}}}$",
    "{p} has exactly two divisors",
    "the sum of {k} consecutive integers is a multiple of {k} whenever {k} is odd",
    "a set with {k} elements has $2^{{{k}}}$ subsets",
)
STATEMENTS = (
    "the altitudes of a triangle meet in a single point",
    "$\\pi$ is transcendental",
    "every group of prime order is cyclic",
    "an absolutely convergent series converges",
    "the inscribed angle is half of the central angle",
    "$n! > 2^n$ for all $n \\ge 4$",
    "the intersection of two subspaces is a subspace",
)
PROOF = (
    "Prove the following: {c}.",
    "Show carefully that {c}.",
    "Using induction, show that {c}.",
    "Give a short proof of the fact that {c}.",
    "Prove that {c}. Be precise.",
    "Is it true that {c}? Prove it.",
    "Let $n$ be given. Verify that {c}.",
    "Provide a proof: {c}.",
    "Exercise: prove that {c}.",
    "Explain why {c}.",
    "Demonstrate why {c}.",
    "First show that {c}.",
    "Establish that {c}, citing every theorem that you use.",
    "Find a proof that {c}.",
)
OF_ANSWER = (
    "Prove that it is {a}.",
    "Show that the answer is {a}.",
    "Verify that {a} is the right value.",
    "Explain why the answer has to be {a}.",
)
PROOF_REPLIES = (
    "",
    "See proof.",
    "Proof by induction on n.",
    "The statement follows from the definition of the objects involved.",
    "Proven.",
    "QED",
)
PARTS = (
    "{b} (a) {p} (b) {q}",
    "{b}\n(a) {p}\n(b) {q}",
    "{b} {p} {q}",
    "{b}\n1. {p}\n2. {q}",
    "{b} i. {p} ii. {q}",
    "{b}\nPart (a): {p}\nPart (b): {q}",
    "{b} {p} Next, {r}",
    "{b} {p} Furthermore, {r}",
    "{b}\na) {p}\nb) {q}",
    "{b} (I) {p} (II) {q}",
)
SECOND = (
    ("What is three times this number?", lambda v: 3 * v),
    ("Find the sum of its digits.", lambda v: sum(map(int, str(abs(v))))),
    ("How far is it from 50?", lambda v: abs(v - 50)),
    ("Calculate ten percent of it.", lambda v: v / 10),
)
SEVERAL = ("{x}, {y}", "{x} and {y}", "(a) {x}, (b) {y}", "a. {x} b. {y}", "{x}; {y}", "1) {x} 2) {y}")
LINKS = (
    "https://www.example-school.org/sheet{n}.html",
    "http://data.city.gov/{n}",
    "www.mathclub.net/week{n}",
    "[link](http://a.b.com/{n})",
    "https://youtu.be/{n}abc",
    "github.com/user/repo{n}",
    "prices{n}.xls",
    "table_{n}.txt",
    "tinyurl.com/{n}z",
    "https://forms.gle/{n}",
    "arxiv.org/abs/2101.{n}",
)
LINKED = (
    "{q} {u}",
    "{u} {q}",
    "The data are in {u}. {q}",
    "Have a look at {u}. {q}",
    "{q} Use {u} to check.",
    "After reading {u}, answer: {q}",
)
ABOUT_LINKS = ("Use the link to open the worksheet. {q}", "The data can be downloaded from the website below. {q}")
FIGURES = (
    "In the picture above you see the setup. {q}",
    "{q} (see the diagram)",
    "The figure shows the arrangement. {q}",
    "![diagram](fig.png) {q}",
    "Given the figure, {q}",
    "The chart below gives the sales. {q}",
    "{q} [See image]",
    "As the diagram shows, things are simple here. {q}",
    "The graph is given below. {q}",
    "Use the figure to solve this. {q}",
    "{q} \\includegraphics{{a.pdf}}",
    "Based on the histogram, {q}",
)
PLACEHOLDERS = (
    "",
    "None",
    "N/A",
    "unknown",
    "See the solution.",
    "Answers may vary",
    "Answers vary.",
    "not available",
    "The answer is given in the appendix of the book.",
    "pending",
    "see attached",
    "\\text{Solution omitted}",
    "proof",
    "\\sqrt{",
    "...",
    "depends",
    "varies",
    "Various answers are possible.",
    "the solution is shown above",
)
LEAKED = ("{q}", "{q} Answer:", "Problem 3. {q}", "Please solve this one: {q}")
