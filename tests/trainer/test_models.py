"""What layers do before they are trained."""

import torch

from trainer import hyper as hyper_lib
from trainer import models
from trainer import reference


def _model(**fields):
    torch.manual_seed(1)
    return models.Model(hyper_lib.Hyper(
        d_model=64, num_heads=4, num_layers=2, actions=('a', 'b'),
        tasks=(hyper_lib.Task('is_click', False),), **fields), num_items=50)


def _weights(model):
    """<q, k> of 40 random events with each other in layer 0, [40, 40, H]."""
    params, n = model.params(), 40
    draw = lambda high: torch.randint(0, high, (n,))
    x = reference.event_tokens(model.hyper, params, draw(51), draw(2), draw(32),
                               draw(32), draw(32), None)
    layer = reference.Layer(model.hyper, params, 0)
    q, k, _, _ = reference.project(layer,
                                   reference.rms_norm(x, layer.norm_attn))
    return torch.einsum('mhk,nhk->mnh', q, k).detach()


def test_an_average_start_counts_every_event_alike():
    model = _model()
    assert (_weights(model) < 0).any()

    model.start_as_average()

    weights = _weights(model)
    assert (weights > 0).all()
    assert weights.std() < .5 * weights.mean()
    assert (model.params()['layers.1.beta'] == models._AVERAGE_BETA).all()


def test_an_average_start_leaves_the_match_alone():
    model = _model(target_aware=hyper_lib.DEDICATED_BLOCK)
    plain = {name: value.clone() for name, value in model.params().items()}

    model.start_as_average()

    changed = {name for name, value in model.params().items()
               if not torch.equal(value, plain[name])}
    assert 'layers.2.beta' in changed and 'item_embedding' not in changed

    dotted = models.Model(
        hyper_lib.Hyper(d_model=64, num_heads=4, num_layers=2, actions=('a',),
                        tasks=(hyper_lib.Task('next', True),),
                        target_aware=hyper_lib.DEDICATED_BLOCK), num_items=50)
    before = dotted.params()['layers.2.beta'].clone()
    dotted.start_as_average()
    assert torch.equal(dotted.params()['layers.2.beta'], before)
