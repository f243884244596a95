"""The model of docs/model.md: read this file beside that page.

`params` is everywhere the dict {tensor name: tensor} of a bundle, of any
floating dtype; `hyper` is a hyper.Hyper. Leading dimensions written `...` are
free. Events are folded one by one here, as a server does; trainer/masked.py
takes whole histories at once, as training does, from the same pieces.
"""

import dataclasses
import math

import numpy as np
import torch
from torch.nn import functional

from trainer import attention
from trainer import buckets
from trainer import hyper as hyper_lib
from trainer import item_memory
from trainer import reading
from trainer import summaries

silu = functional.silu


def rms_norm(x, weight):
    """RMSNorm over the last dimension."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def unit(x):
    """x divided by its Euclidean norm over the last dimension."""
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def look_up(table, rows):
    """table[rows], of a table [N] or [N, d], which may be one that makes its
    rows where they are looked up; written as an embedding, whose gradient is
    fast on a GPU."""
    rows = torch.as_tensor(rows, device=table.device)
    if hasattr(table, 'look_up'):
        return table.look_up(rows)
    if table.dim() == 1:
        return functional.embedding(rows, table.unsqueeze(1)).squeeze(-1)
    return functional.embedding(rows, table)


def keep(x):
    """The place where training puts dropout: nothing, in the reference."""
    return x


# ---- Section 12: rows of items that no bundle has ---------------------------


def content_row(hyper, params, codes, normalised):
    """Embedding [d] and bias of an item that is nothing but its content.

    codes: {attribute: rows of its table, one for each of the item's values}.
    normalised [J]: the item's numbers. Both as item_table.of_line gives them.
    """
    row = sum(params[f'content.{attribute.name}'][codes[attribute.name]].mean(0)
              for attribute in hyper.item_attributes)
    if hyper.item_numbers:
        numbers = params['content.numbers']
        row = row + torch.as_tensor(normalised, dtype=numbers.dtype) @ numbers
    return row[:-1], row[-1]


# ---- Section 2: tokens -----------------------------------------------------


def event_tokens(hyper, params, rows, actions, gaps, nexts, counts, features):
    """Event tokens [..., d] from integer arrays [...] (rows and buckets).

    actions: None, of an event whose action the model does not know.
    features: [..., event features], or None when the model declares none.
    """
    x = math.sqrt(hyper.d_model) * look_up(params['item_embedding'], rows)
    if actions is not None:
        x = x + look_up(params['action_embedding'], actions)
    x = x + look_up(params['gap_embedding'], gaps)
    if hyper.request_time:
        x = x + look_up(params['next_embedding'], nexts)
    x = x + look_up(params['count_embedding'], counts)
    if hyper.event_features:
        x = x + features @ params['event_projection'].T
    return x


def candidate_tokens(hyper, params, rows, gaps, user, context_rows, features,
                     facts=None):
    """Candidate tokens [..., C, d].

    rows [..., C]; gaps [...]; user [..., d] is u; context_rows {feature name:
    int tensor [...]}; features [..., C, candidate features] or None; facts
    [..., C, J] of the item memory, or None where the model has none.
    """
    shared = params['action_embedding'][len(hyper.actions)].expand(user.shape)
    if hyper.tells_candidates_user:
        shared = shared + user @ params['w_user_in'].T
    if hyper.request_time:
        shared = shared + look_up(params['gap_embedding'], gaps)
    for feature in hyper.context_features:
        table = params[f'context.{feature.name}']
        shared = shared + look_up(table, context_rows[feature.name])
    x = (math.sqrt(hyper.d_model) * look_up(params['item_embedding'], rows) +
         shared.unsqueeze(-2))
    if hyper.candidate_features:
        x = x + features @ params['candidate_projection'].T
    if hyper.item_memory:
        x = x + facts @ params['memory_projection'].T
    return x


# ---- Section 3: one layer, in pieces ----------------------------------------


class Layer:
    """The tensors of one layer, by their short names."""

    def __init__(self, hyper, params, index):
        prefix = f'layers.{index}.'
        self.hyper = hyper
        self._tensors = {name[len(prefix):]: value
                         for name, value in params.items()
                         if name.startswith(prefix)}
        # The dedicated block, index L, has no convolution.
        self.conv_width = hyper.conv_width if index < hyper.num_layers else 1

    def __getattr__(self, name):
        try:
            return self.__dict__['_tensors'][name]
        except KeyError:
            raise AttributeError(name) from None


def convolve(layer, own, earlier):
    """z [..., d] from the token's n [..., d] and earlier n, newest first."""
    if layer.conv_width == 1:
        return own
    z = layer.conv[0] * own
    for i in range(1, layer.conv_width):
        z = z + layer.conv[i] * earlier[i - 1]
    return z


def project(layer, z):
    """q, k, v, g, each [..., H, d_h]."""
    shape = z.shape[:-1] + (4, layer.hyper.num_heads, layer.hyper.head_dim)
    q, k, v, g = (z @ layer.w_qkvg.T).reshape(shape).unbind(-3)
    return *attention.activate(layer.hyper.attention, q, k, v), g


def read(layer, q, k, v, state, count):
    """o [..., C, H, d_h] of C tokens that read one state.

    q, k, v: [..., C, H, d_h]; state: [..., H, d_h, d_h]; count: [..., H].
    """
    scale = attention.scale(layer, count)
    mean = scale[..., None, None] * state
    if layer.hyper.phi2 == hyper_lib.PHI2_SILU:
        mean = silu(mean)
    seen = (q.transpose(-3, -2) @ mean.to(q.dtype)).transpose(-3, -2)
    return seen + reading.itself(layer, q, k, v)


def finish(layer, x, o, g, drop=keep):
    """The layer's output from residual x [..., d] and o, g [..., H, d_h]."""
    weight = layer.norm_head.view(layer.hyper.num_heads, -1)
    gated = (rms_norm(o, weight) * silu(g)).flatten(-2)
    return feed_forward(layer, x + drop(gated @ layer.w_o.T), drop)


def feed_forward(layer, x, drop=keep):
    """The second half of a layer, [..., d]."""
    p, r = (rms_norm(x, layer.norm_ffn) @ layer.w_12.T).chunk(2, dim=-1)
    return x + drop((p * silu(r)) @ layer.w_3.T)


# ---- Section 4: scores -------------------------------------------------------


def user_vector(params, x):
    """u [..., d] from the newest events' x^L [..., d]."""
    return unit(rms_norm(x, params['norm_user']) @ params['w_user_out'].T)


def dot_scores(params, user, rows):
    """exp(s) <u, unit(E_item)> + bias, for user [..., d] and rows [..., C]."""
    items = unit(look_up(params['item_embedding'], rows))
    dot = (items @ user.unsqueeze(-1)).squeeze(-1)
    bias = look_up(params['item_bias'], rows)
    return params['log_scale'].exp() * dot + bias


def head_scores(params, x, drop=keep, facts=None):
    """The target-aware term [..., T] of candidates' x_c [..., d], and what
    facts [..., J] of the item memory add to it, if the model has one."""
    x = drop(rms_norm(x, params['norm_cand']))
    hidden = torch.einsum('...d,twd->...tw', x, params['head.w1'])
    hidden = silu(hidden + params['head.b1'])
    scores = (hidden * params['head.w2']).sum(-1) + params['head.b2']
    if facts is None:
        return scores
    return scores + facts @ params['memory_head'].T


# ---- Section 5: event by event -----------------------------------------------


@dataclasses.dataclass(frozen=True)
class Event:
    """An event as the log holds it; row is the item's row, time is in us.

    action: None, where the model does not know it.
    """
    row: int
    action: int | None
    time_us: int
    features: tuple = ()


@dataclasses.dataclass(frozen=True)
class UserState:
    """What is remembered of a user; immutable.

    z, c: per layer, [H, d_h, d_h] and [H]. window: per layer with a
    convolution, the last w - 1 normalised inputs [w - 1, d], newest first.
    memory: of all events, the pending one too; None: the model has none.
    """
    z: tuple
    c: tuple
    window: tuple
    pending: Event = None
    predecessor_time_us: int = None
    num_events: int = 0
    memory: item_memory.Memory = None


def empty_state(hyper, dtype):
    """The state of a user without events."""
    heads, width = hyper.num_heads, hyper.head_dim
    layers = range(hyper.num_state_layers)
    return UserState(
        z=tuple(torch.zeros(heads, width, width, dtype=dtype) for _ in layers),
        c=tuple(torch.zeros(heads, dtype=dtype) for _ in layers),
        window=tuple(
            torch.zeros(hyper.conv_width - 1, hyper.d_model, dtype=dtype)
            for _ in range(hyper.num_layers)),
        memory=item_memory.Memory(hyper.item_memory)
        if hyper.item_memory else None)


def append(hyper, params, state, event):
    """The state after one more event: the pending one is folded for good."""
    memory = state.memory and state.memory.copy()
    if memory:
        memory.fold(event.row, event.time_us // buckets.MICROSECONDS)
    if state.pending is None:
        return dataclasses.replace(state, pending=event, num_events=1,
                                   memory=memory)
    folded, _ = fold_pending(hyper, params, state, event.time_us)
    return dataclasses.replace(folded, pending=event,
                               predecessor_time_us=state.pending.time_us,
                               num_events=state.num_events + 1, memory=memory)


def fold_pending(hyper, params, state, next_time_us):
    """Folds the pending event, given when the next event or request happens.

    Returns the state with new z, c and window, and the event's x^L [d].
    """
    x = _pending_token(hyper, params, state, next_time_us)
    z, c, window = list(state.z), list(state.c), list(state.window)
    for index in range(hyper.num_layers):
        layer = Layer(hyper, params, index)
        n = rms_norm(x, layer.norm_attn)
        q, k, v, g = project(layer, convolve(layer, n, window[index]))
        o = read(layer, q[None], k[None], v[None], z[index], c[index])[0]
        x = finish(layer, x, o, g)
        z[index], c[index] = _fold(layer, z[index], c[index], k, v)
        window[index] = torch.cat([n[None], window[index]])[:-1]
    if hyper.target_aware == hyper_lib.DEDICATED_BLOCK:
        layer = Layer(hyper, params, hyper.num_layers)
        _, k, v, _ = project(layer, rms_norm(x, layer.norm_attn))
        z[-1], c[-1] = _fold(layer, z[-1], c[-1], k, v)
    return dataclasses.replace(state, z=tuple(z), c=tuple(c),
                               window=tuple(window)), x


def _pending_token(hyper, params, state, next_time_us):
    event = state.pending
    gap = 0
    if state.predecessor_time_us is not None:
        gap = buckets.gap_bucket(buckets.seconds_between(
            state.predecessor_time_us, event.time_us))
    following = buckets.gap_bucket(
        buckets.seconds_between(event.time_us, next_time_us))
    count = buckets.count_bucket(state.num_events)
    features = params['item_embedding'].new_tensor(event.features)
    return event_tokens(hyper, params, event.row, event.action, int(gap),
                        int(following), int(count), features)


def _fold(layer, z, c, k, v):
    keep = torch.exp(-layer.decay_rate)
    return (keep[:, None, None] * z + k.unsqueeze(-1) * v.unsqueeze(-2),
            keep * c + 1)


def rank(hyper, params, state, time_us, rows, context_rows=None, features=None):
    """Scores candidates at a request time. The state is not changed.

    rows: item rows [C]; context_rows: {feature name: table row}; features:
    [C, candidate features] or None. Returns scores [C, T] and u [d].
    """
    gap, user = 0, torch.zeros_like(params['norm_user'])
    # Before the pending event is folded: summaries are the stored state's.
    summarized = summarize(hyper, params, state) if hyper.num_seeds else None
    if state.pending is not None:
        gap = int(buckets.gap_bucket(buckets.seconds_between(
            state.pending.time_us, time_us)))
        state, x = fold_pending(hyper, params, state, time_us)
        user = user_vector(params, x)
    scores = user.new_zeros(len(rows), len(hyper.tasks))
    if hyper.any_dot_term:
        dot_tasks = scores.new_tensor([task.dot_term for task in hyper.tasks])
        scores = scores + dot_scores(params, user, rows)[:, None] * dot_tasks
    if hyper.target_aware != hyper_lib.OFF:
        context_rows = {name: torch.tensor(row)
                        for name, row in (context_rows or {}).items()}
        facts = _facts(hyper, state, rows, gap, user)
        x = candidate_tokens(hyper, params, rows, torch.tensor(gap), user,
                             context_rows, features, facts)
        x = _read_state(hyper, params, state, x)
        if hyper.summary_attention:
            x = attend_summaries(hyper, params, x, summarized)
        scores = scores + head_scores(params, x, facts=facts)
    return scores, user


def _facts(hyper, state, rows, gap, like):
    """Facts [C, J] of candidates; None where the model has no memory."""
    if not hyper.item_memory:
        return None
    newest = state.pending.time_us if state.pending else 0
    return state.memory.facts(
        np.asarray(rows).tolist(), item_memory.as_of(
            newest // buckets.MICROSECONDS, max(1, gap))).to(like.dtype)


def summarize(hyper, params, state):
    """The summaries [M, d] of a state: of the events that are folded."""
    x = _read_state(hyper, params, state, summaries.seed_tokens(hyper, params))
    return rms_norm(x, params['norm_summary'])


def _read_state(hyper, params, state, x):
    """Passes candidates or seeds x [C, d] through their layers."""
    for index in candidate_layers(hyper):
        layer = Layer(hyper, params, index)
        window = state.window[index] if layer.conv_width > 1 else None
        x = candidate_layer(layer, x, state.z[index], state.c[index], window)
    return x


def attend_summaries(hyper, params, x, summarized, drop=keep):
    """x_c [..., C, d] after it read summaries [..., M, d]."""
    z = rms_norm(x, params['summary.norm_attn'])
    return x + drop(summaries.attend(hyper, params, z, summarized))


def candidate_layers(hyper):
    """The layers that a candidate passes through; a seed too, all L of them
    where candidates read nothing."""
    if hyper.target_aware == hyper_lib.DEDICATED_BLOCK:
        return [hyper.num_layers]
    return list(range(hyper.num_layers))


def candidate_layer(layer, x, z, c, window, drop=keep):
    """One layer over candidates: they read the state and are never folded.

    x [..., C, d]; z [..., H, d_h, d_h]; c [..., H]; window [w - 1, ..., d].
    """
    n = rms_norm(x, layer.norm_attn)
    earlier = None if window is None else window.unsqueeze(-2)
    q, k, v, g = project(layer, convolve(layer, n, earlier))
    return finish(layer, x, read(layer, q, k, v, z, c), g, drop)
