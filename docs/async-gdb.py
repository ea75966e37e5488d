"""The tasks of a program that uses async.h, in gdb: of a process or of a core file, of any optimisation, with -g.

    (gdb) source docs/async-gdb.py
    (gdb) async-dump            the tree of each thread's loop, as async_dump(stderr) would print it
    (gdb) async-dump here       only of this thread's

It reads memory, and calls nothing in the program.
"""
import time

import gdb

# In the order of the header's enumeration; tests/programs/gdb.sh compares them.
OPS = """running,running,ready,sleep,join_children,readable,writable,read,write,readv,writev,accept,connect,
recvfrom,sendto,stream_read,read_exactly,read_until,read_line,flush,join,join_all,event,semaphore,mutex,send,
receive,select,signal,process,offload,its children,ended; unjoined,soon,after,every,idle"""
OPS = [op.strip().replace(";", ",") for op in OPS.split(",")]
LEAVE = 0x7FFFFFFE  # lines from here on are none
NEVER = 2**63 - 1
CANCELLED, CLOSING = 1, 8


def around(address, name, member):
    """The object of type `name` that has this member at this address."""
    kind = gdb.lookup_type(name)
    offset = next(f for f in kind.strip_typedefs().fields() if f.name == member).bitpos // 8
    return gdb.Value(int(address) - offset).cast(kind.pointer()).dereference()


def at(address, name):
    return gdb.Value(int(address)).cast(gdb.lookup_type(name).pointer()).dereference()


def number(task):
    return int(task["item"]["slot"])


def op_of(task):
    return OPS[int(task["item"]["op"])]


class Loop:
    def __init__(self, pointer):
        self.it = pointer.dereference()
        self.now_ns = int(self.it["now_ns"])
        connection = getattr(gdb.selected_inferior(), "connection", None)
        if connection and connection.type == "native":  # else the loop's own last look must do
            self.now_ns = max(self.now_ns, time.clock_gettime_ns(time.CLOCK_MONOTONIC))

    def task(self, slot):
        return at(self.it["slots"][slot]["item"], "async__task")

    def children(self, task):
        slots, slot = [], int(self.it["slots"][int(task["item"]["slot"])]["child"])
        while slot:
            slots.append(slot)
            slot = int(self.it["slots"][slot]["older"])
        return slots  # the youngest first

    def dump(self):
        print("async: %d tasks, %d timers, on %s" % (self.it["live"], self.it["heap_count"] - self.it["heap_dead"],
                                                    self.it["backend"]["name"].string()))
        waiting = [(slot, 0) for slot in self.children(self.it["root"])]
        while waiting:
            slot, depth = waiting.pop()
            task = self.task(slot)
            print("%*s%s" % (2 + 2 * min(depth, 30), "", self.line(task)))
            waiting += [(child, depth + 1) for child in self.children(task)]

    def line(self, task):
        slot = number(task)
        name = self.it["names"][slot] if slot < int(self.it["name_capacity"]) else None
        name = '"%s" ' % name.string() if name else ""
        return "%d %s%s%s%s" % (slot, name, chain(task), wait(task), self.times(task))

    def times(self, task):
        text = ""
        if task["leaf"]:
            leaf = task["leaf"].dereference()
            since = ((self.now_ns >> 26) - int(leaf["since"])) & 0xFFFFFF
            limit = int(leaf["deadline_ns"])
            if OPS.index("ready") < int(task["item"]["op"]) < OPS.index("its children"):
                text += ", for %.3f s" % ((since << 26) / 1e9)
            if limit != NEVER:
                text += ", limit in %.3f s" % ((limit - self.now_ns) / 1e9)
        return text + (", cancelled" if int(task["item"]["flags"]) & CANCELLED else "")


def place(frame):
    kind, line = frame["type"].dereference(), int(frame["line"])
    line = line if 0 < line < LEAVE else int(kind["line"])
    return "%s() at %s:%d" % (kind["name"].string(), kind["file"].string(), line)


def chain(task):
    """The coroutines that await one another, the outermost first; of a long chain both ends."""
    places, frame = [], task["leaf"]
    while frame:
        places.insert(0, place(frame.dereference()))
        frame = frame["caller"]
    if len(places) > 8:
        places[4:-4] = ["(%d more)" % (len(places) - 8)]
    return " > ".join(places) + ": " if places else ""


def queue(op, address):
    """What a queue of those who wait belongs to."""
    if op == "join":
        return "join of task %d" % number(around(address, "async__task", "joiners"))
    if op == "send":
        return "send to channel %#x" % int(address)
    if op == "receive":
        return "receive from channel %#x" % int(around(address, "async_channel", "receivers").address)
    text = "%s %#x" % (op, int(address))
    if op != "mutex":
        return text
    owner = int(at(address, "async_mutex")["owner"]) & 0xFFFFFFFF
    return text + (" of task %d" % owner if owner else " of a callback")


def block(pointer):
    return int(pointer["last"]) - int(pointer["first"]) if pointer else 0


def stream(task):
    it = at(task["item"]["at"]["buffer"], "async_stream")
    op, read = op_of(task), task["on"]["read"]
    if op == "flush":
        name = "wait_closed" if int(it["item"]["flags"]) & CLOSING else "flush"
        return "stream_%s on descriptor %d, %d bytes left" % (name, it["fd"], block(it["queue"]))
    here = block(it["input"]) + (int(read["done"]) if op == "read_exactly" else 0)
    return "%s on descriptor %d, %d of %d bytes" % (op, it["fd"], here, read["size"])


def select(task):
    cases, count = task["item"]["at"]["buffer"], int(task["on"]["io"]["size"])
    cases = cases.cast(gdb.lookup_type("async_case").pointer())
    texts = [queue(OPS[int(cases[i]["op"])], cases[i]["queue"]) for i in range(min(count, 4))]
    return "select: " + " or ".join(texts) + (" or %d more" % (count - 4) if count > 4 else "")


def wait(task):
    """What the task waits for."""
    op, on, about = op_of(task), task["on"], task["item"]["at"]["buffer"]
    if op == "select":
        return select(task)
    if OPS.index("stream_read") <= OPS.index(op) <= OPS.index("flush"):
        return stream(task)
    if op == "offload":
        return "offload, running" if at(about, "async__job")["is_running"] else "offload, queued"
    if op == "join_all":
        return "join_all of task %d, %d left" % (at(about, "async_task") & 0xFFFFFFFF, on["waiter"]["left"])
    if OPS.index("join") <= OPS.index(op) <= OPS.index("receive"):
        return queue(op, about)
    if OPS.index("readable") <= OPS.index(op) <= OPS.index("sendto"):
        return "%s on descriptor %d" % (op, on["io"]["fd"])
    return op


class Dump(gdb.Command):
    """Print the tree of async.h's tasks: of each thread that has a loop; `async-dump here`: of this one."""

    def __init__(self):
        super().__init__("async-dump", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        current, found = gdb.selected_thread(), False
        if not current:
            raise gdb.GdbError("there is no process, and no core file")
        try:
            gdb.lookup_type("async__task")
        except gdb.error:
            raise gdb.GdbError("the program has no debugging information of async.h: compile with -g, and do not strip")
        threads = [current] if argument == "here" else gdb.selected_inferior().threads()
        for thread in sorted(threads, key=lambda thread: thread.num):
            thread.switch()
            loop = gdb.parse_and_eval("async__current")
            if not loop:
                continue
            if len(threads) > 1:
                print("thread %d:" % thread.num)
            found = True
            try:
                Loop(loop).dump()
            except gdb.MemoryError as error:
                print("  the rest cannot be read: %s" % error)
        current.switch()
        if not found:
            print("no loop is open")


Dump()
