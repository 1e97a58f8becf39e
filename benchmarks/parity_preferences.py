"""What TRL's own code gives for each preference row, on shared random batches: golden values for tests/test_preferences.py.

Run in an environment that has the pins of benchmarks/parity.txt: `python -m benchmarks.parity_preferences`. The library's
functions are called, on stand-ins for its trainer and model: nothing of its formulas stands here. Losses and gradients are in
float64, by the per-token log-probabilities.

Where TRL averages over all tokens of a batch (the likelihood of CPO, SLiC and ORPO), or sorts over it (AOT, which for a single
pair is cDPO), it is called pair by pair. Its ORPO takes the likelihood of prompts too; they are masked out here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.gkd import GKDTrainer
from trl.experimental.orpo import ORPOTrainer

TARGET = Path(__file__).parent.parent / "tests" / "data" / "parity_preferences.json"
PAIRS, PLACES, WORDS = 3, 6, 5
BATCHES = 2

Loss = Callable[[SimpleNamespace, Tensor], Tensor]
"""(shared batch, log-probabilities (2N, T), first all chosen, then all rejected) -> scalar"""


def shared(number: int) -> SimpleNamespace:
    """Masks, reference and policy (2N, T), first all chosen, then all rejected; and what KTO's point is made of."""
    g = torch.Generator().manual_seed(100 + number)
    starts = torch.randint(0, 3, (PAIRS,), generator=g).repeat(2)
    stops = starts + torch.randint(1, PLACES - 2, (2 * PAIRS,), generator=g)
    at = torch.arange(PLACES)
    mask = (at >= starts[:, None]) & (at < stops[:, None])
    draw = lambda *shape: -2.5 * torch.rand(*shape, generator=g, dtype=torch.float64) - 0.05
    policy, reference = draw(2 * PAIRS, PLACES) * mask, draw(2 * PAIRS, PLACES) * mask
    return SimpleNamespace(mask=mask, policy=policy, reference=reference, crossed=(draw(2 * PAIRS), draw(2 * PAIRS)))


class Model(torch.nn.Module):
    """Stands for a model that gives these log-probabilities, whatever it is asked."""

    is_gradient_checkpointing = False

    def __init__(self, logps: Tensor) -> None:
        super().__init__()
        self.logps = logps

    def forward(self, *_: Any, labels: Tensor | None = None, **__: Any) -> SimpleNamespace:
        nothing = torch.zeros_like(self.logps)
        # as TRL's patched models do, 0 where nothing is asked
        asked = self.logps if labels is None else torch.where(labels[:, 1:] == -100, nothing, self.logps)
        return SimpleNamespace(
            log_probs=asked, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool(), logits=logits_for(self.logps)
        )


def logits_for(logps: Tensor) -> Tensor:
    """Logits (2N, T + 1, 2) under which the token 1 has these log-probabilities."""
    two = torch.stack([torch.log(-torch.expm1(logps.clamp(max=-1e-9))), logps], -1)
    return torch.cat([two, two[:, :1]], 1)


def trainer(**settings: Any) -> SimpleNamespace:
    """What TRL's loss functions read of their trainer."""
    same = lambda x: x
    common = {
        "accelerator": SimpleNamespace(device=torch.device("cpu"), gather=same, gather_for_metrics=same),
        "args": SimpleNamespace(gradient_checkpointing_kwargs=None), "aux_loss_enabled": False, "precompute_ref_logps": False,
        "label_smoothing": 0.0, "is_encoder_decoder": False, "_metrics": defaultdict(lambda: defaultdict(list)),
        "_total_train_tokens": 0, "_tp_size": 1,
    }  # fmt: skip
    return SimpleNamespace(**{**common, **settings})


def pair_by_pair(loss: Loss) -> Loss:
    def mean(b: SimpleNamespace, logps: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for i in range(PAIRS):
            rows = torch.tensor([i, i + PAIRS])
            one = SimpleNamespace(mask=b.mask[rows], reference=b.reference[rows])
            total = total + loss(one, logps[rows])
        return total / PAIRS

    return mean


def dpo(kind: str, beta: float, smoothing: float = 0.0) -> Loss:
    def loss(b: SimpleNamespace, logps: Tensor) -> Tensor:
        model, reference = Model(logps), Model(b.reference)
        me = trainer(
            model=model, ref_model=reference, ld_alpha=None, f_divergence_type="reverse_kl", loss_types=[kind], loss_weights=[1.0],
            beta=beta, label_smoothing=smoothing, use_weighting=False,
        )  # fmt: skip
        ids, mask = with_first(b.mask)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask}
        return DPOTrainer._compute_loss(me, model, inputs, False)

    return loss


def with_first(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Ids (2N, T + 1), 1 where something is learned, and the mask over them."""
    whole = torch.cat([torch.zeros_like(mask[:, :1]), mask], 1).long()
    return whole, whole


def without_reference(library: Any, **settings: Any) -> Loss:
    def loss(b: SimpleNamespace, logps: Tensor) -> Tensor:
        ids, mask = with_first(b.mask)
        labels = ids.masked_fill(mask == 0, -100)
        batch = {"concatenated_input_ids": ids, "concatenated_attention_mask": mask, "concatenated_labels": labels}
        me = trainer(pad_token_id=0, padding_value=0, **settings)
        me.concatenated_inputs = lambda *_, **__: batch
        for name in ("get_batch_logps", "concatenated_forward", "cpo_loss", "odds_ratio_loss"):
            if hasattr(library, name):
                own = library.__dict__[name]
                setattr(me, name, own.__func__ if isinstance(own, staticmethod) else own.__get__(me))
        return library.get_batch_loss_metrics(me, Model(logps), {"chosen_labels": labels[: len(labels) // 2]})[0]

    return loss


def cpo(kind: str, **settings: Any) -> Loss:
    return without_reference(CPOTrainer, loss_type=kind, alpha=0.0, **settings)


def kto(beta: float, wanted: float, unwanted: float) -> Loss:
    def loss(b: SimpleNamespace, logps: Tensor) -> Tensor:
        model, reference = Model(logps), Model(b.reference)
        me = trainer(
            model=model, ref_model=reference, beta=beta, loss_type="kto", calculate_KL=True, desirable_weight=wanted,
            undesirable_weight=unwanted,
        )  # fmt: skip
        me._compute_kl_logps = lambda m, batch: b.crossed[0 if m is model else 1]
        ids, mask = with_first(b.mask)
        label = torch.tensor([True] * PAIRS + [False] * PAIRS)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask, "label": label}
        return KTOTrainer._compute_loss(me, model, inputs, False).mean()

    return loss


ROWS: dict[str, tuple[Loss, dict[str, float]]] = {
    "dpo": (dpo("sigmoid", 0.1), {"beta": 0.1}),
    "dpo-norm": (dpo("sigmoid_norm", 5.0), {"beta": 5.0}),
    "cdpo": (pair_by_pair(dpo("aot", 0.3, 0.2)), {"beta": 0.3, "smoothing": 0.2}),
    "robust-dpo": (dpo("robust", 0.3, 0.2), {"beta": 0.3, "noise": 0.2}),
    "ipo": (dpo("ipo", 0.4), {"beta": 0.4}),
    "hinge": (dpo("hinge", 0.3), {"beta": 0.3}),
    "exo": (dpo("exo_pair", 0.3, 0.05), {"beta": 0.3, "smoothing": 0.05}),
    "nca": (dpo("nca_pair", 0.3), {"beta": 0.3}),
    "sppo": (dpo("sppo_hard", 0.3), {"beta": 0.3}),
    "apo-zero": (dpo("apo_zero", 0.3), {"beta": 0.3}),
    "apo-down": (dpo("apo_down", 0.3), {"beta": 0.3}),
    "simpo": (cpo("simpo", beta=2.0, simpo_gamma=0.7, cpo_alpha=0.0), {"beta": 2.0, "target": 0.7}),
    "cpo": (pair_by_pair(cpo("sigmoid", beta=0.3, cpo_alpha=0.8)), {"beta": 0.3, "alpha": 0.8}),
    "slic": (pair_by_pair(cpo("hinge", beta=0.3, cpo_alpha=0.2)), {"beta": 0.3, "alpha": 0.2}),
    "orpo": (pair_by_pair(without_reference(ORPOTrainer, beta=0.3)), {"weight": 0.3}),
    "kto": (kto(0.3, 1.2, 0.7), {"beta": 0.3, "wanted": 1.2, "unwanted": 0.7}),
}

# the divergences of distillation: TRL's generalised Jensen-Shannon one at its two ends and between
DIVERGENCES = {"forward-kl": 0.0, "reverse-kl": 1.0, "js": 0.3}


def result(value: Tensor, leaf: Tensor) -> dict[str, Any]:
    [gradient] = torch.autograd.grad(value, [leaf])
    return {"loss": float(value.detach()), "gradient": gradient.tolist()}


def golden(b: SimpleNamespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (loss, knobs) in ROWS.items():
        leaf = b.policy.clone().requires_grad_()
        found[name] = {"knobs": knobs, **result(loss(b, leaf), leaf)}
    return found


def distilled(number: int) -> dict[str, Any]:
    g = torch.Generator().manual_seed(200 + number)
    student, teacher = 2 * torch.randn(2, PLACES, WORDS, generator=g, dtype=torch.float64)
    rows: dict[str, Any] = {}
    for name, beta in DIVERGENCES.items():
        leaf = student.clone().requires_grad_()
        rows[name] = {"weight": beta, **result(GKDTrainer.generalized_jsd_loss(leaf[None], teacher[None], beta=beta), leaf)}
    return {"student": student.tolist(), "teacher": teacher.tolist(), "rows": rows}


def main() -> None:
    batches = []
    for b in map(shared, range(BATCHES)):
        inputs = {name: getattr(b, name).tolist() for name in ("mask", "policy", "reference")}
        point = float((b.crossed[0] - b.crossed[1]).mean().clamp(min=0))
        batches.append({**inputs, "point": point, "rows": golden(b)})
    made = {
        "library": {name: version(name) for name in ("trl", "torch", "transformers")},
        "batches": batches,
        "distillation": [distilled(i) for i in range(BATCHES)],
    }
    text = json.dumps(rounded(made), separators=(",", ":"))
    TARGET.write_text(text.replace('"rows"', '\n"rows"').replace(',"', ',\n"') + "\n")
    print(f"{TARGET}: {len(ROWS)} rows and {len(DIVERGENCES)} divergences on {BATCHES} batches each")


def rounded(x: Any) -> Any:
    """Twelve digits of every number."""
    if isinstance(x, float):
        return float(f"{x:.12g}")
    return [rounded(y) for y in x] if isinstance(x, list) else {k: rounded(v) for k, v in x.items()} if isinstance(x, dict) else x


if __name__ == "__main__":
    main()
