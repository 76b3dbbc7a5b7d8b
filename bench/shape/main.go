// Command shape measures the code's shape: a row for each figure, beside the value that is wanted.
//
//	go run ./bench/shape [-v]
//
// Product code is cmd, eip, health and proxy; bench and deploy are not. What the rows mean:
//
//   - uses between files: a file uses each top-level identifier and each method that it names and that another file of its
//     package defines; however often it names one, it counts once. The files are put into the order in which the fewest of these
//     uses run backwards (users first, what they use after them); the row shows how many do, of how many there are, for the package
//     with the most files, and for cmd/l4fwd. The order is searched for, not proved to be the best: from several random orders, files are moved as
//     long as that helps. Files of other systems are not looked at.
//   - function lines: from the line of func to the line of the closing brace, both counted, of functions outside of tests.
//   - file max: the longest file of product code, without tests.
//   - tests ÷ code: lines of _test.go files per line of other Go files. The row below it counts what the program is not linked of, the simulator of AWS and
//     the browser of the page's tests, on the side of the tests.
//   - functions without comments: of product code, methods too, without tests and without those of an obvious name: main, init,
//     and methods that the standard library's interfaces name (String, Error, Unwrap, Len, Less, Swap, Close, Read, Write).
//
// With -v the places follow: the pairs that run backwards in every package, functions and files over the limits.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	verbose := flag.Bool("v", false, "show the places too")
	flag.Parse()
	if err := run(*verbose); err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

// row is one figure.
type row struct{ what, is, wanted string }

func run(verbose bool) error {
	files, err := readFiles()
	if err != nil {
		return err
	}
	coupled, err := measureUses()
	if err != nil {
		return err
	}
	rows := []row{{"files of package main in cmd/l4fwd, without tests", fmt.Sprint(files.mains), "≤ 22"}, coupled[0].row()}
	if i := slices.IndexFunc(coupled, func(c coupling) bool { return c.pkg == "cmd/l4fwd" }); i > 0 {
		rows = append(rows, coupled[i].row())
	}
	rows = append(rows, files.rows()...)
	for _, r := range rows {
		fmt.Printf("%-72s %14s   wanted %s\n", r.what, r.is, r.wanted)
	}
	if verbose {
		files.showPlaces(os.Stdout)
		for _, c := range coupled {
			c.show(os.Stdout)
		}
	}
	return nil
}

// tracked lists the files that git knows or would take up.
func tracked(pattern string) ([]string, error) {
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", pattern).Output()
	if err != nil {
		return nil, fmt.Errorf("list the files by git: %w", err)
	}
	return strings.Fields(string(out)), nil
}
