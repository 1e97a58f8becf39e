"""What TRL's and verl's own functions say of shared batches: the golden values of tests/test_policy_rows.py.

`make parity` builds the environment that this runs in; it imports nothing of ours. A case is one call of the library on the
batch of a seed: TRL's trainers through a stand-in that holds nothing but settings, verl's functions as they are. All numbers
are float64.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "parity_policy.json"
LENGTHS = (4, 7, 2, 6, 1, 5)  # of six sequences, the first three and the last three of one task each
LIMIT = 10
AXES = ["numbers"]  # (2, B, T): log-probabilities and entropies


@dataclass(frozen=True)
class Inputs:
    """A batch. Tensors are (B, T) of float64; `advantage` and `rewards` are (B,)."""

    logp: Tensor
    old: Tensor
    reference: Tensor
    engine: Tensor
    entropies: Tensor
    mask: Tensor
    advantage: Tensor
    rewards: Tensor
    values: Tensor
    index: list[int]

    @property
    def wide(self) -> Tensor:
        return self.advantage[:, None] * self.mask


def inputs(seed: int, drift: float = 0.4) -> Inputs:
    """`drift` is the deviation of the log-ratio between the policy that learns and the one that drew."""
    r = random.Random(seed)
    rows = range(len(LENGTHS))
    table = lambda draw: torch.tensor([[draw() for _ in range(max(LENGTHS))] for _ in rows], dtype=torch.float64)
    mask = torch.tensor([[float(t < n) for t in range(max(LENGTHS))] for n in LENGTHS], dtype=torch.float64)
    old = table(lambda: -r.uniform(0.05, 2.5)) * mask
    near = lambda by: (old + table(lambda: r.gauss(0, by))).clamp(max=-0.01) * mask
    advantage = torch.tensor([r.gauss(0, 1) for _ in rows], dtype=torch.float64)
    rewards = torch.tensor([float(r.random() < 0.5) + 0.1 * r.random() for _ in rows], dtype=torch.float64)
    return Inputs(
        near(drift), old, near(0.3), near(0.3), table(lambda: r.uniform(0, 3)) * mask, mask, advantage, rewards,
        table(lambda: r.random()) * mask, [i // 3 for i in rows],
    )  # fmt: skip


# ---- TRL ---------------------------------------------------------------------------------------------------------


def trl_trainer(numbers: Tensor, **settings: Any) -> SimpleNamespace:
    """All that a trainer's `_compute_loss` asks of itself."""
    from trl import GRPOTrainer

    same = lambda x, *_, **__: x
    extra = {
        "delta": None, "use_bias_correction_kl": False, "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05,
        "vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0, "vespo_k_neg": 3.0, "vespo_lambda_neg": 2.0, "steps_per_generation": 1,
    }  # fmt: skip
    args = {name: settings.pop(name, value) for name, value in extra.items()}
    own = {
        "args": SimpleNamespace(**args), "aux_loss_enabled": False, "top_entropy_quantile": 1.0, "use_vllm": False,
        "off_policy_mask_threshold": None, "importance_sampling_level": "token", "beta": 0.0, "loss_type": "grpo",
        "epsilon_low": 0.2, "epsilon_high": 0.2, "vllm_importance_sampling_correction": False, "max_completion_length": LIMIT,
        "model": SimpleNamespace(training=True), "current_gradient_accumulation_steps": 1, "use_adaptive_entropy": False,
        "accelerator": SimpleNamespace(num_processes=1, sync_gradients=True, gather=same, reduce=same),
        "_metrics": defaultdict(lambda: defaultdict(list)), "entropy_coef": 0.0, "_entropy_bonus_enabled": False,
        "get_off_policy_mask": GRPOTrainer.get_off_policy_mask, "get_gamma_weights": GRPOTrainer.get_gamma_weights,
        "_get_per_token_logps_and_entropies": lambda *_, **__: (numbers[0], numbers[1], None),
    }  # fmt: skip
    return SimpleNamespace(**{**own, **settings})


def trl(trainer: str = "GRPOTrainer", correct: bool = False, **settings: Any) -> Callable[[Inputs, Tensor], Tensor]:
    def loss(x: Inputs, numbers: Tensor) -> Tensor:
        import trl as library
        from trl.experimental.gmpo import GMPOTrainer

        owner = GMPOTrainer if trainer == "GMPOTrainer" else getattr(library, trainer)
        ids = torch.ones_like(x.mask, dtype=torch.long)
        given = {
            "prompt_ids": ids[:, :2], "prompt_mask": ids[:, :2], "completion_ids": ids, "completion_mask": x.mask,
            "advantages": x.advantage, "old_per_token_logps": x.old, "ref_per_token_logps": x.reference,
            "old_logps": x.old.sum(1), "num_items_in_batch": x.mask.sum(), "sampling_per_token_logps": x.old,
        }  # fmt: skip
        if correct:
            given["importance_sampling_ratio"] = (x.old - x.engine).exp().clamp(max=2.0)
        return owner._compute_loss(trl_trainer(numbers, **settings), None, given)

    return loss


# ---- verl --------------------------------------------------------------------------------------------------------


def actor(**settings: Any) -> Any:
    from verl.workers.config import ActorConfig, PolicyLossConfig

    policy = PolicyLossConfig(**settings.pop("policy_loss", {}))
    return ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, policy_loss=policy, **settings)


def verl(name: str, mode: str, weights: Any = None, **settings: Any) -> Callable[[Inputs, Tensor], Tensor]:
    def loss(x: Inputs, numbers: Tensor) -> Tensor:
        from verl.trainer.ppo.core_algos import get_policy_loss_fn

        rollout = weights(x) if weights else None
        return get_policy_loss_fn(name)(x.old, numbers[0], x.wide, x.mask, mode, actor(**settings), rollout)[0]

    return loss


def verl_kl(kind: str) -> Callable[[Inputs, Tensor], Tensor]:
    def loss(x: Inputs, numbers: Tensor) -> Tensor:
        from verl.trainer.ppo.core_algos import agg_loss, kl_penalty

        return agg_loss(kl_penalty(numbers[0], x.reference, kind), x.mask, "token-mean")

    return loss


def engine_weights(level: str) -> Callable[[Inputs], Tensor]:
    def weights(x: Inputs) -> Tensor:
        from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_weights

        return compute_rollout_correction_weights(x.old - x.engine, x.mask, level, 2.0)[0]

    return weights


def bypass(level: str) -> Callable[[Inputs, Tensor], Tensor]:
    correction = {"loss_type": "reinforce", "rollout_is": level, "rollout_is_threshold": 2.0}
    return verl("bypass_mode", "seq-mean-token-sum", policy_loss={"rollout_correction": correction})


def verl_advantage(name: str, **config: Any) -> Callable[[Inputs], Tensor]:
    def advantage(x: Inputs) -> Tensor:
        import numpy as np
        from verl.trainer.config import AlgoConfig
        from verl.trainer.ppo.core_algos import get_adv_estimator_fn

        last = torch.zeros_like(x.mask)
        for row, n in enumerate(LENGTHS):
            last[row, n - 1] = x.rewards[row]
        given: dict[str, Any] = {"token_level_rewards": last, "response_mask": x.mask}
        if name == "gae":
            given |= {"values": x.values, "gamma": 0.9, "lam": 0.8}
        else:
            given |= {"config": AlgoConfig(**config), "index": np.array(x.index)}
            if name in ("grpo",):
                given["norm_adv_by_std_in_grpo"] = config.get("norm_adv_by_std_in_grpo", True)
            if name == "remax":
                given["reward_baselines"] = x.rewards[[0, 0, 0, 3, 3, 3]]
        return get_adv_estimator_fn(name)(**given)[0] * x.mask

    return advantage


# ---- cases -------------------------------------------------------------------------------------------------------

SMALL = 1e-3  # a drift that changes no choice which is made by probabilities at drawing
LOSSES: dict[str, tuple[Callable[[Inputs, Tensor], Tensor], float]] = {
    "trl grpo": (trl(), 0.4),
    "trl grpo beta": (trl(beta=0.04), 0.4),
    "trl grpo entropy": (trl(_entropy_bonus_enabled=True, entropy_coef=0.01), 0.4),
    "trl bnpo": (trl(loss_type="bnpo", beta=0.04), 0.4),
    "trl dr_grpo": (trl(loss_type="dr_grpo"), 0.4),
    "trl dapo": (trl(loss_type="dapo", epsilon_high=0.28), 0.4),
    "trl delta": (trl(loss_type="dapo", delta=1.5), 0.4),
    "trl gspo": (trl(importance_sampling_level="sequence", epsilon_low=0.1), 0.4),
    "trl luspo": (trl(loss_type="luspo", importance_sampling_level="sequence", epsilon_low=0.1), 0.4),
    "trl cispo": (trl(loss_type="cispo", epsilon_high=1.28), 0.4),
    "trl sapo": (trl(loss_type="sapo"), 0.4),
    "trl vespo": (trl(loss_type="vespo"), 0.4),
    "trl gmpo": (trl("GMPOTrainer", epsilon_low=0.4, epsilon_high=0.4), 0.4),
    "trl rloo": (trl("RLOOTrainer"), 0.4),
    "trl off-policy mask": (trl(off_policy_mask_threshold=0.1, use_bias_correction_kl=True, beta=0.04), 0.4),
    "trl importance correction": (
        trl(loss_type="dapo", use_vllm=True, vllm_importance_sampling_correction=True, correct=True), 0.4),
    "verl vanilla": (verl("vanilla", "token-mean", clip_ratio_c=1.5), 0.4),
    "verl vanilla seq-mean-token-mean": (verl("vanilla", "seq-mean-token-mean"), 0.4),
    "verl vanilla seq-mean-token-sum-norm": (verl("vanilla", "seq-mean-token-sum-norm"), 0.4),
    "verl vanilla, engine weights by token": (verl("vanilla", "token-mean", engine_weights("token")), 0.4),
    "verl vanilla, engine weights by sequence": (verl("vanilla", "token-mean", engine_weights("sequence")), 0.4),
    "verl gspo": (verl("gspo", "seq-mean-token-mean", clip_ratio_low=0.1, clip_ratio_high=0.2), 0.4),
    "verl sapo": (verl("sapo", "seq-mean-token-mean"), 0.4),
    "verl gpg": (verl("gpg", "token-mean"), 0.4),
    "verl gpg seq-mean-token-sum": (verl("gpg", "seq-mean-token-sum"), 0.4),
    "verl clip_cov": (
        verl("clip_cov", "token-mean", policy_loss={"clip_cov_ratio": 1.0, "clip_cov_lb": 0.2, "clip_cov_ub": 5.0}), SMALL),
    "verl kl_cov": (verl("kl_cov", "token-mean", policy_loss={"kl_cov_ratio": 0.2, "ppo_kl_coef": 1.0}), SMALL),
    "verl geo_mean": (verl("geo_mean", "token-mean", clip_ratio_low=0.4, clip_ratio_high=0.4), 0.4),
    "verl dppo_tv": (verl("dppo_tv", "token-mean", clip_ratio_c=20.0), 0.4),
    "verl dppo_kl": (verl("dppo_kl", "token-mean", clip_ratio_low=0.05, clip_ratio_high=0.05, clip_ratio_c=20.0), 0.4),
    "verl dro": (verl("dro", "token-mean", policy_loss={"dro_beta": 0.5}), 0.4),
    "verl cispo": (verl("cispo", "token-mean", clip_ratio_low=0.2, clip_ratio_high=0.28), 0.4),
    "verl bypass_mode reinforce, token": (bypass("token"), 0.4),
    "verl bypass_mode reinforce, sequence": (bypass("sequence"), 0.4),
    **{f"verl kl {kind}": (verl_kl(kind), 0.4) for kind in ("k1", "k2", "k3", "abs", "k1+", "k3+")},
}  # fmt: skip
ADVANTAGES: dict[str, Callable[[Inputs], Tensor]] = {
    "grpo": verl_advantage("grpo"),
    "grpo without deviation": verl_advantage("grpo", norm_adv_by_std_in_grpo=False),
    "grpo_passk": verl_advantage("grpo_passk"),
    "grpo_passk without deviation": verl_advantage("grpo_passk", norm_adv_by_std_in_grpo=False),
    "rloo": verl_advantage("rloo"),
    "opo": verl_advantage("opo"),
    "remax": verl_advantage("remax"),
    "reinforce_plus_plus": verl_advantage("reinforce_plus_plus", gamma=1.0),
    "reinforce_plus_plus_baseline": verl_advantage("reinforce_plus_plus_baseline"),
    "gae": verl_advantage("gae"),
}
SEEDS = (1, 2)


def measured(case: str, seed: int) -> dict[str, Any]:
    """Loss, and its gradient by log-probabilities and by entropies."""
    call, drift = LOSSES[case]
    x = inputs(seed, drift)
    numbers = torch.stack([x.logp, x.entropies]).requires_grad_()
    loss = call(x, numbers)
    [gradient] = torch.autograd.grad(loss, [numbers])
    assert math.isfinite(loss.item()) and gradient.isfinite().all() and gradient.abs().max() > 0
    return {"loss": round(loss.item(), 12), "gradient": rounded(gradient[0]), "entropy": round(gradient[1].sum().item(), 12)}


def rounded(x: Tensor) -> list[list[float]]:
    return [[round(v, 12) for v in row] for row in x.tolist()]


def main() -> None:
    torch.set_num_threads(1)
    golden = {
        "made_with": {name: version(name) for name in ("torch", "trl", "verl")},
        "losses": {case: {str(seed): measured(case, seed) for seed in SEEDS} for case in LOSSES},
        "advantages": {case: {str(s): rounded(call(inputs(s))) for s in SEEDS} for case, call in ADVANTAGES.items()},
    }
    text = json.dumps(golden, indent=1)
    GOLDEN.write_text(text.replace("\n     ", " ").replace("\n    ]", "]") + "\n")
    print(f"{len(LOSSES)} losses and {len(ADVANTAGES)} advantages at {len(SEEDS)} seeds -> {GOLDEN.name}")


if __name__ == "__main__":
    main()
