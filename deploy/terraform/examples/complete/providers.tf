terraform {
  required_version = ">= 1.11" # write-only arguments

  required_providers {
    aws        = { source = "hashicorp/aws", version = ">= 6.11, < 7" }
    azurerm    = { source = "hashicorp/azurerm", version = ">= 5.0, < 6" }
    databricks = { source = "databricks/databricks", version = ">= 1.121, < 2" }
  }
}

provider "aws" {
  region = var.region
}

provider "azurerm" {
  features {}
  subscription_id = var.azure_subscription_id
}

provider "databricks" {
  alias      = "account"
  host       = "https://accounts.cloud.databricks.com"
  account_id = var.databricks_account_id
}
