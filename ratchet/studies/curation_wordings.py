"""Wordings of faults for the study of curation: a fifth set, beside the four of benchmarks/curation_faults.py.

It was written before any filter was mended in this round, as school books, contests, quizzes and forums word such things, and no filter was
mended on it. Its author is the filters' author all the same.
"""

from __future__ import annotations

LANGUAGES = {
    "es": ("Un agricultor recoge {a} kilos de tomates por la mañana y {b} kilos por la tarde. ¿Cuántos kilos recoge en total?",
           "Halla el resto de dividir {a} entre {b} y justifica brevemente tu respuesta."),
    "fr": ("Le professeur distribue {a} cahiers à {b} élèves. Combien de cahiers reste-t-il après un partage égal ?",
           "Calculer la somme des entiers de {b} à {a}, puis donner le résultat sous la forme la plus simple."),
    "de": ("Im Garten stehen {a} Apfelbäume und {b} Kirschbäume. Wie viele Bäume sind es zusammen?",
           "Löse die Gleichung ${b}x = {a}$ und gib die Lösung als gekürzten Bruch an."),
    "it": ("In una classe ci sono {a} studenti, di cui {b} assenti. Quanti studenti sono presenti oggi?",
           "Un treno percorre {a} chilometri in {b} ore: qual è la sua velocità media?"),
    "pt": ("Pedro tinha {a} reais e gastou {b} reais na feira. Quanto dinheiro sobrou para ele?",
           "Determine o perímetro de um retângulo com lados de {a} cm e {b} cm."),
    "nl": ("In een doos zitten {a} potloden. Juf deelt er {b} uit. Hoeveel potloden blijven er over?",),
    "da": ("Bageren bager {a} boller og sælger {b} af dem før frokost. Hvor mange boller er der tilbage?",),
    "sv": ("På en parkering står {a} bilar och {b} cyklar. Hur många fordon står där sammanlagt?",),
    "fi": ("Bussissa on {a} matkustajaa ja pysäkillä nousee kyytiin {b} lisää. Montako matkustajaa bussissa on nyt?",),
    "pl": ("W koszyku było {a} jabłek, a mama dołożyła jeszcze {b}. Ile jabłek jest teraz w koszyku?",),
    "cs": ("Babička upekla {a} koláčů a děti jich snědly {b}. Kolik koláčů zbylo?",),
    "hu": ("Egy könyv {a} oldalas, és Péter már elolvasott {b} oldalt. Hány oldal van még hátra?",),
    "tr": ("Bir çiftçinin {a} koyunu ve {b} keçisi vardır. Çiftçinin toplam kaç hayvanı vardır?",),
    "id": ("Sebuah toko menjual {a} buku pada hari Senin dan {b} buku pada hari Selasa. Berapa jumlah buku yang terjual?",),
    "vi": ("Một lớp học có {a} học sinh, trong đó có {b} học sinh nữ. Hỏi lớp học đó có bao nhiêu học sinh nam?",),
    "ro": ("La magazin au fost {a} de mere și s-au vândut {b}. Câte mere au rămas în magazin?",),
    "ru": ("В библиотеке было {a} книг, потом привезли ещё {b}. Сколько книг стало в библиотеке?",),
    "uk": ("На дереві сиділо {a} птахів, {b} з них полетіли. Скільки птахів залишилося на дереві?",),
    "el": ("Η Μαρία έχει {a} ευρώ και ξοδεύει {b} ευρώ. Πόσα ευρώ της μένουν;",),
    "zh": ("书店上午卖出{a}本书，下午卖出{b}本书，一共卖出多少本？", "计算：{a}减去{b}的差是多少？"),
    "ja": ("花屋に{a}本の花がありました。{b}本売れました。残りは何本ですか。",),
    "ko": ("도서관에 책이 {a}권 있습니다. {b}권을 빌려주었습니다. 남은 책은 몇 권입니까?",),
    "ar": ("في الصف {a} طالباً، غاب منهم {b} طلاب. كم عدد الطلاب الحاضرين؟",),
    "hi": ("एक दुकान में {a} किताबें थीं और {b} किताबें बिक गईं। अब कितनी किताबें बची हैं?",),
}  # fmt: skip

# what stands before the options, the form of one, and what stands between two
FORMS = (
    (" ", "({L}) {o}", " "),
    ("\n", "{L}) {o}", "\n"),
    ("\n", "{L}. {o}", "\n"),
    ("\n", "{l}) {o}", "\n"),
    ("\n", "({l}) {o}", "\n"),
    ("\nAnswer choices: ", "{L}) {o}", ", "),
    ("\n", "$\\textbf{{({L})}}~{o}$", " \\qquad "),
    ("\nOptions: ", "{L}. {o}", " "),
    ("\nChoose the right answer:\n", "{i}) {o}", "\n"),
    ("\nChoose the correct option.\n", "- {o}", "\n"),
    ("\n", "[{L}] {o}", "  "),
    (" Which one is right: ", "{o}", ", "),
    ("\nSelect one:\n", "<li>{o}</li>", "\n"),
    ("\nTick the correct box.\n", "☐ {o}", "\n"),
    ("\n", "{L} {o}", "\n"),
    ("\n", "{i}. {o}", "\n"),
    ("\n", "Option {L}: {o}", "\n"),
    ("\n", "**{L}** {o}", "\n"),
    (" The possible answers are ", "{o}", ", "),
    ("\nChoices:\n", "{L}) {o}", "\n"),
)
CHOICE_REPLIES = ("{L}", "({L})", "{L}", "{o}", "Option {L}", "{L}) {o}")

TRUE_FALSE = (
    "True or false? {c}.",
    "State whether the following is true or false: {c}.",
    "Is the following true? {c}.",
    "{c}. True or false?",
    "Circle T or F: {c}.",
    "Decide whether it is true that {c}.",
    "Determine if the statement \"{c}\" is true.",
    "Is it correct to say that {c}?",
    "Read the sentence and answer true or false. {c}.",
    "Label this statement as true or as false: {c}.",
    "{c}. Is that right or wrong?",
    "Indicate whether the claim below holds.\n{c}.",
    "Quiz: {c}. (T/F)",
    "A friend tells you that {c}. Is this statement true or false?",
)  # fmt: skip
TRUTHS = (("True", "False"), ("true", "false"), ("T", "F"), ("true.", "false."), ("The statement is true.", "The statement is false."),
          ("TRUE", "FALSE"), ("Correct", "Incorrect"), ("\\text{True}", "\\text{False}"))  # fmt: skip

YES_NO = (
    "{b} {q}?",
    "{b} {q}? (yes or no)",
    "{b} {q}? Yes or no?",
    "{b} {q}? Explain your reasoning.",
    "{b} Answer yes or no. {q}?",
    "{b} Given this, {q}?",
    "{b} {q}? Write \"yes\" or \"no\".",
    "Yes or no: {b} {q}?",
    "{b} If so, write yes; if not, write no. {q}?",
)  # fmt: skip
ENDS = (
    ("is the answer greater than {m}", 1),
    ("is the result even", 2),
    ("is this number a multiple of {d}", 3),
    ("would {m} be more than that", -3),
    ("could the value be odd", -2),
    ("does this exceed {m}", 1),
)
YES_NO_REPLIES = (
    "{s}",
    "{s}.",
    "{l}",
    "{s}, it is {v}.",
    "{s} because it is {v}",
    "\\text{{{s}}}",
    "{s}, since the value is {v}.",
)

CLAIMS_PROVED = (
    "the sum of three consecutive integers is divisible by 3",
    "$\\sqrt{{{k}}} + \\sqrt{{2}}$ is irrational",
    "the number ${k}^n - 1$ is divisible by ${j}$ for every positive integer $n$",
    "$x^2 + {k} > 0$ for all real $x$",
    "the diagonals of a parallelogram bisect each other",
    "there are no integers $a$ and $b$ with $a^2 - 4b = {p}$ unless $a$ is odd",
    "$\\sum_{{i=1}}^n i = n(n+1)/2$",
    "if $n^2$ is even, then $n$ is even",
    "the function $f(x) = {k}x + 1$ is injective",
    "in any group of {k} people at least two were born on the same day of the week",
)
PROOF = (
    "Prove that {c}.",
    "Show that {c}.",
    "Prove by contradiction that {c}.",
    "Use mathematical induction to prove that {c}.",
    "Give a complete proof that {c}.",
    "Let $n$ be a natural number. Show that {c}.",
    "Prove the following statement: {c}.",
    "Explain why {c}.",
    "Write a proof of the following theorem. {c}.",
    "(Olympiad) Prove that {c}.",
    "Verify that {c}.",
    "Prove, without a calculator, that {c}.",
    "Show, giving reasons, that {c}.",
    "Is it always the case that {c}? Prove or disprove.",
)
OF_ANSWER = (
    "Prove that the answer is {a}.",
    "Show that this equals {a}.",
    "Prove that it must be {a}.",
    "Show that the result is {a} and give a proof.",
)
PROOF_REPLIES = ("", "Proof.", "See the proof below.", "By induction.", "The claim follows from the definition of the terms.", "Q.E.D.",
                 "Assume the opposite and reach a contradiction.")  # fmt: skip

PARTS = (
    "{b} (a) {p} (b) {q}",
    "{b}\na) {p}\nb) {q}",
    "{b}\n1. {p}\n2. {q}",
    "{b}\n(i) {p}\n(ii) {q}",
    "{b} {p} {q}",
    "{b} {p} Also, {r}",
    "{b}\nPart (a) {p}\nPart (b) {q}",
    "{b} A. {p} B. {q}",
    "{b} {p} Then: {q}",
    "{b}\n\n**a.** {p}\n\n**b.** {q}",
    "{b} {p} In addition: {r}",
    "{b} 1) {p} 2) {q}",
    "{b} First, {r0} Second, {r}",
)
SECOND = (
    ("What is half of that number?", lambda v: v / 2),
    ("How much more than 10 is it?", lambda v: v - 10),
    ("What is the next larger integer?", lambda v: v + 1),
    ("Find its square.", lambda v: v * v),
    ("Is it odd or even?", lambda v: "even" if v % 2 == 0 else "odd"),
)
SEVERAL = ("{x}, {y}", "{x} and {y}", "(a) {x}; (b) {y}", "a) {x} b) {y}", "{x}; {y}", "a = {x}, b = {y}", "(i) {x} (ii) {y}")

LINKS = (
    "https://www.khan-lessons.org/algebra/unit{n}",
    "http://mathforum.net/topic/{n}",
    "https://docs.google.com/spreadsheets/d/{n}",
    "www.worldpopulation.org/table/{n}",
    "https://imgur.com/a/{n}",
    "https://en.wikipedia.org/wiki/Lists_{n}",
    "github.com/school/data{n}",
    "https://bit.ly/{n}ab",
    "[the data](https://opendata.city.org/{n}.csv)",
    "https://www.geogebra.org/m/{n}",
    "<a href=\"http://schoolsite.edu/{n}\">here</a>",
)  # fmt: skip
LINKED = (
    "{q} (Source: {u})",
    "Use the table at {u} to answer. {q}",
    "{u}\n\n{q}",
    "{q} You can find the data here: {u}",
    "Visit {u} first. {q}",
    "{q} For a hint, see {u}.",
    "The rules are explained on {u}. {q}",
)

PLACEHOLDERS = ("", "See solution.", "N/A", "None", "Answers may vary.", "No answer provided", "see below", "???", "TBD", "The answer is shown in "
                "the key at the back.", "unknown", "(not given)", "Solution:", "-", "Answers will differ from student to student.")  # fmt: skip
SENTENCES = (
    "First multiply the two numbers and then take away what was lost, which gives {a} in the end",
    "We add everything up step by step and see that there must be {a} of them altogether",
    "Since every part has the same size, the total is found by multiplying, and so one gets {a}",
    "{a} would be right if nothing else happened, but that is for the reader to decide",
    "It is {a} because the sum of the parts equals the whole thing that was described above",
    "x = {a} = {a} = {a}, because both sides were divided by the same number",
)
BROKEN = (
    "\\frac{{{a}}}{{",
    "\\sqrt{{{a}",
    "\\left( {a}",
    "\\boxed{{{a}",
    "({a}, ",
    "\\frac{{{a}",
    "{a} + ...",
    "\\text{{{a} units",
)

LEAKED = ("{q}", "Question: {q}", "{q} Explain.", "Try this one. {q}", "12. {q}")
NEAR = (
    (r"^", "Solve this problem. "),
    (r"$", " Explain how you know."),
    (r"\bHow many\b", "What number of"),
    (r"\bhas\b", "owns"),
    (r"\bbuys\b", "gets"),
    (r"\beach\b", "apiece"),
    (r"\bWhat is\b", "Determine"),
    (r"\bFind\b", "Calculate"),
    (r"\band\b", "as well as"),
    (r", ", " - "),
    (r"\bAfter\b", "Following"),
    (r"\btotal\b", "all"),
)
