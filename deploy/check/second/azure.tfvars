# The first apply: an account as earlier versions made it, and all that it can have.
name             = "dais24-aoai-demo"
location         = "westus3"
kind             = "OpenAI"
ip_rules         = ["198.51.100.7", "203.0.113.0/30"]
deployments      = { gpt-4o = { model = "gpt-4o", version = "2024-11-20" } }
openai_users     = { jobs = "01234567-89ab-cdef-0123-456789abcdef" }
private_endpoint = { private_ip = "10.2.0.4", sources = ["172.30.0.0/20"] }
search           = { name = "find" }
storage          = { name = "data" }
accounts         = { second-account = { kind = "AIServices", deployments = { embed = { model = "text-embedding-3-large", version = "1" } } } }
