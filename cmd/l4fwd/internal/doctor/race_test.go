//go:build race

package doctor_test

const underRace = true
