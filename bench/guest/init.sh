#!/bin/busybox sh
# Process 1 of a benchmarked guest: mounts what the programs need, runs /suite, says that it has ended.
# The tool reads the lines that begin with '@'.
/bin/micro boot
/bin/busybox --install -s /bin
export PATH=/bin:/lmbench
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp
mkdir -p /var/tmp
mount -t tmpfs tmpfs /var/tmp

# run NAME COMMAND...: one row of the suite.
run() {
  name=$1
  shift
  echo "@begin $name"
  "$@" 2>&1
  echo "@status $?"
}

echo "@kernel $(uname -srm)"
. /suite
echo "@end"
# The machine is ended from outside: its power switch is not the same on all systems.
exec sleep 1000000
