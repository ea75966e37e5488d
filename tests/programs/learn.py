"""Drives `make learn` through a pseudo-terminal, in a copy of the course: learn.py FOLDER. See learn.sh."""
import glob
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

LIMIT = 120  # seconds, for whatever is waited for
folder = os.path.abspath(sys.argv[1])
os.chdir(folder)


def fail(text):
    sys.exit("FAILED: " + text)


def equal(what, expected, got):
    if expected != got:
        fail("%s: expected %r, got %r" % (what, expected, got))


def ours():
    """The processes that run a program of this copy, or were started in it."""
    found = []
    for exe in glob.glob("/proc/[0-9]*/exe"):
        try:
            if os.readlink(exe).startswith(folder):
                found.append(exe)
        except OSError:
            pass
    return found


class Learn:
    """A terminal with the watcher in it, whose every answer is waited for by its words."""

    def __init__(self, *arguments, term="dumb", seconds=3, **more):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = self.all = ""
        environment = dict(os.environ, TERM=term, LEARN_DEADLINE=str(seconds), NO_COLOR="", LC_ALL="C")
        environment.update(more)
        self.process = subprocess.Popen(
            ["build/learn/learn", *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env=environment, start_new_session=True)

    def hear(self):
        text = os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
        self.text += text
        self.all += text

    def wait(self, *words):
        """All of these words come, in this order; what was said before them is forgotten."""
        limit = time.monotonic() + LIMIT
        for word in words:
            while word not in self.text:
                ready, _, _ = select.select([self.master], [], [], max(0, limit - time.monotonic()))
                if not ready:
                    fail("%r never came; there was:\n%s" % (word, self.text[-3000:]))
                self.hear()
            self.text = self.text[self.text.index(word) + len(word):]

    def key(self, key, *words):
        self.text = ""
        os.write(self.master, key.encode())
        self.wait(*words)

    def save(self, path, text, *words):
        self.text = ""
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)
        self.wait("checking...", *words, "q quit")

    def attributes(self):
        return termios.tcgetattr(self.slave)

    def end(self, status):
        """It ends with this status, the terminal is as it was, and nothing is left running."""
        while True:  # the terminal must be read, or nobody can write to it
            ready, _, _ = select.select([self.master], [], [], 0.01)
            if ready:
                self.hear()
            elif self.process.poll() is not None:
                break
        equal("status", status, self.process.returncode)
        equal("terminal", self.before, self.attributes())
        os.close(self.master)
        os.close(self.slave)
        equal("processes left", [], ours())


def read(path):
    with open(path) as file:
        return file.read()


def patched(path):
    """The exercise with its own solution."""
    out = subprocess.run(["patch", "-s", "-o", "-", path + ".c", path + ".patch"], stdout=subprocess.PIPE, check=True)
    return out.stdout.decode()


exercises = sorted(check[:-len("_check.c")] for check in glob.glob("docs/course/[0-9][0-9]-*/ex[0-9]_check.c"))
total = len(exercises)
solutions = {path: patched(path) for path in exercises if os.path.exists(path + ".patch")}
second = "docs/course/00-hello/ex2"
stub = read(second + ".c")
body = '    fprintf(out, "hello, loop\\n");\n'
equal("stub", 1, stub.count(body))


def with_body(text):
    return stub.replace(body, "    " + text + "\n")


# The first is solved: saved as it is, it turns green.
learn = Learn()
learn.wait("00.1 hello", " 0/%d" % total, "Save the file", "h hint (1/3)", "q quit")
learn.save(exercises[0] + ".c", read(exercises[0] + ".c"), " 1/%d" % total, "ok", "Next: n")
learn.key("s", "its own solution", "q quit")

# The second: hints, list, and all that can go wrong.
learn.key("n", "00.2 hello", second + ".c", "checking...", "x The program prints", "> hello, course", "| hello, loop", "q quit")
learn.key("h", "hint 1/3", "h hint (2/3)", "q quit")
learn.key("h", "hint 2/3", "h hint (3/3)", "q quit")
learn.key("h", "hint 3/3", "h hint (3/3)", "q quit")
learn.key("h", "hint 1/3", "hint 3/3", "q quit")
learn.key("l", "00-hello", "1 done", ">2 ----", "q quit")
learn.key("l", "x The program prints", "q quit")
equal("the list is closed again", False, ">2 ----" in learn.all[learn.all.rindex("checking..."):].split("q quit")[-2])
learn.key("s", "once yours is right", "q quit")
learn.key("?", "x The program prints", "q quit")
learn.save(second + ".c", with_body('fprintf(out, "hello, course");'), "x The line ends with", "13 characters")
learn.save(second + ".c", with_body("for (;;) (void)out;"), "x The program prints", "did not end within 3 seconds")
learn.save(second + ".c", with_body("(void)out; abort();"), "x The program prints", "It crashed: Aborted")
learn.save(second + ".c", with_body("*(volatile int *)out->_IO_read_base = 1;"), "x The program prints", "ex2.c:")
learn.save(second + ".c", with_body("(void)out; exit(0);"), "x The program prints", "ended too early")
learn.save(second + ".c", with_body('(void)out; for (;;) puts("x");'), "x It prints without an end")
learn.save(second + ".c", with_body("fprintf(out, );"), "x It does not compile", "ex2.c:", "error:")
learn.key("r", "It is as it was; yours is .learn/00.2.mine.c", "checking...", "x The program prints", "q quit")
learn.key("r", "yours is .learn/00.2.mine.c", "q quit")
equal("after a reset", stub, read(second + ".c"))
equal("what the reset took", with_body("fprintf(out, );"), read(".learn/00.2.mine.c"))

# What cannot be kept is not reset.
edited = with_body("fprintf(out, \"mine\");")
learn.save(second + ".c", edited, "x The program prints")
os.remove(".learn/00.2.mine.c")
os.mkdir(".learn/00.2.mine.c")
learn.key("r", "x It stays as it is", "q quit")
equal("not reset", edited, read(second + ".c"))
os.rmdir(".learn/00.2.mine.c")

# While one check hangs, the next save begins another; Ctrl-Z gives the terminal back, and takes it again.
learn.text = ""
with open(second + ".c", "w") as file:
    file.write(with_body("for (;;) (void)out;"))
learn.wait("checking...")
learn.save(second + ".c", solutions[second], " 2/%d" % total, "ok")
learn.key("s", '+    fprintf(out, "hello, course\\n");', "q quit")
learn.key("\x1a")
os.waitpid(learn.process.pid, os.WUNTRACED)
equal("terminal while stopped", learn.before, learn.attributes())
learn.process.send_signal(signal.SIGCONT)
learn.wait("00.2 hello", "q quit")
equal("terminal after that", False, learn.before == learn.attributes())
learn.key("q")
learn.end(0)

# It goes on where it was; each exercise's own solution is right, and the bar comes to its end.
learn = Learn(seconds=LIMIT)
learn.wait("00.2 hello", "ok", "q quit")
for number, path in enumerate(exercises[2:], 3):
    learn.key("n", "%s.%s " % (path.split("/")[2][:2], path[-1]), path + ".c", "\n  x ", "q quit")
    learn.save(path + ".c", solutions[path], " %d/%d" % (number, total), "ok")
learn.key("l", "done", "q quit")
learn.key("n", "00.1 hello", "[####################]", "It was right.", "q quit")
learn.key("\x03")
learn.end(128 + signal.SIGINT)

# In French: the task and the hints.
learn = Learn("--at", "00.2", LC_ALL="fr_FR.UTF-8")
french = read(second + ".fr").split("\n--\n")
learn.wait(french[0], "ok", "q quit")
learn.key("h", "hint 1/3\n" + french[1], "q quit")
learn.key("q")
learn.end(0)

# Ended by signals, also in the middle of a check that hangs; with colours and without.
for number, more in ((signal.SIGTERM, {}), (signal.SIGHUP, {"NO_COLOR": "1"}), (signal.SIGQUIT, {})):
    learn = Learn("--at", "00.2", term="xterm", **more)
    learn.wait("checking...", "ok", "q quit")
    equal("the screen is cleared", True, "\x1b[2J" in learn.all)
    equal("colours", not more, "\x1b[32m" in learn.all)
    learn.text = ""
    with open(second + ".c", "w") as file:
        file.write(with_body("for (;;) (void)out;"))
    learn.wait("checking...")
    learn.process.send_signal(number)
    learn.end(128 + number)
    with open(second + ".c", "w") as file:
        file.write(solutions[second])

# Without a terminal, and one by one.
plain = subprocess.run(["build/learn/learn"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
equal("status without keys", 0, plain.returncode)
for text, status, words in ((solutions[second], 0, "All %d are done" % total), (stub, 1, "0.2  Change one word"), (stub, 1, "x The program prints"),
                            (with_body("fprintf(out, );"), 2, "x It does not compile")):
    with open(second + ".c", "w") as file:
        file.write(text)
    one = subprocess.run(["build/learn/learn", "0.2"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    equal("status of one", status, one.returncode)
    equal("words of one", True, words in one.stdout.decode())
os.remove(".learn/progress")
one = subprocess.run(["build/learn/learn", "00.1"], stdout=subprocess.PIPE)
equal("what comes next", True, "Next: make learn EX=00.2\n" in one.stdout.decode())
one = subprocess.run(["build/learn/learn", "99.9"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
equal("no such exercise", (2, "there is no exercise 99.9\n"), (one.returncode, one.stdout.decode()))
print("%d exercises: solved, wrong, hanging, crashing, reset, hints, list, signals, terminals" % total)
