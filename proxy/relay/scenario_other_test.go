//go:build !linux

package relay

var linuxScenarios []scenario
