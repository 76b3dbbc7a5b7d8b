package ring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A relay on kernel 6.1 delivered bytes to the wrong connection, since that kernel receives in other calls than the ring expected: see
// Shrink. The cause is mended; kernels before provenMajor.provenMinor, which are tested under emulation only, are still used only where
// they are asked for.
const provenMajor, provenMinor = 6, 12

// Proven returns nil if this kernel's io_uring may be chosen without being asked for. The error is an *Unsupported.
func Proven() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return &Unsupported{"the kernel does not tell its version", err}
	}
	return proven(unix.ByteSliceToString(u.Release[:]))
}

// proven returns nil if the kernel of this release is new enough for auto, and an Unsupported that says why not.
func proven(release string) error {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return &Unsupported{fmt.Sprintf("the kernel's version %q cannot be read", release), nil}
	}
	if major < provenMajor || major == provenMajor && minor < provenMinor {
		return &Unsupported{fmt.Sprintf("kernel %d.%d is older than %d.%d, before which io_uring is used only with --engine uring",
			major, minor, provenMajor, provenMinor), nil}
	}
	return nil
}
