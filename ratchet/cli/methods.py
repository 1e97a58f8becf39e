"""`ratchet methods`: everything registered, with its paper."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click


def registries() -> list[Any]:
    from ratchet.data.filters import filters, set_filters
    from ratchet.learn.credit import credits
    from ratchet.learn.critic import critics
    from ratchet.learn.curricula import curricula
    from ratchet.learn.distil import divergences
    from ratchet.learn.heads import heads
    from ratchet.learn.policy import rows
    from ratchet.learn.preferences import preferences
    from ratchet.learn.references import references
    from ratchet.learn.rewards import abstentions, rewards
    from ratchet.learn.selectors import selectors
    from ratchet.loop.export import formats
    from ratchet.loop.recipe import recipes
    from ratchet.search.strategy import strategies
    from ratchet.smith.agents import agents
    from ratchet.smith.faults import faults
    from ratchet.smith.formulation import proposers
    from ratchet.smith.leaks import probes
    from ratchet.tasks.family import families
    from ratchet.verify.verifier import verifiers

    learning = [rows, preferences, selectors, divergences, credits, rewards, abstentions, critics, heads, curricula, references]
    return [recipes, families, verifiers, strategies, *learning, filters, set_filters, proposers, probes, faults, agents, formats]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def methods(as_json: bool) -> None:
    """List every registered method: name, knobs, paper, and what it does in a line."""
    found = [
        {"kind": registry.kind, "name": e.name, "paper": e.paper, "summary": e.summary, "knobs": knobs(e.value)}
        for registry in registries()
        for e in registry
    ]
    if as_json:
        click.echo(json.dumps(found))
        return
    kind = ""
    for m in found:
        if m["kind"] != kind:
            kind = m["kind"]
            click.echo(("\n" if m is not found[0] else "") + click.style(kind, bold=True))
        paper = f"  [{m['paper']}]" if m["paper"] else ""
        click.echo(f"  {m['name']:<16} {m['summary']}{paper}")
        if m["knobs"]:
            click.echo(f"  {'':<16} knobs: {', '.join(m['knobs'])}")


def knobs(value: Any) -> list[str]:
    make = getattr(value, "draw", None) or getattr(value, "read", None) or value
    if not inspect.isfunction(make):
        return []
    return [f"{p.name}={p.default!r}" for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY]
