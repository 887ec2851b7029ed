"""Run as a tenant: exchanges folders of its configuration for links and back, all the time, in steps between which
nothing is missing. What is in place at each moment is one or the other; a count of the exchanges stands in ~/swaps.
Ends when ~/stop is there, with the folders in place."""

import ctypes
import os
import random
import shutil
import time

libc = ctypes.CDLL(None, use_errno=True)
home = os.path.expanduser("~")
os.chdir(home)
pairs = [(".config/mosaic", "one", "/srv/bait"), (".config", "other", "/home/good/.config")]
for _, aside, target in pairs:
    os.symlink(target, aside)


def exchange(one, other):
    return libc.renameat2(-100, one.encode(), -100, other.encode(), 2) == 0  # AT_FDCWD, RENAME_EXCHANGE


done = 0
until = time.monotonic() + 300
while time.monotonic() < until and not os.path.exists("stop"):
    for name, aside, target in pairs:
        if not exchange(name, aside):
            # Whoever applies may have come in between. All is laid anew.
            for place in [".config", "one", "other"]:
                shutil.rmtree(place) if os.path.isdir(place) and not os.path.islink(place) else os.unlink(place)
            shutil.copytree("whole", ".config", symlinks=True)
            for _, link, to in pairs:
                os.symlink(to, link)
            continue
        time.sleep(random.uniform(0, 0.004))
        exchange(name, aside)
        done += 1
        time.sleep(random.uniform(0, 0.004))
    with open("swaps.new", "w") as count:
        count.write(str(done))
    os.replace("swaps.new", "swaps")
