package main

import (
	"fmt"
	"regexp"
)

// machine is a kernel on a processor.
type machine struct {
	series string // of the kernel
	arch   string // Go's and Debian's name
}

func (m machine) String() string { return m.series + "/" + m.arch }

// machines are what users have: the kernels of Debian 12 and 13, the first of which Amazon Linux 2023 has as well.
var machines = []machine{{"6.1", "arm64"}, {"6.1", "amd64"}, {"6.12", "arm64"}, {"6.12", "amd64"}}

// kernelPackage matches the names of a machine's kernel packages. The unsigned ones hold the same kernel, and exist for both processors.
func (m machine) kernelPackage() *regexp.Regexp {
	return regexp.MustCompile(`^linux-image-` + regexp.QuoteMeta(m.series) + `[.-][^ ]*-cloud-` + m.arch + `-unsigned$`)
}

// clocks are what the guest's time is made of.
var clocks = map[string][]string{
	// One nanosecond an instruction, and none for waiting: how busy this machine is makes no difference to the guest, whose tests
	// may keep the time limits that they have elsewhere. It has one processor: kernels for x86-64 do not get past the start of a
	// second one with such a clock.
	"instructions": {"-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"},
	// The host's time. Its processors are threads and race as real ones do, and a busy host makes a slow guest.
	"host": {"-accel", "tcg,thread=multi", "-smp", "2"},
}

// emulator is QEMU's command line for the machine. KVM is of no use: the host's processor is one of the two at best.
func (m machine) emulator(kernel, initramfs, clock string) []string {
	argv := []string{"nice", "-n", "19"}
	console := "ttyS0"
	switch m.arch {
	case "amd64":
		argv = append(argv, "qemu-system-x86_64", "-machine", "q35", "-cpu", "max")
	case "arm64":
		// Pointer authentication as the architecture has it costs half of the emulator's time.
		argv = append(argv, "qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on")
		console = "ttyAMA0"
	}
	argv = append(argv, clocks[clock]...)
	return append(argv, "-m", "4G", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-kernel", kernel, "-initrd", initramfs,
		"-append", fmt.Sprintf("console=%s rdinit=/init quiet loglevel=1 panic=-1", console))
}

// tools are the emulators that the machine needs, and Debian's packages of them.
func (m machine) emulatorPackage() (command, pkg string) {
	if m.arch == "arm64" {
		return "qemu-system-aarch64", "qemu-system-arm"
	}
	return "qemu-system-x86_64", "qemu-system-x86"
}
