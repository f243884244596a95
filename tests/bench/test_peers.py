"""What the peers of the benchmark run is the model that the engine runs."""

import math

import numpy as np
import pytest
import torch

from bench.peers import network
from trainer import golden
from trainer import hyper as hyper_lib
from trainer import reference

HYPER = hyper_lib.Hyper(
    d_model=32, num_heads=4, num_layers=2, ffn_width=64, conv_width=4,
    target_aware=hyper_lib.ALL_LAYERS, head_width=32, actions=('view',),
    tasks=(hyper_lib.Task('click'),))
HOUR_US = 3_600_000_000


@pytest.fixture
def model():
    """(params in float64, a state after 12 events, the time of a request)."""
    bundle = golden.random_bundle('peers', HYPER, 50, np.random.default_rng(1))
    params = bundle.params(torch.float64)
    state = reference.empty_state(HYPER, torch.float64)
    for i in range(12):
        state = reference.append(HYPER, params, state,
                                 reference.Event(1 + i, 0, i * HOUR_US))
    return params, state, 20 * HOUR_US


def test_candidates_score_as_in_the_reference(model):
    params, state, time_us = model
    rows = torch.tensor([0, 3, 50, 7, 7])
    want, _ = reference.rank(HYPER, params, state, time_us, rows)
    read = network.readouts(HYPER, params, state, time_us)
    found = network.CandidateNetwork(HYPER, params)(
        rows, *(read[name] for name in network.INPUTS[1:]))
    torch.testing.assert_close(found, want[:, 0], rtol=0, atol=1e-10)


def test_other_kinds_of_models_are_refused(model):
    params, state, time_us = model
    block = hyper_lib.Hyper(d_model=32, actions=('view',))
    with pytest.raises(ValueError, match='DEDICATED_BLOCK'):
        network.readouts(block, params, state, time_us)


def _attend(q, keys, values):
    """Softmax attention of one token and head, by the formula."""
    weights = [math.exp(float(q @ key) / math.sqrt(len(q))) for key in keys]
    return sum(w * v for w, v in zip(weights, values)) / sum(weights)


def test_a_softmax_layer_attends_to_every_key_in_every_head(model):
    net = network.CandidateNetwork(HYPER, model[0])
    layer = network.SoftmaxLayer(net, 1)
    x = torch.randn(3, 32, dtype=torch.float64)
    past = torch.randn(9, 32, dtype=torch.float64)
    own = reference.Layer(HYPER, model[0], 1)
    parts = (reference.rms_norm(x, own.norm_attn) @ own.w_qkvg.T).chunk(4, -1)
    _, k, v, _ = (reference.rms_norm(past, own.norm_attn) @
                  own.w_qkvg.T).chunk(4, -1)
    heads = [slice(8 * h, 8 * h + 8) for h in range(4)]
    o = torch.stack([torch.stack([
        _attend(parts[0][i, h], k[:, h], v[:, h]) for h in heads])
        for i in range(3)])
    want = reference.finish(own, x, o, parts[3].reshape(3, 4, 8))
    torch.testing.assert_close(layer(x, *layer.keys(past)), want, rtol=0,
                               atol=1e-10)
