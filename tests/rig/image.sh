# The disk image and the kernel that emulated rigs start from: built once per recipe.
# shellcheck shell=bash
# shellcheck disable=SC2154 # here and rigs come from rig

# What rig.service needs to be reached from outside. The kernel has the disk and its file system built in.
modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console)
# What a test of disk quotas loads: another file system than the tree's, and what keeps its books.
modules+=(loop quota_tree quota_v2)
image_size=1536M

# Prints the image's path; the kernel is beside it.
image() {
    local suite=$1 lower key done
    lower=$(tree "$suite")
    key=$(cat "$here/tree.sh" "$here/image.sh" "$here/agent.py" | sha256sum | cut -c1-12)
    done=$rigs/image/$suite-$key
    mkdir -p "$rigs/image"
    (
        flock 9
        [[ -d $done ]] || build_image "$suite" "$lower" "$done"
    ) 9>"$rigs/image/$suite.lock" >&2
    echo "$done"
}

build_image() {
    local suite=$1 lower=$2 done=$3 new=$3.new
    rm -rf --one-file-system "$new"
    mkdir -p "$new"
    kernel "$suite" "$new" 9>&-
    cp -a --reflink=auto "$lower" "$new/root"
    seat "$new"
    mke2fs -q -t ext4 -L rig -d "$new/root" "$new/disk" "$image_size" 9>&- || fail "could not make the image of $suite"
    rm -rf --one-file-system "$new/root" "$new/modules"
    mv -T "$new" "$done"
}

# Debian's cloud kernel of the suite, unpacked and not installed. apt with the suite's own sources fetches
# it, so that it does not matter what this machine's sources are.
kernel() {
    local suite=$1 new=$2 module file
    mkdir "$new/fetch"
    # shellcheck disable=SC2016 # expanded by mmdebstrap's shell
    RIG_FETCH=$new/fetch timeout 600 mmdebstrap --quiet --variant=custom --mode=root --extract-hook='set -eu
        cd "$RIG_FETCH"
        export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
        package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n "s/^ *Depends: //p" | grep ^linux-image-)
        apt-get -qq -o APT::Sandbox::User=root download "$package"
        ' "$suite" "$new/fetch/root" </dev/null || fail "could not fetch the kernel of $suite"
    dpkg-deb -x "$new"/fetch/linux-image-*.deb "$new/fetch/kernel"
    mkdir "$new/modules"
    mv "$new"/fetch/kernel/boot/vmlinuz-* "$new/vmlinuz"
    for module in "${modules[@]}"; do
        file=$(find "$new/fetch/kernel" -name "$module.ko*" -print -quit)
        case $file in
            *.xz) xz -dc "$file" >"$new/modules/$module.ko" ;;
            *.ko) cp "$file" "$new/modules/" ;;
        esac
    done
    rm -rf --one-file-system "$new/fetch"
}

# rig.service is what commands from outside are in, as in a container; here it also carries them.
seat() {
    local root=$1/root
    mkdir -p "$root/usr/lib/rig" "$root/etc/systemd/system/rig.service.d"
    # Debian 13's kernel has them built in.
    find "$1/modules" -name '*.ko' -exec cp -t "$root/usr/lib/rig" {} +
    cp "$here/agent.py" "$root/usr/lib/rig/"
    # The tree has no modules but those that agent.py loads.
    ln -sf /dev/null "$root/etc/systemd/system/systemd-modules-load.service"
    cat >"$root/etc/systemd/system/rig.service.d/agent.conf" <<'END'
[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I -S /usr/lib/rig/agent.py
END
}
