package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func uses(n int, pairs ...[3]int) matrix {
	m := make(matrix, n)
	for i := range m {
		m[i] = make([]map[string]bool, n)
	}
	for _, p := range pairs {
		m[p[0]][p[1]] = map[string]bool{}
		for k := range p[2] {
			m[p[0]][p[1]][strings.Repeat("x", k+1)] = true
		}
	}
	return m
}

// A cycle costs its lightest use, wherever the files are named.
func TestBestOrder(t *testing.T) {
	for _, c := range []struct {
		m    matrix
		want int
	}{
		{uses(3, [3]int{2, 1, 5}, [3]int{1, 0, 5}), 0},
		{uses(3, [3]int{2, 1, 5}, [3]int{1, 0, 5}, [3]int{0, 2, 2}), 2},
		{uses(4, [3]int{0, 1, 3}, [3]int{1, 0, 4}, [3]int{2, 3, 1}, [3]int{3, 2, 1}), 4},
	} {
		require.Equal(t, c.want, backwards(bestOrder(c.m), c.m))
	}
}

func TestFunctionsAndFilesAreCounted(t *testing.T) {
	s := &shape{linked: map[string]bool{"cmd/l4fwd": true}}
	text := "package main\n\n// f does.\nfunc f() {\n}\n\nfunc g() {}\n\nfunc (t *T) String() string { return \"\" }\n" +
		"func long() {\n" + strings.Repeat("\tf()\n", 50) + "}\n"
	require.NoError(t, s.file("cmd/l4fwd/a.go", []byte(text)))
	require.NoError(t, s.file("cmd/l4fwd/a_test.go", []byte("package main\n")))
	require.NoError(t, s.file("cmd/l4fwd/internal/b/b.go", []byte("package b\n")))
	require.Equal(t, 1, s.mains)
	require.Equal(t, []int{2, 1, 1, 52}, s.functions)
	require.Equal(t, 2, s.uncommented, "g and long; the name of String says all")
	require.Equal(t, 1, s.tests)
	require.Equal(t, strings.Count(text, "\n")+1, s.code)
	require.Equal(t, 1, s.support, "b is linked by nobody")
	require.Contains(t, s.places, "cmd/l4fwd/a.go:10: long has 52 lines")
}
