"""A worker that stays: with the base that it has open it waits for the next job, from whoever started it.

In its environment are LIKENESS_STAY, the seconds that it waits, and two file descriptors: LIKENESS_LOCK, the lock of
the job that it does, and LIKENESS_NEXT, a socket. A line there is JSON of the next job's arguments, environment and
place, with the file descriptors of its log and its lock; one byte answers that it is taken. The end of the socket, or
of the time, ends the worker.
"""

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

STAY, LOCK, NEXT = "LIKENESS_STAY", "LIKENESS_LOCK", "LIKENESS_NEXT"
CHUNK = 1 << 16  # bytes
TAKEN = b"1"


def take_up(order: Mapping[str, Any], log: int, held: Mapping[str, int]) -> list[str]:
    """Make this process what one started for the order would be: its arguments. Prints go to the file `log`; `held`
    are open file descriptors, by the variables of the environment that name them."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    for file in held.values():
        os.set_inheritable(file, True)
    os.chdir(order["place"])
    os.environ.clear()
    os.environ.update(order["environment"] | {name: str(file) for name, file in held.items()})
    return list(order["arguments"])


def next_job() -> list[str]:
    """What this process does after the job that it has done: arguments as of a new one. Empty where it shall end.

    From here on the job has ended for all who look at its lock.
    """
    if not {STAY, LOCK, NEXT} <= os.environ.keys():
        return []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    seconds, orders = float(os.environ[STAY]), socket.socket(fileno=int(os.environ[NEXT]))
    os.close(int(os.environ.pop(LOCK)))
    try:
        if not select.select([orders], [], [], seconds)[0]:
            return []
        data, files, _, _ = socket.recv_fds(orders, CHUNK, 2)
        while data and not data.endswith(b"\n"):
            more = orders.recv(CHUNK)
            data = more and data + more
        if not data:
            return []
        log, lock = files
        arguments = take_up(json.loads(data), log, {LOCK: lock, NEXT: orders.fileno()})
        orders.send(TAKEN)
    except (KeyboardInterrupt, OSError):  # it has nothing to lose
        return []
    finally:
        orders.detach()
    return arguments
