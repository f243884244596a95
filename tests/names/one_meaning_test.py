"""A name has one meaning: no two types of one namespace have the same.

Two of them that are linked into one program are one to the linker, which keeps
the functions of either and calls them for both. No compiler says so.
"""

import collections
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ('bench', 'cli', 'config', 'model', 'sanitizers', 'server',
           'state_store', 'tests')
OPENS = re.compile(r'(?:inline )?namespace(?: ([\w:]+))? \{$')
TYPE = re.compile(r'(?:struct|class|enum class|enum) (\w+)\b(?!::)[^;]*$')


def types(text):
    """(namespace, name) of each type that is defined outside of others and of
    namespaces without a name."""
    found, stack = [], []
    for line in text.splitlines():
        opens = OPENS.match(line)
        if opens:
            stack.append(opens.group(1))
        elif line.startswith('}  // namespace'):
            stack.pop()
        elif None not in stack:
            defined = TYPE.match(line)
            if defined:
                found.append(('::'.join(stack), defined.group(1)))
    return found


class OneMeaningTest(unittest.TestCase):
    maxDiff = None

    def test_of_every_type(self):
        files = collections.defaultdict(set)
        for folder in FOLDERS:
            for path in sorted((ROOT / folder).rglob('*')):
                if path.suffix not in ('.h', '.cc'):
                    continue
                for name in types(path.read_text(encoding='utf-8')):
                    files[name].add(str(path.relative_to(ROOT)))
        self.assertGreater(len(files), 200)
        self.assertEqual({'::'.join(name): sorted(where)
                          for name, where in files.items()
                          if len(where) > 1}, {})

    def test_sees_what_it_is_for(self):
        text = ('namespace a::b {\nclass Ahead;\nstruct One {\n  struct In {};\n'
                '};\nnamespace {\nstruct Mine {\n};\n}  // namespace\n'
                'class Two final : public One {\n};\n}  // namespace a::b\n')
        self.assertEqual(types(text), [('a::b', 'One'), ('a::b', 'Two')])


if __name__ == '__main__':
    unittest.main()
