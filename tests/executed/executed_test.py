"""What was executed nowhere is told, and nothing else is."""

import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import executed  # noqa: E402


def run(date, ran, skipped, instructions=('avx2',)):
    return {'format': 1, 'date': date, 'commit': 'c0ffee', 'ran': ran,
            'skipped': skipped, 'machine': {
                'processor': 'P', 'instructions': list(instructions)}}


class ExecutedTest(unittest.TestCase):

    def test_what_another_machine_has_executed_is_not_told(self):
        here = executed.compact(run('2026-02', ['A.One'], {
            'no bf16': ['A.Two', 'Bf16.One'], 'not root': ['Disk.Full']}))
        there = executed.compact(run('2026-01', ['A.One', 'A.Two'], {
            'not root': ['Disk.Full']}))
        self.assertEqual(executed.executed_nowhere([here]),
                         {'no bf16': ['A.Two', 'Bf16.One'],
                          'not root': ['Disk.Full']})
        # Its suite Bf16 was not there yet.
        self.assertEqual(executed.executed_nowhere([here, there]),
                         {'no bf16': ['Bf16.One'], 'not root': ['Disk.Full']})
        later = executed.compact(run('2026-01', ['Bf16.One', 'Disk.Full',
                                                 'A.Two'], {}))
        self.assertEqual(executed.executed_nowhere([here, there, later]), {})

    def test_a_record_is_kept_for_each_set_of_instructions(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            proof = folder / 'proof.md'
            proof.write_text(f'a\n{executed.BEGIN}\n{executed.END}\nb\n')
            skips = {'no bf16': ['Bf16.One', 'Bf16.Two']}
            executed.record(run('2026-01', ['A.One'], {}), folder, proof)
            executed.record(run('2026-02', ['A.One'], skips), folder, proof)
            self.assertEqual(len(list(folder.glob('*.json'))), 1)
            self.assertIn('| `Bf16` | 2 | no bf16 |', proof.read_text())
            executed.record(run('2026-03', ['A.One', 'Bf16.One', 'Bf16.Two'],
                                {}, ['avx2', 'avx512_bf16']), folder, proof)
            self.assertEqual(len(list(folder.glob('*.json'))), 2)
            text = proof.read_text()
            self.assertIn('Every test was executed on one of them.', text)
            self.assertTrue(text.startswith('a\n') and text.endswith('\nb\n'))
            # An older machine that comes last does not undo it.
            executed.record(run('2026-04', ['A.One'], skips), folder, proof)
            self.assertIn('Every test was executed', proof.read_text())

    def test_ten_records_count(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for month in range(1, 13):
                (folder / f'{month}.json').write_text(json.dumps(
                    executed.compact(run(f'2026-{month:02}', ['A.B'], {}))))
            dates = [record['date'] for record in executed.load(folder)]
            self.assertEqual(dates, [f'2026-{month:02}'
                                     for month in range(12, 2, -1)])

    def test_a_run_that_proves_nothing_is_refused(self):
        with self.assertRaisesRegex(ValueError, 'nothing ran'):
            executed.compact(run('2026-01', [], {}))
        with self.assertRaisesRegex(ValueError, 'format 2'):
            executed.compact({**run('2026-01', ['A.B'], {}), 'format': 2})
        with self.assertRaisesRegex(ValueError, 'lacks the marks'):
            executed.with_page('', '')

    def test_the_page_has_a_place_for_it(self):
        executed.with_page(executed.PROOF.read_text(), '')


if __name__ == '__main__':
    unittest.main()
