"""The outside of an emulated rig's one channel, and what firmware does: `keep` and `enter`.

keep RUN -- QEMU...: starts the emulator, and again each time the guest reboots. Whoever connects to
RUN/link speaks the frames of agent.py; they are passed on, each caller in a channel of its own.
enter RUN -- COMMAND...: runs COMMAND inside with this process's streams and ends with its exit code.
enter RUN USER -- NAME=VALUE... -- COMMAND...: the same as that user, with these variables and the user's own.
"""

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading

HEAD = struct.Struct("!IcI")
# As a shell tells of a command that was killed, which a power cut comes to.
KILLED = 137
FIRST_CHANNEL = 1


def frame(channel, kind, payload=b""):
    return HEAD.pack(channel, kind, len(payload)) + payload


class Peer:
    """One end of a socket: whole frames in, and what could not be written yet."""

    def __init__(self, sock, channel=0):
        self.sock, self.channel, self.come, self.going = sock, channel, bytearray(), bytearray()
        sock.setblocking(False)

    def frames(self):
        """The frames that have come; None once the other side has gone."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.come += data
        whole = []
        while len(self.come) >= HEAD.size:
            channel, kind, length = HEAD.unpack_from(self.come)
            if len(self.come) < HEAD.size + length:
                break
            whole.append((channel, kind, bytes(self.come[HEAD.size:HEAD.size + length])))
            del self.come[:HEAD.size + length]
        return whole

    def flush(self):
        try:
            while self.going:
                del self.going[:self.sock.send(self.going)]
        except BlockingIOError:
            pass
        except OSError:
            self.going.clear()


class Boot:
    """One run of the emulator, from power to reset."""

    def __init__(self, listener, qemu):
        self.listener, self.callers, self.next, self.up, self.reset = listener, {}, FIRST_CHANNEL, False, False
        ours, theirs = socket.socketpair()
        monitor, far_monitor = socket.socketpair()
        # A guest that restarts ends the emulator, so that each boot has a channel that is empty.
        argv = qemu + ["-action", "reboot=shutdown",
                       "-chardev", f"socket,id=rig,fd={theirs.fileno()}",
                       "-chardev", f"socket,id=monitor,fd={far_monitor.fileno()}",
                       "-mon", "chardev=monitor,mode=control"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        pass_fds=[theirs.fileno(), far_monitor.fileno()])
        theirs.close()
        far_monitor.close()
        self.guest, self.monitor, self.said = Peer(ours), monitor, b""
        monitor.sendall(b'{"execute": "qmp_capabilities"}\n')
        self.selector = selectors.DefaultSelector()
        self.selector.register(ours, selectors.EVENT_READ, self.from_guest)
        self.selector.register(monitor, selectors.EVENT_READ, self.from_monitor)
        self.selector.register(listener, selectors.EVENT_READ, self.accept)

    def run(self):
        """Until the emulator has ended; whether it did because the guest wants to boot again."""
        while self.process.poll() is None:
            for key, events in self.selector.select(0.2):
                peer = self.callers.get(key.fileobj, self.guest if key.fileobj is self.guest.sock else None)
                if events & selectors.EVENT_WRITE and peer:
                    self.send(peer, b"")
                if events & selectors.EVENT_READ:
                    key.data(key.fileobj)
        # What it said last.
        self.monitor.settimeout(1)
        while self.from_monitor(self.monitor):
            pass
        for caller in list(self.callers):
            caller.close()
        self.selector.close()
        self.guest.sock.close()
        self.monitor.close()
        return self.reset

    def send(self, peer, data):
        peer.going += data
        peer.flush()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.going else 0)
        key = self.selector.get_map().get(peer.sock)
        if key and key.events != wanted:
            self.selector.modify(peer.sock, wanted, key.data)

    def from_monitor(self, monitor):
        try:
            data = monitor.recv(65536)
        except OSError:
            data = b""
        *lines, self.said = (self.said + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event.get("event") == "SHUTDOWN":
                self.reset = event["data"].get("reason") == "guest-reset"
        if not data and self.selector.get_map() and monitor in self.selector.get_map():
            self.selector.unregister(monitor)
        return bool(data)

    def accept(self, listener):
        sock, _ = listener.accept()
        self.callers[sock] = Peer(sock, self.next)
        self.next += 1
        if self.up:
            self.greet(self.callers[sock])

    def greet(self, caller):
        """From here on what a caller says is passed on; until then it waits for the guest to be up."""
        self.selector.register(caller.sock, selectors.EVENT_READ, self.from_caller)
        self.send(caller, frame(0, b"h"))

    def from_caller(self, sock):
        caller = self.callers[sock]
        frames = caller.frames()
        if frames is None:
            self.send(self.guest, frame(caller.channel, b"k"))
            self.drop(caller)
            return
        for _, kind, payload in frames:
            self.send(self.guest, frame(caller.channel, kind, payload))

    def from_guest(self, sock):
        frames = self.guest.frames()
        if frames is None:
            self.selector.unregister(sock)
            return
        callers = {caller.channel: caller for caller in self.callers.values()}
        for channel, kind, payload in frames:
            if kind == b"h":
                self.up = True
                for caller in callers.values():
                    self.greet(caller)
            elif channel in callers:
                self.send(callers[channel], frame(0, kind, payload))

    def drop(self, caller):
        self.selector.unregister(caller.sock)
        del self.callers[caller.sock]
        caller.sock.close()


def keep(qemu):
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists("link"):
        os.unlink("link")
    listener.bind("link")
    listener.listen(64)
    while Boot(listener, qemu).run():
        pass


def read_frame(stream):
    try:
        head = stream.read(HEAD.size)
    except ConnectionResetError:
        head = b""
    if len(head) < HEAD.size:
        return None, b""
    _, kind, length = HEAD.unpack(head)
    return kind, stream.read(length)


def enter(what):
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect("link")
        link.sendall(frame(0, b"r", json.dumps(what).encode()))
    except OSError:
        return not_booted()
    threading.Thread(target=feed, args=(link,), daemon=True).start()
    stream, heard = link.makefile("rb"), False
    while True:
        kind, payload = read_frame(stream)
        if kind is None:
            return KILLED if heard else not_booted()
        heard = True
        if kind == b"x":
            return int(payload)
        if kind == b"h":
            continue
        try:
            os.write(1 if kind == b"o" else 2, payload)
        except BrokenPipeError:
            return KILLED


def not_booted():
    print(f"rig: rig '{os.path.basename(os.getcwd())}' has not booted yet", file=sys.stderr)
    return 1


def feed(link):
    try:
        while data := os.read(0, 1 << 16):
            link.sendall(frame(0, b"i", data))
        link.sendall(frame(0, b"c"))
    except OSError:
        pass


def main():
    verb, run, user, *argv = sys.argv[1:]
    # The path of a socket is short, that of a folder need not be.
    os.chdir(run)
    if verb == "keep":
        keep(argv)
    elif user == "--":
        os._exit(enter({"argv": argv}))
    else:
        end = argv.index("--", 1)
        os._exit(enter({"user": user, "variables": argv[1:end], "argv": argv[end + 1:]}))


main()
