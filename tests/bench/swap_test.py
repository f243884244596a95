"""The verdicts of ./run bench swap and migration follow from what was seen."""

import json
import pathlib
import sys
import time
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.performance import migration, swap  # noqa: E402
from bench.performance.replies import Replies  # noqa: E402

Look = migration.Look


class FakeServer:
    """Answers the command line with what it was given, one after the other."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def cli(self, *arguments, check=True):
        reply = self.replies.pop(0)
        if isinstance(reply, str):
            return types.SimpleNamespace(returncode=1, stdout='', stderr=reply)
        return types.SimpleNamespace(returncode=0, stdout=json.dumps(reply),
                                     stderr='')


class SwapTest(unittest.TestCase):

    def judged(self, ratios, errors=0, window='switch'):
        """Of rounds whose window has so many times the p99 of the first."""
        rounds = []
        for ratio in ratios:
            found = {w.name: {'p50': 10, 'p99': 20, 'errors': 0,
                              'completed': 500, 'act_seconds': .3}
                     for w in swap.WINDOWS}
            found[window]['p99'] *= ratio
            rounds.append(found)
        rounds[-1]['unload']['errors'] = errors
        found = swap.judge({'saturation': 100, 'rounds': rounds})
        return {figure.name: figure for figure in found}

    def test_the_median_round_is_held_to_the_target(self):
        name = "switch: p99 over nothing's"
        self.assertIs(self.judged([1.2, 1, 1.3, 1.09, 1])[name].met, True)
        missed = self.judged([1.2, 1, 1.3, 1.11, 1])[name]
        self.assertIs(missed.met, False)
        self.assertIn('1.20, 1.00, 1.30, 1.11, 1.00', missed.note)

    def test_a_window_in_which_nothing_is_done_is_not_judged(self):
        found = self.judged([3], window=swap.AGAIN)
        self.assertIsNone(found["nothing again: p99 over nothing's"].met)
        self.assertIs(found["load: p99 over nothing's"].met, True)

    def test_one_error_is_too_many(self):
        self.assertIs(self.judged([1], errors=1)['errors'].met, False)
        self.assertIs(self.judged([1])['errors'].met, True)

    def test_a_migration_is_waited_for(self):
        folding, done = ({'migration': {'phase': phase}}
                         for phase in ('folding', 'done'))
        server = FakeServer(folding, done)
        self.assertEqual(swap.wait_for_migration(server, 'a/2'),
                         done['migration'])
        self.assertIsNone(swap.wait_for_migration(
            FakeServer('qlarank: NOT_FOUND: model_version: 2'), 'a/2'))
        for broken in ({'migration': {'phase': 'failed'}},
                       'qlarank: UNAVAILABLE: nobody there'):
            with self.subTest(broken), self.assertRaises(RuntimeError):
                swap.wait_for_migration(FakeServer(broken), 'a/2')


class MigrationTest(unittest.TestCase):

    def judged(self, **changes):
        looks = [(1, 0, 0, 0), (23, 0, 0, 0),
                 (25, .2, 200_000, changes.pop('left', 95)),
                 (120, 1, 1_000_000, 0)]
        found = migration.judge({
            'model': 'grocery', 'users': 10_000, 'events': 1_000_000,
            'before': {'p50': 9, 'p99': 10, 'errors': 0},
            'during': {'p50': 9, 'p99': 11, 'errors': 0},
            'looks': looks, 'again': 450_000, 'after_kill': 9,
            'compared': {2: {'different': 0, 'missing': 0, 'same': 9}},
            'replies': {'different': 0, 'same': 9, 'by_version': {'1': 9}},
            'rebuild_per_core': 18_000, **changes})
        return {figure.name: figure for figure in found}

    def test_the_rate_is_held_to_the_share_of_a_rebuild(self):
        name = 'over the rate of --rebuild_states times its share'
        # 8,333 events a second.
        self.assertIs(self.judged()[name].met, True)
        self.assertIs(self.judged(rebuild_per_core=19_000)[name].met, False)

    def test_the_time_left_is_held_to_the_time_taken(self):
        name = 'time said to be needed over time taken'
        self.assertIs(self.judged(left=118)[name].met, True)
        self.assertIs(self.judged(left=120)[name].met, False)
        self.assertIs(self.judged(left=70)[name].met, False)

    def test_the_time_left_is_judged_after_a_minute_or_a_fifth(self):
        for took, due in ((600, 61), (10, 2)):
            looks = [Look(seconds, 0, 0, 0) for seconds in
                     (1, 2, 3, 10, 59, 61, 600) if seconds <= took]
            self.assertEqual(migration.eta_look(looks).seconds, due)

    def test_one_state_that_differs_or_is_missing_is_too_many(self):
        name = 'states that differ from a fold of the log'
        self.assertIs(self.judged()[name].met, True)
        for kind in ('different', 'missing'):
            report = {'different': 0, 'missing': 0, 'same': 9, kind: 1}
            found = self.judged(compared={2: report})
            self.assertIs(found[name].met, False, kind)

    def test_one_reply_that_differs_is_too_many(self):
        found = self.judged(replies={'different': 1, 'same': 9,
                                     'by_version': {'1': 4, '3': 6}})
        figure = found["replies that differ from their version's afterwards"]
        self.assertIs(figure.met, False)
        self.assertIn('4 by version 1, 6 by version 3', figure.note)


class RankingServer:
    """Gives each user and version a score; `version` who names none."""

    def __init__(self, version, score=.5):
        self.version = version
        self.score = score

    def cli_json(self, *arguments):
        if self.score is None:
            raise RuntimeError('nobody there')
        version = self.version
        if '--model-version' in arguments:
            version = arguments[arguments.index('--model-version') + 1]
        return {'version': version, 'state': {'folded_sequence': 100},
                'items': [{'item_id': '1', 'scores': {'buy': self.score}}]}


class RepliesTest(unittest.TestCase):

    def asked(self):
        replies = Replies('a', users=9, time=5)
        with replies.asked(RankingServer(1), (0, 3)):
            time.sleep(.3)
        return replies

    def test_each_is_held_to_the_version_that_it_names(self):
        replies = self.asked()
        # Who names none gets another version by now.
        replies.ask_again(RankingServer(3))
        counts = replies.counts()
        self.assertEqual(counts['different'], 0)
        self.assertGreater(counts['same'], 0)
        self.assertEqual(set(counts['by_version']), {'1', '3'})

    def test_a_bit_is_a_difference(self):
        replies = self.asked()
        replies.ask_again(RankingServer(1, .5000000000000001))
        self.assertEqual(replies.counts()['same'], 0)
        self.assertGreater(replies.counts()['different'], 0)

    def test_a_request_that_fails_is_told(self):
        replies = Replies('a', users=9, time=5)
        with self.assertRaisesRegex(RuntimeError, 'nobody there'):
            with replies.asked(RankingServer(1, None), (0,)):
                time.sleep(.3)


if __name__ == '__main__':
    unittest.main()
