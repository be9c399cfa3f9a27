"""Advantage estimators on padded tensors, in torch, the way RLHF trainers run them on the CPU.

The other side of Apportion's speed comparison: the same definitions, written from the method cards for tensors of
shape (batch B, longest response T), right-padded. All take and return float32.

    rewards  (B, T)  token rewards; an outcome reward sits on the last policy token of its row
    values   (B, T)  V of the state before the token is written
    mask     (B, T)  1 on tokens the policy wrote, 0 on observations and on padding
    uid      (B,)    integer id of the prompt; rows with the same id form a group

`gae` and `reinforce_pp` walk backwards over the T columns, each step vectorised over the batch, and select with
mask arithmetic, as trainers do. `gae_tuned` and `reinforce_pp_tuned` are the fastest eager form of that loop we know
(torch.where on transposed, contiguous columns), so that nobody has to take our word for the plain one being fair.
"""

import torch
from torch import Tensor


def whiten(x: Tensor, mask: Tensor, ddof: int, eps: float = 1e-8) -> Tensor:
    """(x - mean) / sqrt(var + eps) over all mask-1 tokens of the batch; 0 elsewhere."""
    count = mask.sum()
    mean = (x * mask).sum() / count.clamp(min=1)
    centred = (x - mean) * mask
    var = centred.square().sum() / (count - ddof).clamp(min=1)
    return centred * torch.rsqrt(var + eps)


@torch.no_grad()
def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 1.0) -> tuple[Tensor, Tensor]:
    """Generalized Advantage Estimation, arXiv 1506.02438; batch-whitened as PPO trainers do, arXiv 1707.06347.

    delta_t = r_t + gamma V_{t'} - V_t,  A_t = delta_t + gamma lam A_{t'},  return_t = A_t + V_t,
    t' the next policy token: across observations and padding both V_{t'} and A_{t'} are carried unchanged.
    """
    batch, length = rewards.shape
    advantages = torch.empty_like(rewards)
    next_value = torch.zeros(batch)
    running = torch.zeros(batch)
    for t in reversed(range(length)):
        keep, value = mask[:, t], values[:, t]
        skip = 1 - keep
        delta = rewards[:, t] + gamma * next_value - value
        running = keep * (delta + gamma * lam * running) + skip * running
        next_value = keep * value + skip * next_value
        advantages[:, t] = running
    returns = (advantages + values) * mask
    return whiten(advantages, mask, ddof=1), returns


@torch.no_grad()
def gae_tuned(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 1.0
) -> tuple[Tensor, Tensor]:
    """`gae` with contiguous columns and torch.where; same results."""
    batch = rewards.shape[0]
    next_value = torch.zeros(batch)
    running = torch.zeros(batch)
    out = []
    for reward, value, keep in zip(*(reversed(columns(x)) for x in (rewards, values, mask.bool()))):
        delta = reward + gamma * next_value - value
        running = torch.where(keep, delta + gamma * lam * running, running)
        next_value = torch.where(keep, value, next_value)
        out.append(running)
    advantages = torch.stack(out[::-1]).T.contiguous()
    returns = (advantages + values) * mask
    return whiten(advantages, mask, ddof=1), returns


@torch.no_grad()
def reinforce_pp(rewards: Tensor, mask: Tensor, gamma: float = 1.0) -> tuple[Tensor, Tensor]:
    """REINFORCE++, arXiv 2501.03262: G_t = x_t + gamma G_{t'} over policy tokens, whitened over the batch (ddof 0)."""
    batch, length = rewards.shape
    returns = torch.empty_like(rewards)
    running = torch.zeros(batch)
    for t in reversed(range(length)):
        keep = mask[:, t]
        running = keep * (rewards[:, t] + gamma * running) + (1 - keep) * running
        returns[:, t] = running
    returns *= mask
    return whiten(returns, mask, ddof=0), returns


@torch.no_grad()
def reinforce_pp_tuned(rewards: Tensor, mask: Tensor, gamma: float = 1.0) -> tuple[Tensor, Tensor]:
    """`reinforce_pp` with contiguous columns and torch.where; same results."""
    running = torch.zeros(rewards.shape[0])
    out = []
    for reward, keep in zip(*(reversed(columns(x)) for x in (rewards, mask.bool()))):
        running = torch.where(keep, reward + gamma * running, running)
        out.append(running)
    returns = torch.stack(out[::-1]).T.contiguous() * mask
    return whiten(returns, mask, ddof=0), returns


@torch.no_grad()
def grpo(rewards: Tensor, mask: Tensor, uid: Tensor, eps: float = 1e-6) -> Tensor:
    """GRPO, arXiv 2402.03300: A_i = (R_i - mean) / (std + eps) within the group (ddof 1), on every policy token.

    Equal rewards that float32 cannot average exactly (0.1, three times) leave their rounding error over eps, about
    1e-2, as they do in trainers; 0/1 rewards give exact zeros.
    """
    scores = rewards.sum(-1)
    group, count = groups(uid)
    centred = scores - group_sum(scores, group, count)[group] / count[group]
    var = group_sum(centred.square(), group, count) / (count - 1).clamp(min=1)
    return (centred / (var.sqrt()[group] + eps))[:, None] * mask


@torch.no_grad()
def rloo(rewards: Tensor, mask: Tensor, uid: Tensor) -> Tensor:
    """RLOO, arXiv 2402.14740: A_i = R_i - (sum_j R_j - R_i) / (n - 1), 0 in a group of one, on every policy token."""
    scores = rewards.sum(-1)
    group, count = groups(uid)
    n = count[group]
    others = (group_sum(scores, group, count)[group] - scores) / (n - 1).clamp(min=1)
    return torch.where(n > 1, scores - others, torch.zeros_like(scores))[:, None] * mask


def groups(uid: Tensor) -> tuple[Tensor, Tensor]:
    """Index of each row's group, and the size of each group as float32."""
    _, group, count = torch.unique(uid, return_inverse=True, return_counts=True)
    return group, count.float()


def group_sum(x: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """Sum of x over each group."""
    return torch.zeros_like(count).index_add_(0, group, x)


def columns(x: Tensor) -> tuple[Tensor, ...]:
    """The T columns of a (B, T) tensor, each contiguous."""
    return x.T.contiguous().unbind(0)
