package main

import (
	"time"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

// step is a plan's step with how its output is read and where the table shows it.
type step struct {
	plan.Step
	group string
	read  reader
}

// stepRun is what became of a step.
type stepRun struct {
	step
	begun, ended bool
	code         int
	took         time.Duration // of the guest's clock
	output       []string
}

// guestRun is what a machine did with its plan.
type guestRun struct {
	kernel   string // its version, as the guest says
	steps    []stepRun
	warnings []string // of the kernel, and of the guest
	fault    string   // why the plan was not carried out to its end; "" if it was
	timeUp   bool     // the fault is that the time was up
	took     time.Duration
}

// forgiveTime makes skips of the steps that had no time to end: those of a short run on a busy host, which proves nothing about
// the kernel.
func (g *guestRun) forgiveTime() {
	if !g.timeUp {
		return
	}
	for i := range g.steps {
		if s := &g.steps[i]; !s.ended {
			s.read = func(*stepRun) []result { return []result{{s.Name, skipped, g.fault}} }
			s.begun, s.ended, s.code = true, true, 0
		}
	}
}
