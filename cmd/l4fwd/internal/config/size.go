package config

import (
	"strconv"
	"strings"
)

// sizeUnits are the units of a size, the largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// maxSize is the largest size, in bytes.
const maxSize = 1 << 40

// parseSize reads a number of bytes, or one with a unit.
func parseSize(text string) (int64, error) {
	const allowed = "write a number of bytes up to 1TiB, or one with a unit, like 512MiB"
	digits, unit := text, int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = strings.TrimSpace(number), u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil:
		return 0, fault("%q is not a size", allowed, text)
	case n < 0 || n > maxSize/unit:
		return 0, fault("%s is out of range", allowed, text)
	}
	return n * unit, nil
}

// formatSize writes a number of bytes with the largest unit that leaves it whole.
func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
