"""Runs a command on a terminal of its own, 80 columns wide, and prints as JSON all that it wrote and how it ended.
Arguments: words that must have been shown before the keys are typed, the keys, and the command."""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

words, keys, argv = sys.argv[1].split(), sys.argv[2], sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    # Not before the terminal has its size.
    sys.stdin.readline()
    os.execvp(argv[0], argv)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
settings = termios.tcgetattr(terminal)
settings[3] &= ~termios.ECHO
termios.tcsetattr(terminal, termios.TCSANOW, settings)
os.write(terminal, b"\n")
shown, end, typed = b"", time.time() + 100, not keys
while time.time() < end:
    if not typed and all(word.encode() in shown for word in words):
        os.write(terminal, keys.encode())
        typed = True
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
_, status = os.waitpid(pid, 0)
print(json.dumps({"shown": shown.decode(errors="replace"), "code": os.waitstatus_to_exitcode(status)}))
