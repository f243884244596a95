"""Features of events, candidates and requests count in what is served, as the
trainer's reference says.

Whole evaluations with features are in test_parity.py; here scores are held to
the reference in float64, and blank features to be told apart from given ones.
"""

import json
import pathlib

import grpc
import pytest
from google.protobuf import json_format

from bench import local_server
from bench.caller import Caller

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / 'golden'
CASES = ('five_with_recent', 'forty')
# As many of a case's candidates over and over as fill more than one tile.
REPEATS = 12
# Between the reference in float64 and what is served in float32.
TOLERANCE = 1e-4


def _time(time_us):
    seconds, us = divmod(time_us, 1_000_000)
    return json_format.MessageToDict(_timestamp(seconds, 1000 * us))


def _timestamp(seconds, nanos):
    from google.protobuf import timestamp_pb2
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def _event(event, blank=False):
    features = event.get('features', [])
    return {'item_id': event['item_id'], 'action': event['action'],
            'time': _time(event['time_us']),
            'features': [0] * len(features) if blank else features}


class Served:
    """A golden model on a real server."""

    def __init__(self, call, content):
        self._call, self._histories = call, content['histories']

    def append(self, user, case, blank=False):
        events = self._histories[case['history']][:case['num_events']]
        reply = self._call('IngestService', 'AppendEvents', {
            'source': 'test', 'events': [
                {'user_id': user, 'sequence': 1 + i,
                 'event': _event(event, blank)}
                for i, event in enumerate(events)]})
        assert reply.applied == len(events)

    def scores(self, user, case, blank=()):
        """[candidate][task]; blank: of 'context', 'candidates', 'recent'."""
        asked = case['request']
        features = sum(REPEATS * asked.get('candidate_features', []), [])
        request = {
            'user_id': user, 'item_ids': REPEATS * asked['item_ids'],
            'request_time': _time(asked['time_us']),
            'min_event_count': case['num_events'],
            'context': {} if 'context' in blank else asked.get('context', {}),
            'candidate_features': [0] * len(features)
                                  if 'candidates' in blank else features,
            'recent_events': [_event(event, 'recent' in blank)
                              for event in asked.get('recent_events', [])]}
        flat = list(self._call('RankService', 'Rank', request).scores)
        tasks = len(case['scores'][0])
        return [flat[first:first + tasks]
                for first in range(0, len(flat), tasks)]


def _difference(found, wanted):
    return max(abs(one - other) for row, wanted_row in zip(found, wanted)
               for one, other in zip(row, wanted_row))


@pytest.mark.parametrize('name', ['all_l4_decay_conv_everything',
                                  'block_l1_silu_features'])
def test_every_feature_counts_as_in_the_reference(name, programs, tmp_path):
    content = json.loads((GOLDEN / name / 'cases.json').read_text())
    cases = {case['name']: case for case in content['cases']}
    with local_server.LocalServer(programs, GOLDEN / name / 'bundle', name, 1,
                                  tmp_path) as server, \
            grpc.insecure_channel(server.address) as channel:
        served = Served(Caller(channel), content)
        changed = set()
        for case in map(cases.get, CASES):
            served.append(case['name'], case)
            served.append(case['name'] + ' blank', case, blank=True)
            found = served.scores(case['name'], case)
            wanted = REPEATS * case['scores']
            assert len(found) == len(wanted)
            assert _difference(found, wanted) < TOLERANCE
            # And nothing of it would be so without any of the features.
            blanked = {what: served.scores(case['name'], case, (what,))
                       for what in ('context', 'candidates', 'recent')}
            blanked['events'] = served.scores(case['name'] + ' blank', case)
            changed |= {what for what, scores in blanked.items()
                        if _difference(scores, found) > 100 * TOLERANCE}
        assert changed == {'context', 'candidates', 'recent', 'events'}
