"""What the question needs and does not hold: a figure that is missing, a page behind a link."""

from __future__ import annotations

import re

from ratchet.data.filters import Drop, Filter, Row, around, examples, filters

DRAWN = r"(?:figure|diagram|picture|image|illustration|sketch|photo(?:graph)?|chart|histogram|plot|pictograph)"
PICTURE = rf"(?:{DRAWN}|graph|table|grid|map|drawing|number line)s?"
SHAPE = (
    r"(?:triangle|square|circle|rectangle|polygon|shape|trapezoid|parallelogram|quadrilateral|\w+agon|cube|box|prism|cylinder|cone|"
    r"curve|region)s?"
)
POINTED = r"(?:shown|pictured|illustrated|depicted|displayed|sketched|graphed)"
FIGURE = re.compile(
    "|".join(
        [
            rf"\b{PICTURE}\s+(?:(?!be\b|is\b|was\b)\w+\s+)?(?:above|below|here|(?:at|on|to)\s+the\s+(?:right|left))\b",
            rf"\b{PICTURE}\s+(?:of\s[^.?]{{1,80}}\s)?(?:(?:is|are)\s+)?{POINTED}\b",
            rf"\b(?:as|is|are)\s+(?:{POINTED}|marked|labell?ed|given)\s+(?:above|below|here|(?:at|on|to)\s+the\s+(?:right|left))\b",
            rf"\bas\s+{POINTED}\b|\b{POINTED}\s+(?:above|below|here|at\s+(?:right|left)|(?:at|on|to)\s+the\s+(?:right|left))\b",
            rf"\b(?:in|from|using|see|on|with|by|to)\s+(?:the|this|our|its)\s+(?:\w+\s+)?{DRAWN}\b",
            rf"\b(?:the|this)\s+(?:accompanying|adjacent|attached|following|adjoining)\s+(?:\w+\s+)?{PICTURE}\b",
            r"(?:^|[.?!]\s+)(?:below|above)\s+(?:is|are)\b|\bnot\s+(?:drawn\s+)?to\s+scale\b|\b(?:is|are|also)\s+pictured\b|\b(?:the|each|this|in)\s+(?:(?!numbers?\b)[\w$\\{}^]+\s+){1,4}shown\b(?!\s+(?:that|to|on|by|when|in)\b)",
            rf"\b{SHAPE}\s+(?:below|above)\b(?!\s+(?:the|a|an|it|its)\b|\s+\$)|\b(?:look\s+at|refer(?:ring)?\s+to|consult|examine|study|observe|inspect|measure|view|use|using)\s+"
            rf"(?:the|this)\s+(?:\w+\s+)?(?:{DRAWN}|drawing|graph|map)",
            r"\bsee\s+(?:fig\b|figure|table|diagram)|\bfig(?:ure)?\.?\s*\d",
            rf"\b(?:the|this|each)\s+(?:\w+\s+)?{PICTURE}\s+(?:shows|represents|illustrates|depicts|displays|gives)\b",
            r"\b(?:un)?shaded\s+(?:\w+\s+)?(?:region|area|part|portion|square|triangle|circle|sector|rectangle)s?\b",
            rf"\b(?:the|this)\s+{DRAWN}\s+(?:on|at|of)\s+page\b|\b(?:according\s+to|from|in|on|using|reads?|values?\s+(?:from|of))\s+(?:the|this)\s+(?:\w+\s+)?"
            rf"{DRAWN}\b|\b(?:according\s+to|from|using)\s+(?:the|this)\s+graph\b(?!\s+of)",
            r"\[asy\]|\\includegraphics|\\begin\{(?:tikzpicture|picture|pspicture)|!\[[^\]]*\](?!\()|<img\b|<image|\[(?:image|figure|diagram|img|picture)\b[^\]]*\]",
        ]
    ),
    re.IGNORECASE,
)
# a table or a display that stands in the question; a figure does not
HELD = re.compile(r"\\begin\{(?:tabular|array|align\*?|aligned|[a-z]?matrix)\}|^\s*\|.*\|", re.MULTILINE)
NEEDS = re.compile(r"figure|diagram|picture|image|illustration|shaded|graph|asy|<|!\[", re.IGNORECASE)
LINK = re.compile(
    r"\b(?:https?|ftp)\s*:\s*//|\bwww\s*\.|\bdoi\s*:|\bdoi\.org|\]\(\s*[^)\s]+\.[a-z]{2,}|\bhref\s*="
    r"|\b[a-z0-9][\w-]*(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|co|uk|de|fr|cn|be|ly|gl|me|html?|php|pdf|xlsx?|docx?|pptx?|csv|tsv|txt|json|xml|zip|"
    r"png|jpe?g|gif|svg|mp4)\b(?:/\S*)?"
    r"|\b(?:click|follow|visit|open|see|using|use|at|via|from|behind|through|under)\b[^.?]{0,25}\b(?:hyper|web)?link\b|\b(?:web\s?site|web\s?page|url)\s+(?:below|above|given)",
    re.IGNORECASE,
)


def figure(row: Row) -> Drop | None:
    held = HELD.search(row.question)
    found = next((m for m in FIGURE.finditer(row.question) if not held or NEEDS.search(m[0])), None)
    return Drop("the question needs a figure that is not there", around(row.question, *found.span())) if found else None


def link(row: Row) -> Drop | None:
    found = LINK.search(row.question)
    return Drop("the question needs what is behind a link", around(row.question, *found.span())) if found else None


filters.put(
    "missing-figure",
    Filter(
        figure,
        examples(
            "In the figure below, what is the measure of angle $ABC$ in degrees?",
            "The graph of $y = f(x)$ is shown. What is $f(2)$?",
            "What is the area of the shaded region, in square centimetres?",
        ),
    ),
    paper="arXiv 2502.17387",
    summary="Missing figure: the question needs a picture that a text does not hold.",
)
filters.put(
    "link",
    Filter(
        link,
        examples(
            "Use the data at https://example.org/data.csv to find the mean height.",
            "Watch www.example.com/lesson and tell how many apples are counted there.",
        ),
    ),
    paper="arXiv 2502.17387",
    summary="Link: the question needs what is behind a link.",
)
