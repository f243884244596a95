"""What ./run mutate rests on; and that every line it breaks is there."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import mutate  # noqa: E402


def mutation(**changes):
    return mutate.Mutation(**{
        'name': 'a', 'breaks': '1', 'file': 'code.cc', 'find': 'x < y',
        'replace': 'x > y', 'tests': ['some_test'], **changes})


class MutateTest(unittest.TestCase):

    def test_every_line_of_the_list_is_there_once(self):
        mutations = mutate.read_lists(path.read_text()
                                      for path in mutate.LISTS)
        self.assertGreaterEqual(len(mutations), 20)
        mutate.check(mutations)

    def test_a_line_that_is_gone_or_there_twice_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for text, count in (('x <= y', 0), ('x < y; x < y', 2)):
                (root / 'code.cc').write_text(text)
                with self.assertRaisesRegex(mutate.BadList, f'{count} times'):
                    mutate.check([mutation()], root)
            with self.assertRaisesRegex(mutate.BadList, 'there is no gone.cc'):
                mutate.check([mutation(file='gone.cc')], root)
            (root / 'code.cc').write_text('if (x < y)')
            mutate.check([mutation()], root)
            self.assertEqual(mutation().applied_to('if (x < y)'), 'if (x > y)')

    def test_a_list_that_proves_nothing_is_refused(self):
        entry = ('title = "t"\n[[mutation]]\nname = "a"\nbreaks = "1"\nfile = "f"\n'
                 'find = "x"\nreplace = "{}"\ntests = [{}]\n')
        self.assertEqual(len(mutate.read_lists([entry.format('y', '"t"')])), 1)
        good = entry.format('y', '"t"')
        for texts, problem in (
                ([entry.format('x', '"t"')], 'replaces nothing'),
                ([entry.format('y', '')], 'names no test'),
                ([good, good], 'two of this')):
            with self.assertRaisesRegex(mutate.BadList, problem):
                mutate.read_lists(texts)

    def test_the_first_test_that_fails_is_named(self):
        output = ('[  FAILED  ] A/StoreTest.Counts/RocksDb, where GetParam() = '
                  '1 (3 ms)\n[  FAILED  ] B.C (1 ms)\n')
        self.assertEqual(mutate.first_failure(output),
                         'A/StoreTest.Counts/RocksDb')
        self.assertIsNone(mutate.first_failure('[       OK ] B.C (1 ms)'))
        self.assertEqual(
            mutate.first_failure('FAILED tests/a/test_b.py::test_c[d] - E: f'),
            'test_b.py::test_c')
        self.assertEqual(
            mutate.first_failure('7: ERROR: test_b (__main__.C.test_b)'),
            'test_b')

    def test_what_is_built_is_what_the_tests_need(self):
        self.assertEqual(mutate.programs([mutation(tests=[
            'b_test', 'a_test --gtest_filter=A*', 'pytest tests/a.py'])]),
            ['a_test', 'b_test'])
        self.assertEqual(mutate.programs([mutation(tests=['ctest c_test'])]),
                         ['qlarank', 'qlarank_server'])

    def test_the_table_stands_between_its_marks(self):
        results = [(mutation(title='A list'), mutate.Outcome('B.C', 12.3)),
                   (mutation(name='b', title='C'), mutate.Outcome('', 1)),
                   (mutation(name='c', title='C'),
                    mutate.Outcome('', 1, 'cannot be built'))]
        content = mutate.table(results)
        self.assertTrue(content.startswith('**A list**\n\n| line |'))
        self.assertIn('\n\n**C**\n\n| line |', content)
        self.assertIn('| `code.cc`, a | 1 | `B.C` | 12 s |', content)
        self.assertIn('**nothing**', content)
        # A line that does not compile is no line that no test notices.
        self.assertIn(', c | 1 | **cannot be tried** |', content)
        page = f'before\n{mutate.BEGIN}\nOLD TABLE\n{mutate.END}\nafter\n'
        page = mutate.with_table(page, 'made', content)
        self.assertIn(f'made\n\n{content}', page)
        self.assertNotIn('OLD TABLE', page)
        self.assertTrue(page.startswith('before\n'))
        self.assertTrue(page.endswith('\nafter\n'))
        self.assertEqual(mutate.with_table(page, 'made', content), page)
        with self.assertRaisesRegex(mutate.BadList, 'lacks the marks'):
            mutate.with_table('no marks', '', '')


if __name__ == '__main__':
    unittest.main()
