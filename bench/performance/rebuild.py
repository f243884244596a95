"""All states made anew from the log, by a model that the store has not met."""

import re
import subprocess
import time

from bench.performance import figures

USERS, EVENTS, TARGET = 2500, 500_000, 150_000


def run(context):
    return figures.Result([figures.at_least(
        'states from the log', None, TARGET, 'events/s a core',
        'this server has no command for it')])
