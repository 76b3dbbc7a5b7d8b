// Command provider stands in for a Terraform provider that cannot be had: it has the real one's resource types, arguments and
// rules of what a change replaces, from its schema in TFSCHEMA_DIR, and keeps what is applied in Terraform's state alone. So
// Terraform itself plans and applies a module, with no account and no network.
//
// Which provider and version it is follows from the name of the file it is run as: terraform-provider-azurerm_v5.2.0.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

func main() {
	log.SetFlags(0)
	if err := run(filepath.Base(os.Args[0]), os.Getenv("TFSCHEMA_DIR")); err != nil {
		log.Fatal(err)
	}
}

// run serves Terraform until it has no more use for a provider.
func run(program, schemas string) error {
	name, version, found := strings.Cut(strings.TrimPrefix(program, "terraform-provider-"), "_v")
	if !found {
		return fmt.Errorf("run me as terraform-provider-NAME_vVERSION, not as %s", program)
	}
	s, err := load(filepath.Join(schemas, name+".json"), version)
	if err != nil {
		return fmt.Errorf("schema of %s in TFSCHEMA_DIR: %w", name, err)
	}
	serve := func() tfprotov6.ProviderServer { return &server{schemas: s} }
	return tf6server.Serve("registry.terraform.io/"+organisations[name]+"/"+name, serve)
}

var organisations = map[string]string{"aws": "hashicorp", "azurerm": "hashicorp", "databricks": "databricks"}
