package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// eipFormats are the ways to print a pool.
var eipFormats = map[string]func(io.Writer, []listed) error{
	"table":     writePoolTable,
	"json":      writePoolJSON,
	"azure-cli": writeAzureCLI,
	"tfvars":    writeTFVars,
}

// maxAzureRules is how many IP rules the firewall of an Azure AI resource takes.
const maxAzureRules = 100

// tooMany is an error if the addresses do not fit into the firewall of one resource.
func tooMany(all []listed) error {
	if len(all) > maxAzureRules {
		return fmt.Errorf("the pool has %d addresses, and the firewall of an Azure AI resource takes %d rules: select fewer", len(all), maxAzureRules)
	}
	return nil
}

// writePoolTable writes the pool for people.
func writePoolTable(w io.Writer, all []listed) error {
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

// writePoolJSON writes the pool for programs.
func writePoolJSON(w io.Writer, all []listed) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}

// writeAzureCLI writes one command a rule. Azure refuses /31 and /32, so the addresses are plain.
func writeAzureCLI(w io.Writer, all []listed) error {
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
func writeTFVars(w io.Writer, all []listed) error {
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
