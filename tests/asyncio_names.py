#!/usr/bin/env python3
"""Prints the public names of asyncio that docs/asyncio.md does not have, and fails if there are any.

Those of the asyncio that runs this, up to 3.14, and what is public in 3.12 to 3.14, whichever runs it.
"""
import asyncio
import asyncio.subprocess
import re
import sys

NEWER = """QueueShutDown shutdown immediate eager_start eager_task_factory create_eager_task_factory EventLoop close_clients
abort_clients capture_call_graph print_call_graph format_call_graph FutureCallGraph FrameCallGraphEntry
future_add_to_awaited_by future_discard_from_awaited_by ps pstree""".split()
CLASSES = """AbstractEventLoop Task Future TaskGroup Runner Queue Lock Event Condition Semaphore Barrier StreamReader
StreamWriter AbstractServer Timeout Transport DatagramTransport SubprocessTransport Protocol BufferedProtocol
DatagramProtocol SubprocessProtocol Handle TimerHandle""".split()
ELSEWHERE = "ChildWatcher|^Stream(Reader|Writer)$"  # one row has all the watchers; `reader` and `writer` are the others

names = set(NEWER)
if sys.version_info < (3, 15):
    names |= set(asyncio.__all__)
    classes = [getattr(asyncio, name) for name in CLASSES if hasattr(asyncio, name)] + [asyncio.subprocess.Process]
    names |= {name for it in classes for name in dir(it)}
with open("docs/asyncio.md") as page:
    there = set(re.findall(r"\w+", page.read()))
missing = sorted(name for name in names - there if not name.startswith("_") and not re.search(ELSEWHERE, name))
print("%d names of asyncio, %d of them not in docs/asyncio.md" % (len(names), len(missing)), *missing, sep="\n    ")
sys.exit(bool(missing))
