#!/usr/bin/env bash
# Builds what `make test-boot` boots: scripts/boot/build.sh BIN_DIR DIR
# DIR keeps the Debian root, the kernel and the initramfs, which are made once, and gets disks anew.
# Ends with status 3 and `passed over: WHY` where it cannot be done here.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
suite=bookworm
include=udev,kmod,openssh-server,nginx-light,iproute2,util-linux,e2fsprogs,mount,procps,login,passwd,sysvinit-utils,apparmor

over() {
    echo "passed over: $*"
    exit 3
}

# What has to be installed: a program, and its package.
needs="qemu-system-x86_64 qemu-system-x86
mmdebstrap mmdebstrap
mke2fs e2fsprogs
cpio cpio
depmod kmod
ssh openssh-client
python3 python3"

tools() {
    local program package missing=
    while read -r program package; do
        command -v "$program" > /dev/null || missing="$missing $package"
    done <<< "$needs"
    [ -n "$missing" ] || return 0
    command -v apt-get > /dev/null || over "not there:$missing"
    [ "$(id -u)" = 0 ] || over "not there:$missing; as root they are installed"
    echo "installing$missing"
    # shellcheck disable=SC2086 # a list of words
    { timeout 120 apt-get update -q > /dev/null &&
        DEBIAN_FRONTEND=noninteractive timeout 300 \
            apt-get install -y -q --no-install-recommends seabios $missing > /dev/null; } ||
        over "cannot install$missing"
}

# A Debian without an init, in $dir/debian.
root() {
    [ "$(cat "$dir/debian.done" 2> /dev/null)" != "$include" ] || return 0
    [ "$(id -u)" = 0 ] || over "building a Debian root needs root"
    echo "building a Debian $suite root"
    rm -rf "$dir/debian"
    timeout 900 mmdebstrap --quiet --variant=apt --mode=root --include="$include" \
        --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        $suite "$dir/debian" || over "Debian's packages cannot be had"
    echo "$include" > "$dir/debian.done"
}

# The kernel that linux-image-cloud-amd64 stands for now, and busybox for the initramfs; neither is
# installed here.
kernel() {
    [ ! -e "$dir/kernel.done" ] || return 0
    rm -rf "$dir/debs" "$dir/kernel"
    mkdir -p "$dir/debs" "$dir/kernel"
    local image
    image=$(apt-cache depends linux-image-cloud-amd64 2> /dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$image" ] || over "linux-image-cloud-amd64 is not known to apt"
    (cd "$dir/debs" && timeout 300 apt-get download -q "$image" busybox-static > /dev/null 2>&1) ||
        over "cannot download $image and busybox-static"
    local package
    for package in "$dir"/debs/*.deb; do dpkg-deb -x "$package" "$dir/kernel"; done
    touch "$dir/kernel.done"
}

# What finds the disk and hands over, as initramfs-tools would, and no more: nothing is mounted for
# PID 1 but the root, read-only.
initramfs() {
    local version modules=$dir/kernel/lib/modules work=$dir/initramfs
    version=$(ls "$modules")
    depmod -b "$dir/kernel" "$version"
    rm -rf "$work"
    mkdir -p "$work/bin" "$work/lib" "$work/dev" "$work/proc" "$work/root"
    cp "$dir/kernel/bin/busybox" "$work/bin/busybox"
    local file order=
    for file in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
        find "$modules" -name "$file.ko" -exec cp {} "$work/lib/" \;
        order="$order $file"
    done
    mknod -m 600 "$work/dev/console" c 5 1 2> /dev/null || true
    cat > "$work/init" << INIT
#!/bin/busybox sh
for module in$order; do
    [ ! -e /lib/\$module.ko ] || /bin/busybox insmod /lib/\$module.ko
done
/bin/busybox mount -t devtmpfs devtmpfs /dev
tries=0
until [ -b /dev/vda ] || [ \$tries = 100 ]; do /bin/busybox sleep 0.1; tries=\$((tries + 1)); done
/bin/busybox mount -t ext4 -o ro /dev/vda /root
/bin/busybox umount /dev
exec /bin/busybox switch_root /root /sbin/init "\$@"
INIT
    ln -s busybox "$work/bin/sh"
    chmod 755 "$work/init"
    (cd "$work" && find . | cpio --quiet -o -H newc | gzip -1) > "$dir/initramfs.gz"
    cp "$dir"/kernel/boot/vmlinuz-* "$dir/vmlinuz"
    mkdir -p "$dir/debian/usr/lib/modules"
    rm -rf "$dir/debian/usr/lib/modules/$version"
    cp -a "$modules/$version" "$dir/debian/usr/lib/modules/"
}

# Upright and its jobs in the root, and what the test asks about.
upright() {
    local root=$dir/debian name
    scripts/install.sh "$bin" "$root" /usr > /dev/null
    ln -sfn ../lib/upright/upright-core "$root/usr/sbin/init"
    for name in "$root"/usr/lib/upright/bin/*; do
        name=${name##*/}
        [ "$name" = init ] || ln -sfn ../bin/upright "$root/usr/sbin/$name"
    done
    rm -rf "$root/etc/init" "$root/var/log/upstart"
    mkdir -p "$root/etc/init"
    cp jobs/*.conf scripts/boot/jobs/*.conf "$root/etc/init/"
    cat > "$root/etc/apparmor.d/upright-test" << 'PROFILE'
profile upright-test flags=(attach_disconnected) {
  /** rwlkmix,
  signal,
  unix,
  deny /etc/hostname r,
}
PROFILE
    printf '/dev/vda / ext4 defaults 0 1\n/dev/vdb /srv ext4 defaults 0 2\n' > "$root/etc/fstab"
    echo upright-test > "$root/etc/hostname"
    [ -e "$dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
    local home=$root/root
    mkdir -p -m 700 "$home/.ssh"
    cp "$dir/key.pub" "$home/.ssh/authorized_keys"
}

disks() {
    rm -f "$dir/root.img" "$dir/srv.img"
    mke2fs -q -F -t ext4 -L root -d "$dir/debian" "$dir/root.img" 900M
    mke2fs -q -F -t ext4 -L srv "$dir/srv.img" 16M
}

[ "$(uname -m)" = x86_64 ] || over "only x86_64 is booted"
free=$(df --output=avail -m "$dir" | tail -n 1)
[ -e "$dir/root.img" ] || [ "$free" -gt 4000 ] || over "$dir has $free MiB of free space, 4000 are needed"
tools
root
kernel
initramfs
upright
disks
