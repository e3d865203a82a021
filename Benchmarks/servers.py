"""Starts, watches and ends the servers that are compared. Nothing started here outlives the comparison."""

import atexit
import ctypes
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE / ".build"
LOAD = BUILD / "load"
EPOLL_BUILD = HERE / ".build-transport"  # apart from the microbenchmarks, which have one more dependency

# What each level of durability is called by each server. {data} is a fresh folder, {port} a free loopback port.
COMMANDS = {
    "nuvom": {
        "off": "{nuvom} broker --listen 127.0.0.1:{port} --ephemeral",
        "relaxed": "{nuvom} broker --listen 127.0.0.1:{port} --data {data} --fsync interval:1000",
        "strict": "{nuvom} broker --listen 127.0.0.1:{port} --data {data} --fsync always",
    },
    "beanstalkd": {
        "off": "beanstalkd -l 127.0.0.1 -p {port}",
        "relaxed": "beanstalkd -l 127.0.0.1 -p {port} -b {data} -f 50",
        "strict": "beanstalkd -l 127.0.0.1 -p {port} -b {data} -f 0",
    },
    "redis": {
        "off": "redis-server --bind 127.0.0.1 --port {port} --dir {data} --save '' --appendonly no",
        "relaxed": "redis-server --bind 127.0.0.1 --port {port} --dir {data} --save '' --appendonly yes "
        "--appendfsync everysec",
        "strict": "redis-server --bind 127.0.0.1 --port {port} --dir {data} --save '' --appendonly yes "
        "--appendfsync always",
    },
    "epoll": {"off": "{epoll} {port}"},
    "echo": {"off": "{load} serve-echo {port}"},
}
# What is added for single parts.
FOR = {
    # Rates are measured without Redis's rewriting of its log, which would start at 64 MiB and share the two cores.
    "no rewriting": {"redis": "--auto-aof-rewrite-percentage 0"},
    # More than the default allows: 1 GiB of jobs in Nuvom, 10,000 connections in Redis.
    "many jobs": {"nuvom": "--memory-limit 20GiB"},
    "many connections": {"redis": "--maxclients 12000"},
}

_running = set()


def end_all():
    for server in list(_running):
        server.end()


atexit.register(end_all)


def build_load():
    """Compiles the generator if a source is newer than it."""
    sources = sorted((HERE / "load").glob("*.[ch]"))
    if LOAD.exists() and LOAD.stat().st_mtime >= max(source.stat().st_mtime for source in sources):
        return
    BUILD.mkdir(exist_ok=True)
    files = [str(source) for source in sources if source.suffix == ".c"]
    subprocess.run(["cc", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o", str(LOAD), *files], check=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def most_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _in_child():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files(), most_files()))


class Server:
    """One server process with a data folder of its own."""

    def __init__(self, kind, durability, nuvom, *parts):
        self.kind = kind
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=BUILD))
        self.data = self.folder / "data"
        self.data.mkdir()
        self.port = free_port()
        command = " ".join([COMMANDS[kind][durability], *(FOR[part].get(kind, "") for part in parts)])
        names = {"nuvom": nuvom, "epoll": EPOLL_BUILD / "release/EpollBroker", "load": LOAD, "data": self.data, "port": self.port}
        self.command = ["" if word == "''" else word.format(**names) for word in command.split()]
        _running.add(self)
        self.start()

    def start(self):
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=_in_child)

    def wait_until_listening(self):
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return self
            except OSError:
                time.sleep(0.005)
        raise RuntimeError(f"{' '.join(self.command)} does not serve:\n{self.output()}")

    def output(self):
        return (self.folder / "output").read_text(errors="replace")[-2000:]

    def cpu_seconds(self):
        """User and system time of all threads, in nanosecond resolution."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # the CPU clock of another process, as the kernel names it

    def wait_until_quiet(self):
        """Returns when the server is done with what it still had to do, at most after five seconds."""
        for _ in range(50):
            before = self.cpu_seconds()
            time.sleep(0.1)
            if self.cpu_seconds() - before < 0.003 and not self._children():
                return

    def _children(self):
        return pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def resident_bytes(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def disk_bytes(self):
        return sum(path.stat().st_size for path in self.data.rglob("*") if path.is_file())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.kill()
        _running.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.wait_until_listening()

    def __exit__(self, *_):
        self.end()
