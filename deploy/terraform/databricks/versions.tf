terraform {
  required_version = ">= 1.9"

  required_providers {
    databricks = {
      source  = "databricks/databricks"
      version = ">= 1.121, < 2" # the rule that waits for CREATING to end
    }
  }
}
