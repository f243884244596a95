"""The golden requests of a bundle: golden.textproto.

docs/model.md, section 13. A few made-up users and what the reference, event by
event in float64, says of candidates: an engine answers the same before it
serves the bundle. Everything is drawn from the bundle's fingerprint by SHA-256,
so the same tensors give the same file; and only the rows that are drawn are
looked at, whatever the number of items.
"""

import hashlib

import numpy as np
import torch
from google.protobuf import text_format

from trainer import contexts
from trainer import reference
from trainer import spec_schema as pb
from trainer import tensors as tensors_lib

FILE = 'golden.textproto'
_HEADER = ('# proto-file: proto/qlarank/model/v1/golden_requests.proto\n'
           '# proto-message: qlarank.model.v1.GoldenRequests\n')

NUM_EVENTS = (0, 1, 5, 40)
NUM_CANDIDATES = 16
# Of the items that a user had, so that an item memory has something to say.
_OF_THE_USER = 6
_SECOND = 1_000_000
_START_US = 1_700_000_000 * _SECOND
# As model/golden_replay.cc: what the root mean square of an engine's
# differences may be in float32, of the scores' standard deviation and of the
# greatest of them. PyTorch's sums round less than an engine's, so it has to do with less.
OF_SPREAD, OF_SIZE = 1e-4, 1e-5
_SHARE_OF_PYTORCH = .1


class TooRough(ValueError):
    """Scores in float32 are not close enough to those in float64."""


def make(hyper, tensors, fingerprint):
    """A GoldenRequests message.

    tensors: {name: float32 array} of a bundle, item_ids among them. Raises
    ValueError for a model whose scores are not finite, which no engine would
    serve, and TooRough for one that amplifies what float32 rounds: an engine
    may be right and yet not be known by its scores.
    """
    message = pb.GoldenRequests(fingerprint=fingerprint,
                                tasks=[task.name for task in hyper.tasks])
    draws = _Draws(fingerprint)
    for count in NUM_EVENTS:
        _add_case(message, hyper, tensors['item_ids'], count, draws)
    items = _Items(hyper, tensors, message)
    exact = _scores(hyper, items, message, torch.float64)
    _check(exact, _scores(hyper, items, message, torch.float32))
    for case, scores in zip(message.cases, exact):
        for candidate, of_tasks in zip(case.candidates, scores.tolist()):
            # Digits that do not depend on a library's order of summation.
            candidate.scores.extend(float(f'{score:.9g}')
                                    for score in of_tasks)
    return message


def text(message):
    """golden.textproto, an event or a candidate a line."""
    top = pb.GoldenRequests(fingerprint=message.fingerprint,
                            tasks=message.tasks)
    lines = [_HEADER, text_format.MessageToString(top)]
    for case in message.cases:
        lines.append(f'cases {{\n  name: "{case.name}"\n'
                     f'  time_us: {case.time_us}\n')
        for field in ('events', 'context', 'candidates'):
            for entry in getattr(case, field):
                line = text_format.MessageToString(
                    entry, as_one_line=True,
                    use_short_repeated_primitives=True)
                lines.append(f'  {field} {{ {line.strip()} }}\n')
        lines.append('}\n')
    return ''.join(lines)


def parse(content, path):
    """The inverse of text; raises ValueError naming the file."""
    try:
        return text_format.Parse(content, pb.GoldenRequests())
    except text_format.ParseError as error:
        raise ValueError(f'{path}: {error}') from error


class _Draws:
    """Whole numbers drawn from a text, the same ones everywhere."""

    def __init__(self, seed):
        self._seed, self._drawn = seed, 0

    def below(self, limit):
        self._drawn += 1
        digest = hashlib.sha256(f'{self._seed} {self._drawn}'.encode())
        return int.from_bytes(digest.digest()[:8], 'little') % limit

    def one_of(self, values):
        return values[self.below(len(values))]

    def features(self, names):
        """Multiples of 1/64: float32 has them, and few digits."""
        return [self.below(257) / 64 - 2 for _ in names]


def _add_case(message, hyper, ids, count, draws):
    unknown = _unknown(ids)
    # Few different items: a history repeats some.
    pool = [int(draws.one_of(ids)) if len(ids) else unknown
            for _ in range(max(3, count // 3))]
    name = f'{count} event' + 's' * (count != 1)
    case = message.cases.add(name=name, time_us=_START_US)
    for index in range(count):
        item = unknown if index == 2 else draws.one_of(pool)
        case.events.add(item_id=item, action=draws.one_of(hyper.actions),
                        time_us=case.time_us,
                        features=draws.features(
                            hyper.event_feature_names))
        case.time_us += _gap_us(draws)
    for feature in hyper.context_features:
        value = _context(feature, draws)
        if value is not None:
            case.context.add(feature=feature.name, value=value)
    items = [draws.one_of(pool) if index < _OF_THE_USER or not len(ids)
             else int(draws.one_of(ids))
             for index in range(NUM_CANDIDATES - 1)]
    items.insert(draws.below(NUM_CANDIDATES), unknown)
    for item in items:
        case.candidates.add(item_id=item, features=draws.features(
            hyper.candidate_feature_names))


def _gap_us(draws):
    """None, or seconds to weeks, each order of magnitude as often."""
    if draws.below(4) == 0:
        return 0
    return draws.below(2 ** (1 + draws.below(21)) * _SECOND)


def _context(feature, draws):
    """A value, one that the model does not know, or None: left out."""
    kind = draws.below(8)
    if kind < 2:
        return ('never seen', None)[kind]
    if feature.boundaries:
        return repr(float(draws.one_of(feature.boundaries)))
    return draws.one_of(feature.values) if feature.values else None


def _unknown(ids):
    """An id that the catalogue does not have."""
    item = 2 ** 60 + 1
    while (ids == np.uint64(item)).any():
        item += 1
    return item


class _Items:
    """A catalogue of those items alone that the requests name, in the order of
    the whole one's."""

    def __init__(self, hyper, tensors, message):
        named = {event.item_id for case in message.cases
                 for event in case.events}
        named |= {candidate.item_id for case in message.cases
                  for candidate in case.candidates}
        ids = tensors['item_ids']
        at = np.flatnonzero(np.isin(ids, np.array(sorted(named), np.uint64)))
        self._rows = {int(ids[place]): row + 1 for row, place in enumerate(at)}
        kept = np.concatenate([[0], at + 1])
        specs = tensors_lib.tensor_specs(hyper, len(ids))
        self._arrays = {
            name: tensors[name][kept] if spec.in_items else tensors[name]
            for name, spec in specs.items()}

    def params(self, dtype):
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(dtype)
                for name, array in self._arrays.items()}

    def row(self, item):
        return self._rows.get(item, 0)


def _scores(hyper, items, message, dtype):
    """Scores [C, T], float64, of each case, computed in `dtype`."""
    params = items.params(dtype)
    with torch.no_grad():
        return [_case_scores(hyper, params, items, case, dtype)
                for case in message.cases]


def _case_scores(hyper, params, items, case, dtype):
    state = reference.empty_state(hyper, dtype)
    for event in case.events:
        state = reference.append(hyper, params, state, reference.Event(
            row=items.row(event.item_id),
            action=hyper.actions.index(event.action), time_us=event.time_us,
            features=tuple(event.features)))
    said = {context.feature: context.value for context in case.context}
    rows = {feature.name: int(contexts.rows(feature,
                                            [said.get(feature.name, '')])[0])
            for feature in hyper.context_features}
    features = torch.tensor([list(candidate.features)
                             for candidate in case.candidates], dtype=dtype)
    scores, _ = reference.rank(
        hyper, params, state, case.time_us,
        torch.tensor([items.row(candidate.item_id)
                      for candidate in case.candidates]), rows,
        features if hyper.candidate_features else None)
    return scores.to(torch.float64)


def share_of_bound(exact, found):
    """How far scores [., T] are off, as a share of what an engine may be."""
    bound = (OF_SPREAD * exact.std(0, unbiased=False) +
             OF_SIZE * exact.abs().amax(0).clamp_min(1))
    return ((found - exact).square().mean(0).sqrt() / bound).amax().item()


def _check(exact, rounded):
    exact, rounded = torch.cat(exact), torch.cat(rounded)
    if not exact.isfinite().all() or not rounded.isfinite().all():
        raise ValueError('golden requests: the model gives scores that are '
                         'not finite')
    share = share_of_bound(exact, rounded)
    if share > _SHARE_OF_PYTORCH:
        raise TooRough(
            f'golden requests: in float32 the scores are {share:.2g} times as '
            'far from those in float64 as an engine\'s may be, and at most '
            f'{_SHARE_OF_PYTORCH} times is enough to tell a good engine from a '
            'bad one: the model\'s values are large, or cancel')
