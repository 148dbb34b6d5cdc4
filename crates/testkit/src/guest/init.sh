#!/bin/busybox sh
# The whole userland of a test guest: says on the serial console what it booted from, and does what it is told there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
$B stty -echo
for module in /modules/*.ko; do $B insmod "$module"; done

from=unknown
for word in $($B cat /proc/cmdline); do
  case $word in testguest.from=*) from=${word#*=} ;; esac
done
firmware=bios
[ -d /sys/firmware/efi ] && firmware=efi

for device in /sys/class/input/event*; do
  [ "$($B cat "$device/device/name")" = "Power Button" ] && button=/dev/input/${device##*/}
done
# One pressed key is one 24-byte event; nothing else comes from that device.
( $B dd if="$button" of=/dev/null bs=24 count=1 2>/dev/null && echo "TESTGUEST power-button" && $B poweroff -f ) </dev/null &

echo "TESTGUEST booted-from=$from firmware=$firmware"
while read -r line; do
  case $line in
    reboot) echo "TESTGUEST rebooting"; $B reboot -f ;;
    poweroff) echo "TESTGUEST powering-off"; $B poweroff -f ;;
    panic) echo "TESTGUEST panicking"; echo c >/proc/sysrq-trigger ;;
    secure-boot)
      $B insmod /modules/efi/efivarfs.ko 2>/dev/null
      $B mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
      # Four bytes of attributes, then the value. A firmware without Secure Boot has no such variable.
      state=$($B tail -c 1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null | $B od -An -tu1)
      echo "TESTGUEST secure-boot=$($B echo ${state:-none})" ;;
    blocks)
      # Two sectors of a device are a KiB; virtio disks say their serial number, others only that they are there.
      for device in /sys/block/*; do
        case $device in */loop*|*/ram*) continue ;; esac
        serial=; [ -r "$device/serial" ] && serial=$($B cat "$device/serial")
        echo "TESTGUEST block ${device##*/} sectors=$($B cat "$device/size") serial=$serial."
      done
      echo "TESTGUEST blocks-end" ;;
    ping) echo "TESTGUEST pong" ;;
    ipmi\ *) echo "TESTGUEST ipmi-begin"; /usr/bin/ipmitool -I open ${line#ipmi }; echo "TESTGUEST ipmi-end $?" ;;
    work) ( while :; do :; done ) & worker=$!; echo "TESTGUEST working" ;;
    rest) kill "$worker"; echo "TESTGUEST resting" ;;
  esac
done
while :; do $B sleep 3600; done
