"""An ordinary client in Python: so many connections, on each one request after
the other, the next at once after a reply or a refusal, with no back-off.

    python_client.py ADDRESS REQUEST_FILE --connections N --timeout-ms N
        --seconds N

REQUEST_FILE is the bytes of a RankRequest, the same one each time. Prints JSON:
{"codes": {name: calls}, "seconds", "ok_ms": {"p50", "p99"}}. A call counts when
it ends within the time; those still under way then are given up.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import time

from grpc import aio

METHOD = '/qlarank.v1.RankService/Rank'


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument('address')
    parser.add_argument('request_file', type=pathlib.Path)
    parser.add_argument('--connections', type=int, required=True)
    parser.add_argument('--timeout-ms', type=float, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    return parser.parse_args()


async def keep_calling(address, request, timeout, record):
    """On a connection of its own, for ever."""
    options = [('grpc.use_local_subchannel_pool', 1)]
    async with aio.insecure_channel(address, options) as channel:
        rank = channel.unary_unary(METHOD)  # bytes in, bytes out
        while True:
            begin = time.monotonic()
            try:
                await rank(request, timeout=timeout)
                code = 'OK'
            except aio.AioRpcError as error:
                code = error.code().name
            record(code, 1e3 * (time.monotonic() - begin))


async def run(options):
    codes = collections.Counter()
    ok_ms = []

    def record(code, ms):
        codes[code] += 1
        if code == 'OK':
            ok_ms.append(ms)

    request = options.request_file.read_bytes()
    begin = time.monotonic()
    # Held on to: the event loop does not.
    calling = [asyncio.create_task(keep_calling(
        options.address, request, options.timeout_ms / 1e3, record))
        for _ in range(options.connections)]
    await asyncio.sleep(options.seconds)
    seconds = time.monotonic() - begin
    failed = [task for task in calling if task.done()]
    if failed:
        failed[0].result()  # raises what went wrong
    ok_ms.sort()
    return {'codes': dict(codes), 'seconds': seconds, 'ok_ms': {
        name: ok_ms[int(share * (len(ok_ms) - 1))] if ok_ms else None
        for name, share in (('p50', .5), ('p99', .99))}}


async def main():
    print(json.dumps(await run(parse())), flush=True)
    # Ending hundreds of calls in order takes gRPC seconds, or for ever.
    os._exit(0)


asyncio.run(main())
