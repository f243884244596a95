"""Puts the results of the race into docs/attention.md, and draws its images.

A table stands between two comments, the first of which says which it is, with
a line below it that says of what run it is:

    <!-- race NAME -->

    <!-- /race -->
"""

import pathlib
import re

from bench.attention import report
from bench.attention import store

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = 'docs/attention.md'
IMAGES = 'docs/images'
_BLOCK = re.compile(r'<!-- race ([\w-]+) -->.*?<!-- /race -->', re.S)


def filled(text, race):
    """The page with all of its tables as the race has them.

    Raises ValueError for a table that there is not.
    """
    def replacement(match):
        name = match[1]
        if name not in report.TABLES:
            raise ValueError(f'no table of the race is called {name!r}')
        return (f'<!-- race {name} -->\n\n{report.TABLES[name](race)}\n\n'
                f'<sub>{report.origin(race.run)}</sub>\n\n<!-- /race -->')
    return _BLOCK.sub(replacement, text)


def shown(text):
    """The names of a page's tables."""
    return _BLOCK.findall(text)


def fill(root=ROOT, results=store.RESULTS):
    """Writes the page and its images; their paths."""
    from bench.attention import plot  # which not every machine can draw
    race = store.read(results)
    page = root / PAGE
    page.write_text(filled(page.read_text(encoding='utf-8'), race),
                    encoding='utf-8')
    return [page, *plot.draw(race, root / IMAGES)]
