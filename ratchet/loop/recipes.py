"""The recipes that ship. Each returns the whole description of a run; `ratchet run NAME --set path=value` changes it."""

from __future__ import annotations

from ratchet.loop.recipe import (
    GateSettings,
    Imitation,
    Measuring,
    NewModel,
    Optimizer,
    Preferences,
    Recipe,
    Reinforcement,
    Tasks,
    recipes,
)


@recipes.add("countdown")
def countdown() -> Recipe:
    """The main job: the built-in model improves on Countdown by reinforcement from verified answers."""
    return Recipe(
        name="countdown",
        tasks=Tasks("countdown"),
        batch=512,
        reinforcement=Reinforcement(
            turns=2,
            updates=75,
            tasks=32,
            samples=16,
            credit="attempts",
            optimizer=Optimizer(lr=5e-4, warmup=5, final=0.1),
        ),
        gate=GateSettings(tasks=1_500, samples=2),
        measure=Measuring(tasks=1_000, samples=2, curve_tasks=200, curve_samples=64),
    )


@recipes.add("countdown-prime")
def countdown_prime() -> Recipe:
    """Makes the built-in model: imitation of Countdown search traces, from random weights."""
    return Recipe(
        name="countdown-prime",
        model="new",
        new=NewModel(),
        threads=1,
        tasks=Tasks("countdown"),
        imitation=Imitation(
            turns=8,
            updates=50,
            examples=64,
            optimizer=Optimizer(lr=3e-3, muon=0.02, warmup=50, final=0.1, weight_decay=0.01),
        ),
        gate=GateSettings(tasks=300, samples=2),
        measure=Measuring(tasks=500, samples=4, curve_tasks=100),
    )


@recipes.add("word-problems")
def word_problems() -> Recipe:
    """Real text: equations of word problems, learned from nothing by imitation, then from the answers alone."""
    return Recipe(
        name="word-problems",
        model="new",
        new=NewModel(width=128, layers=2, heads=4, hidden=256, words="corpus"),
        tasks=Tasks("word-problems", path="sample"),
        max_tokens=24,
        imitation=Imitation(
            turns=4,
            updates=120,
            examples=106,
            optimizer=Optimizer(lr=2e-3, muon=0.01, warmup=30, final=0.1, weight_decay=0.1),
        ),
        reinforcement=Reinforcement(
            turns=4,
            updates=60,
            tasks=64,
            samples=6,
            method="rloo",
            optimizer=Optimizer(lr=4e-4, warmup=20, final=0.2, weight_decay=0.1),
        ),
        gate=GateSettings(tasks=400, samples=4),
        measure=Measuring(tasks=1_000, samples=8, curve_tasks=200, curve_samples=64),
    )


@recipes.add("rlvr")
def rlvr() -> Recipe:
    """Reinforcement of your own model on your own tasks: set model=DIR_OR_HUB_NAME and tasks=FILE."""
    return Recipe(
        name="rlvr",
        tasks=Tasks("files"),
        max_tokens=512,
        batch=64,
        reinforcement=Reinforcement(turns=10, updates=10, tasks=16, samples=8, optimizer=Optimizer(lr=1e-6, warmup=5)),
        gate=GateSettings(tasks=200, samples=2),
        measure=Measuring(tasks=500, samples=2, curve_tasks=0, curve_samples=8),
    )


@recipes.add("sft")
def sft() -> Recipe:
    """Your own model imitates your own texts: set model=DIR_OR_HUB_NAME and tasks=FILE of prompt and completion, or messages."""
    return Recipe(
        name="sft",
        tasks=Tasks("completions"),
        max_tokens=512,
        batch=64,
        evidence="likelihood",
        imitation=Imitation(turns=5, updates=20, examples=16, optimizer=Optimizer(lr=1e-5, warmup=10, final=0.1)),
        gate=GateSettings(tasks=200, samples=1),
        measure=Measuring(tasks=500, samples=1, curve_tasks=0, curve_samples=8),
    )


@recipes.add("dpo")
def dpo() -> Recipe:
    """Your own model learns from your own preferences: set model=DIR_OR_HUB_NAME and tasks=FILE of prompt, chosen and rejected."""
    return Recipe(
        name="dpo",
        tasks=Tasks("preferences"),
        max_tokens=512,
        batch=64,
        evidence="preference",
        preferences=Preferences(turns=5, updates=20, tasks=16, optimizer=Optimizer(lr=1e-6, warmup=10, final=0.1)),
        gate=GateSettings(tasks=200, samples=8),
        measure=Measuring(tasks=500, samples=8, curve_tasks=0, curve_samples=8),
    )
