"""The reconstruction loss: a causal decoder that needs the summaries."""

import numpy as np
import pytest
import torch

from trainer import batches
from trainer import config as config_lib
from trainer import dataset
from trainer import hyper as hyper_lib
from trainer import masked
from trainer import reconstruction
from trainer import train


def _config(target_aware, seeds=8, weight=1.0, attention=False, **training):
    return config_lib.from_dict({
        'name': 'tiny', 'data': {'min_item_count': 1},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'target_aware': target_aware,
                  'head_width': 0 if target_aware == hyper_lib.OFF else 8,
                  'num_seeds': seeds, 'summary_attention': attention,
                  'initial_half_lives': [4.0, 0.0]},
        'training': {'epochs': 30, 'learning_rate': .01, 'batch_events': 512,
                     'negatives': 16, 'moments': 3, 'positives': 4,
                     'dropout': 0.0, 'item_init_std': .1,
                     'reconstruction_weight': weight,
                     'reconstruction_window': 6, **training}})


def _data(folder, config):
    """48 users, each with two of 40 items, again and again in random order."""
    rng = np.random.default_rng(1)
    lines = ['user,item,action,time']
    for user in range(48):
        items = rng.choice(40, 2, replace=False)
        lines += [f'{user},{rng.choice(items)},event,{100 * at}'
                  for at in range(16)]
    (folder / 'train.csv').write_text('\n'.join(lines) + '\n')
    return dataset.read(config, folder)


def _decoder(steps=6):
    torch.manual_seed(1)
    hyper = _config(hyper_lib.OFF).model
    decoder = reconstruction.Decoder(hyper, steps).double()
    summaries = torch.randn(3, 8, 16, dtype=torch.float64)
    items = torch.randn(3, steps, 16, dtype=torch.float64)
    known = torch.ones(3, steps, dtype=torch.bool)
    return decoder, summaries, items, known


@pytest.mark.parametrize('step', range(6))
def test_a_step_reads_only_the_items_before_it(step):
    decoder, summaries, items, known = _decoder()
    before = decoder(summaries, items, known)
    items[:, step] += 1
    moved = (decoder(summaries, items, known) - before).abs().amax((0, 2))
    assert moved[:step + 1].max() == 0
    assert (moved[step + 1:] > 1e-9).all()


def test_every_step_reads_every_summary():
    decoder, summaries, items, known = _decoder()
    before = decoder(summaries, items, known)
    for seed in range(8):
        changed = summaries.clone()
        changed[:, seed] += 1
        moved = (decoder(changed, items, known) - before).abs().amax(2)
        assert (moved > 1e-9).all(), seed


def test_what_is_before_the_history_is_not_read():
    decoder, summaries, items, known = _decoder()
    known[:, :2] = False
    before = decoder(summaries, items, known)
    items[:, :2] += 1
    with torch.no_grad():
        decoder.step_embedding[:2] += 1
    moved = (decoder(summaries, items, known) - before).abs()
    assert moved[:, 2:].max() == 0


def _loss(model, data):
    """The loss over whole histories, each up to two random positions."""
    torch.manual_seed(3)
    source = batches.Source(data, 'cpu')
    batch = source.cut(data.offsets[:-1], np.diff(data.offsets))
    _, traces = masked.events(
        model.hyper, model.params(), batches.tokens(model.hyper,
                                                    model.params(), batch))
    return reconstruction.loss(model, model.params(), batch, traces,
                               lambda x: x)


def test_a_silent_decoder_loses_one(tmp_path):
    config = _config(hyper_lib.OFF, epochs=1)
    data = _data(tmp_path, config)
    model, _ = train.train(config, data, quiet=True)
    with torch.no_grad():
        model.decoder.w_out.zero_()
    assert abs(float(_loss(model, data)) - 1) < 1e-3


@pytest.mark.parametrize('target_aware, attention', [
    (hyper_lib.OFF, False), (hyper_lib.DEDICATED_BLOCK, True),
    (hyper_lib.ALL_LAYERS, True)])
def test_the_loss_falls_because_of_the_summaries(tmp_path, target_aware,
                                                 attention):
    # A window of one step: nothing is known but the summaries.
    config = _config(target_aware, attention=attention,
                     reconstruction_window=1)
    data = _data(tmp_path, config)
    model, history = train.train(config, data, quiet=True)
    losses = [record['reconstruction_loss'] for record in history]
    assert losses[-1] < min(.95, losses[0])
    learned = float(_loss(model, data))
    with torch.no_grad():
        model.values['norm_summary'].zero_()
    assert float(_loss(model, data)) > learned + .1
    assert not any('decoder' in name for name in model.to_arrays())


@pytest.mark.parametrize('change, message', [
    ({'seeds': 0}, 'reconstruction_weight is 1.0; it must be 0 without'),
    ({'weight': 0.0}, 'num_seeds is 8, but nothing trains seeds'),
    ({'reconstruction_window': 0}, 'reconstruction_window is 0'),
])
def test_what_makes_no_sense_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        _config(hyper_lib.OFF, **change)
