"""Golden vectors: small random bundles with scores computed in float64.

tests/golden/README.md describes the files. Tensors are float32 values, so an
engine reads exactly what the float64 reference used.
"""

import json
import pathlib
import shutil

import numpy as np
import torch

from trainer import content
from trainer import export
from trainer import hyper as hyper_lib
from trainer import item_table
from trainer import reference
from trainer import tensors as tensors_lib

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 1_500_000_000 * SECOND

_TWO_TASKS = (hyper_lib.Task('click', True, 1.0),
              hyper_lib.Task('like', False, 2.5))
_DAYPART = hyper_lib.ContextFeature('daypart', ('morning', 'noon', 'night'))
_DEVICE = hyper_lib.ContextFeature('device', ('phone', 'desktop'))


def _tiny(half_lives, **changes):
    values = dict(d_model=16, num_heads=2, num_layers=2, ffn_width=24,
                  conv_width=4, target_aware=hyper_lib.OFF, head_width=0,
                  initial_half_lives=half_lives, actions=('view', 'buy'),
                  tasks=(hyper_lib.Task('buy'),))
    values.update(changes)
    return hyper_lib.Hyper(**values)


def configurations():
    """{name: (Hyper, number of items)}: every switch, each at least twice."""
    fades, stays = (3.0, 200.0), (0.0, 0.0)
    off, every, block = (hyper_lib.OFF, hyper_lib.ALL_LAYERS,
                         hyper_lib.DEDICATED_BLOCK)
    silu = hyper_lib.PHI2_SILU
    return {
        'dot_l1_plain': (_tiny(stays, num_layers=1, conv_width=1), 200),
        'dot_l2_decay_conv': (_tiny(fades), 200),
        'dot_l4_silu': (_tiny(stays, num_layers=4, phi2=silu), 200),
        'dot_l2_silu_decay_features': (
            _tiny(fades, phi2=silu, conv_width=1,
                  event_features=('price', 'rating')), 200),
        'block_l4_decay_conv': (
            _tiny((1.0, 4.0, 16.0, 1000.0), d_model=32, num_heads=4,
                  num_layers=4, ffn_width=64, target_aware=block,
                  head_width=32), 300),
        'block_l1_silu_features': (
            _tiny(fades, num_layers=1, conv_width=1, phi2=silu,
                  target_aware=block, head_width=12, tasks=_TWO_TASKS,
                  event_features=('price',), candidate_features=('bid', 'age'),
                  context_features=(_DAYPART, _DEVICE)), 200),
        'block_l2_no_decay_no_dot': (
            _tiny(stays, target_aware=block, head_width=8,
                  tasks=(hyper_lib.Task('like', False, 1.0),
                         hyper_lib.Task('share', False, 4.0)),
                  context_features=(_DEVICE,)), 200),
        'all_l1_plain': (
            _tiny(stays, num_layers=1, conv_width=1, target_aware=every,
                  head_width=16), 200),
        'all_l2_silu_decay_conv': (
            _tiny(fades, phi2=silu, target_aware=every, head_width=16,
                  tasks=_TWO_TASKS, candidate_features=('bid',)), 200),
        'all_l4_decay_conv_everything': (
            _tiny((2.0, 50.0), d_model=32, num_layers=4, ffn_width=40,
                  conv_width=3, target_aware=every, head_width=24,
                  tasks=_TWO_TASKS + (hyper_lib.Task('share', True, 0.5),),
                  actions=('view', 'buy', 'skip'),
                  event_features=('price', 'rating', 'dwell'),
                  candidate_features=('bid', 'age', 'stock'),
                  context_features=(_DAYPART,)), 300),
        'seeds_off_l2': (_tiny(fades, num_seeds=8), 100),
        'seeds_block_l2_attended': (
            _tiny(fades, phi2=silu, target_aware=block, head_width=8,
                  num_seeds=24, summary_attention=True, tasks=_TWO_TASKS,
                  candidate_features=('bid',), context_features=(_DEVICE,)),
            100),
        'seeds_all_l2_attended': (
            _tiny((1.0, 9.0, 0.0, 300.0), d_model=32, num_heads=4,
                  conv_width=3, target_aware=every, head_width=16, num_seeds=16,
                  summary_attention=True), 100),
        # Fewer entries than a history has items.
        'memory_block_l2': (
            _tiny(fades, target_aware=block, head_width=8, tasks=_TWO_TASKS,
                  candidate_features=('bid',),
                  item_memory=hyper_lib.ItemMemory(16, (3_600, 604_800))), 40),
        'memory_all_l2_seeds': (
            _tiny(fades, phi2=silu, conv_width=3, target_aware=every,
                  head_width=16, num_seeds=8, summary_attention=True,
                  item_memory=hyper_lib.ItemMemory(
                      8, (60, 7_200, 2_592_000))), 60),
        'content_block_l2_memory': (
            _tiny(fades, target_aware=block, head_width=8,
                  item_memory=hyper_lib.ItemMemory(8, (3_600,)),
                  item_attributes=(
                      hyper_lib.ItemAttribute('brand', '', (
                          'Érable', 'two words', 'in\ntwo lines', 'a|b')),
                      hyper_lib.ItemAttribute('tags', '|', ('a', 'b', 'c'))),
                  item_numbers=(hyper_lib.ItemNumber('price', 2.5, .75),
                                hyper_lib.ItemNumber('weight', -1., 1e-3))),
            50),
    }


# What is said of items to come: values and numbers that are known, unknown,
# several, left out, in spaces, far off.
_CONTENTS = (
    ({}, {}),
    ({'brand': 'two words', 'tags': 'b', 'shelf': '9'},
     {'price': 4., 'weight': -1.0005, 'height': 3.}),
    ({'brand': ' Érable\t', 'tags': 'c| a |never|a||other'}, {'price': .1}),
    ({'brand': 'never', 'tags': '|'}, {'weight': 1e12}),
    ({'brand': 'in\ntwo lines', 'tags': 'a|b|c'}, {'price': -1e300}),
    ({'brand': 'a|b', 'tags': '\u00a0a'}, {'price': 2.5}),
)


def random_bundle(name, hyper, num_items, rng):
    """A Bundle whose every tensor matters: nothing is 0 or 1 throughout."""
    tensors = {'item_ids': _random_ids(num_items, rng)}
    shapes = {tensor: spec.shape for tensor, spec in
              tensors_lib.tensor_specs(hyper, num_items).items()}
    for tensor, shape in {**shapes, **content.tensor_shapes(hyper)}.items():
        tensors[tensor] = _random_tensor(tensor, shape, hyper, rng)
    return export.Bundle(name, 1, 'Random tensors for tests.', hyper, tensors)


def _random_ids(num_items, rng):
    """Distinct ids over the whole range of uint64, in no order."""
    small = rng.choice(10_000, num_items - num_items // 4, replace=False)
    large = np.uint64(2 ** 53) + rng.integers(
        1, 2 ** 64 - 2 ** 53, num_items // 4, dtype=np.uint64)
    ids = np.concatenate([small.astype(np.uint64), large])
    ids[0] = np.uint64(2 ** 64 - 1)
    return rng.permutation(ids)


def _random_tensor(name, shape, hyper, rng):
    short = name.rsplit('.', 1)[-1]
    noise = rng.standard_normal(shape)
    if short == 'decay_rate':
        lives = np.array(hyper.initial_half_lives)
        rates = np.where(lives > 0, np.log(2) / np.maximum(lives, 1e-9), 0)
        value = rates * np.exp(.2 * noise)
    elif short.startswith('norm_') or short in ('alpha', 'beta'):
        value = 1 + .3 * noise
    elif short == 'log_scale':
        value = 1.5 + .2 * noise
    elif short == 'conv':
        value = .4 * noise
        value[0] += .8
    elif short == 'item_embedding':
        value = noise / shape[-1] ** .5
    elif short.startswith('b') or short.endswith('_bias'):
        value = .5 * noise
        if short == 'item_bias' and not hyper.any_dot_term:
            value = np.zeros(shape)
    elif short.endswith('_embedding') or name.startswith('context.'):
        value = .5 * noise
    else:  # A matrix: keep the scale of what it multiplies.
        value = noise / shape[-1] ** .5
    return value.astype(np.float32)


# ---- Histories and cases -----------------------------------------------------


def random_history(hyper, ids, count, rng):
    """Events as JSON objects: gaps from 0 to days, some unknown items."""
    events, time_us = [], START
    for index in range(count):
        known = rng.random() > .03
        item = int(ids[rng.integers(len(ids))]) if known else _unknown(ids)
        event = {'item_id': str(item),
                 'action': str(rng.choice(hyper.actions)), 'time_us': time_us}
        if hyper.event_features:
            event['features'] = _features(len(hyper.event_feature_names), rng)
        events.append(event)
        gap = int(2.0 ** rng.uniform(-2, 20) * SECOND)
        if rng.random() < .25:
            gap = 0
        elif rng.random() < .02:
            gap = -3 * SECOND  # Logs may hold events out of order.
        time_us += gap
    return events


def _unknown(ids):
    taken = set(int(item) for item in ids)
    item = 2 ** 60 + 1
    while item in taken:
        item += 1
    return item


def _features(count, rng):
    """Multiples of 1/64: exact in float32, short in JSON."""
    return [int(value) / 64 for value in rng.integers(-128, 129, count)]


def _five_events(hyper, ids, rng):
    """Equal times, an out-of-vocabulary item, and a gap just under 2 s."""
    events = random_history(hyper, ids, 5, rng)
    times = [0, 0, 1_999_999, 1_999_999, 3 * DAY]
    for event, time_us in zip(events, times):
        event['time_us'] = START + time_us
    events[2]['item_id'] = str(_unknown(ids))
    return events


def _unknown_actions(events, places):
    """The events, with an action that no model has at these places."""
    return [dict(event, action='never trained on') if index in places else event
            for index, event in enumerate(events)]


def _cases(hyper, ids, rng):
    """Histories, and (name, history, events of it, recent events, time)s."""
    long = random_history(hyper, ids, 1_000, rng)
    five = _five_events(hyper, ids, rng)
    recent = random_history(hyper, ids, 3, rng)
    unknown = _unknown_actions(five, (1, 2, 4))
    histories = {'long': long, 'five': five, 'unknown_actions': unknown}

    def recent_after(events):
        shift = events[-1]['time_us'] + 60 * SECOND - START
        return [dict(event, time_us=event['time_us'] + shift)
                for event in recent]

    last = long[-1]['time_us']
    cases = [
        ('empty', 'long', 0, [], START),
        ('empty_with_recent', 'long', 0, recent, START + DAY),
        ('pending', 'five', 1, [], START + 90 * SECOND),
        ('pending_at_its_time', 'five', 1, [], START),
        ('five_before_last', 'five', 5, [], START),
        ('five_at_last', 'five', 5, [], five[-1]['time_us']),
        ('five_after', 'five', 5, [], five[-1]['time_us'] + 2 * SECOND),
        ('five_days_later', 'five', 5, [], five[-1]['time_us'] + 40 * DAY),
        ('five_with_recent', 'five', 5, recent_after(five),
         five[-1]['time_us'] + 30 * DAY),
        ('forty', 'long', 40, [], long[39]['time_us'] + 5 * SECOND),
        ('thousand', 'long', 1_000, [], last + 3_600 * SECOND),
        ('thousand_days_later', 'long', 1_000, [], last + 9 * DAY),
        ('thousand_with_recent', 'long', 1_000, recent_after(long),
         last + 5 * DAY),
        ('unknown_actions', 'unknown_actions', 5, [],
         five[-1]['time_us'] + 2 * SECOND),
        ('unknown_actions_recently', 'unknown_actions', 5,
         _unknown_actions(recent_after(five), (0,)),
         five[-1]['time_us'] + 30 * DAY),
    ]
    return histories, cases


# The case whose stored state is written out, to compare an engine inside.
_STATE_CASE = 'forty'
_CANDIDATES = 12


def _request(hyper, ids, time_us, rng):
    items = [str(item) for item in rng.choice(ids, _CANDIDATES - 2)]
    items[3:3] = ['123456789', str(_unknown(ids))]
    request = {'time_us': time_us, 'item_ids': items}
    if hyper.context_features:
        request['context'] = {}
        for feature in hyper.context_features:
            value = str(rng.choice(feature.values + ('never seen', '')))
            if value:  # '' stands for a feature that the request leaves out.
                request['context'][feature.name] = value
    if hyper.candidate_features:
        width = len(hyper.candidate_feature_names)
        request['candidate_features'] = [_features(width, rng)
                                         for _ in items]
    return request


def to_event(bundle, event):
    """A reference.Event from its JSON object."""
    actions = bundle.hyper.actions
    known = event['action'] in actions
    return reference.Event(
        row=int(bundle.rows([event['item_id']])[0]),
        action=actions.index(event['action']) if known else None,
        time_us=event['time_us'], features=tuple(event.get('features', ())))


def fold_events(bundle, params, events, state=None):
    """The state after JSON events."""
    if state is None:
        state = reference.empty_state(bundle.hyper, torch.float64)
    for event in events:
        state = reference.append(bundle.hyper, params, state,
                                 to_event(bundle, event))
    return state


def rank_request(bundle, params, state, request):
    """Scores [C, T] and u [d] of a JSON request."""
    hyper = bundle.hyper
    context = {}
    for feature in hyper.context_features:
        value = request.get('context', {}).get(feature.name)
        known = value in feature.values
        context[feature.name] = 1 + feature.values.index(value) if known else 0
    features = request.get('candidate_features')
    if features is not None:
        features = torch.tensor(features, dtype=torch.float64)
    return reference.rank(hyper, params, state, request['time_us'],
                          bundle.rows(request['item_ids']), context, features)


def golden_cases(bundle, rng):
    """The content of cases.json."""
    params = bundle.params(torch.float64)
    histories, cases = _cases(bundle.hyper, bundle.tensors['item_ids'], rng)
    states, summarized, written = {}, set(), []
    for name, history, count, recent, time_us in cases:
        if (history, count) not in states:
            states[history, count] = fold_events(bundle, params,
                                                 histories[history][:count])
        stored = states[history, count]
        request = _request(bundle.hyper, bundle.tensors['item_ids'], time_us,
                           rng)
        if recent:
            request['recent_events'] = recent
        state = fold_events(bundle, params, recent, stored)
        scores, user = rank_request(bundle, params, state, request)
        case = {'name': name, 'history': history, 'num_events': count,
                'request': request, 'user_vector': user.tolist(),
                'scores': scores.tolist()}
        if name == _STATE_CASE:
            case['state'] = {'z': [z.tolist() for z in stored.z],
                             'c': [c.tolist() for c in stored.c],
                             'window': [w.tolist() for w in stored.window]}
        if bundle.hyper.num_seeds and (history, count) not in summarized:
            summarized.add((history, count))
            case['summaries'] = reference.summarize(
                bundle.hyper, params, stored).tolist()
        written.append(case)
    return {'histories': histories, 'cases': written,
            'contents': [_content(bundle.hyper, params, texts, numbers)
                         for texts, numbers in _CONTENTS
                         if bundle.hyper.has_content]}


def _content(hyper, params, texts, numbers):
    """What is said of an item, and the row that is made of it."""
    embedding, bias = reference.content_row(
        hyper, params, *item_table.of_line(hyper, texts, numbers))
    return {'attributes': texts, 'numbers': numbers,
            'embedding': embedding.tolist(), 'bias': float(bias)}


def write_all(folder, seed=7):
    """Writes every configuration's folder; yields its name and case count."""
    folder = pathlib.Path(folder)
    for index, (name, (hyper, items)) in enumerate(configurations().items()):
        rng = np.random.default_rng([seed, index])
        bundle = random_bundle(name, hyper, items, rng)
        target = folder / name
        if target.exists():
            shutil.rmtree(target)
        export.write(bundle, target / 'bundle')
        with torch.no_grad():
            cases = golden_cases(bundle, rng)
        (target / 'cases.json').write_text(_dump(cases), encoding='utf-8')
        yield name, len(cases['cases'])


def _dump(said):
    """JSON with one line an event and one a case."""
    def lines(values):
        return ',\n'.join(json.dumps(value, separators=(',', ':'))
                          for value in values)
    histories = ',\n'.join(f'"{name}":[\n{lines(events)}]'
                           for name, events in said['histories'].items())
    contents = (f',\n"contents":[\n{lines(said["contents"])}]'
                if said['contents'] else '')
    return (f'{{"histories":{{\n{histories}}},\n'
            f'"cases":[\n{lines(said["cases"])}]{contents}}}\n')
