package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// formatDuration writes the shortest form: 1h rather than 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// writeZero is what parseDuration advises for a bare 0.
const writeZero = "write 0s"

// tooLong matches a duration of the right form. One that cannot be read all the same has too large a number.
var tooLong = regexp.MustCompile(`^[-+]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

// parseDuration reads a duration with a unit. Its error is a *Fault that says what to write instead, without the range.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		if text == "0" || text == "+0" || text == "-0" {
			return 0, fault("the number %s has no unit", writeZero, text)
		}
		return d, nil
	}
	if _, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		return 0, fault("the number %s has no unit", "write "+text+"s for seconds, or a unit of ms, s, m, h", text)
	}
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if days, numErr := strconv.ParseUint(n, 10, 16); numErr == nil {
			return 0, fault("%q: there is no unit d", "write "+strconv.FormatUint(days*24, 10)+"h", text)
		}
	}
	if tooLong.MatchString(text) {
		return 0, fault("%s is out of range", "", text)
	}
	return 0, fault("%q is not a duration", "write a number with a unit of ms, s, m, h, like 5s or 1m30s", text)
}

// durationIn reads a duration from low to high, which are durations themselves. Its error names the range, so that one
// try is enough to correct it.
func durationIn(text, low, high string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err != nil {
		return 0, withRange(asFault(err), low, high)
	}
	least, most := mustDuration(low), mustDuration(high)
	switch {
	case d < 0:
		return 0, fault("%s is negative", "write a duration from "+low+" to "+high, formatDuration(d))
	case d < least || d > most:
		return 0, fault("%s is out of range", "write a duration from "+low+" to "+high, formatDuration(d))
	}
	return d, nil
}

// withRange adds the range to the advice of a fault.
func withRange(f *Fault, low, high string) error {
	between := "a duration from " + low + " to " + high
	if f.Allowed == "" || f.Allowed == writeZero && mustDuration(low) > 0 {
		f.Allowed = "write " + between
	} else {
		f.Allowed += "; " + between
	}
	return f
}

// mustDuration reads a bound of a key: a test reads them all.
func mustDuration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}
