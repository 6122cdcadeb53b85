#!/usr/bin/env python3
"""What programs cost under Supervisor and under Upright's supervisord, one after the other in each round.

    bench/programs.py [ROUNDS]      prints a table of medians, lowest and highest in brackets

Memory is the sum of PSS of everything that is not a program, the gateway that serves XML-RPC included, three
seconds after ten programs with logs run and one call was answered. A start of a thousand is from the execution
of `supervisord` to the last line `entered RUNNING state` of its log (startsecs=0). Calls are getProcessInfo over
one connection that is kept, in a row, with the thousand running.

The programs wait and do nothing else, in C and static where gcc is there, else `sleep`: what a program takes for
itself to begin is not ours. UPRIGHT_BIN names the directory of the binaries (default: those of scripts/release.sh), SUPERVISOR that of the
original (default: where scripts/install-test-needs.sh puts it).
"""
import contextlib, datetime, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("UPRIGHT_BIN", TREE + "/out")
ORIGINAL = os.environ.get("SUPERVISOR", TREE + "/target/test-needs/supervisor/bin")
PATIENCE = 120  # seconds for anything
CALLING = 3  # seconds of calls
SERVER = """[unix_http_server]
file={0}/s
[supervisord]
logfile={0}/log
pidfile={0}/pid
childlogdir={0}/logs
minfds=8000
{1}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def waiting(place):
    """The command of a program that waits."""
    source = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"
    with contextlib.suppress(OSError):
        made = subprocess.run(["gcc", "-O2", "-static", "-x", "c", "-o", place + "/wait", "-"], input=source, text=True)
        if made.returncode == 0:
            return place + "/wait"
    return "sleep 100000"


class Connection:
    """One connection over which requests go, one after the other."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)

    def ask(self, request):
        self.socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self.read()
        return head, body

    def read(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed by the server")
        return piece


def call(method, *params):
    """The bytes of a call; parameters are text or numbers."""
    shown = "".join(f"<param><value><{'int' if isinstance(p, int) else 'string'}>{p}</{'int' if isinstance(p, int) else 'string'}></value></param>" for p in params)
    body = f"<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{shown}</params></methodCall>"
    return f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Server:
    """A supervisord that runs in a directory of its own."""

    def __init__(self, command, programs, settings=""):
        self.place = tempfile.mkdtemp(prefix="programs-")
        os.mkdir(self.place + "/logs")
        with open(self.place + "/conf", "w") as file:
            file.write(SERVER.format(self.place, settings) + programs)
        self.began = time.time()
        self.process = subprocess.Popen([command, "-n", "-c", self.place + "/conf"], cwd=self.place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def until(self, what, look):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                found = look()
                if found:
                    return found
            if self.process.poll() is not None:
                raise SystemExit(f"supervisord ended with {self.process.returncode}: {self.place}")
            time.sleep(0.02)
        raise SystemExit(f"not within {PATIENCE} s: {what}")

    def connection(self):
        return self.until("a connection", lambda: Connection(self.place + "/s"))

    def log(self):
        with open(self.place + "/log") as file:
            return file.read()

    def own(self):
        """Its processes that are no programs, by what they are."""
        pids = {"daemon" if children_named(self.process.pid, "upright") == [] else "keeper": self.process.pid}
        for pid in children_named(self.process.pid, "upright"):
            pids[first_words(pid).rsplit("/", 1)[-1].split("-", 1)[-1].split(" ")[0]] = pid
        return pids

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.place, ignore_errors=True)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def first_words(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""


def children_named(pid, name):
    return [child for child in children(pid) if first_words(child).split(" ")[0].rsplit("/", 1)[-1].startswith(name)]


def pss(pid):
    """KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def memory(command, program):
    server = Server(command, "".join(f"[program:p{n}]\ncommand={program}\n" for n in range(10)))
    server.until("ten run", lambda: server.log().count("entered RUNNING state") == 10)
    server.connection().ask(call("supervisor.getAllProcessInfo"))
    time.sleep(3)
    total = sum(pss(pid) for pid in server.own().values())
    server.end()
    return total / 1024


def thousand(command, program):
    server = Server(command, "".join(f"[program:p{n:03}]\ncommand={program}\nstartsecs=0\n" for n in range(1000)))
    server.until("a thousand run", lambda: server.log().count("entered RUNNING state") == 1000)
    last = [line for line in server.log().splitlines() if "entered RUNNING state" in line][-1]
    start = datetime.datetime.strptime(last[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp() - server.began
    connection, request, calls = server.connection(), call("supervisor.getProcessInfo", "p500"), 0
    assert b"RUNNING" in connection.ask(request)[1]
    began = time.monotonic()
    while (now := time.monotonic()) < began + CALLING:
        connection.ask(request)
        calls += 1
    server.end()
    return start, calls / (now - began)


def shown(values, form):
    return f"{form % statistics.median(values)} ({form % min(values)} to {form % max(values)})"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    place = tempfile.mkdtemp(prefix="programs-")
    os.symlink(os.path.realpath(BIN + "/upright-core"), place + "/supervisord")
    program = waiting(place)
    sides = {"Supervisor": ORIGINAL + "/supervisord", "Upright": place + "/supervisord"}
    found = {side: ([], [], []) for side in sides}
    for _ in range(rounds):
        for side, command in sides.items():
            start, calls = thousand(command, program)
            for values, value in zip(found[side], (memory(command, program), start, calls)):
                values.append(value)
    shutil.rmtree(place)
    print("| | Supervisor | Upright |\n|---|---|---|")
    for row, (what, form) in enumerate([("PSS, 10 programs with logs, serving XML-RPC (MiB)", "%.2f"), ("start of 1000 programs (s)", "%.3f"), ("getProcessInfo a second, one connection, 1000 programs", "%.0f")]):
        print(f"| {what} | " + " | ".join(shown(found[side][row], form) for side in sides) + " |")


if __name__ == "__main__":
    main()
