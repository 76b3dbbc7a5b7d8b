region           = "us-west-2"
endpoint_service = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
domain_names     = ["dais24-aoai-demo.openai.azure.com"]
workspace_ids    = [1234567890123456]
network_policy   = { enforced = false }
