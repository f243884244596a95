"""The committed golden vectors are those that this reference makes."""

import json
import pathlib

import pytest
import torch

from trainer import export
from trainer import golden
from trainer import reference

FOLDER = pathlib.Path(__file__).resolve().parents[1] / 'golden'


def _double(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize('name', golden.configurations())
def test_committed_scores_are_reproduced(name):
    bundle = export.read(FOLDER / name / 'bundle')
    params = bundle.params(torch.float64)
    content = json.loads((FOLDER / name / 'cases.json').read_text())
    for case in content['cases']:
        if case['num_events'] > 100:
            continue  # Slow here; the engine's test folds them.
        history = content['histories'][case['history']]
        request = case['request']
        events = (history[:case['num_events']] +
                  request.get('recent_events', []))
        state = golden.fold_events(bundle, params, events)
        scores, user = golden.rank_request(bundle, params, state, request)
        assert torch.allclose(scores, _double(case['scores']),
                              rtol=1e-9, atol=1e-9), case['name']
        assert torch.allclose(user, _double(case['user_vector']),
                              rtol=1e-9, atol=1e-9), case['name']
        if 'summaries' in case:
            stored = golden.fold_events(bundle, params,
                                        history[:case['num_events']])
            found = reference.summarize(bundle.hyper, params, stored)
            assert torch.allclose(found, _double(case['summaries']),
                                  rtol=1e-9, atol=1e-9), case['name']
