"""A file system that hangs, mounted at a folder: it takes every request and never answers. With `root` its root
folder has an owner and a mode, and only what is below it hangs. Arguments: the folder, the owner, `root` or
`nothing`. When it is killed, all are let go who wait."""

import ctypes
import errno
import os
import struct
import sys

INIT, GETATTR, STATFS, STATX = 26, 3, 17, 52

folder, owner, answers = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "root"
if not os.path.exists("/dev/fuse"):
    os.mknod("/dev/fuse", 0o20666, os.makedev(10, 229))
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id={owner},group_id={owner},allow_other".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"hang", folder.encode(), b"fuse", 0, options) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")


def reply(unique, payload, error=0):
    os.write(device, struct.pack("IiQ", 16 + len(payload), error, unique) + payload)


while True:
    request = os.read(device, 1 << 20)
    _, opcode, unique, node = struct.unpack_from("IIQQ", request)
    if opcode == INIT:
        reply(unique, struct.pack("IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, 65536, 1, 0, 0, 0))
    elif answers and opcode == GETATTR and node == 1:
        attributes = struct.pack("6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40700, 2, owner, owner, 0, 4096, 0)
        reply(unique, struct.pack("QII", 0, 0, 0) + attributes)
    elif answers and opcode == STATX:
        # Then it asks the older way.
        reply(unique, b"", -errno.ENOSYS)
    elif answers and opcode == STATFS:
        reply(unique, struct.pack("5Q4I24x", 9, 9, 9, 9, 9, 4096, 255, 4096, 0))
