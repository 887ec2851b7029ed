"""Run as one tenant: tries to read, signal, attach to and send to everything of another one, and prints what it
could do, a line each. With `own` it is the control: run as the owner, or as root, it tries each way that harms
nothing, and prints what it could NOT do. Arguments: the other's user, uid, a secret of its, and `others` or `own`."""

import ctypes
import os
import signal
import socket
import subprocess
import sys

user, uid, secret, own = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "own"
tried = 0
# By the way that was tried: whether it ever led to something.
could = {}


def attempt(what, action, harmless=True, fleeting=False):
    """What is fleeting may be gone when it is tried. Of all else, that it is not there is no proof."""
    global tried
    if own and not harmless:
        return
    tried += 1
    could.setdefault(what, False)
    try:
        result = action()
    except FileNotFoundError:
        if not fleeting and not own:
            print(f"is not there: {what}")
        return
    except (OSError, subprocess.TimeoutExpired):
        return
    if result is not False:
        could[what] = True
        if not own:
            print(f"could {what}: {str(result)[:200]!r}")


def read(path):
    with open(path, "rb") as file:
        return file.read(4096)


def write(path):
    with open(path, "w"):
        pass
    if own:
        os.unlink(path)
    return "written"


def connect(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(2)
        end.connect(path)
        return "connected"


def command(*words):
    run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    return run.stdout + run.stderr if run.returncode == 0 else False


home = f"/home/{user}"
fleet = f"{home}/.config/mosaic/fleet"
roots = ["/etc/mosaic/tenants.d", "/var/lib/mosaic"]
for folder in [home, fleet, f"{fleet}/run", f"{fleet}/run/receipts/coder", f"/run/user/{uid}", f"/tmp/tmux-{uid}", *roots]:
    attempt(f"list {folder}", lambda: os.listdir(folder))
    attempt(f"write into {folder}", lambda: write(f"{folder}/mine"))
for file in [
    "roster.yaml",
    "ledger.json",
    "agents/coder.env",
    "agents/coder.local.env",
    "run/coder.hb",
    "run/coder.record",
    "run/coder.receipt",
    "tmux.conf",
]:
    attempt(f"read {file}", lambda: read(f"{fleet}/{file}"))
for file in [f"/etc/mosaic/tenants.d/{user}.yaml", f"/var/lib/mosaic/tenants/{user}.json"]:
    attempt(f"read {file}", lambda: read(file))

for path in [f"/tmp/tmux-{uid}/mosaic-factory", f"/run/user/{uid}/bus", f"/run/user/{uid}/systemd/private"]:
    attempt(f"connect to {path}", lambda: connect(path))
server = ["tmux", "-N", "-S", f"/tmp/tmux-{uid}/mosaic-factory"]
attempt("list sessions", lambda: command(*server, "list-sessions"))
attempt("type", lambda: command(*server, "send-keys", "-t", "=coder:", "-l", "" if own else "x"))
attempt("capture", lambda: command(*server, "capture-pane", "-p", "-t", "=coder:"))

libc = ctypes.CDLL(None, use_errno=True)


def trace(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        return False
    os.waitpid(pid, 0x40000000)  # __WALL
    libc.ptrace(17, pid, 0, 0)
    return "attached"


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def memory(pid):
    with open(f"/proc/{pid}/stat") as file:
        start = int(file.read().rsplit(")", 1)[1].split()[25])
    room = ctypes.create_string_buffer(64)
    ours, theirs = Part(ctypes.addressof(room), 64), Part(start or 0x1000, 64)
    count = libc.process_vm_readv(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return False if count < 0 else room.raw


# Its own: what harms a process is tried on it alone, and Yama lets it be traced.
below = subprocess.Popen(["sleep", "600"]) if own else None
theirs = []
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                theirs.append(int(name))
        except OSError:
            pass
if below and below.pid not in theirs:
    theirs.append(below.pid)
secrets = 0
for pid in theirs:
    for file in ["environ", "maps", "syscall", "stack"]:
        attempt(f"read {file} of a process", lambda: read(f"/proc/{pid}/{file}"), fleeting=True)
    attempt("open the memory of a process", lambda: open(f"/proc/{pid}/mem", "rb").close(), fleeting=True)
    for link in ["cwd", "exe", "root"]:
        attempt(f"follow {link} of a process", lambda: os.readlink(f"/proc/{pid}/{link}"), fleeting=True)
    attempt("list files of a process", lambda: os.listdir(f"/proc/{pid}/fd"), fleeting=True)
    attempt("read a process's memory", lambda: memory(pid), fleeting=True)
    attempt("signal a process with 0", lambda: os.kill(pid, 0) or "sent", fleeting=True)
    if not own or pid == below.pid:
        attempt("trace a process", lambda: trace(pid), fleeting=True)
        for number in [signal.SIGCONT, signal.SIGTERM, signal.SIGKILL]:
            attempt(f"signal a process with {number}", lambda: os.kill(pid, number) or "sent", fleeting=True)
    # Command lines are open to all on a plain Linux: so no secret stands on one.
    line = b""
    try:
        line = read(f"/proc/{pid}/cmdline")
        secrets += own and secret.encode() in open(f"/proc/{pid}/environ", "rb").read()
    except OSError:
        pass
    if secret.encode() in line and pid != os.getpid():
        print(f"a secret stands on a command line: {line!r}")
if below:
    below.wait()
    if not secrets:
        print("the secret is in no process: to look for it on command lines proves nothing")
for name in os.listdir("/dev/pts"):
    path = f"/dev/pts/{name}"
    try:
        if os.stat(path).st_uid != uid:
            continue
    except OSError:
        continue
    attempt("open a terminal", lambda: os.close(os.open(path, os.O_RDWR | os.O_NOCTTY)), fleeting=True)
    attempt("write to a terminal", lambda: os.close(os.open(path, os.O_WRONLY | os.O_NOCTTY)), fleeting=True)

unit = f"user@{uid}.service"
for harmless, words in [
    (False, ["loginctl", "terminate-user", user]),
    (False, ["loginctl", "disable-linger", user]),
    (False, ["loginctl", "kill-user", user]),
    (False, ["systemctl", "--no-ask-password", "stop", unit]),
    (False, ["systemctl", "--no-ask-password", "kill", unit]),
    (False, ["systemctl", "--no-ask-password", "set-property", "--runtime", f"user-{uid}.slice", "TasksMax=1"]),
    (True, ["systemd-run", "--no-ask-password", "--quiet", f"--slice=user-{uid}.slice", "true"]),
    (True, ["systemctl", "--user", "-M", f"{user}@.host", "list-units"]),
    (True, ["busctl", f"--address=unix:path=/run/user/{uid}/bus", "list"]),
    (True, ["fleet", "tenant", "list"]),
    (True, ["fleet", "ps", "--all-tenants"]),
    (True, ["fleet", "--mosaic-home", f"{home}/.config/mosaic", "ps"]),
    (True, ["mosaic", "--mosaic-home", f"{home}/.config/mosaic", "agent", "send", "coder", "--message", "x"]),
]:
    attempt(" ".join(words), lambda: command(*words), harmless)
attempt("read the journal", lambda: command("journalctl", "--quiet", f"_UID={uid}") or False)

if len(theirs) < 5 or tried < 100:
    print(f"tried too little: {tried} attempts on {len(theirs)} processes")
if own:
    print("".join(f"could not {what}\n" for what, worked in sorted(could.items()) if not worked), end="")
