upstreams      = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
proxy_protocol = false
