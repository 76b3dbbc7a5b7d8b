package probe

import (
	"os"
	"strings"
)

// Sysctl returns the value of a kernel setting such as net.core.somaxconn, its fields separated by single spaces. known is
// false where there is none: off Linux, in a container that hides it, or in an older kernel.
func Sysctl(name string) (value string, known bool) {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return "", false
	}
	return strings.Join(strings.Fields(string(text)), " "), true
}
