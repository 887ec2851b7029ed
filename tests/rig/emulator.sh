# A rig as a whole emulated machine: a kernel of its own, with all controllers, a clock, and a disk whose
# power can be cut. Boots in about ten seconds, without /dev/kvm.
# shellcheck shell=bash
# shellcheck disable=SC2154 # name, run, rigs and here come from rig, vars from inside.sh

# The distribution's own, where it is: what a version manager puts in front of it takes longer to start than a command
# inside.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

emulator_base() {
    image "$1"
}

# A whole copy: cheap beside a boot, and its state can be looked at with the plainest tools.
emulator_disk() {
    ln -s "$1" "$run/base"
    cp --sparse=always --reflink=auto "$1/disk" "$run/disk"
    printf '%s\n' "$name" >"$run/hostname"
    printf '127.0.0.1 localhost %s\n' "$name" >"$run/hosts"
    put_file hostname
    put_file hosts
}

# Writes the file of that name in the rig's folder to /etc of its disk.
put_file() {
    debugfs -w -f /dev/stdin "$run/disk" >/dev/null 2>&1 <<END
rm /etc/$1
write $run/$1 /etc/$1
END
}

emulator_keep() {
    local folder image number=1 append qemu
    append="root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off panic=-1 systemd.show_status=no"
    # What an emulator pays for most: docs/development/rig.md.
    append+=" nolapic_timer no_timer_check cryptomgr.notests norandmaps init_on_alloc=0"
    qemu=(
        qemu-system-x86_64 -accel tcg -icount shift=0 -machine q35 -cpu Nehalem,+rdrand -smp 1 -m 768 -nodefaults -no-user-config -display none
        -chardev file,id=console,path="$run/console",append=on -serial chardev:console
        -kernel "$run/base/vmlinuz"
        -device virtio-serial-pci -device virtserialport,chardev=rig,name=rig
        -device nvme,id=nvme,serial=rig -device nvme-ns,bus=nvme,nsid=1,drive=disk
    )
    if [[ -e $run/writes ]]; then
        qemu+=(-blockdev driver=file,node-name=file,filename="$run/disk"
            -blockdev driver=file,node-name=log,filename="$run/writes"
            -blockdev driver=blklogwrites,node-name=disk,file=file,log=log)
    else
        qemu+=(-blockdev driver=raw,node-name=disk,file.driver=file,file.filename="$run/disk")
    fi
    if [[ -e $run/seen ]]; then
        while read -r folder; do
            number=$((number + 1))
            image=$run/seen$number
            [[ -e $image ]] || mke2fs -q -t ext4 -d "$folder" "$image" "$(($(du -sm "$folder" | cut -f1) * 2 + 16))M"
            append+=" rig.see=${folder##*/}"
            qemu+=(-drive if=none,id="seen$number",format=raw,readonly=on,file="$image"
                -device nvme-ns,bus=nvme,nsid="$number",drive="seen$number")
        done <"$run/seen"
    fi
    exec "$python" -I -S "$here/emulator.py" keep "$run" -- "${qemu[@]}" -append "$append"
}

emulator_enter() {
    exec "$python" -I -S "$here/emulator.py" enter "$run" "$@"
}

# The user is looked up inside, by whoever starts the command: each command on the way there takes its time.
emulator_as() {
    local user=$1
    shift
    emulator_enter "$user" -- "${vars[@]}" -- "$@"
}

emulator_boot_id() {
    timeout 10 "$here/rig" root "$name" cat /proc/sys/kernel/random/boot_id 2>/dev/null
}

emulator_ask_reboot() {
    "$here/rig" root "$name" kill -s RTMIN+5 1
}

# What it writes from its next start on is kept in the order in which it came, and the disk from before beside it.
emulator_record() {
    ! populated || fail "rig '$name' is running"
    cp --sparse=always --reflink=auto "$run/disk" "$run/disk.before"
    : >"$run/writes"
}

emulator_path() {
    fail "the disk of rig '$name' is its kernel's alone; look at $run/disk while it is off"
}

emulator_journal() {
    :
}

emulator_undisk() {
    :
}
