variable "vpc" {
  description = <<-EOT
    Your VPC; null makes one. Choose before the first apply: a change of id makes everything anew. instance_subnet_ids: public subnets (a route to an internet gateway), since an Elastic IP works in no other.
    nlb_subnet_ids: private ones, one a zone. route_table_ids: those of the instance subnets, for the S3 gateway endpoint; empty if
    the VPC has one. DNS hostnames and DNS support must be on. With egress = "nat_gateway" instance_subnet_ids are private subnets behind your NAT
    gateways, and nat_public_ips are these gateways' addresses.
  EOT
  type = object({
    id                  = string
    instance_subnet_ids = list(string)
    nlb_subnet_ids      = list(string)
    route_table_ids     = optional(list(string), [])
    nat_public_ips      = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.instance_subnet_ids) > 0 && length(var.vpc.nlb_subnet_ids) > 0, false)
    error_message = "vpc: instance_subnet_ids and nlb_subnet_ids need at least one subnet each."
  }
}

variable "vpc_cidr" {
  description = "Range of the VPC the module makes. In the VPN variant it must not overlap the VNet. A change makes everything anew."
  type        = string
  default     = "172.30.0.0/20"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 24, false)
    error_message = "vpc_cidr: an IPv4 range of /16 to /24, for example 172.30.0.0/20: it is cut into 8 subnets, and AWS allows none beyond /28."
  }
}

variable "zones" {
  description = "Over how many availability zones the module's own VPC extends. Fewer than before makes the load balancer anew, with its endpoint service; more do not."
  type        = number
  default     = 3

  validation {
    condition     = contains([1, 2, 3, 4], var.zones)
    error_message = "zones: 1 to 4; 2 at least for anything that matters."
  }
}

variable "public_address_at_boot" {
  description = <<-EOT
    How an instance reaches the EC2 and Auto Scaling APIs before it holds an Elastic IP, which it needs these APIs to get.
    false: through interface endpoints; no instance ever has an address outside the pool. true: by an auto-assigned public
    address, without the endpoints' price; it is swapped for the pool's during boot, which breaks what is open then. A later change to true takes the
    endpoints away at once: instances reach the APIs by the address they hold.
  EOT
  type        = bool
  default     = false
}

variable "egress" {
  description = <<-EOT
    How connections leave for Azure. elastic_ip: each instance claims an address of the pool. nat_gateway: for those who may not have public
    addresses on instances: they are in private subnets, and a NAT gateway a zone has the pool. What is lost: instances share addresses, and
    55,000 connections to one destination for each of them; each gigabyte is charged; l4fwd neither verifies its address nor completes lifecycle
    hooks, so that health checks alone let an instance in and the deregistration delay alone drains it. Choose before the first apply: the pool cannot
    go from instances to gateways.
  EOT
  type        = string
  default     = "elastic_ip"

  validation {
    condition     = contains(["elastic_ip", "nat_gateway"], var.egress)
    error_message = "egress: elastic_ip or nat_gateway."
  }
  validation {
    condition     = var.egress == "elastic_ip" || !var.public_address_at_boot
    error_message = "egress: with nat_gateway an instance has no public address at boot either; leave public_address_at_boot false."
  }
  validation {
    condition     = var.egress == "elastic_ip" || var.vpc == null || try(length(var.vpc.nat_public_ips) > 0, false)
    error_message = "egress: with nat_gateway in your VPC give vpc.nat_public_ips, the addresses that Azure has to admit."
  }
}

variable "nat_addresses" {
  description = "Elastic IPs of each NAT gateway, 55,000 connections to one destination each. Of no effect without egress = \"nat_gateway\". Fewer than before gives addresses away."
  type        = number
  default     = 1

  validation {
    condition     = var.nat_addresses >= 1 && var.nat_addresses <= 8 && var.nat_addresses == floor(var.nat_addresses)
    error_message = "nat_addresses: 1 to 8; AWS allows 2 until the quota is raised."
  }
}

variable "interface_endpoints" {
  description = "Services that get an interface endpoint. null: ec2 and autoscaling unless public_address_at_boot or NAT gateways. []: the VPC has them already (private DNS allows only one of each)."
  type        = set(string)
  default     = null
}

variable "vpn_gateway_id" {
  description = "VPN variant: a virtual private gateway attached to the VPC; its routes are propagated to the instances' route table of the module's own VPC."
  type        = string
  default     = null

  validation {
    condition     = var.vpn_gateway_id == null || var.vpc == null
    error_message = "vpn_gateway_id: with a VPC of your own, propagate the gateway's routes in your route tables and leave this null."
  }
}

variable "secondary_addresses" {
  description = <<-EOT
    Secondary private addresses of each load balancer node, 0 to 7: the first way to more connections. An address has 55,000 ports to one target, so that
    an instance takes 55,000 x (1 + secondary_addresses) x listen_ports connections of a node. Towards Azure an instance has 55,000 ports for each
    address of an upstream: beyond that only more instances help. Raising it is done in place; lowering it makes the load balancer anew, with its endpoint
    service, which every client has to be connected to again.
  EOT
  type        = number
  default     = 0

  validation {
    condition     = var.secondary_addresses >= 0 && var.secondary_addresses <= 7 && var.secondary_addresses == floor(var.secondary_addresses)
    error_message = "secondary_addresses: 0 to 7."
  }
}

variable "zonal_shift" {
  description = "Lets you (or AWS, with zonal autoshift) move traffic away from a zone that fails: aws arc-zonal-shift start-zonal-shift."
  type        = bool
  default     = true
}

variable "listen_ports" {
  description = <<-EOT
    Ports l4fwd accepts on, each its own target group behind the one listener on 443: the second way to more connections, after
    secondary_addresses. Instances accept on a new port only once they are new, so change it in two steps with forward_ports, else part of the
    connections is refused meanwhile. A target group of a port that is taken out goes, and with it the connections through it.
  EOT
  type        = list(number)
  default     = [443]

  validation {
    condition     = length(var.listen_ports) >= 1 && length(var.listen_ports) <= 5 && length(distinct(var.listen_ports)) == length(var.listen_ports)
    error_message = "listen_ports: 1 to 5 different ports, since a listener forwards to 5 target groups at most."
  }
  validation {
    condition     = alltrue([for p in var.listen_ports : p >= 1 && p <= 65535 && p == floor(p) && p != var.health_port && p != 9901])
    error_message = "listen_ports: 1 to 65535, and neither health_port nor 9901, which is the admin address."
  }
}

variable "forward_ports" {
  description = <<-EOT
    Those of listen_ports that the load balancer sends to; null: all. To add a port: listen_ports = [443, 8443] with forward_ports = [443], and once the
    instance refresh has ended, forward_ports = null. To take one out, the same two steps the other way round.
  EOT
  type        = list(number)
  default     = null

  validation {
    condition     = var.forward_ports == null || try(length(var.forward_ports) >= 1 && length(distinct(var.forward_ports)) == length(var.forward_ports) && length(setsubtract(var.forward_ports, var.listen_ports)) == 0, false)
    error_message = "forward_ports: different ones of listen_ports, one at least."
  }
}

variable "health_port" {
  description = "Port of /readyz, /livez and /metrics. Choose before the first apply: a change fails every check until the instances are new."
  type        = number
  default     = 8080

  validation {
    condition     = var.health_port >= 1 && var.health_port <= 65535 && var.health_port == floor(var.health_port)
    error_message = "health_port: 1 to 65535."
  }
}

variable "health_check" {
  description = "The load balancer's check of /readyz: seconds between checks, seconds one may take, and how many change the verdict. The lame-duck time follows from it."
  type = object({
    interval            = optional(number, 10)
    timeout             = optional(number, 5)
    healthy_threshold   = optional(number, 2)
    unhealthy_threshold = optional(number, 2)
  })
  default = {}

  validation {
    condition     = var.health_check.interval >= 5 && var.health_check.interval <= 300 && var.health_check.timeout >= 2 && var.health_check.timeout <= var.health_check.interval
    error_message = "health_check: interval 5 to 300 s, timeout 2 s to interval."
  }
  validation {
    condition     = alltrue([for n in [var.health_check.healthy_threshold, var.health_check.unhealthy_threshold] : n >= 2 && n <= 10])
    error_message = "health_check: thresholds are 2 to 10."
  }
}

variable "proxy_protocol" {
  description = "PROXY protocol v2 from the load balancer: the only way to see which VPC endpoint a connection came through. l4fwd then requires the header. Choose before the first apply: a change refuses connections until the instances are new."
  type        = bool
  default     = true
}

variable "allow_vpce" {
  description = "VPC endpoints that may connect (vpce-…); empty allows all that the endpoint service accepted."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for v in var.allow_vpce : can(regex("^vpce-[0-9a-f]{8,17}$", v))])
    error_message = "allow_vpce: ids of VPC endpoints, vpce-0123456789abcdef0."
  }
  validation {
    condition     = length(var.allow_vpce) == 0 || var.proxy_protocol
    error_message = "allow_vpce needs proxy_protocol = true: the endpoint's id comes in the PROXY header."
  }
}

variable "idle_timeout" {
  description = "Seconds a connection may be silent on the load balancer. l4fwd's keepalive (60 s) resets it, so that only dead peers meet it."
  type        = number
  default     = 350

  validation {
    condition     = var.idle_timeout >= 60 && var.idle_timeout <= 6000
    error_message = "idle_timeout: 60 to 6000 s."
  }
}

variable "allowed_principals" {
  description = "Who may create an endpoint to the service. null: Databricks' role of the region."
  type        = list(string)
  default     = null

  validation {
    condition     = var.allowed_principals == null || try(alltrue([for p in var.allowed_principals : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:.+$", p))]), false)
    error_message = "allowed_principals: ARNs of roles, users or accounts (arn:aws:iam::123456789012:root). \"*\" would let anybody ask for a connection, and is refused."
  }
}

variable "accept_vpc_endpoints" {
  description = "Endpoint connections to accept, by a name of your choice: { databricks = \"vpce-…\" }. Empty: accept by hand, as docs/DEPLOY.md shows. One that is taken out is rejected: its connection goes."
  type        = map(string)
  default     = {}
}
