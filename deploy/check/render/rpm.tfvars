upstreams              = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
public_address_at_boot = true
