"""Golden requests: what the reference says, whatever the model, and nothing
more than needs be looked at."""

import dataclasses
import hashlib
import pathlib
import time

import numpy as np
import pytest
import torch

from trainer import __main__ as trainer_main
from trainer import contexts
from trainer import export
from trainer import fingerprint as fingerprint_lib
from trainer import golden
from trainer import golden_requests
from trainer import hyper as hyper_lib
from trainer import reference
from trainer import spec as spec_lib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGURATIONS = golden.configurations()


def _bundle(name='block_l1_silu_features', items=None):
    hyper, count = CONFIGURATIONS[name]
    return golden.random_bundle(name, hyper, items or count,
                                np.random.default_rng(5))


def _make(bundle):
    return golden_requests.make(
        bundle.hyper, bundle.tensors,
        fingerprint_lib.fingerprint(bundle.hyper, bundle.tensors))


def _scores(bundle, case):
    """By the reference over the whole catalogue: [candidates, tasks]."""
    hyper, params = bundle.hyper, bundle.params(torch.float64)
    events = [reference.Event(int(bundle.rows([event.item_id])[0]),
                              hyper.actions.index(event.action), event.time_us,
                              tuple(event.features)) for event in case.events]
    state = reference.empty_state(hyper, torch.float64)
    for event in events:
        state = reference.append(hyper, params, state, event)
    said = {context.feature: context.value for context in case.context}
    rows = {feature.name: int(contexts.rows(
        feature, [said.get(feature.name, '')])[0])
        for feature in hyper.context_features}
    features = torch.tensor([list(candidate.features) for candidate in
                             case.candidates], dtype=torch.float64)
    scores, _ = reference.rank(
        hyper, params, state, case.time_us,
        bundle.rows([candidate.item_id for candidate in case.candidates]),
        rows, features if hyper.candidate_features else None)
    return scores


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_scores_are_the_references(name):
    bundle = _bundle(name)
    message = _make(bundle)
    assert list(message.tasks) == [task.name for task in bundle.hyper.tasks]
    for case in message.cases:
        given = torch.tensor([list(candidate.scores)
                              for candidate in case.candidates],
                             dtype=torch.float64)
        assert torch.allclose(given, _scores(bundle, case), rtol=1e-8,
                              atol=1e-12), case.name


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_users_and_candidates_are_of_every_kind(name):
    bundle = _bundle(name)
    message = _make(bundle)
    hyper = bundle.hyper
    assert [len(case.events) for case in message.cases] == [0, 1, 5, 40]
    for case in message.cases:
        rows = bundle.rows([candidate.item_id
                            for candidate in case.candidates]).tolist()
        assert len(rows) == 16 and rows.count(0) == 1
        of_user = {event.item_id for event in case.events}
        for event in case.events:
            assert len(event.features) == len(hyper.event_features)
        for candidate in case.candidates:
            assert len(candidate.features) == len(hyper.candidate_features)
            assert len(candidate.scores) == len(hyper.tasks)
        if of_user:
            had = [candidate.item_id in of_user
                   for candidate in case.candidates]
            assert any(had) and not all(had)
        times = [event.time_us for event in case.events] + [case.time_us]
        assert times == sorted(times)
    forty = message.cases[3]
    assert len({event.item_id for event in forty.events}) < 20
    assert {event.action for event in forty.events} == set(hyper.actions)
    assert 0 in bundle.rows([event.item_id for event in forty.events])


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_the_file_is_small_and_the_same_every_time(name, tmp_path):
    bundle = _bundle(name)
    export.write(bundle, tmp_path / 'a')
    text = (tmp_path / 'a' / golden_requests.FILE).read_bytes()
    assert len(text) < 20_000
    shuffled = dict(reversed(list(bundle.tensors.items())))
    export.write(dataclasses.replace(bundle, tensors=shuffled),
                 tmp_path / 'b')
    assert (tmp_path / 'b' / golden_requests.FILE).read_bytes() == text
    message = spec_lib.read(tmp_path / 'a' / export.SPEC_FILE)
    assert message.golden_sha256 == hashlib.sha256(text).hexdigest()
    parsed = golden_requests.parse(text.decode(), 'golden.textproto')
    assert parsed == _make(bundle)
    assert parsed.fingerprint == message.fingerprint


def test_another_model_has_other_requests():
    first, second = _bundle(), _bundle()
    second.tensors['item_embedding'] = second.tensors['item_embedding'] * 2
    items = [[event.item_id for event in _make(bundle).cases[3].events]
             for bundle in (first, second)]
    assert items[0] != items[1]


def test_numbers_of_a_context_and_defaults_are_said_too():
    bundle = _bundle()
    features = (hyper_lib.ContextFeature('hour', boundaries=(6.0, 12.5)),
                hyper_lib.ContextFeature('device', ('phone', 'desktop'),
                                         default='desktop'))
    hyper = dataclasses.replace(bundle.hyper, context_features=features)
    tensors = dict(bundle.tensors)
    del tensors['context.daypart']
    rng = np.random.default_rng(1)
    for name, rows in (('hour', 4), ('device', 3)):
        tensors[f'context.{name}'] = rng.standard_normal(
            (rows, hyper.d_model)).astype(np.float32)
    bundle = dataclasses.replace(bundle, hyper=hyper, tensors=tensors)
    said = set()
    for seed in range(8):
        message = golden_requests.make(hyper, tensors, str(seed))
        for case in message.cases:
            given = torch.tensor([list(candidate.scores)
                                  for candidate in case.candidates],
                                 dtype=torch.float64)
            assert torch.allclose(given, _scores(bundle, case), rtol=1e-8)
            said |= {(context.feature, context.value)
                     for context in case.context}
    assert said == {('hour', '6.0'), ('hour', '12.5'), ('hour', 'never seen'),
                    ('device', 'phone'), ('device', 'desktop'),
                    ('device', 'never seen')}


def test_only_the_rows_that_are_named_are_computed_with(monkeypatch):
    bundle = _bundle(items=9_000)
    items = 1_000_000
    ids = np.arange(1, items + 1, dtype=np.uint64)
    width = bundle.hyper.d_model
    rng = np.random.default_rng(3)
    tensors = dict(
        bundle.tensors, item_ids=ids,
        item_embedding=rng.standard_normal((items + 1, width), np.float32),
        item_bias=np.zeros(items + 1, np.float32))
    largest = []
    converted = golden_requests._Items.params

    def params(self, dtype):
        found = converted(self, dtype)
        largest.append(len(found['item_embedding']))
        return found
    monkeypatch.setattr(golden_requests._Items, 'params', params)
    begin = time.process_time()
    golden_requests.make(bundle.hyper, tensors, 'a fingerprint')
    assert largest and max(largest) < 120
    assert time.process_time() - begin < 5


def test_a_catalogue_without_items_is_asked_about_others():
    bundle = _bundle()
    tensors = dict(bundle.tensors,
                   item_ids=bundle.tensors['item_ids'][:0],
                   item_embedding=bundle.tensors['item_embedding'][:1],
                   item_bias=bundle.tensors['item_bias'][:1])
    message = golden_requests.make(bundle.hyper, tensors, 'empty')
    assert len(message.cases[3].candidates) == 16


def test_a_model_that_float32_hardly_computes_goes_without(tmp_path, capsys):
    bundle = _bundle()
    # Ten million and its opposite, and what is left of them.
    tensors = dict(bundle.tensors)
    tensors['head.b2'] = np.full_like(tensors['head.b2'], 1e7)
    tensors['item_bias'] = np.full_like(tensors['item_bias'], -1e7)
    bundle = dataclasses.replace(bundle, tensors=tensors)
    with pytest.raises(golden_requests.TooRough, match='float32 the scores'):
        _make(bundle)
    export.write(bundle, tmp_path / 'bundle')
    assert 'no golden.textproto: ' in capsys.readouterr().err
    assert not (tmp_path / 'bundle' / golden_requests.FILE).exists()
    assert not spec_lib.read(
        tmp_path / 'bundle' / export.SPEC_FILE).golden_sha256
    assert trainer_main.main(['golden-requests', '--bundle',
                              str(tmp_path / 'bundle')]) == 1


def test_a_model_whose_scores_overflow_is_not_exported(tmp_path):
    bundle = _bundle()
    tensors = dict(bundle.tensors)
    for name in ('head.w1', 'head.w2'):
        tensors[name] = np.full_like(tensors[name], 3e38)
    with pytest.raises(ValueError, match='golden requests: .* not finite'):
        export.write(dataclasses.replace(bundle, tensors=tensors),
                     tmp_path / 'bundle')
    assert not (tmp_path / 'bundle').exists()


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_float32_leaves_an_engine_room(name):
    bundle = _bundle(name)
    message = _make(bundle)
    exact = torch.cat([_scores(bundle, case) for case in message.cases])
    items = golden_requests._Items(bundle.hyper, bundle.tensors, message)
    rounded = torch.cat(golden_requests._scores(bundle.hyper, items, message,
                                                torch.float32))
    assert golden_requests.share_of_bound(exact, rounded) < .03


def test_a_file_that_is_not_the_specs_is_refused(tmp_path):
    export.write(_bundle(), tmp_path)
    path = tmp_path / golden_requests.FILE
    path.write_text(path.read_text() + '\n')
    with pytest.raises(ValueError, match='golden.textproto: SHA-256'):
        export.read(tmp_path)
    with pytest.raises(ValueError, match='golden.textproto: 1:1'):
        golden_requests.parse('no_such_field: 1', path)


def test_the_command_gives_a_bundle_what_export_would_have(tmp_path, capsys):
    folder = tmp_path / 'model' / '1'
    export.write(_bundle(), folder)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    # As bundles were written before.
    message = spec_lib.read(folder / export.SPEC_FILE)
    message.golden_sha256 = ''
    spec_lib.write(message, folder / export.SPEC_FILE)
    (folder / golden_requests.FILE).unlink()
    export.read(folder)

    command = ['golden-requests', '--bundle', str(folder)]
    assert trainer_main.main(command) == 0
    assert 'golden.textproto: ' in capsys.readouterr().out
    assert {path.name: path.read_bytes()
            for path in folder.iterdir()} == whole
    assert trainer_main.main(command) == 1
    assert '--replace' in capsys.readouterr().err
    (folder / golden_requests.FILE).write_bytes(b'')
    assert trainer_main.main(command) == 1  # Damaged: not the digest's.
    (folder / golden_requests.FILE).write_bytes(whole[golden_requests.FILE])
    assert trainer_main.main([*command, '--replace']) == 0
    assert {path.name: path.read_bytes()
            for path in folder.iterdir()} == whole


@pytest.mark.parametrize('name', ['grocery/1', 'ml-1m/1'])
def test_a_shipped_bundle_has_those_of_its_weights(name):
    folder = ROOT / 'models' / name
    bundle = export.read(folder)
    given = golden_requests.parse(
        (folder / golden_requests.FILE).read_text(), folder)
    made = _make(bundle)
    for case, of_bundle in zip(made.cases, given.cases, strict=True):
        assert case.events == of_bundle.events
        for candidate, other in zip(case.candidates, of_bundle.candidates,
                                    strict=True):
            assert candidate.item_id == other.item_id
            np.testing.assert_allclose(candidate.scores, other.scores,
                                       rtol=1e-8, atol=1e-9)
