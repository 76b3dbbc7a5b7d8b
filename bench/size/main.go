// Command size says what each library costs in the binary of l4fwd: the bytes of its functions and data, by Go module.
//
//	go run ./bench/size [-limit MiB]
//
// It builds the binary twice, once as it is shipped, stripped, whose size is the one that counts, and once with its symbols, which are
// summed. What belongs to no package (tables that the linker makes: of lines, of types, for the collector) has a row of its own.
// Linux only. With -limit the exit status is 1 if the shipped binary is larger.
package main

import (
	"debug/elf"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	limit := flag.Float64("limit", 0, "the most that the shipped binary may have, in `MiB`; 0: no limit")
	flag.Parse()
	if err := run(os.Stdout, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

const (
	mebi = 1 << 20
	ours = "github.com/l4fwd/l4fwd"
)

// run builds, weighs and prints.
func run(w io.Writer, limit float64) error {
	dir, err := os.MkdirTemp("", "l4fwd-size-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shipped, whole := filepath.Join(dir, "shipped"), filepath.Join(dir, "whole")
	if err := build(shipped, "-s -w"); err != nil {
		return err
	}
	info, err := os.Stat(shipped)
	if err != nil {
		return err
	}
	if err := build(whole, ""); err != nil {
		return err
	}
	modules, err := modulesOf()
	if err != nil {
		return err
	}
	sums, err := weigh(whole, modules)
	if err != nil {
		return err
	}
	if err := show(w, sums, info.Size()); err != nil {
		return err
	}
	if have := float64(info.Size()) / mebi; limit > 0 && have > limit {
		return fmt.Errorf("the shipped binary has %.1f MiB, and %g are wanted: a library that looks up methods by name, as text/template does, keeps all of EC2; "+
			"go build -ldflags=-dumpdep ./cmd/l4fwd 2>&1 | grep ReflectMethod names it", have, limit)
	}
	return nil
}

// build builds l4fwd as a release does.
func build(path, ldflags string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", ldflags, "-o", path, ours+"/cmd/l4fwd")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// modulesOf returns the module of each package that the binary may contain; the standard library's is "Go".
func modulesOf() (map[string]string, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{else}}Go{{end}}", ours+"/cmd/l4fwd").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	modules := map[string]string{"main": ours}
	for line := range strings.Lines(string(out)) {
		if pkg, module, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			modules[pkg] = module
		}
	}
	return modules, nil
}

// tables is the row of what belongs to no package.
const tables = "tables of the linker: lines, types, stacks"

// weigh sums the sizes of an ELF file's symbols by module. What its sections have beyond their symbols are tables.
func weigh(path string, modules map[string]string) (map[string]int64, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the binary: %w", err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("read the binary: %w", err)
	}
	sums := map[string]int64{}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS {
			sums[tables] += int64(s.Size)
		}
	}
	for _, s := range symbols {
		if int(s.Section) >= len(f.Sections) || f.Sections[s.Section].Type == elf.SHT_NOBITS {
			continue // memory that is zero at the start: not in the file
		}
		if module := modules[packageOf(s.Name)]; module != "" {
			sums[module] += int64(s.Size)
			sums[tables] -= int64(s.Size)
		}
	}
	return sums, nil
}

// packageOf is the import path in the name of a symbol, or "" if there is none.
func packageOf(symbol string) string {
	for _, table := range []string{"type:", "go:", "runtime.pclntab", "runtime.types", "runtime.etypes", "runtime.findfunctab"} {
		if strings.HasPrefix(symbol, table) {
			return ""
		}
	}
	if i := strings.IndexAny(symbol, "[("); i >= 0 { // type arguments and receivers have paths of their own
		symbol = symbol[:i]
	}
	dir, last := "", symbol
	if i := strings.LastIndexByte(symbol, '/'); i >= 0 {
		dir, last = symbol[:i+1], symbol[i+1:]
	}
	name, _, found := strings.Cut(last, ".")
	if !found {
		return ""
	}
	return dir + strings.ReplaceAll(name, "%2e", ".")
}

// least is what a module must have for a row of its own.
const least = 100 << 10

// show prints the rows, the largest first.
func show(w io.Writer, sums map[string]int64, shipped int64) error {
	var names []string
	rest := int64(0)
	for name, n := range sums {
		if n < least {
			rest += n
			continue
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(sums[b] - sums[a]) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range names {
		fmt.Fprintf(t, "%s\t%.2f MiB\n", name, float64(sums[name])/mebi)
	}
	fmt.Fprintf(t, "others\t%.2f MiB\n", float64(rest)/mebi)
	fmt.Fprintf(t, "the shipped binary, stripped\t%.2f MiB\n", float64(shipped)/mebi)
	return t.Flush()
}
