//go:build !linux && !darwin

package admin

import "os"

// TerminalWidth is not known here.
func TerminalWidth(*os.File) int { return 0 }
