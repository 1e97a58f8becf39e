"""Mazes, and searches through them written out in words: by depth first, by A*, or the way alone.

A maze is a tree over the cells of a square, so that one way leads from the start to the goal. Its prompt has a word for each cell,
with the sides on which it is open (N, E, S, W), such as `7ES`. A search names each cell that it comes to; where the next one does
not join the last, `back` and a known cell stand before it:

    0 1 2 back 1 4 answer 4 1 0

So the word before a cell's first mention is the cell that it was reached from, and the answer, the way from the goal back to the
start, can be read off a trace. Paper of linearised searches that are learned: Xiang et al. 2025 (arXiv 2501.04682), "Meta
Chain-of-Thought".
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from ratchet.core.types import Task

BACK, ANSWER = "back", "answer"
SIDES = {"N": (0, -1), "E": (1, 0), "S": (0, 1), "W": (-1, 0)}
Maze = tuple[tuple[int, ...], ...]
"""The cells that each cell is open to."""


@cache
def beside(size: int) -> tuple[dict[int, str], ...]:
    """Of each cell of a square: its neighbours and the sides on which they lie."""
    places = [(x, y) for y in range(size) for x in range(size)]
    inside = lambda x, y: 0 <= x < size and 0 <= y < size
    return tuple(
        {(y + dy) * size + x + dx: side for side, (dx, dy) in SIDES.items() if inside(x + dx, y + dy)} for x, y in places
    )


@cache
def beside_pairs(size: int) -> tuple[tuple[int, int], ...]:
    """Neighbours, the lower number first."""
    return tuple((a, b) for a, near in enumerate(beside(size)) for b in near if a < b)


@cache
def words(size: int) -> list[str]:
    """The language's vocabulary."""
    subsets = ["".join(s for i, s in enumerate(SIDES) if bits >> i & 1) for bits in range(1, 16)]
    cells = range(size * size)
    opened = [f"{c}{sides}" for c in cells for sides in subsets if set(sides) <= set(beside(size)[c].values())]
    return ["from", "to", ":", BACK, ANSWER, *map(str, cells), *opened]


def random_maze(random_: random.Random, size: int) -> Maze:
    """Walls between neighbours fall in an order by chance, where they part what is not yet joined."""
    walls = list(beside_pairs(size))
    random_.shuffle(walls)
    parents = list(range(size * size))
    opened: list[list[int]] = [[] for _ in parents]

    def region(cell: int) -> int:
        while parents[cell] != cell:
            cell = parents[cell]
        return cell

    for a, b in walls:
        one, other = region(a), region(b)
        if one != other:
            parents[one] = other
            opened[a].append(b)
            opened[b].append(a)
    return tuple(tuple(sorted(cells)) for cells in opened)


@cache
def opened(cell: int, near: tuple[int, ...], size: int) -> str:
    """The sides of a cell that these neighbours lie on."""
    lies = {beside(size)[cell][n] for n in near}
    return "".join(s for s in SIDES if s in lies)


def draw(random_: random.Random, size: int) -> Task:
    """A maze with its start and goal; the answer is the way from the goal back to the start."""
    maze = random_maze(random_, size)
    start, goal = random_.sample(range(size * size), 2)
    prompt = " ".join(f"{c}{opened(c, near, size)}" for c, near in enumerate(maze))
    return Task(
        family="maze",
        prompt=f"{prompt} from {start} to {goal} :",
        answer=way_back(depth_first(random_, maze, start, goal)),
        verifier="maze",
        facts={"maze": maze, "start": start, "goal": goal, "size": size},
    )


Steps = list[tuple[int, int]]
"""Cells in the order in which a search comes to them, each with the one that it is reached from; the start with itself."""


def depth_first(random_: random.Random, maze: Maze, start: int, goal: int) -> Steps:
    """Down to a dead end or the goal; then from the last cell with a way untried. Blind: ways are tried in an order by chance."""
    steps: Steps = []
    stack = [(start, start)]
    while stack:
        cell, parent = stack.pop()
        steps.append((cell, parent))
        if cell == goal:
            break
        ways = [(n, cell) for n in maze[cell] if n != parent]
        stack += random_.sample(ways, len(ways))
    return steps


def a_star(maze: Maze, start: int, goal: int, size: int) -> Steps:
    """The cell with the least of steps made and of the heuristic, the steps to the goal if there were no walls, comes next; of equals the
    one farther from the start, then the lower number."""
    apart = lambda cell: abs(cell % size - goal % size) + abs(cell // size - goal // size)
    steps: Steps = []
    frontier = [(apart(start), 0, start, start)]
    while frontier:
        _, minus_made, cell, parent = heapq.heappop(frontier)
        steps.append((cell, parent))
        if cell == goal:
            break
        for n in maze[cell]:
            if n != parent:
                heapq.heappush(frontier, (1 - minus_made + apart(n), minus_made - 1, n, cell))
    return steps


def way_back(steps: Steps) -> list[int]:
    """From the last cell of a search to its start."""
    parents = dict(steps)
    way = [steps[-1][0]]
    while parents[way[-1]] != way[-1]:
        way.append(parents[way[-1]])
    return way


def written(steps: Steps) -> str:
    """A search in words, without its answer."""
    parts = [str(steps[0][0])]
    for (last, _), (cell, parent) in pairwise(steps):
        parts.append(str(cell) if parent == last else f"{BACK} {parent} {cell}")
    return " ".join(parts)


def solution(task: Task) -> str:
    """The answer alone."""
    return " ".join([ANSWER, *map(str, task.answer)])


def optimal_path(task: Task) -> str:
    """The way from the start, cell by cell, and the answer."""
    return f"{' '.join(map(str, reversed(task.answer)))} {solution(task)}"


def depth_first_trace(random_: random.Random, task: Task) -> str:
    facts = task.facts
    return f"{written(depth_first(random_, facts['maze'], facts['start'], facts['goal']))} {solution(task)}"


def a_star_trace(task: Task) -> str:
    facts = task.facts
    return f"{written(a_star(facts['maze'], facts['start'], facts['goal'], facts['size']))} {solution(task)}"


def right(task: Task, text: str) -> bool:
    """Whether what follows the last `answer` is the way from the goal back to the start, and nothing else."""
    _, mark, answer = text.rpartition(ANSWER)
    return bool(mark) and answer.split() == [str(c) for c in task.answer]


def unsound(task: Task, text: str) -> Iterator[str]:
    """What is wrong with a trace as a search: cells that do not join, cells come to twice, returns to cells with nothing untried."""
    trace, _, _ = text.partition(ANSWER)
    maze: Maze = task.facts["maze"]
    known: list[int] = []
    at, returning = task.facts["start"], False
    for word in trace.split():
        if word == BACK:
            returning = True
            continue
        if not word.isdecimal():
            yield f"{word} stands among the cells"
            return
        cell = int(word)
        if returning:
            if cell not in known:
                yield f"returned to {cell}, where it has not been"
            elif all(n in known for n in maze[cell]):
                yield f"returned to {cell}, which has nothing untried"
        elif known:
            if cell not in maze[at]:
                yield f"no way from {at} to {cell}"
            if cell in known:
                yield f"came to {cell} twice"
        elif cell != at:
            yield f"begins at {cell}"
        known += [] if returning else [cell]
        at, returning = cell, False
    if at != task.facts["goal"]:
        yield f"ends at {at}"
