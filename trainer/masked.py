"""The masked form of docs/model.md: whole histories at once, for training.

Made of the pieces of trainer/reference.py; tests/trainer/test_reference.py
holds the two forms to 1e-9 of each other in float64. Here attention may also
be one of the field's other mechanisms (trainer/attention.py).
"""

import collections

import torch
from torch.nn import functional

from trainer import attention
from trainer import hyper as hyper_lib
from trainer import mechanisms
from trainer import reading
from trainer import reference
from trainer import summaries as seeds

# What candidates need of one layer: events' normalised inputs n [B, n, d],
# their reading.History, and the Clock.
Trace = collections.namedtuple('Trace', ['inputs', 'history', 'clock'])

# Whole seconds [B, n] of events and of what follows each (the next event or
# the request). Only attention.HSTU asks for them.
Clock = collections.namedtuple('Clock', ['seconds', 'next_seconds'])


def events(hyper, params, tokens, drop=reference.keep,
           clock=Clock(None, None), run_layer=None):
    """All events of histories at once.

    tokens: [B, n, d], a user's events first; what stands behind them is
    padding, which no event reads. run_layer: layer_of_events, or what is as
    good. Returns x^L [B, n, d] and a Trace for each state layer.
    """
    run_layer = run_layer or layer_of_events
    x = tokens
    traces = []
    for index in range(hyper.num_layers):
        layer = reference.Layer(hyper, params, index)
        x, n, k, v, gates = run_layer(layer, x, clock, drop)
        history = reading.History(k, v, clock.seconds, gates)
        traces.append(Trace(n, history, clock))
    if hyper.target_aware == hyper_lib.DEDICATED_BLOCK:
        layer = reference.Layer(hyper, params, hyper.num_layers)
        n = reference.rms_norm(x, layer.norm_attn)
        _, k, v, _ = reference.project(layer, n)
        history = attention.remember(layer, n, k, v, clock.seconds)
        traces.append(Trace(n, history, clock))
    return x, traces


def layer_of_events(layer, x, clock, drop):
    """One layer over events [B, n, d]; returns x, and n and the keys, values
    and gates of a Trace."""
    n = reference.rms_norm(x, layer.norm_attn)
    z = reference.convolve(layer, n, _shifted(layer, n))
    q, k, v, g = reference.project(layer, z)
    history = attention.remember(layer, z, k, v, clock.seconds)
    o = attention.read_events(layer, q, k, v, z, history, clock.next_seconds)
    x = reference.finish(layer, x, o, g, drop)
    return x, n, history.keys, history.values, history.gates


def _shifted(layer, n):
    """The n of the i-th event before each, i = 1 ... w - 1, 0 if none."""
    length = n.shape[-2]
    return [functional.pad(n, (0, 0, i, 0))[..., :length, :]
            for i in range(1, layer.conv_width)]


def candidates(hyper, params, traces, positions, x, drop=reference.keep):
    """Candidates' x_c [B, P, C, d]: C candidates after each of P events.

    positions [B, P]: a candidate at position i reads events 0 ... i, and none
    at position -1. x [B, P, C, d]: candidate tokens.
    """
    is_blind = hyper.attention == mechanisms.SEEDS_ONLY
    x = _read_state(hyper, params, traces, torch.full_like(positions, -1)
                    if is_blind else positions, x, drop)
    if hyper.summary_attention:
        summarized = summaries(hyper, params, traces, positions, drop)
        x = reference.attend_summaries(hyper, params, x, summarized, drop)
    return x


def summaries(hyper, params, traces, positions, drop=reference.keep):
    """Summaries [B, P, M, d] that stand beside candidates at positions [B, P].

    Event i is pending there, so they are of events 0 ... i - 1.
    """
    tokens = drop(seeds.seed_tokens(hyper, params))
    tokens = tokens.expand(positions.shape + tokens.shape)
    x = _read_state(hyper, params, traces, positions - 1, tokens, drop)
    return reference.rms_norm(x, params['norm_summary'])


def _read_state(hyper, params, traces, positions, x, drop):
    """Passes x [B, P, C, d] through the layers; -1 is before any event."""
    # One state for many candidates, or one row of weights for each.
    through_states = attention.has_state(hyper.attention) and (
        x.shape[2] > 1 or hyper.phi2 == hyper_lib.PHI2_SILU)
    for index in reference.candidate_layers(hyper):
        layer = reference.Layer(hyper, params, index)
        trace = traces[index]
        window = None
        if layer.conv_width > 1:
            window = _window_at(layer, trace.inputs, positions)
        if through_states:
            z, c = states_after(layer, trace, positions)
            x = reference.candidate_layer(layer, x, z, c, window, drop)
        else:
            x = _layer_by_weights(layer, x, trace, positions, window, drop)
    return x


def _layer_by_weights(layer, x, trace, positions, window, drop):
    """One layer over candidates [B, P, C, d], through attention weights."""
    shape = x.shape[:3]
    n = reference.rms_norm(x, layer.norm_attn)
    earlier = None if window is None else window.unsqueeze(-2)
    z = reference.convolve(layer, n, earlier)
    q, k, v, g = reference.project(layer, z)

    def each(values):
        """[B, P] -> [B, P * C]."""
        return values.unsqueeze(2).expand(shape).flatten(1, 2)
    seconds = None
    if trace.clock.next_seconds is not None:
        seconds = each(torch.gather(trace.clock.next_seconds, 1,
                                    positions.clamp_min(0)))
    flat = [part.flatten(1, 2) for part in (q, k, v, z)]
    readers = attention.Readers(*flat, each(positions + 1), seconds, seconds)
    o = attention.read(layer, readers, trace.history).unflatten(1, shape[1:])
    return reference.finish(layer, x, o, g, drop)


def states_after(layer, trace, positions):
    """The states once events 0 ... position are folded.

    positions [B, P]; returns Z [B, P, H, d_h, d_h] and c [B, P, H].
    """
    history = trace.history
    size = reading.rows_at_a_time(history.keys.numel())
    found = [_states_after(layer, history, part)
             for part in positions.split(size, 1)]
    return found[0] if len(found) == 1 else tuple(
        torch.cat(parts, 1) for parts in zip(*found))


def _states_after(layer, history, positions):
    left = reading.kept(layer, history, positions + 1)  # [B, H, P, n]
    weighted = torch.einsum('bhpj,bjhk->bphjk', left.to(history.keys.dtype),
                            history.keys)
    z = torch.einsum('bphjk,bjhv->bphkv', weighted, history.values)
    return z, left.sum(-1).transpose(1, 2)


def _window_at(layer, inputs, positions):
    """[w - 1, B, P, d]: the n of the events at positions, and before them."""
    batch = torch.arange(inputs.shape[0], device=inputs.device)[:, None]
    window = []
    for i in range(layer.conv_width - 1):
        at = positions - i
        n = inputs[batch, at.clamp_min(0)]
        window.append(n * (at >= 0).unsqueeze(-1))
    return torch.stack(window)
