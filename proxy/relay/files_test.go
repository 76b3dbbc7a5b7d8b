package relay

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// With a floor of two pipes of 1 MiB a loop, 64 loops had 128 pipes, and unprivileged processes got pipes of one page.
func TestThePipesOfAllLoopsStayBelowTheKernelsLimit(t *testing.T) {
	for loops := 1; loops <= 1024; loops++ {
		pipes, size := pipeShare(loops)
		require.LessOrEqual(t, loops*pipes*size, 64<<20, loops)
		if loops <= 24 {
			require.Equal(t, pipeSize, size, loops)
		}
		if loops <= 384 {
			require.GreaterOrEqual(t, pipes, pipesEach, loops)
			require.GreaterOrEqual(t, size, pipeLeast, loops)
		} else {
			require.Zero(t, pipes, loops)
		}
		always, forPipes := Files(loops, 3)
		require.Equal(t, loops*6, always)
		require.Equal(t, 2*pipes*loops, forPipes)
	}
	pipes, size := pipeShare(64)
	require.Equal(t, 2, pipes)
	require.Equal(t, 256<<10, size)
}
