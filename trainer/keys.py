"""Items that are texts: a text's id is its XXH64, as to a server (docs/api.md).
"""

import numpy as np


def ids(texts):
    """Ids [N], uint64, of a list of texts."""
    import xxhash
    return np.fromiter((xxhash.xxh64_intdigest(text.encode())
                        for text in texts), np.uint64, len(texts))


class Keys:
    """Which text an id stands for, collected a part at a time."""

    def __init__(self):
        self._texts = {}

    def add(self, ids, texts):
        """Ids [n] of different texts [n].

        Raises ValueError naming two texts that have one id.
        """
        for item, text in zip(ids.tolist(), texts):
            known = self._texts.setdefault(item, text)
            if known != text:
                raise ValueError(f'items {known!r} and {text!r} have the same '
                                 'hash: give one of them another name')

    def arrays(self):
        """Rising ids [K] and their texts [K]; none where items are numbers."""
        ids = np.array(sorted(self._texts), np.uint64)
        return ids, np.array([self._texts[item] for item in ids.tolist()], str)
