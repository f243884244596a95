"""The reconstruction loss: summaries must let a decoder rebuild the history.

After VISTA (arXiv 2510.22049). A causal decoder without softmax, one layer in
the style of docs/model.md section 3, reads the M summaries and the history's
items before each step, and predicts the item of the step. Only training has
it: a bundle holds no decoder.

Shapes: N windows of W steps. The last step is the newest event that the
summaries have read, so a step's place says how long ago it was.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from trainer import masked
from trainer import reference

# Windows a sample: histories that end at so many of its events.
_POSITIONS = 2


class Decoder(nn.Module):
    """The decoder's parameters, named as a layer's, and its forward pass."""

    def __init__(self, hyper, window):
        super().__init__()
        d, width = hyper.d_model, hyper.ffn_width
        self.hyper = hyper
        self.step_embedding = nn.Parameter(.08 * torch.randn(window, d))
        for name in ('norm_attn', 'norm_head', 'norm_ffn', 'norm_out'):
            setattr(self, name, nn.Parameter(torch.ones(d)))
        self.w_qkvg = _matrix(4 * d, d)
        self.w_o = _matrix(d, d, .1)
        self.w_12 = _matrix(2 * width, d)
        self.w_3 = _matrix(d, width, .1)
        self.w_out = _matrix(d, d, .1)

    def forward(self, summaries, items, known):
        """Predicted items [N, W, d].

        summaries [N, M, d]; items [N, W, d] as tokens have them, and known
        [N, W]: False where the history has not begun yet. A step reads the
        summaries, its place, and the items of earlier steps.
        """
        # The step's token holds the item before it, none at the first.
        x = functional.pad(items * known.unsqueeze(-1), (0, 0, 1, 0))[:, :-1]
        x = x + self.step_embedding
        z = torch.cat([summaries, reference.rms_norm(x, self.norm_attn)], 1)
        q, k, v, g = (z @ self.w_qkvg.T).unflatten(
            -1, (4, self.hyper.num_heads, -1)).unbind(-3)
        steps = slice(summaries.shape[1], None)
        o = _causal(functional.silu(q[:, steps]), functional.silu(k), v, known)
        x = reference.finish(self, x, o, g[:, steps])
        return reference.rms_norm(x, self.norm_out) @ self.w_out.T


def _matrix(outputs, inputs, scale=1.):
    return nn.Parameter(scale * torch.randn(outputs, inputs) /
                        math.sqrt(inputs))


def _causal(q, k, v, known):
    """Mean of <q, k> v over summaries and steps up to its own, [N, W, H, d_h].

    q [N, W, H, d_h]; k, v [N, M + W, H, d_h].
    """
    n, steps = known.shape
    upto = torch.ones(steps, steps, dtype=torch.bool, device=q.device).tril()
    seeds = known.new_ones(n, steps, k.shape[1] - steps)
    allowed = torch.cat([seeds, upto & known.unsqueeze(1)], dim=2)
    weights = torch.einsum('nshk,njhk->nhsj', q, k) * allowed.unsqueeze(1)
    total = torch.einsum('nhsj,njhv->nshv', weights.to(v.dtype), v)
    return total / allowed.sum(-1)[..., None, None]


def loss(model, params, batch, traces, drop):
    """Mean squared error of rebuilt items, 1 for a decoder that says nothing.

    An item is rebuilt as its embedding, normalised to a mean square of 1 and
    held fixed: items must not come closer to be easier to tell.
    """
    hyper = model.hyper
    positions = _positions(batch)
    summaries = masked.summaries(hyper, params, traces, positions, drop)
    back = torch.arange(len(model.decoder.step_embedding), 0, -1,
                        device=positions.device)
    columns = positions.unsqueeze(-1) - back  # [B, P, W]
    rows = torch.gather(
        batch.rows.unsqueeze(1).expand(-1, positions.shape[1], -1), 2,
        columns.clamp_min(0)).flatten(0, 1)
    known = (columns >= 0).flatten(0, 1)
    embedding = params['item_embedding']
    items = math.sqrt(hyper.d_model) * reference.look_up(embedding, rows)
    rebuilt = model.decoder(summaries.flatten(0, 1), items, known)
    wanted = reference.rms_norm(
        reference.look_up(embedding.detach(), rows).float(), 1.)
    errors = (rebuilt.float() - wanted).square().mean(-1)
    # Row 0 is no item in particular.
    asked = known & (rows > 0)
    return (errors * asked).sum() / asked.sum().clamp_min(1)


def _positions(batch):
    """Columns [B, P] of random events but the first of a window."""
    last = batch.valid.sum(1, keepdim=True) - 1
    share = torch.rand(len(last), _POSITIONS, device=last.device)
    return (1 + (share * last).long()).minimum(last).clamp_min(0)
