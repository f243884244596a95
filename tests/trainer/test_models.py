"""What layers do before they are trained."""

import numpy as np
import pytest
import torch

from trainer import hyper as hyper_lib
from trainer import initial
from trainer import item_memory
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


def _with_features():
    return _model(event_features=('price', 'age'),
                  candidate_features=('price',))


def test_normalised_features_make_the_same_tokens_as_raw_ones():
    model = _with_features()
    rng = np.random.default_rng(2)
    raw = rng.normal([30., -4e2], [5., 2.], (40, 2))
    model.normalise('event_projection', raw)
    model.normalise('candidate_projection', raw[:, :1])
    params = {name: value.detach().double()
              for name, value in model.params().items()}
    normal = torch.from_numpy((raw - raw.mean(0)) / raw.std(0))
    assert raw.mean(0) == pytest.approx([30, -4e2], rel=.1)

    def tokens(params, of_events, of_candidates):
        zeros = torch.zeros(40, dtype=torch.long)
        return torch.cat([
            reference.event_tokens(model.hyper, params, zeros, zeros + 1, zeros,
                                   zeros, zeros, of_events),
            reference.candidate_tokens(model.hyper, params, zeros[:, None],
                                       zeros, torch.zeros(40, 64).double(), {},
                                       of_candidates[:, None])[:, 0]])
    learned = {**params, **{name: model.values[name].detach().double()
                            for name in ('action_embedding', 'event_projection',
                                         'candidate_projection')}}
    raw = torch.from_numpy(raw)
    assert torch.allclose(tokens(params, raw, raw[:, :1]),
                          tokens(learned, normal, normal[:, :1]), atol=1e-4)


def test_normalised_features_survive_a_round_trip():
    model = _with_features()
    model.normalise('event_projection', np.array([[3., 7.], [5., 7.]]))
    before = {name: value.detach().clone()
              for name, value in model.values.items()}
    arrays = {name: array.copy() for name, array in model.to_arrays().items()}
    with torch.no_grad():
        for value in model.values.values():
            value.fill_(9.)
    model.load_arrays(arrays)
    for name, value in model.values.items():
        assert torch.allclose(value, before[name], atol=1e-5), name


def test_a_feature_that_hardly_varies_beside_its_mean_is_refused():
    times = 1.6e9 + np.arange(10.)[:, None]
    with pytest.raises(ValueError, match='price: its mean is 1.6e.09 and its '
                                         'standard deviation 2.87'):
        _with_features().normalise('candidate_projection', times)
    _with_features().normalise('candidate_projection', np.full((4, 1), 1.6e9))


HALF_LIVES_S = (86_400, 864_000)


def _with_memory(start):
    torch.manual_seed(3)
    return models.Model(hyper_lib.Hyper(
        d_model=16, num_heads=2, num_layers=1, actions=('a',),
        initial_half_lives=(4., 100.),
        tasks=(hyper_lib.Task('next', True), hyper_lib.Task('like', False)),
        target_aware=hyper_lib.DEDICATED_BLOCK,
        item_memory=hyper_lib.ItemMemory(8, HALF_LIVES_S)), 50, start)


def test_a_start_from_counts_ranks_by_the_longest_decayed_count():
    model = _with_memory(initial.Start(from_counts=('next',)))
    rng = np.random.default_rng(5)
    now, days = 10_000_000, rng.uniform(0, 60, (7, 4))
    times = np.sort(now - days * 86_400, axis=1)
    decayed = np.stack([
        (.5 ** ((times[:, -1:] - times) / half_life)).sum(1)
        for half_life in HALF_LIVES_S], axis=1)
    facts = item_memory.facts(
        model.hyper.item_memory, *(torch.tensor(values) for values in (
            np.full(7, 4.), times[:, 0], times[:, -1], decayed)), now)

    found = reference.head_scores(
        model.params(), torch.randn(7, 16), facts=facts.float()).detach()

    counts = (.5 ** ((now - times) / HALF_LIVES_S[-1])).sum(1)
    assert found[:, 0].argsort().tolist() == counts.argsort().tolist()
    assert found[:, 0].numpy() == pytest.approx(2 + 3 * np.log1p(counts))
    assert (found[:, 1] == 0).all()
    absent = reference.head_scores(model.params(), torch.randn(1, 16),
                                   facts=torch.zeros(1, facts.shape[1]))
    assert (absent == 0).all()


def _dot(params):
    user = reference.unit(torch.randn(16, generator=torch.Generator()
                                      .manual_seed(9)))
    return reference.dot_scores(params, user, torch.arange(1, 51))


def test_scores_have_a_share_of_the_dot_logits_that_is_learned():
    model = _with_memory(initial.Start(dot_share=.1))
    model.start_from_popularity(torch.arange(51))
    params = model.params()
    shared, whole = _dot(params), _dot(model.dot_params(params))
    assert torch.allclose(shared, .1 * whole, atol=1e-6)

    assert any(value is model.log_dot_share for group in
               model.parameter_groups(.01) for value in group['params'])
    shared.square().sum().backward()
    assert model.log_dot_share.grad != 0
    # The dot term's own loss is none of its business.
    model.zero_grad()
    _dot(model.dot_params(model.params())).square().sum().backward()
    assert abs(model.log_dot_share.grad) < 1e-2

    alone = _with_memory(initial.Start())
    assert alone.log_dot_share is None
    assert torch.equal(_dot(alone.dot_params(alone.params())),
                       _dot(alone.params()))


def test_a_model_with_a_share_loads_what_it_wrote():
    model = _with_memory(initial.Start(dot_share=.1))
    model.start_from_popularity(torch.arange(51))
    arrays = model.to_arrays()
    other = _with_memory(initial.Start(dot_share=.3))

    other.load_arrays(arrays)

    for name, array in other.to_arrays().items():
        assert array == pytest.approx(arrays[name], abs=1e-6), name
