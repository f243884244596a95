"""Which parts of a page give measured figures without the commit they are of.

A part is what stands below a heading, or below a paragraph's bold opening, and
above the next. A figure is a number with a unit of measurement; figures that
are generated (pages.py) have their commits already. A commit is seven digits
and more of a hash, in `backticks` or after the word commit.
"""

import re

_GENERATED = re.compile(r'<!-- figures: begin -->.*?<!-- figures: end -->|'
                        r'<!-- figure .*?<!-- /figure -->', re.S)
_CODE = re.compile(r'^(?: {4}|\t).*$|`[^`\n]*`', re.M)
_HASH = re.compile(r'(?:`|\bcommits? )[0-9a-f]{7,40}\+?\b')
_UNIT = (r'(?:ms|µs|us|ns|s|minutes?|hours?|GFLOP/s|GOP/s|MB/s|GB/s|MB|GB|KB|'
         r'MiB|GiB|KiB|%|x|times|events a second|a second|executions?)')
_FIGURE = re.compile(r'(?<![\w.-])\d[\d,]*(?:\.\d+)?\s?' + _UNIT +
                     r'(?![\w/])|(?<![\w.])\d+(?:,\d{3})+(?!\w)')
_HEADING = re.compile(r'^(?:#{1,6} +(.+)|\*\*([^*\n]+?)\.?\*\*)', re.M)


def unattributed(text):
    """Titles of the parts that give figures and name no commit; '' is the title
    of what stands above the first heading."""
    text = _GENERATED.sub('', text)
    starts = [(0, '')] + [(match.start(), (match[1] or match[2]).strip())
                          for match in _HEADING.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    found = []
    for (start, title), end in zip(starts, ends):
        part = text[start:end]
        if _HASH.search(part):
            continue
        if _FIGURE.search(_CODE.sub('', part)):
            found.append(title)
    return found
