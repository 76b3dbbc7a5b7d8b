// Package enum gives the enumerations of the configuration one spelling and one way to be read: each has a list of names,
// indexed by its values.
package enum

import (
	"fmt"
	"slices"
	"strings"
)

// Name returns the name of v, or "unknown" if the list has none for it.
func Name[E ~uint8](names []string, v E) string {
	if int(v) >= len(names) {
		return "unknown"
	}
	return names[v]
}

// Parse sets *v to the value of the name in text. An unknown name is an error that lists the known ones, and leaves *v as it was.
func Parse[E ~uint8](names []string, text []byte, v *E) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a choice: use one of %s", text, strings.Join(names, ", "))
	}
	*v = E(i)
	return nil
}
