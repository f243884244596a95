"""Bundles: round trip, determinism, validation and the fingerprint."""

import dataclasses

import numpy as np
import pytest

from trainer import export
from trainer import fingerprint as fingerprint_lib
from trainer import golden
from trainer import golden_requests
from trainer import hyper as hyper_lib
from trainer import mechanisms

CONFIGURATIONS = golden.configurations()


def _bundle(name='block_l1_silu_features'):
    hyper, items = CONFIGURATIONS[name]
    return golden.random_bundle(name, hyper, items, np.random.default_rng(5))


def _fingerprint(bundle):
    return fingerprint_lib.fingerprint(bundle.hyper, bundle.tensors)


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_round_trip_keeps_everything(name, tmp_path):
    bundle = _bundle(name)
    export.write(bundle, tmp_path)
    loaded = export.read(tmp_path)
    assert loaded.hyper == bundle.hyper
    assert (loaded.name, loaded.version) == (bundle.name, bundle.version)
    assert set(loaded.tensors) == set(bundle.tensors)
    for tensor, array in bundle.tensors.items():
        assert np.array_equal(loaded.tensors[tensor], array)


def test_what_is_there_is_never_written_over(tmp_path):
    folder = tmp_path / 'model' / '1'
    export.write(_bundle(), folder)
    before = {path.name: (path.stat().st_ino, path.read_bytes())
              for path in folder.iterdir()}
    for content in (_bundle(), _bundle('dot_l1_plain')):
        with pytest.raises(ValueError, match=r'model/1: is there already.*'
                                             r'--version N'):
            export.write(content, folder)
    assert {path.name: (path.stat().st_ino, path.read_bytes())
            for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ['1']
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='is there already'):
        export.write(_bundle(), tmp_path / 'file')


def test_a_bundle_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    seen = []

    def failing(message, path):
        seen.extend(path.parent.iterdir())
        raise OSError('disk full')
    monkeypatch.setattr(export.spec_lib, 'write', failing)
    with pytest.raises(OSError, match='disk full'):
        export.write(_bundle(), tmp_path / 'model' / '1')
    assert len(seen) == 3  # all else was written, elsewhere
    assert not list((tmp_path / 'model').iterdir())


def test_files_are_deterministic(tmp_path):
    bundle = _bundle()
    export.write(bundle, tmp_path / 'a')
    reordered = dict(reversed(list(bundle.tensors.items())))
    export.write(dataclasses.replace(bundle, tensors=reordered),
                 tmp_path / 'b')
    for file in (export.SPEC_FILE, export.WEIGHTS_FILE, export.ITEMS_FILE,
                 golden_requests.FILE):
        assert ((tmp_path / 'a' / file).read_bytes() ==
                (tmp_path / 'b' / file).read_bytes())


def test_fingerprint_covers_what_shapes_a_state():
    bundle = _bundle()
    before = _fingerprint(bundle)
    for name in ('item_ids', 'item_embedding', 'layers.1.w_qkvg',
                 'layers.0.decay_rate', 'event_projection', 'next_embedding'):
        tensors = dict(bundle.tensors)
        tensors[name] = tensors[name].copy()
        tensors[name].flat[0] += 1
        changed = dataclasses.replace(bundle, tensors=tensors)
        assert _fingerprint(changed) != before, name
    for change in ({'phi2': hyper_lib.PHI2_IDENTITY},
                   {'actions': ('view', 'purchase')},
                   {'event_features': ('cost',)}):
        changed = dataclasses.replace(
            bundle, hyper=dataclasses.replace(bundle.hyper, **change))
        assert _fingerprint(changed) != before, change


def test_fingerprint_leaves_out_heads_and_biases():
    bundle = _bundle()
    before = _fingerprint(bundle)
    for name in ('head.w1', 'head.b2', 'item_bias', 'w_user_out', 'norm_cand',
                 'w_user_in', 'log_scale', 'context.device'):
        tensors = dict(bundle.tensors)
        tensors[name] = tensors[name] + np.float32(1)
        changed = dataclasses.replace(bundle, tensors=tensors)
        assert _fingerprint(changed) == before, name


def test_fingerprint_leaves_out_seeds():
    bundle = _bundle('seeds_block_l2_attended')
    before = _fingerprint(bundle)
    tensors = {name: array for name, array in bundle.tensors.items()
               if 'summary' not in name and name != 'seed_embedding'}
    hyper = dataclasses.replace(bundle.hyper, num_seeds=0,
                                summary_attention=False)
    without = dataclasses.replace(bundle, hyper=hyper, tensors=tensors)
    assert len(bundle.tensors) - len(tensors) == 6
    assert _fingerprint(without) == before


def _refused(tensors, message, tmp_path):
    bundle = dataclasses.replace(_bundle(), tensors=tensors)
    with pytest.raises(ValueError, match=message):
        export.write(bundle, tmp_path)


def test_wrong_tensors_are_named(tmp_path):
    good = _bundle().tensors
    missing = dict(good)
    del missing['norm_user']
    _refused(missing, 'norm_user is missing', tmp_path)
    _refused(dict(good, extra=good['norm_user']), 'extra is not part',
             tmp_path)
    _refused(dict(good, norm_user=good['norm_user'][:3]),
             r'norm_user has shape \[3\], not \[16\]', tmp_path)
    _refused(dict(good, norm_user=good['norm_user'].astype(np.float64)),
             'norm_user is float64', tmp_path)
    _refused(dict(good, norm_user=good['norm_user'] * np.float32('nan')),
             'norm_user holds NaN', tmp_path)
    _refused(dict(good, log_scale=np.float32([89])),
             'log_scale is 89.0; expected -20 to 20', tmp_path)
    ids = good['item_ids'].copy()
    ids[1] = ids[0]
    _refused(dict(good, item_ids=ids), f'item id {ids[0]} occurs more',
             tmp_path)


def test_a_flipped_bit_is_refused(tmp_path):
    export.write(_bundle(), tmp_path)
    path = tmp_path / export.WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match='weights.safetensors: SHA-256'):
        export.read(tmp_path)


def test_a_malformed_spec_is_named(tmp_path):
    export.write(_bundle(), tmp_path)
    path = tmp_path / export.SPEC_FILE
    path.write_text('no_such_field: 1\n')
    with pytest.raises(ValueError, match='no_such_field'):
        export.read(tmp_path)


def test_a_spec_that_was_changed_is_refused(tmp_path):
    export.write(_bundle(), tmp_path)
    path = tmp_path / export.SPEC_FILE
    path.write_text(path.read_text().replace('actions: "', 'actions: "q', 1))
    with pytest.raises(ValueError, match='model.textproto: SHA-256 of what is'):
        export.read(tmp_path)


@pytest.mark.parametrize('field', [
    *({'attention': name} for name in mechanisms.ALL
      if name not in mechanisms.WITH_SEEDS), {'request_time': False},
    {'attention': mechanisms.SEEDS_ONLY}])
def test_what_cannot_be_served_is_not_exported(field, tmp_path):
    seeds = mechanisms.SEEDS_ONLY in field.values()
    bundle = _bundle('seeds_block_l2_attended' if seeds else 'dot_l1_plain')
    bundle = dataclasses.replace(
        bundle, hyper=dataclasses.replace(bundle.hyper, **field))
    with pytest.raises(ValueError, match=next(iter(field))):
        export.write(bundle, tmp_path)
    assert not list(tmp_path.iterdir())
