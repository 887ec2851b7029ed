"""Run as one tenant: tries to read, signal, attach to and send to everything of another one, and prints
what it could do, a line each. Arguments: the other's user, uid, and a secret of its."""

import ctypes
import os
import signal
import socket
import subprocess
import sys

user, uid, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tried = 0


def attempt(what, action):
    global tried
    tried += 1
    try:
        result = action()
    except (OSError, subprocess.TimeoutExpired):
        return
    if result is not False:
        print(f"could {what}: {str(result)[:200]!r}")


def read(path):
    with open(path, "rb") as file:
        return file.read(4096)


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
for folder in [home, fleet, f"{fleet}/run", f"/run/user/{uid}", f"/tmp/tmux-{uid}", "/etc/mosaic/tenants.d", "/var/lib/mosaic"]:
    attempt(f"list {folder}", lambda: os.listdir(folder))
    attempt(f"write into {folder}", lambda: open(f"{folder}/mine", "w"))
for file in ["roster.yaml", "ledger.json", "agents/coder.env", "run/coder.hb", "run/coder.record", "tmux.conf"]:
    attempt(f"read {file}", lambda: read(f"{fleet}/{file}"))
for file in [f"/etc/mosaic/tenants.d/{user}.yaml", f"/var/lib/mosaic/tenants/{user}.json"]:
    attempt(f"read {file}", lambda: read(file))

for path in [f"/tmp/tmux-{uid}/mosaic-factory", f"/run/user/{uid}/bus", f"/run/user/{uid}/systemd/private"]:
    attempt(f"connect to {path}", lambda: connect(path))
server = ["tmux", "-N", "-S", f"/tmp/tmux-{uid}/mosaic-factory"]
attempt("list sessions", lambda: command(*server, "list-sessions"))
attempt("type", lambda: command(*server, "send-keys", "-t", "=coder:", "x"))
attempt("capture", lambda: command(*server, "capture-pane", "-p", "-t", "=coder:"))

libc = ctypes.CDLL(None, use_errno=True)


def trace(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        return False
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


theirs = []
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                theirs.append(int(name))
        except OSError:
            pass
for pid in theirs:
    for file in ["environ", "mem", "maps", "syscall", "stack"]:
        attempt(f"read {file} of a process", lambda: read(f"/proc/{pid}/{file}"))
    for link in ["cwd", "exe", "root"]:
        attempt(f"follow {link} of a process", lambda: os.readlink(f"/proc/{pid}/{link}"))
    attempt("list files of a process", lambda: os.listdir(f"/proc/{pid}/fd"))
    attempt("trace a process", lambda: trace(pid))
    attempt("read a process's memory", lambda: memory(pid))
    for number in [0, signal.SIGCONT, signal.SIGTERM, signal.SIGKILL]:
        attempt(f"signal a process with {number}", lambda: os.kill(pid, number) or "sent")
    # Command lines are open to all on a plain Linux: so no secret stands on one.
    line = b""
    try:
        line = read(f"/proc/{pid}/cmdline")
    except OSError:
        pass
    if secret.encode() in line:
        print(f"a secret stands on a command line: {line!r}")
for name in os.listdir("/dev/pts"):
    path = f"/dev/pts/{name}"
    try:
        if os.stat(path).st_uid != uid:
            continue
    except OSError:
        continue
    attempt(f"open {path}", lambda: os.close(os.open(path, os.O_RDWR | os.O_NOCTTY)))
    attempt(f"write to {path}", lambda: os.close(os.open(path, os.O_WRONLY | os.O_NOCTTY)))

unit = f"user@{uid}.service"
for words in [
    ["loginctl", "terminate-user", user],
    ["loginctl", "disable-linger", user],
    ["loginctl", "kill-user", user],
    ["systemctl", "--no-ask-password", "stop", unit],
    ["systemctl", "--no-ask-password", "kill", unit],
    ["systemctl", "--no-ask-password", "set-property", "--runtime", f"user-{uid}.slice", "TasksMax=1"],
    ["systemd-run", "--no-ask-password", f"--slice=user-{uid}.slice", "true"],
    ["systemctl", "--user", "-M", f"{user}@.host", "list-units"],
    ["busctl", f"--address=unix:path=/run/user/{uid}/bus", "list"],
    ["fleet", "tenant", "list"],
    ["fleet", "ps", "--all-tenants"],
    ["fleet", "--mosaic-home", f"{home}/.config/mosaic", "ps"],
    ["mosaic", "--mosaic-home", f"{home}/.config/mosaic", "agent", "send", "coder", "--message", "x"],
]:
    attempt(" ".join(words), lambda: command(*words))
log = subprocess.run(["journalctl", "--quiet", f"_UID={uid}"], capture_output=True)
if log.stdout.strip():
    print(f"could read the journal: {log.stdout[:200]!r}")

if len(theirs) < 5 or tried < 100:
    print(f"tried too little: {tried} attempts on {len(theirs)} processes")
