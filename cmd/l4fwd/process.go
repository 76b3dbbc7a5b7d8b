package main

import (
	"runtime"

	"go.uber.org/zap"
)

// setProcessors returns how many loops to run, and gives the Go scheduler one P more: a loop that waits in the kernel
// without telling the scheduler holds its P, and the timers and the HTTP servers must not have to wait for that.
// GOMAXPROCS in the environment sets the number of loops, where nothing else does.
func setProcessors(loops int, log *zap.Logger) int {
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0) // the CPUs of the affinity mask and of the container's quota
	}
	runtime.GOMAXPROCS(loops + 1)
	log.Debug("processors", zap.Int("loops", loops), zap.Int("gomaxprocs", runtime.GOMAXPROCS(0)))
	return loops
}
