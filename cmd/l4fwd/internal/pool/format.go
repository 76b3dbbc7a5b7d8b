// Package pool prints the addresses of a pool: for people with what to do about retained holders, for programs, and for the
// firewall of an Azure AI resource.
package pool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Format is a way to print a pool.
type Format struct {
	// States says whether the format shows the lifecycle states of the holders.
	States bool
	// Write prints the pool, whose order is kept. It returns the writer's error, or one that says why the format does not suit.
	Write func(io.Writer, []Entry) error
}

// Formats are the ways to print a pool, by the names of --format.
var Formats = map[string]Format{
	"table":     {true, writeTable},
	"json":      {true, writeJSON},
	"azure-cli": {false, writeAzureCLI},
	"tfvars":    {false, writeTFVars},
}

// maxAzureRules is how many IP rules the firewall of an Azure AI resource takes.
const maxAzureRules = 100

// tooMany is an error if the addresses do not fit into the firewall of one resource.
func tooMany(all []Entry) error {
	if len(all) > maxAzureRules {
		return fmt.Errorf("the pool has %d addresses, and the firewall of an Azure AI resource takes %d rules: select fewer", len(all), maxAzureRules)
	}
	return nil
}

// writeTable writes the pool for people.
func writeTable(w io.Writer, all []Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ADDRESS\tALLOCATION\tHELD BY\tINTERFACE\tPRIVATE\tSTATE")
	free := 0
	for _, a := range all {
		private := "-"
		if a.Private.IsValid() {
			private = a.Private.String()
		}
		if a.Free() {
			free++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Public, a.Allocation, cmp.Or(a.Holder(), "free"), cmp.Or(a.Interface, "-"), private, cmp.Or(a.State, "-"))
	}
	if err := t.Flush(); err != nil { // which keeps the first error
		return err
	}
	if _, err := fmt.Fprintf(w, "%d addresses, %d free\n", len(all), free); err != nil {
		return err
	}
	return writeRetained(w, all)
}

// writeJSON writes the pool for programs.
func writeJSON(w io.Writer, all []Entry) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}

// writeAzureCLI writes one command a rule. Azure refuses /31 and /32, so the addresses are plain.
func writeAzureCLI(w io.Writer, all []Entry) error {
	if err := tooMany(all); err != nil {
		return err
	}
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "az cognitiveservices account network-rule add --resource-group \"$RG\" --name \"$NAME\" --ip-address %s\n", a.Public)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTFVars writes a variable for the Terraform module of the firewall.
func writeTFVars(w io.Writer, all []Entry) error {
	if err := tooMany(all); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("ip_rules = [\n")
	for _, a := range all {
		fmt.Fprintf(&b, "  %q,\n", a.Public)
	}
	b.WriteString("]\n")
	_, err := io.WriteString(w, b.String())
	return err
}
