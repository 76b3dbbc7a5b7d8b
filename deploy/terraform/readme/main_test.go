package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = `terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.11, < 7" # why
    }
  }
}

variable "size" {
  description = <<-EOT
    How many: least
    and most.
  EOT
  type = object({
    min = number # the least
    max = optional(number, 4)
  })
  default = { min = 2 }

  validation {
    condition     = var.size.min > 0
    error_message = "size: more."
  }
}

variable "name" {
  description = "Name, \"l4fwd\" or a|b."
  type        = string
}

output "ips" {
  description = "Addresses."
  value       = []
}
`

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"main.tf": text, "header.md": "# Module\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadmeListsInputsAndOutputs(t *testing.T) {
	text, err := readme(write(t, module))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Module\n", "| Terraform | >= 1.9 |\n| provider aws | >= 6.11, < 7 |\n",
		"| `name` | `string` | required | Name, \"l4fwd\" or a\\|b. |\n",
		"| `size` | `object({ min = number, max = optional(number, 4) })` | `{ min = 2 }` | How many: least and most. |\n",
		"| `ips` | Addresses. |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestWithoutDescriptionIsAnError(t *testing.T) {
	_, err := readme(write(t, "output \"ips\" {\n  value = []\n}\n"))
	if err == nil || !strings.Contains(err.Error(), `output "ips" has no description`) {
		t.Error(err)
	}
}
