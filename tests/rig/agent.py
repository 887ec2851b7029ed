"""Runs inside an emulated rig as rig.service: carries out the commands that come down a virtio port.

A frame is channel (4 bytes), kind (1), length (4), payload. From outside come r (run, as JSON: argv, for a user also
user and variables, NAME=VALUE),
i (standard input), c (its end) and k (the caller has gone). Back go h (hello), o and e (output), x (exit code).
"""

import ctypes
import errno
import json
import os
import pwd
import queue
import signal
import struct
import threading

HEAD = struct.Struct("!IcI")
HOME = "/usr/lib/rig"
MODULES = "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console".split()
# Where finit_module stands among the system calls of x86-64: there is no kmod in the tree.
FINIT_MODULE = 313
# How long output is waited for after a command has ended: something it left running may hold its pipe.
LINGER = 2

port = -1
writing = threading.Lock()
commands = {}


def main():
    global port
    libc = ctypes.CDLL(None, use_errno=True)
    for module in MODULES:
        path = f"{HOME}/{module}.ko"
        # A kernel may have it built in.
        if os.path.exists(path):
            with open(path, "rb") as file:
                if libc.syscall(FINIT_MODULE, file.fileno(), b"", 0) and ctypes.get_errno() != errno.EEXIST:
                    raise SystemExit(f"{module}: {os.strerror(ctypes.get_errno())}")
    mount_seen()
    os.umask(0o022)
    port = os.open(find_port(), os.O_RDWR | os.O_CLOEXEC)
    send(0, b"h", b"")
    while True:
        channel, kind, length = HEAD.unpack(read_all(HEAD.size))
        payload = read_all(length)
        if kind == b"r":
            try:
                commands[channel] = Command(channel, argv_of(**json.loads(payload)))
                commands[channel].watch()
            except (LookupError, OSError) as error:
                send(channel, b"e", f"rig: {error}\n".encode())
                send(channel, b"x", b"1")
        elif channel in commands:
            commands[channel].told(kind, payload)


def argv_of(argv, user=None, variables=()):
    """As sudo does it, but without its own log and rules: ids, groups, home; no session, no XDG_RUNTIME_DIR."""
    if user is None:
        return argv
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise LookupError(f"no user '{user}' in this rig") from None
    ids = [f"--reuid={user}", f"--regid={entry.pw_gid}", "--init-groups", "--pdeathsig=KILL"]
    own = [f"HOME={entry.pw_dir}", f"USER={user}", f"LOGNAME={user}", f"SHELL={entry.pw_shell}"]
    return ["/usr/bin/setpriv", *ids, "--", "/usr/bin/env", "-i", "-C", entry.pw_dir, *variables, *own, *argv]


def find_port():
    folder = "/sys/class/virtio-ports"
    for name in os.listdir(folder):
        with open(f"{folder}/{name}/name") as text:
            if text.read().strip() == "rig":
                return f"/dev/{name}"
    raise SystemExit("no port is named rig")


def mount_seen():
    """Folders of the host come as further namespaces of the disk, named in the kernel's command line."""
    with open("/proc/cmdline") as text:
        seen = [word.partition("=")[2] for word in text.read().split() if word.startswith("rig.see=")]
    for number, name in enumerate(seen, 2):
        os.makedirs(f"/srv/{name}", exist_ok=True)
        os.spawnl(os.P_WAIT, "/bin/mount", "mount", "-o", "ro", f"/dev/nvme0n{number}", f"/srv/{name}")


def read_all(length):
    data = b""
    while len(data) < length:
        more = os.read(port, length - len(data))
        if not more:
            raise SystemExit("the host has closed the port")
        data += more
    return data


def send(channel, kind, payload):
    data = memoryview(HEAD.pack(channel, kind, len(payload)) + payload)
    with writing:
        while data:
            data = data[os.write(port, data):]


def start(target, *arguments):
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


class Command:
    """One process, and the threads that carry its streams."""

    def __init__(self, channel, argv):
        self.channel, self.input = channel, queue.SimpleQueue()
        self.alive, self.living = True, threading.Lock()
        stdin, feed = os.pipe()
        out, stdout = os.pipe()
        err, stderr = os.pipe()
        streams = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((stdin, stdout, stderr))]
        self.pid = os.posix_spawn(argv[0], argv, {}, file_actions=streams, setsid=True,
                                  setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        self.streams = feed, out, err

    def watch(self):
        """Called once it can be found by its channel: it may have ended already, and then is not found any more."""
        feed, out, err = self.streams
        pumps = [start(self.pump, out, b"o"), start(self.pump, err, b"e")]
        start(self.feed, feed)
        start(self.reap, pumps)

    def told(self, kind, payload):
        if kind == b"i":
            self.input.put(payload)
        elif kind == b"c":
            self.input.put(None)
        elif kind == b"k":
            # Not once its id may be another's.
            with self.living:
                if self.alive:
                    os.kill(self.pid, signal.SIGKILL)

    def feed(self, fd):
        while (data := self.input.get()) is not None:
            try:
                while data:
                    data = data[os.write(fd, data):]
            except OSError:
                break
        os.close(fd)

    def pump(self, fd, kind):
        while data := os.read(fd, 65536):
            send(self.channel, kind, data)
        os.close(fd)

    def reap(self, pumps):
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self.living:
            self.alive = False
            _, status = os.waitpid(self.pid, 0)
        for thread in pumps:
            thread.join(LINGER)
        code = os.waitstatus_to_exitcode(status)
        self.input.put(None)
        del commands[self.channel]
        send(self.channel, b"x", str(code if code >= 0 else 128 - code).encode())


main()
