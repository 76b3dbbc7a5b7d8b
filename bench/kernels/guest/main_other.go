//go:build !linux

// Command guest is the init of a Linux virtual machine.
package main

func main() {}
