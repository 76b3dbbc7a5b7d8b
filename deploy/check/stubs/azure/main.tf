# Stands in for the module where its provider cannot be had: the same variables, and outputs that depend on them, so that
# the example's wiring is judged by Terraform itself: types, checks of inputs, and that it has no cycle.
resource "terraform_data" "this" {
  input = var.ip_rules
}

output "host" {
  value = length(terraform_data.this.output) > 0 ? "${var.name}.openai.azure.com" : null
}

output "account_id" {
  value = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/${var.name}-rg/providers/Microsoft.CognitiveServices/accounts/${var.name}"
}
