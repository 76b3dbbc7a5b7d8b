package sim

import "time"

// transition returns the lifecycle transition of a hook, "" if the group has no such hook. The caller holds mu.
func (a *AutoScaling) transition(group, hook string) string {
	for _, h := range a.hooks[group] {
		if h.Name == hook {
			return h.Transition
		}
	}
	return ""
}

// proceed moves an instance to its next state once no hook is waited for. The caller holds mu.
func (a *AutoScaling) proceed(m *asgMember) {
	if len(m.waiting) == 0 && m.next != "" {
		m.state, m.next = m.next, ""
	}
}

// expire gives up the hooks that timed out: the default result is ABANDON, which ends a launch.
func (a *AutoScaling) expire(m *asgMember) {
	for name, at := range m.waiting {
		if time.Now().Before(at) {
			continue
		}
		delete(m.waiting, name)
		a.calls = append(a.calls, "timeout "+name)
		if a.transition(m.group, name) == Launching {
			m.state, m.next, m.waiting = "Terminated", "", nil
			m.metadata.Set("autoscaling/target-lifecycle-state", "Terminated")
			return
		}
		if a.retained(m, name) {
			return
		}
		a.proceed(m)
	}
}

// timeout returns after how long a hook ends by itself. The caller holds mu.
func (a *AutoScaling) timeout(group, hook string) time.Duration {
	for _, h := range a.hooks[group] {
		if h.Name == hook {
			return h.Timeout
		}
	}
	return 0
}
