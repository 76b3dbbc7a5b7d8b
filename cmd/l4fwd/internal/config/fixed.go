package config

// KeepFixed gives next the values of used for the keys whose new value takes an upgrade or a restart, and returns those of them that
// have a new one.
func KeepFixed(next, used *Config) (kept []string) {
	inParallel(next.keys(), used.keys(), func(n, u *key) {
		if n.restart && !n.slot().equal(u.slot()) {
			n.slot().take(u.slot())
			kept = append(kept, n.path)
		}
	})
	return kept
}

// Changed returns the keys that differ; a list counts as one.
func Changed(a, b *Config) []string {
	changed := []string{} // an empty list rather than none in the log
	inParallel(a.keys(), b.keys(), func(x, y *key) {
		if !x.slot().equal(y.slot()) {
			changed = append(changed, x.path)
		}
	})
	return changed
}
