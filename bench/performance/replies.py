"""Rankings that are asked for while a model changes, and asked for again when
nothing does: each must have the bits that its version gives then."""

import contextlib
import random
import threading

ITEMS = ','.join(map(str, range(1, 41)))
SECONDS_BETWEEN = .1


class Replies:
    """What was answered. Not thread-safe but for `asked`."""

    def __init__(self, model, users, time):
        """users: user-0 and so on, so many; time: of requests, Unix seconds."""
        self._model = model
        self._users = users
        self._time = time
        self._random = random.Random(1)
        self._first = []  # [(user, what was answered)]
        self._same = self._different = 0

    @contextlib.contextmanager
    def asked(self, server, versions):
        """As long as this lasts, versions are asked for in turn, each of a user
        at random; 0 is the one that who names none gets.

        Raises what asking has raised.
        """
        stop, failed = threading.Event(), []

        def ask():
            try:
                while not stop.wait(SECONDS_BETWEEN):
                    for version in versions:
                        user = f'user-{self._random.randrange(self._users)}'
                        self._first.append(
                            (user, self._ask(server, user, version)))
            except RuntimeError as error:
                failed.append(error)
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def ask_again(self, server):
        """Of the versions that the replies have named."""
        for user, first in self._first:
            if self._ask(server, user, first['version']) == first:
                self._same += 1
            else:
                self._different += 1

    def counts(self):
        by_version = {}
        for _, first in self._first:
            version = str(first['version'])
            by_version[version] = by_version.get(version, 0) + 1
        return {'same': self._same, 'different': self._different,
                'by_version': by_version}

    def _ask(self, server, user, version):
        """The version that answered, the state that it did from, and every
        score, exactly as it came."""
        reply = server.cli_json(
            'rank', '--user', user, '--items', ITEMS, '--top-k', 40, '--time',
            self._time, *(('--model', self._model, '--model-version', version)
                          if version else ()))
        return {'version': reply['version'], 'state': reply['state'],
                'scores': {item['item_id']: item['scores']
                           for item in reply['items']}}
