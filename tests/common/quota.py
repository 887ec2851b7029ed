"""Run as root of an emulated rig: mounts an ext4 image, made with `-O quota`, and limits what a user may have on it,
by the kernel's own quota. Arguments: the image, where to, the user's number, the limit in KiB."""

import ctypes
import os
import struct
import subprocess
import sys

# Where they stand among the system calls of x86-64: the tree has neither kmod nor quota tools.
FINIT_MODULE, QUOTACTL = 313, 179
# Q_SETQUOTA for users.
SET_LIMITS = 0x800008 << 8
# Of what stands in the structure, only the limits of space hold.
SPACE = 1


def call(what, number, *arguments):
    if libc.syscall(number, *arguments) != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


image, folder, uid, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
for module in ["loop", "quota_tree", "quota_v2"]:
    path = f"/usr/lib/rig/{module}.ko"
    # A kernel may have it built in.
    if os.path.exists(path):
        with open(path, "rb") as file:
            call(path, FINIT_MODULE, file.fileno(), b"", 0)
subprocess.run(["mount", "-o", "loop,usrquota", image, folder], check=True)
with open("/proc/mounts") as mounts:
    device = next(line.split()[0] for line in mounts if line.split()[1] == folder)
limits = struct.pack("8QI4x", limit, 0, 0, 0, 0, 0, 0, 0, SPACE)
call("quotactl", QUOTACTL, ctypes.c_uint(SET_LIMITS), device.encode(), uid, limits)
