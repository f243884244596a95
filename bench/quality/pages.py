"""Puts the results that are kept into the pages that show them.

A table stands between two comments, the first of which says which it is:

    <!-- quality NAME -->

    <!-- /quality -->
"""

import pathlib
import re

from bench.quality import attention
from bench.quality import samples
from bench.quality import store
from bench.quality import table
from bench.quality import tables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ('docs/quality.md', 'docs/kuairand.md', 'docs/attention.md',
         'docs/training.md')
_BLOCK = re.compile(r'<!-- quality ([\w-]+) -->.*?<!-- /quality -->', re.S)
_MAKERS = {**attention.MAKERS, **samples.MAKERS}
NAMES = (*tables.TABLES, *_MAKERS)


def made(name, results=store.RESULTS):
    """The Markdown of a table of NAMES."""
    if name in _MAKERS:
        return _MAKERS[name](results)
    return table.markdown(tables.TABLES[name], results)


def filled(text, results=store.RESULTS):
    """A page with all of its tables as the results have them.

    Raises ValueError for a table that there is not.
    """
    def replacement(match):
        name = match[1]
        if name not in NAMES:
            raise ValueError(f'no table is called {name!r}')
        return (f'<!-- quality {name} -->\n\n{made(name, results)}\n\n'
                '<!-- /quality -->')
    return _BLOCK.sub(replacement, text)


def shown(text):
    """The names of a page's tables."""
    return _BLOCK.findall(text)


def stale(root=ROOT, results=store.RESULTS):
    """{path: what the page should be} of those that are something else."""
    found = {}
    for name in PAGES:
        path = root / name
        text = path.read_text(encoding='utf-8')
        try:
            new = filled(text, results)
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from error
        if new != text:
            found[path] = new
    return found


def fill(root=ROOT, results=store.RESULTS):
    """Writes the pages that change; their paths."""
    changed = stale(root, results)
    for path, text in changed.items():
        path.write_text(text, encoding='utf-8')
    return list(changed)
