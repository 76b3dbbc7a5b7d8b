locals {
  resource_group = var.resource_group_name != null ? var.resource_group_name : azurerm_resource_group.this[0].name

  # The account that the module's own variables describe has the key main, so that the state knows it whatever its name is.
  accounts = merge(
    {
      main = {
        name                          = var.name
        location                      = var.location
        kind                          = var.kind
        sku_name                      = var.sku_name
        local_auth_enabled            = var.local_auth_enabled
        public_network_access_enabled = var.public_network_access_enabled
        ip_rules                      = var.ip_rules
      }
    },
    { for name, a in var.accounts : name => {
      name                          = name
      location                      = coalesce(a.location, var.location)
      kind                          = coalesce(a.kind, var.kind)
      sku_name                      = coalesce(a.sku_name, var.sku_name)
      local_auth_enabled            = coalesce(a.local_auth_enabled, var.local_auth_enabled)
      public_network_access_enabled = coalesce(a.public_network_access_enabled, var.public_network_access_enabled)
      ip_rules                      = a.ip_rules != null ? a.ip_rules : var.ip_rules
    } },
  )

  # By "DEPLOYMENT" for the first account, "ACCOUNT/DEPLOYMENT" for the others.
  deployments = merge(
    { for d, v in var.deployments : d => merge(v, { account = "main", name = d }) },
    merge([for account, a in var.accounts : { for d, v in a.deployments : "${account}/${d}" => merge(v, { account = account, name = d }) }]...),
  )
  users = merge(
    { for u, id in var.openai_users : u => { account = "main", principal = id } },
    merge([for account, a in var.accounts : { for u, id in a.openai_users : "${account}/${u}" => { account = account, principal = id } }]...),
  )
}

# Names follow from the variables alone, so that AWS and Databricks need not wait for an account.
locals {
  suffixes     = { openai = "openai.azure.com", cognitiveservices = "cognitiveservices.azure.com", "services.ai" = "services.ai.azure.com" }
  kind_domains = { OpenAI = ["openai"], AIServices = ["openai", "cognitiveservices", "services.ai"] }
  # A private endpoint of an AIServices account has an address for each of these, in this order.
  members = { OpenAI = { openai = "default" }, AIServices = { cognitiveservices = "default", openai = "secondary", "services.ai" = "third" } }

  kinds = merge({ main = var.kind }, { for name, a in var.accounts : name => coalesce(a.kind, var.kind) })
  domains = merge(
    { main = var.domains != null ? var.domains : local.kind_domains[var.kind] },
    { for name, a in var.accounts : name => a.domains != null ? a.domains : local.kind_domains[local.kinds[name]] },
  )
  # One entry a name, by "ACCOUNT/DOMAIN".
  hosts = merge([for account, domains in local.domains : {
    for d in domains : "${account}/${d}" => {
      account  = account
      domain   = d
      name     = account == "main" ? var.name : account
      host     = "${account == "main" ? var.name : account}.${local.suffixes[d]}"
      upstream = "${account == "main" ? var.name : account}${d == "openai" ? "" : "-${replace(d, ".", "-")}"}"
    }
  }]...)

  public = merge({ main = var.public_network_access_enabled }, { for name, a in var.accounts : name => coalesce(a.public_network_access_enabled, var.public_network_access_enabled) })

  # Fixed addresses of private endpoints: private_ip and the ones after it, a member each.
  first_ip = merge(
    { main = try(var.private_endpoint.private_ip, null) },
    { for name, a in var.accounts : name => a.private_ip },
  )
  fixed = { for account, kind in local.kinds : account => {
    for i, member in sort(values(local.members[kind])) : member => join(".", concat(
      slice(split(".", local.first_ip[account]), 0, 3), [tonumber(split(".", local.first_ip[account])[3]) + i],
    ))
  } if local.first_ip[account] != null }
  private_ips = { for key, h in local.hosts : key => local.fixed[h.account][local.members[local.kinds[h.account]][h.domain]] if contains(keys(local.fixed), h.account) }
}
