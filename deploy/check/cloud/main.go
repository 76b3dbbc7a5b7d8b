// Command cloud is what surrounds an instance in the end-to-end check, where moto has nothing for it.
//
//	cloud region MACHINE.json    on the instance's side: its metadata service, with the credentials of its role and what Auto
//	                             Scaling wants of it; and Auto Scaling with its lifecycle hooks, which moto only stores
//	cloud outside OUTSIDE.json   beyond its network interface: the resolver of the VPC, and a load balancer in front of it
//
// Both run until they are killed. Not for anything but the check.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	if len(os.Args) != 3 {
		log.Fatal("usage: cloud region|outside FILE")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// run returns only if something cannot be served.
func run(part, file string) error {
	switch part {
	case "region":
		var c regionConfig
		if err := load(file, &c); err != nil {
			return err
		}
		return serveRegion(c)
	case "outside":
		var c outsideConfig
		if err := load(file, &c); err != nil {
			return err
		}
		return serveOutside(c)
	}
	return fmt.Errorf("no part %q: region or outside", part)
}

func load(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

// together runs services that never end by themselves, and returns the first error.
func together(services ...func() error) error {
	failed := make(chan error, len(services))
	for _, s := range services {
		go func() { failed <- s() }()
	}
	return <-failed
}

func serve(address string, h http.Handler) func() error {
	return func() error { return http.ListenAndServe(address, h) }
}
