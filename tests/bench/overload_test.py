"""The verdicts of ./run bench overload and ./run soak follow from what was
seen."""

import argparse
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.load import ordinary_clients  # noqa: E402
from bench.performance import overload  # noqa: E402
from bench.soak import __main__ as soak  # noqa: E402
from bench.soak import gates  # noqa: E402

Request = overload.Request


class OverloadTest(unittest.TestCase):

    def test_a_timeline_is_read_in_the_order_of_sending(self):
        with tempfile.NamedTemporaryFile('w', suffix='.csv') as file:
            file.write('a,2.5,10.0,0\na,1.5,3.25,8\n')
            file.flush()
            self.assertEqual(overload.read(file.name), [
                Request(1.5, 3.25, 8), Request(2.5, 10.0, 0)])

    def test_an_answer_counts_only_by_its_deadline(self):
        late = overload.DEADLINE_MS + 1
        requests = [Request(0, 5, overload.OK), Request(0, late, overload.OK),
                    Request(0, 5, overload.DEADLINE_EXCEEDED),
                    Request(0, 5, overload.RESOURCE_EXHAUSTED)]
        self.assertEqual(overload.answered(requests), requests[:1])
        # What was refused was not admitted.
        self.assertAlmostEqual(overload.admitted_in_time(requests), 1 / 3)
        self.assertIsNone(overload.admitted_in_time(requests[3:]))

    def test_recovery_lasts_until_a_second_is_good(self):
        probe = [Request(9.9, 5, overload.RESOURCE_EXHAUSTED),
                 Request(10.1, 5, overload.RESOURCE_EXHAUSTED),
                 Request(10.2, 5, overload.OK),
                 Request(10.3, 999, overload.OK),
                 Request(10.4, 5, overload.OK), Request(11.5, 5, overload.OK),
                 Request(13, 5, overload.DEADLINE_EXCEEDED)]
        self.assertAlmostEqual(overload.recovery_seconds(probe, 10), .3)
        self.assertIsNone(overload.recovery_seconds(probe[:2], 10))
        good = [Request(10 + t / 10, 5, overload.OK) for t in range(20)]
        self.assertEqual(overload.recovery_seconds(good, 10), 0)

    def test_refusals_are_timed_and_seconds_counted(self):
        flows = {'a': [Request(1, 2.0, overload.RESOURCE_EXHAUSTED),
                       Request(1.5, 4.0, overload.RESOURCE_EXHAUSTED),
                       Request(2.5, 9.0, overload.OK)]}
        self.assertEqual(overload.refusals(flows['a']),
                         {'p50': 2.0, 'p99': 4.0})
        self.assertEqual(overload.refusals([]), {'p50': None, 'p99': None})
        self.assertEqual(overload.per_second(flows, 1, 3), {
            'a': {'answered': [0, 1], 'refused': [2, 0]}})

    def test_a_server_that_misses_is_said_to(self):
        """Half of the capacity in time, a probe that fails for 2 s."""
        flood = [Request(t / 100, 5, overload.OK if t % 10 == 0 else
                         overload.RESOURCE_EXHAUSTED) for t in range(1000)]
        probe = [Request(t / 2, 5, overload.RESOURCE_EXHAUSTED)
                 for t in range(24)] + [Request(12 + t / 2, 5, overload.OK)
                                        for t in range(5)]
        found = {figure.name: figure for figure in overload._figures(
            {'flood': flood, 'probe': probe, 'neighbour': flood[::10]},
            0, 9.99, capacity=8, after=30, clients=.2,
            late_ms={'p50': 1, 'p99': 4}, most=200)}
        self.assertIs(found['goodput over capacity'].met, False)
        self.assertIs(found['recovery after the end of the load'].met, False)
        self.assertIs(found['admitted, answered by their deadline'].met, True)
        self.assertIs(found['resident, the most'].met, True)


class OrdinaryClientsTest(unittest.TestCase):

    def run_(self, ok, refused=0, **others):
        return ordinary_clients.Run(
            {'OK': ok, 'RESOURCE_EXHAUSTED': refused, **others}, 10, 5.0, 9.0)

    def test_goodput_is_held_to_that_of_few_connections(self):
        runs = {(16, 1000): self.run_(4000), (64, 300): self.run_(3200, 900),
                (64, 1000): self.run_(4100), (256, 300): self.run_(3190, 9000),
                (256, 1000): self.run_(3300, INTERNAL=2)}
        base, *found = overload.ordinary_figures('ghz', runs)
        self.assertEqual((base.value, base.met), (400, None))
        self.assertEqual([figure.met for figure in found],
                         [True, True, False, True])
        self.assertIn('320 in time a second, 90 refused', found[0].note)
        self.assertIn('INTERNAL', found[3].note)

    def test_a_client_that_is_missing_is_no_success(self):
        for figure in overload.ordinary_figures('ghz', {}, 'no Go'):
            self.assertIsNone(figure.value)
            self.assertEqual(figure.note, 'no Go')
            self.assertIsNot(figure.met, True)

    def test_nothing_answered_is_no_success(self):
        runs = {key: self.run_(0) for key in overload._ordinary_runs()}
        for figure in overload.ordinary_figures('ghz', runs)[1:]:
            self.assertIs(figure.met, False)

    def test_ghz_reports_are_read(self):
        run = ordinary_clients.ghz_run({
            'total': 2e9, 'statusCodeDistribution': {
                'OK': 10, 'ResourceExhausted': 4, 'DeadlineExceeded': 1,
                'Unavailable': 3},
            'latencyDistribution': [{'percentage': 50, 'latency': 4e6},
                                    {'percentage': 99, 'latency': 8e6}]})
        self.assertEqual((run.goodput, run.refused), (5, 2))
        self.assertEqual((run.ok_p50_ms, run.ok_p99_ms), (4, 8))
        self.assertEqual(run.others(), {'UNAVAILABLE': 3})
        nothing = ordinary_clients.ghz_run({
            'total': 1e9, 'statusCodeDistribution': {},
            'latencyDistribution': None})
        self.assertEqual((nothing.goodput, nothing.ok_p50_ms), (0, None))

    def test_a_request_is_what_the_schema_says(self):
        self.assertEqual(ordinary_clients.rank_request('u', [1, 258]),
                         b'\x0a\x01u\x12\x10\x01' + bytes(7) +
                         b'\x02\x01' + bytes(6))
        # A length of two bytes.
        self.assertEqual(ordinary_clients.rank_request('', [0] * 1000)[:5],
                         b'\x0a\x00\x12\xc0\x3e')

    def test_shares_are_of_the_rounds(self):
        rounds = [{'alone': 100, 'beside': 30}, {'alone': 100, 'beside': 50},
                  {'alone': 200, 'beside': 90}]
        _, share = overload._beside_figures([.3, .5, .45], rounds)
        self.assertEqual((share.value, share.met), (.45, True))
        self.assertIs(overload._beside_figures([.05] * 3, rounds)[1].met, False)


def soaked(resident=lambda t: 100 << 20, files=lambda t: 50,
           p99=lambda i: 10.0, errors=None, **other):
    return {'exit_code': 0, 'log_errors': 0,
            'samples': [(t, resident(t), files(t)) for t in range(600)],
            'slices': [{'completed': 10, 'events': 20, 'p50': 5, 'p99': p99(i),
                        'errors': (errors or {}) if i == 3 else {}}
                       for i in range(12)], **other}


class SoakTest(unittest.TestCase):

    def missed(self, data):
        return [figure.name for figure in gates.judge(data)
                if figure.met is False]

    def test_a_steady_server_passes(self):
        self.assertEqual(self.missed(soaked()), [])

    def test_what_only_the_beginning_or_a_neighbour_did_is_no_drift(self):
        warm_up = soaked(resident=lambda t: min(100, 10 + t) << 20)
        self.assertEqual(self.missed(warm_up), [])
        peaks = soaked(resident=lambda t: (150 if t % 50 == 0 else 100) << 20,
                       p99=lambda i: 500 if i in (6, 11) else 10)
        self.assertEqual(self.missed(peaks), [])

    def test_each_gate_stops_what_it_is_for(self):
        for name, data in (
                ('resident, growth of the trend',
                 soaked(resident=lambda t: (100 << 20) + 40_000 * t)),
                ('open files, the most of the last third',
                 soaked(files=lambda t: 50 + t // 10)),
                ('p99, last third over first', soaked(p99=lambda i: 10 + 2 * i)),
                ('errors', soaked(errors={'14: gone': 1})),
                ('errors in the log', soaked(log_errors=1)),
                ('exit code after SIGTERM', soaked(exit_code=1))):
            with self.subTest(name):
                self.assertEqual(self.missed(data), [name])
                said = soak.verdict(gates.judge(data))
                self.assertIn(f'not: soak: {name}', said)
                self.assertIn('NOT met', said)

    def test_the_terminal_is_told_every_gate(self):
        judged = gates.judge(soaked())
        said = soak.verdict(judged)
        for figure in judged:
            self.assertIn(figure.name, said)
        self.assertNotIn('NOT', said)

    def test_a_length_is_minutes(self):
        self.assertEqual(soak.minutes('30m'), 30)
        self.assertEqual(soak.minutes('.5m'), .5)
        for text in ('30', 'm', '-1m', '0m', 'infm', 'nanm', '3h'):
            with self.subTest(text), \
                    self.assertRaises(argparse.ArgumentTypeError):
                soak.minutes(text)


if __name__ == '__main__':
    unittest.main()
